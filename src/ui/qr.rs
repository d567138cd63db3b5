//! QR codes: for a terminal, and as a picture for a page.
//!
//! The renderer that comes with the encoder has a border of four modules or none, no colours of its own, and nothing for a
//! terminal without half blocks; so the drawing is done here.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::types::QrError;
use qrcode::{Color, EcLevel, QrCode};

/// The empty border that the standard wants around a code, in modules.
pub(crate) const QUIET: usize = 4;

/// The border with which a code can still be read from a screen: for where a wider one has no room.
pub(crate) const NARROW_QUIET: usize = 2;

/// A QR code.
#[derive(Clone, Debug)]
pub(crate) struct Qr {
    modules: Vec<Color>,
    size: usize,
}

/// The way that a terminal shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Half blocks in black on white, by the terminal's colours: the same on every background.
    Colours,
    /// Half blocks in the colour of the text, for a terminal that writes light on dark.
    Plain,
    /// Spaces on black and white, for a terminal that has colours and no half blocks.
    Paper,
    /// The characters of ASCII, for a terminal that writes light on dark and has nothing else.
    Ascii,
}

/// The sequences that choose black on white, black paper and white paper. These two colours of the palette are the same in every
/// theme.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const BLACK_PAPER: &str = "\u{1b}[48;5;16m";
const WHITE_PAPER: &str = "\u{1b}[48;5;231m";
const RESET: &str = "\u{1b}[0m";

impl Ink {
    /// The columns of a module, and the modules that lie above one another in a row of the terminal.
    fn cell(self) -> (usize, usize) {
        match self {
            Self::Colours | Self::Plain => (1, 2),
            Self::Paper | Self::Ascii => (2, 1),
        }
    }
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

    /// The modules along one edge of the picture, its border counted.
    #[must_use]
    pub(crate) fn columns(&self) -> usize {
        self.size + 2 * QUIET
    }

    /// The columns and rows of [`Qr::terminal`].
    #[must_use]
    pub(crate) fn extent(&self, ink: Ink, quiet: usize) -> (usize, usize) {
        let edge = self.size + 2 * quiet;
        let (columns, modules) = ink.cell();
        (edge * columns, edge.div_ceil(modules))
    }

    /// The lines for a terminal, with a border of `quiet` modules.
    #[must_use]
    pub(crate) fn terminal(&self, ink: Ink, quiet: usize) -> String {
        let edge = self.size + 2 * quiet;
        let (_, step) = ink.cell();
        let mut drawn = String::new();
        for row in (0..edge).step_by(step) {
            if ink == Ink::Colours {
                drawn.push_str(BLACK_ON_WHITE);
            }
            for column in 0..edge {
                let dark = self.is_dark_within(column, row, quiet);
                // Below the last line there is nothing to light up.
                let dark_below = self.is_dark_within(column, row + 1, quiet);
                let light_below = !dark_below && row + 1 < edge;
                drawn.push_str(match ink {
                    Ink::Colours => half_block(dark, dark_below),
                    Ink::Plain => half_block(!dark, light_below),
                    Ink::Paper if dark => BLACK_PAPER,
                    Ink::Paper => WHITE_PAPER,
                    Ink::Ascii if dark => "  ",
                    Ink::Ascii => "##",
                });
                if ink == Ink::Paper {
                    drawn.push_str("  ");
                }
            }
            if matches!(ink, Ink::Colours | Ink::Paper) {
                drawn.push_str(RESET);
            }
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

    /// Returns whether the module at this place is dark, where the border is counted too.
    fn is_dark_within(&self, column: usize, row: usize, quiet: usize) -> bool {
        let inside = |at: usize| at.checked_sub(quiet).filter(|at| *at < self.size);
        inside(column).zip(inside(row)).is_some_and(|(column, row)| self.is_dark(column, row))
    }
}

/// The character whose upper and lower half are in the colour of the text.
fn half_block(upper: bool, lower: bool) -> &'static str {
    match (upper, lower) {
        (true, true) => "█",
        (true, false) => "▀",
        (false, true) => "▄",
        (false, false) => " ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://login.example.com/realms/plant-7/device?user_code=WDJB-MJHT";

    #[test]
    fn a_drawing_is_as_large_as_it_says() {
        let qr = Qr::new(ADDRESS).unwrap();
        for ink in [Ink::Colours, Ink::Plain, Ink::Paper, Ink::Ascii] {
            for quiet in [QUIET, NARROW_QUIET] {
                let drawn = qr.terminal(ink, quiet);
                let visible = drawn.replace(BLACK_ON_WHITE, "").replace(BLACK_PAPER, "");
                let visible = visible.replace(WHITE_PAPER, "").replace(RESET, "");
                let (columns, rows) = qr.extent(ink, quiet);
                assert!(visible.lines().all(|line| line.chars().count() == columns), "{ink:?} {quiet}");
                assert_eq!(visible.lines().count(), rows, "{ink:?} {quiet}");
            }
        }
    }

    #[test]
    fn a_typical_address_fits_beside_its_text_on_24_rows() {
        let qr = Qr::new("https://login.example.com/device?user_code=WDJB-MJHT").unwrap();
        assert_eq!(qr.extent(Ink::Colours, QUIET), (37, 19));
        assert_eq!(qr.extent(Ink::Colours, NARROW_QUIET), (33, 17));
    }

    #[test]
    fn light_text_and_black_on_white_are_each_others_opposite() {
        let qr = Qr::new(ADDRESS).unwrap();
        let plain = qr.terminal(Ink::Plain, QUIET);
        let inverse = plain.replace('█', "x").replace(' ', "█").replace('x', " ");
        let inverse = inverse.replace('▀', "x").replace('▄', "▀").replace('x', "▄");
        let coloured = qr.terminal(Ink::Colours, QUIET).replace(BLACK_ON_WHITE, "").replace(RESET, "");
        let all_but_the_last = |drawn: &str| drawn.lines().rev().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all_but_the_last(&inverse), all_but_the_last(&coloured));
    }

    #[test]
    fn a_text_that_no_code_can_hold_is_an_error() {
        assert!(Qr::new(&"x".repeat(4_000)).is_err());
    }
}
