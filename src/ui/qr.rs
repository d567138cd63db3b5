//! QR codes: for a terminal, and as a picture for a page.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::types::QrError;
use qrcode::{Color, EcLevel, QrCode};

/// The empty border that a scanner needs, in modules.
const QUIET: usize = 4;

/// A QR code.
#[derive(Clone, Debug)]
pub(crate) struct Qr {
    modules: Vec<Color>,
    size: usize,
}

/// How a terminal is to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Black on white by the terminal's colours: the same on every background.
    Colours,
    /// With characters alone, for a terminal that writes light on dark.
    Plain,
}

impl Qr {
    /// The code for `text`, as small as it can be.
    ///
    /// # Errors
    /// When the text is too long for any QR code.
    pub(crate) fn new(text: &str) -> Result<Self, QrError> {
        // The least redundancy: a screen has no scratches, and fewer modules are larger ones.
        let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
        Ok(Self { size: code.width(), modules: code.into_colors() })
    }

    /// How many columns [`Qr::terminal`] takes.
    #[must_use]
    pub(crate) fn columns(&self) -> usize {
        self.size + 2 * QUIET
    }

    /// Lines of half blocks, two rows of modules each.
    #[must_use]
    pub(crate) fn terminal(&self, ink: Ink) -> String {
        let (before, after) = match ink {
            Ink::Colours => ("\u{1b}[38;5;16;48;5;231m", "\u{1b}[0m"),
            Ink::Plain => ("", ""),
        };
        let mut drawn = String::new();
        for row in (0..self.columns()).step_by(2) {
            drawn.push_str(before);
            for column in 0..self.columns() {
                let halves = (self.inked(column, row, ink), self.inked(column, row + 1, ink));
                drawn.push(match halves {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            drawn.push_str(after);
            drawn.push('\n');
        }
        drawn
    }

    /// An SVG picture as an address that an `<img>` can show.
    #[must_use]
    pub(crate) fn data_uri(&self) -> String {
        format!("data:image/svg+xml;base64,{}", STANDARD.encode(self.svg()))
    }

    fn svg(&self) -> String {
        let edge = self.columns();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {edge} {edge}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{edge}v{edge}H0z\"/><path d=\""
        );
        for row in 0..self.size {
            let mut column = 0;
            while column < self.size {
                let run = (column..self.size).take_while(|column| self.is_dark(*column, row)).count();
                if run > 0 {
                    // Writing to a string cannot fail.
                    let _ = write!(svg, "M{} {}h{run}v1h-{run}z", column + QUIET, row + QUIET);
                }
                column += run.max(1);
            }
        }
        svg.push_str("\"/></svg>");
        svg
    }

    fn is_dark(&self, column: usize, row: usize) -> bool {
        self.modules[row * self.size + column] == Color::Dark
    }

    /// Whether the module at this place, border included, is drawn in the colour of the text.
    fn inked(&self, column: usize, row: usize, ink: Ink) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.size);
        let dark = inside(column).zip(inside(row)).is_some_and(|(column, row)| self.is_dark(column, row));
        match ink {
            Ink::Colours => dark,
            // Below the last line there is nothing to light up.
            Ink::Plain => !dark && row < self.columns(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://login.example.com/realms/plant-7/device?user_code=WDJB-MJHT";

    #[test]
    fn a_typical_address_fits_a_terminal_of_80_columns() {
        let qr = Qr::new(ADDRESS).unwrap();
        assert!(qr.columns() <= 80, "{}", qr.columns());
        let drawn = qr.terminal(Ink::Plain);
        assert!(drawn.lines().all(|line| line.chars().count() == qr.columns()));
        assert_eq!(drawn.lines().count(), qr.columns().div_ceil(2));
    }

    #[test]
    fn the_two_inks_are_each_others_opposite() {
        let qr = Qr::new(ADDRESS).unwrap();
        for row in 0..qr.columns() {
            for column in 0..qr.columns() {
                assert_ne!(qr.inked(column, row, Ink::Colours), qr.inked(column, row, Ink::Plain));
            }
        }
    }

    #[test]
    fn a_text_that_no_code_can_hold_is_an_error() {
        assert!(Qr::new(&"x".repeat(4_000)).is_err());
    }
}
