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
        let code = Authorization { expires_in: Some(Duration::from_secs(life)), ..code() };
        move || Answer::Authorization(Ok(code.clone()))
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
fn a_code_that_lapsed_while_the_device_was_off_is_replaced_in_its_turn() {
    let mut play = Play::offering();
    play.answer(device_code());
    let later = Now { boot: BootTime::new(Duration::from_secs(9)), wall: play.now.wall + Duration::from_secs(86_400) };
    let offer = Rules { offer: true, ..rules() };
    let mut play = Play::new(restored_under(offer, play.disk.clone(), later), later);
    play.pass(4);
    assert!(play.asked.is_empty(), "a whole site is switched on at the same moment");
    play.pass(1);
    assert!(matches!(play.asked[..], [(_, Question::Authorize)]));
}

#[test]
fn nobody_begins_a_sign_in_before_the_time_that_the_provider_names() {
    let mut play = Play::offering();
    let wait = Some(Duration::from_secs(600));
    play.answer(Answer::Authorization(Err(Fault::passing(FaultCode::RateLimited, "Later.").retry_after(wait))));
    play.tell(Event::Command(Command::Login, Ticket(3)));
    assert!(play.asked.is_empty());
    assert!(matches!(play.replies[..], [(Ticket(3), Err(Refused::Failed(_)))]));
    play.pass(800);
    assert!(matches!(play.asked[..], [(_, Question::Authorize)]));
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
