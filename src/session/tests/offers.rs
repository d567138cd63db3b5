//! A code that is always on offer while nobody is signed in.

use super::*;

impl Play {
    pub(super) fn offering() -> Self {
        let offer = Rules { offer: true, ..rules() };
        let session = Session::restore(client(), offer, 1, Found::Record(Record::default()), START, Chance::new(0.5));
        let mut play = Self::new(session, START);
        // Its turn at a start.
        play.pass(5);
        play
    }

    /// How many codes were asked for while `seconds` passed, if each is answered by `code`, and each poll by `poll`.
    fn codes_in(&mut self, seconds: u64, code: impl Fn() -> Answer, poll: impl Fn() -> Answer) -> usize {
        let mut codes = 0;
        for _ in 0..seconds {
            let mut answers = 0;
            while let Some((_, question)) = self.asked.first() {
                let is_code = matches!(question, Question::Authorize);
                codes += usize::from(is_code);
                self.answer(if is_code { code() } else { poll() });
                answers += 1;
                assert!(answers < 5, "a busy loop");
            }
            self.pass(1);
        }
        codes
    }
}

fn pending() -> Answer {
    Answer::Poll(Ok(PollAnswer::Pending))
}

#[test]
fn an_offered_code_is_replaced_when_it_lapses() {
    let codes = Play::offering().codes_in(3_600, device_code, pending);
    assert!((5..=7).contains(&codes), "{codes} codes of ten minutes in an hour");
}

#[test]
fn codes_that_lapse_at_once_are_asked_for_ever_more_seldom() {
    let short = |life| {
        let code = DeviceAuthorization { expires_in: Duration::from_secs(life), ..code() };
        move || Answer::Authorization(Ok(Authorization::Device(code.clone())))
    };
    for life in [0, 1, 20] {
        let codes = Play::offering().codes_in(3_600, short(life), pending);
        assert!((5..=30).contains(&codes), "{codes} codes of {life} s in an hour");
    }
}

#[test]
fn so_are_codes_that_the_provider_refuses_or_whose_users_are_not_admitted() {
    for code in [FaultCode::AccessDenied, FaultCode::CodeExpired, FaultCode::NotAllowed] {
        let refused = || Answer::Poll(Err(Fault::ask_user(code, "No.")));
        let codes = Play::offering().codes_in(3_600, device_code, refused);
        assert!((5..=30).contains(&codes), "{codes} codes in an hour after {code}");
    }
}

#[test]
fn a_sign_in_that_nothing_but_a_user_can_renew_is_followed_by_an_offer() {
    let mut play = Play::offering();
    play.answer(device_code());
    play.pass(5);
    play.answer(approved("a1", None, 3_600));
    play.pass(3_500);
    assert!(play.asked.is_empty());
    play.pass(100);
    assert!(matches!(play.asked[..], [(_, Question::Authorize)]));
}
