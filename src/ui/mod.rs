//! Presentation that the terminal, the page and the messages share.

pub(crate) mod qr;
pub(crate) mod relative_time;
