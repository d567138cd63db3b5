//! Tokens that only the store has.

use super::*;

#[test]
fn what_is_saved_without_its_tokens_keeps_those_that_the_store_has() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    let saved = |revision, record| {
        opened.store.save(&name("a"), revision, record);
        acks.recv().unwrap().result
    };
    let stored = |access_token| {
        let mut record = full("not looked at");
        let tokens = &mut record.signed_in.as_mut().unwrap().tokens;
        (tokens.access_token, tokens.refresh_token) = (access_token, Some(Token::Stored));
        record
    };
    let fault = saved(1, stored(Token::Clear(secret("x")))).unwrap_err();
    assert_eq!(fault.code, FaultCode::StoreFailed, "there is no refresh token yet");
    assert!(opened.store.tokens(&name("a")).open().is_err());

    for (revision, record) in
        [full("access-1"), stored(Token::Stored), stored(Token::Clear(secret("access-2")))].into_iter().enumerate()
    {
        assert_eq!(saved(revision as u64 + 2, record), Ok(()));
    }
    // Several that are written together build on one another.
    opened.store.save(&name("a"), 5, full("access-3"));
    opened.store.save(&name("a"), 6, stored(Token::Stored));
    drop(opened);
    let (opened, _acks) = open_in(root.path());
    let Some((found, StoredRecord::Record(record))) = opened.records.first() else { panic!("{:?}", opened.records) };
    assert_eq!(shown(&whole(&opened.store, found, record.clone())), shown(&full("access-3")));
}

#[test]
fn what_cannot_be_written_keeps_nothing_else_from_the_disk() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    let mut without = full("x");
    without.signed_in.as_mut().unwrap().tokens.refresh_token = Some(Token::Stored);
    opened.store.save(&name("a"), 1, full("a"));
    opened.store.save(&name("b"), 2, without);
    opened.store.save(&name("c"), 3, full("c"));
    drop(opened);
    let told: Vec<_> = acks.iter().map(|ack| (ack.revision, ack.result.is_ok())).collect();
    assert_eq!(told, [(1, true), (2, false), (3, true)]);
    let (opened, _acks) = open_in(root.path());
    assert_eq!(["a", "b", "c"].map(|account| token(&opened, account)), [Some("a".into()), None, Some("c".into())]);
}
