//! The screen of a sign-in: QR code, link and code, as they fit the terminal.

use std::io::Write as _;

use super::exit::Failure;
use super::terminal::Terminal;
use super::{BOLD, DIM, WARN, layout, say};
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::text::printable;
use crate::platform::clock;
use crate::ui::qr::{Ink, NARROW_QUIET, QUIET, Qr};
use crate::ui::relative_time;
use crate::wire::SignInMessage;

/// The way that a sign-in is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Screen {
    /// True if the QR code is drawn even if it does not fit the terminal together with the text.
    pub(super) always_qr: bool,
    /// The address of the sign-in page, if it can be reached from other devices.
    ///
    /// In the authorization code grant, the QR code leads there: the provider's address is too long for a code that fits a terminal,
    /// and the page also takes the address that the phone is redirected to.
    pub(super) page: Option<String>,
}

/// A pending sign-in, made fit for the terminal. It comes from the broker, where not only the agent may be able to publish.
struct Offer<'a> {
    account: &'a AccountName,
    short: String,
    full: Option<String>,
    code: String,
    redirect_uri: Option<String>,
    page: Option<&'a str>,
    expires_at: Option<UnixTime>,
}

/// Shows where to approve, as a picture and as text.
pub(super) fn show(account: &AccountName, sign_in: &SignInMessage, screen: &Screen) -> Result<(), Failure> {
    let terminal = Terminal::stdout();
    let offer = Offer {
        account,
        short: sign_in.verification_uri.as_deref().map(address).unwrap_or_default(),
        full: sign_in.verification_uri_complete.as_deref().map(address),
        code: sign_in.user_code.as_deref().map(printable).unwrap_or_default(),
        redirect_uri: sign_in.redirect_uri.as_deref().map(printable),
        page: screen.page.as_deref().filter(|_| sign_in.redirect_uri.is_some()),
        expires_at: sign_in.expires_at.map(UnixTime::new),
    };
    match offer.picture(terminal, screen.always_qr) {
        Picture::With(drawn, text) => {
            write!(anstream::stdout(), "{drawn}").map_err(|error| Failure::output(&error))?;
            text.iter().try_for_each(|line| say(line))
        }
        Picture::Without(columns, rows) => {
            say(&format!(
                "{WARN}This terminal is too small for the QR code and the text:{WARN:#} the code takes {columns} columns and {rows} \
                 rows. `oauth2mqtt login --qr {account}` shows it all the same."
            ))?;
            offer.text(false).iter().try_for_each(|line| say(line))
        }
        Picture::Impossible => offer.text(false).iter().try_for_each(|line| say(line)),
    }
}

enum Picture {
    /// The QR code, and the text that has room below it.
    With(String, Vec<String>),
    /// The columns and rows that the QR code would take.
    Without(usize, usize),
    /// No QR code is large enough for the address.
    Impossible,
}

impl Offer<'_> {
    fn picture(&self, terminal: Terminal, always: bool) -> Picture {
        let ink = match (terminal.unicode, terminal.obeys) {
            (true, true) => Ink::Colours,
            (true, false) => Ink::Plain,
            (false, true) => Ink::Paper,
            (false, false) => Ink::Ascii,
        };
        let addresses = self.full.iter().chain(Some(&self.short).filter(|_| !self.code.is_empty()));
        let codes: Vec<_> = match self.page {
            Some(page) => Qr::new(page).into_iter().collect(),
            None => addresses.filter_map(|address| Qr::new(address).ok()).collect(),
        };
        let Some(best) = codes.first() else { return Picture::Impossible };
        for qr in &codes {
            for (quiet, text) in [(QUIET, self.text(true)), (QUIET, self.brief()), (NARROW_QUIET, self.brief())] {
                let (columns, rows) = qr.extent(ink, quiet);
                // The countdown has the last row.
                let rows = rows + height(&text, terminal.columns) + 1;
                if terminal.columns.is_none_or(|has| columns <= has) && terminal.rows.is_none_or(|has| rows <= has) {
                    return Picture::With(qr.terminal(ink, quiet), text);
                }
            }
        }
        if always {
            return Picture::With(best.terminal(ink, QUIET), self.text(true));
        }
        let (columns, rows) = best.extent(ink, NARROW_QUIET);
        Picture::Without(columns, rows)
    }

    /// The text, for a screen with room for it.
    fn text(&self, has_picture: bool) -> Vec<String> {
        let Self { account, short, full, code, redirect_uri, page, expires_at } = self;
        let mut lines = vec![String::new()];
        let scan = match (has_picture, page) {
            (true, Some(_)) => "scan the code with a phone: it leads to this device's sign-in page. Or open",
            (true, None) => "scan the code with a phone, or open",
            (false, _) => "open",
        };
        lines.push(format!("To sign in {BOLD}{account}{BOLD:#}, {scan}"));
        if let Some(redirect_uri) = redirect_uri {
            lines.push(format!("  {}", full.as_ref().unwrap_or(short)));
            lines.push(String::new());
            lines.push(format!("After you have approved, the browser goes to {BOLD}{redirect_uri}{BOLD:#}."));
            lines.push(
                "If it cannot reach that, copy the address that it shows, paste it here, and press Enter.".to_owned(),
            );
            if let Some(at) = expires_at {
                lines.push(format!("The sign-in expires {}.", relative_time::relative(*at, clock::now().wall)));
            }
        } else {
            lines.push(format!("  {BOLD}{short}{BOLD:#}"));
            lines.push(format!("and enter  {BOLD}{code}{BOLD:#}"));
            if let Some(full) = full {
                lines.push(format!("{DIM}With the code in it: {full}{DIM:#}"));
            }
        }
        lines.push(String::new());
        lines.push(format!("{DIM}Ctrl-C leaves the sign-in pending; `oauth2mqtt cancel {account}` cancels it.{DIM:#}"));
        lines
    }

    /// The least that must be said, for a small screen.
    fn brief(&self) -> Vec<String> {
        let Self { short, full, code, redirect_uri, page, .. } = self;
        match (redirect_uri, page) {
            (Some(_), Some(page)) => vec![
                format!("Scan the code, or open {BOLD}{page}{BOLD:#}"),
                "It is this device's sign-in page, and does the rest.".to_owned(),
            ],
            (Some(redirect_uri), None) => vec![
                format!("Scan the code, or open {}", full.as_ref().unwrap_or(short)),
                format!("The browser then goes to {redirect_uri}. If it cannot, paste that address here."),
            ],
            (None, _) => {
                vec![format!("Scan the code, or open {BOLD}{short}{BOLD:#}"), format!("and enter {BOLD}{code}{BOLD:#}")]
            }
        }
    }
}

/// The rows that lines take on a terminal with so many columns.
fn height(lines: &[String], columns: Option<usize>) -> usize {
    let rows = |line: &str| columns.map_or(1, |columns| layout::visible_width(line).max(1).div_ceil(columns));
    lines.iter().flat_map(|line| layout::wrapped(line, None, columns).split('\n').map(rows).collect::<Vec<_>>()).sum()
}

/// An address to be opened, whole: cut, it would lead nowhere.
fn address(address: &str) -> String {
    address.chars().filter(char::is_ascii_graphic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "https://accounts.example.com/o/oauth2/v2/auth?response_type=code&client_id=1234567890-abcdefghijklmnop.apps\
                        .example.com&redirect_uri=http%3A%2F%2F127.0.0.1%3A8629%2Foauth2%2Fredirect&scope=openid+email&state=\
                        Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4&code_challenge=Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6&\
                        code_challenge_method=S256";

    fn terminal(columns: usize, rows: usize) -> Terminal {
        Terminal { columns: Some(columns), rows: Some(rows), obeys: true, unicode: true }
    }

    fn picture(page: Option<&str>, terminal: Terminal, always: bool) -> Picture {
        let account = "mail".parse().unwrap();
        let offer = Offer {
            account: &account,
            short: LONG.to_owned(),
            full: Some(LONG.to_owned()),
            code: String::new(),
            redirect_uri: Some("http://127.0.0.1:8629/oauth2/redirect".to_owned()),
            page,
            expires_at: None,
        };
        offer.picture(terminal, always)
    }

    #[test]
    fn a_long_address_has_no_code_on_a_small_terminal_unless_it_is_wanted() {
        assert!(matches!(picture(None, terminal(80, 24), false), Picture::Without(..)));
        assert!(matches!(picture(None, terminal(80, 24), true), Picture::With(..)));
        assert!(matches!(picture(None, terminal(100, 60), false), Picture::With(..)));
    }

    #[test]
    fn the_code_of_the_sign_in_page_fits_where_that_of_the_long_address_does_not() {
        let page = Some("http://gateway.example.com:8628/");
        for (columns, rows) in [(60, 20), (80, 24), (120, 40)] {
            let Picture::With(drawn, text) = picture(page, terminal(columns, rows), false) else {
                panic!("it should fit")
            };
            assert!(drawn.lines().count() + height(&text, Some(columns)) < rows);
        }
    }

    #[test]
    fn lines_are_counted_as_the_terminal_breaks_them() {
        let lines = ["one two three four five".to_owned(), String::new(), "x".repeat(45)];
        assert_eq!(height(&lines, Some(20)), 2 + 1 + 3);
        assert_eq!(height(&lines, None), 3);
    }
}
