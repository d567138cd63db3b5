//! The values and decisions of the program: no clock is read here, no network, disk or terminal is used.

pub(crate) mod account;
pub(crate) mod approval;
pub(crate) mod client_address;
pub(crate) mod client_key;
pub(crate) mod clock;
pub(crate) mod declaration;
pub(crate) mod expiry;
pub(crate) mod fault;
pub(crate) mod grant_kind;
pub(crate) mod identity;
pub(crate) mod jwt_bearer;
pub(crate) mod loopback;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod provider_file;
pub(crate) mod rate_limit;
pub(crate) mod readable;
pub(crate) mod record;
pub(crate) mod redirection;
pub(crate) mod secret;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod text;
pub(crate) mod token;
pub(crate) mod token_name;
pub(crate) mod token_target;
