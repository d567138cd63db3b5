//! Further tokens of an account.

use super::{account, complaint, errors, github};

/// Such an account with this further token; its lines start at line 5.
fn mail(lines: &str) -> String {
    github(&format!("[accounts.hub.tokens.mail]\n{lines}"))
}

#[test]
fn a_further_token_has_scopes_a_resource_and_parameters_of_its_own() {
    let account = account(&mail(
        "scopes = [\"mail.send\", \"mail.read\"]\nresource = \"https://Mail.example/\"\nparams = { audience = \"m\" }\n",
    ));
    assert!(account.scopes.is_empty() && account.profile.params.is_empty());
    let (name, target) = account.tokens.iter().next().unwrap();
    assert_eq!((name.as_str(), target.scopes.join(" ").as_str()), ("mail", "mail.send mail.read"));
    assert_eq!(target.resource.as_deref(), Some("https://Mail.example/"), "letter by letter");
    assert_eq!(target.params["audience"], "m");
}

#[test]
fn a_grant_without_a_refresh_token_has_no_further_tokens() {
    let text = "[accounts.a]\ntoken_endpoint = \"https://id.lan/t\"\nclient_id = \"x\"\ngrant = \"client_credentials\"\n\
                [accounts.a.tokens.mail]\nscopes = [\"s\"]\n";
    let said = errors(text);
    assert!(
        said.contains(
            "/conf/config.toml:5: accounts.a.tokens: this grant has no refresh token, by which further tokens are had \
             (RFC 6749 6)\n  help: take it out, and write one account for each token"
        ),
        "{said}"
    );
}

#[test]
fn what_no_further_token_can_have_is_named() {
    for (lines, said) in [
        ("", "4: accounts.hub.tokens.mail: nothing here says what this token is for"),
        (
            "resource = \"mail\"\n",
            "5: accounts.hub.tokens.mail.resource: a resource is an absolute URI without a fragment",
        ),
        (
            "resource = \"https://m.example/#x\"\n",
            "5: accounts.hub.tokens.mail.resource: a resource is an absolute URI",
        ),
        (
            "resource = \"https://m.example/\"\nparams = { resource = \"https://n.example/\" }\n",
            "5: accounts.hub.tokens.mail.resource: the resource stands here twice",
        ),
        (
            "params = { refresh_token = \"x\" }\n",
            "5: accounts.hub.tokens.mail.params.refresh_token: the program itself sends this parameter",
        ),
        ("params = { scope = \"x\" }\n", "5: accounts.hub.tokens.mail.params.scope: the program itself sends this"),
        ("scopes = [\"a b\"]\n", "5: accounts.hub.tokens.mail.scopes: \"a b\" is not a scope"),
        ("scopes = [\"a\"]\npublish = \"on_request\"\n", "6: accounts.hub.tokens.mail.publish: there is no such key"),
    ] {
        let complaint = complaint(&mail(lines));
        assert!(complaint.starts_with(said), "{complaint}");
    }
    let taken = complaint(&github("[accounts.hub.tokens.status]\nscopes = [\"a\"]\n"));
    assert_eq!(taken, "4: accounts.hub.tokens.status: this name is taken by a topic of the account or of the agent");
    let many: String = (0..17).map(|number| format!("[accounts.hub.tokens.t{number}]\nscopes = [\"a\"]\n")).collect();
    assert!(complaint(&github(&many)).ends_with("an account has at most 16 further tokens"));
}
