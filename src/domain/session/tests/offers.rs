//! A code that is always on offer while nobody is signed in.

use super::*;

impl Harness {
    pub(super) fn offering() -> Self {
        let offer = Rules { offer: true, ..rules() };
        let session =
            Session::restore(client(), offer, 1, StoredRecord::Record(Record::default()), START, Jitter::new(0.5));
        let mut harness = Self::new(session, START);
        // Its turn at a start.
        harness.pass(5);
        harness
    }

    /// How many codes were asked for while `seconds` passed, if each is answered by `code`, and each poll by `poll`.
    fn codes_in(
        &mut self,
        seconds: u64,
        code: impl Fn() -> ProviderAnswer,
        poll: impl Fn() -> ProviderAnswer,
    ) -> usize {
        let mut codes = 0;
        for _ in 0..seconds {
            let mut answers = 0;
            while let Some((_, question)) = self.asked.first() {
                let is_code = matches!(question, ProviderRequest::Authorize);
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

fn pending() -> ProviderAnswer {
    ProviderAnswer::Poll(Ok(PollAnswer::Pending))
}

#[test]
fn an_offered_code_is_replaced_when_it_expires() {
    let codes = Harness::offering().codes_in(3_600, device_code, pending);
    assert!((5..=7).contains(&codes), "{codes} codes of ten minutes in an hour");
}

#[test]
fn codes_that_expire_at_once_are_asked_for_ever_more_seldom() {
    let short = |life| {
        let code = Authorization { expires_in: Some(Duration::from_secs(life)), ..code() };
        move || ProviderAnswer::Authorization(Ok(code.clone()))
    };
    for life in [0, 1, 20] {
        let codes = Harness::offering().codes_in(3_600, short(life), pending);
        assert!((5..=30).contains(&codes), "{codes} codes of {life} s in an hour");
    }
}

#[test]
fn so_are_codes_that_the_provider_refuses_or_whose_users_are_not_admitted() {
    for code in [FaultCode::AccessDenied, FaultCode::CodeExpired, FaultCode::NotAllowed] {
        let refused = || ProviderAnswer::Poll(Err(Fault::ask_user(code, "No.")));
        let codes = Harness::offering().codes_in(3_600, device_code, refused);
        assert!((5..=30).contains(&codes), "{codes} codes in an hour after {code}");
    }
}

#[test]
fn a_code_that_expired_while_the_device_was_off_is_replaced_in_its_turn() {
    let mut harness = Harness::offering();
    harness.answer(device_code());
    let later =
        Now { boot: BootTime::new(Duration::from_secs(9)), wall: harness.now.wall + Duration::from_secs(86_400) };
    let offer = Rules { offer: true, ..rules() };
    let mut harness = Harness::new(restored_under(offer, harness.disk.clone(), later), later);
    harness.pass(4);
    assert!(harness.asked.is_empty(), "a whole site is switched on at the same moment");
    harness.pass(1);
    assert!(matches!(harness.asked[..], [(_, ProviderRequest::Authorize)]));
}

#[test]
fn nobody_begins_a_sign_in_before_the_time_that_the_provider_names() {
    let mut harness = Harness::offering();
    let wait = Some(Duration::from_secs(600));
    harness
        .answer(ProviderAnswer::Authorization(Err(Fault::passing(FaultCode::RateLimited, "Later.").retry_after(wait))));
    harness.tell(Event::Command(Command::Login, Ticket(3)));
    assert!(harness.asked.is_empty());
    assert!(matches!(harness.replies[..], [(Ticket(3), Err(CommandError::Failed(_)))]));
    harness.pass(800);
    assert!(matches!(harness.asked[..], [(_, ProviderRequest::Authorize)]));
}

#[test]
fn a_sign_in_that_nothing_but_a_user_can_renew_is_followed_by_an_offer() {
    let mut harness = Harness::offering();
    harness.answer(device_code());
    harness.pass(5);
    harness.answer(approved("a1", None, 3_600));
    harness.pass(3_500);
    assert!(harness.asked.is_empty());
    harness.pass(100);
    assert!(matches!(harness.asked[..], [(_, ProviderRequest::Authorize)]));
}
