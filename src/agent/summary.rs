//! How the agent stands, in one line for people who look at the service.

use std::path::Path;

use super::Agent;
use crate::domain::clock::UnixTime;
use crate::domain::session::{SessionState, StatusView};
use crate::domain::text::printable;

/// Of up to so many accounts each is described by itself.
const FEW: usize = 3;

impl Agent {
    /// The line.
    pub(super) fn summary(&self) -> String {
        let accounts: Vec<_> =
            self.accounts.iter().map(|(name, account)| (name.as_str(), self.status_of(name, account))).collect();
        summary(&accounts, self.broker_is_there, self.refused_topics(), &self.origin.path)
    }
}

fn summary(accounts: &[(&str, StatusView)], broker_is_there: bool, refused: usize, config: &Path) -> String {
    let accounts = match accounts {
        [] => format!("no account yet; name one in {} and reload", config.display()),
        few if few.len() <= FEW => few.iter().map(|(name, status)| one(name, status)).collect::<Vec<_>>().join("; "),
        many => all(many),
    };
    match refused {
        _ if !broker_is_there => format!("waiting for the broker; {accounts}"),
        0 => accounts,
        1 => format!("the broker refuses one topic (see the journal); {accounts}"),
        many => format!("the broker refuses {many} topics (see the journal); {accounts}"),
    }
}

fn one(name: &str, status: &StatusView) -> String {
    let active_fault = status.error.as_ref().map(|error| format!(" ({})", error.code)).unwrap_or_default();
    match status.state {
        SessionState::Active => {
            let user = status.user.as_ref().map(|user| format!(" as {}", printable(user))).unwrap_or_default();
            match status.next_refresh_at {
                Some(at) => format!("{name}: signed in{user}, next refresh {}{active_fault}", time(at)),
                None => format!("{name}: signed in{user}, with a token that cannot be refreshed{active_fault}"),
            }
        }
        SessionState::AwaitingUser => format!("{name}: waits for somebody to approve the sign-in{active_fault}"),
        SessionState::SignedOut if !status.needs_user => match status.error.as_ref().and_then(|error| error.retry_at) {
            Some(at) => format!("{name}: signs in by itself, next attempt {}{active_fault}", time(at)),
            None => format!("{name}: signs in by itself{active_fault}"),
        },
        SessionState::SignedOut => format!("{name}: waits for oauth2mqtt login {name}{active_fault}"),
        SessionState::Expired => match status.next_refresh_at {
            Some(at) => format!("{name}: the token expired, next attempt {}{active_fault}", time(at)),
            None => format!("{name}: the token expired{active_fault}"),
        },
    }
}

fn all(accounts: &[(&str, StatusView)]) -> String {
    let count = |wanted: fn(&StatusView) -> bool| accounts.iter().filter(|(_, status)| wanted(status)).count();
    let mut parts =
        vec![format!("{} of {} accounts signed in", count(|it| it.state == SessionState::Active), accounts.len())];
    if let Some(at) = accounts.iter().filter_map(|(_, status)| status.next_refresh_at).min() {
        parts.push(format!("next refresh {}", time(at)));
    }
    for (number, what) in [
        (count(|it| it.state == SessionState::Expired), "cannot be refreshed now"),
        (count(|it| it.needs_user), "wait for a user (see oauth2mqtt status)"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    parts.join(", ")
}

/// `24 Nov 14:05 UTC`. The line stands until something happens, so a time in it cannot be counted from now.
fn time(at: UnixTime) -> String {
    // What other years could be written as is of no use here.
    let Ok(seconds @ 0..4_102_444_800) = u64::try_from(at.seconds()) else { return "at a time unknown".to_owned() };
    let text = httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
    // "Tue, 24 Nov 2026 14:05:00 GMT"
    format!("{} {} UTC", &text[5..11], &text[17..22])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::FaultCode;
    use crate::domain::session::ErrorView;

    const AT: UnixTime = UnixTime::new(1_795_529_100);

    fn status(state: SessionState) -> StatusView {
        StatusView {
            next_refresh_at: matches!(state, SessionState::Active | SessionState::Expired).then_some(AT),
            ..StatusView::bare(state, matches!(state, SessionState::SignedOut | SessionState::AwaitingUser))
        }
    }

    fn line(accounts: &[(&str, StatusView)]) -> String {
        summary(accounts, true, 0, Path::new("/etc/oauth2mqtt/config.toml"))
    }

    #[test]
    fn a_person_reads_what_each_account_does_or_waits_for() {
        assert_eq!(line(&[]), "no account yet; name one in /etc/oauth2mqtt/config.toml and reload");
        let mut cloned = status(SessionState::SignedOut);
        cloned.error = Some(ErrorView {
            code: FaultCode::ClonedDevice,
            message: "A sentence.".to_owned(),
            since: AT,
            retry_at: None,
        });
        let mut known = status(SessionState::Active);
        known.user = Some("ada@example.com".to_owned());
        let mut machine = StatusView::bare(SessionState::SignedOut, false);
        assert_eq!(line(&[("pump", machine.clone())]), "pump: signs in by itself");
        machine.error = Some(ErrorView {
            code: FaultCode::InvalidGrant,
            message: "A sentence.".to_owned(),
            since: AT,
            retry_at: Some(AT),
        });
        assert_eq!(
            line(&[("pump", machine)]),
            "pump: signs in by itself, next attempt 24 Nov 14:05 UTC (invalid_grant)"
        );
        let accounts = [("google", known), ("plant", cloned), ("x", status(SessionState::AwaitingUser))];
        assert_eq!(
            line(&accounts),
            "google: signed in as ada@example.com, next refresh 24 Nov 14:05 UTC; \
             plant: waits for oauth2mqtt login plant (cloned_device); x: waits for somebody to approve the sign-in"
        );
        assert_eq!(
            summary(&[("google", status(SessionState::Expired))], false, 0, Path::new("/c")),
            "waiting for the broker; google: the token expired, next attempt 24 Nov 14:05 UTC"
        );
        assert_eq!(
            summary(&[("google", status(SessionState::Active))], true, 2, Path::new("/c")),
            "the broker refuses 2 topics (see the journal); google: signed in, next refresh 24 Nov 14:05 UTC"
        );
    }

    #[test]
    fn of_many_accounts_a_person_reads_how_many() {
        let mut accounts = vec![("a", status(SessionState::Active)); 5];
        accounts.push(("b", status(SessionState::AwaitingUser)));
        accounts.push(("c", status(SessionState::Expired)));
        assert_eq!(
            line(&accounts),
            "5 of 7 accounts signed in, next refresh 24 Nov 14:05 UTC, 1 cannot be refreshed now, \
             1 wait for a user (see oauth2mqtt status)"
        );
    }

    #[test]
    fn a_time_beyond_reason_is_no_panic() {
        for seconds in [i64::MIN, -1, 4_102_444_800, i64::MAX] {
            assert_eq!(time(UnixTime::new(seconds)), "at a time unknown");
        }
        assert_eq!(time(UnixTime::new(0)), "01 Jan 00:00 UTC");
    }
}
