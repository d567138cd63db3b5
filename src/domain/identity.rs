//! Who signed in, and who may.

use std::fmt;
use std::str::FromStr;

use crate::domain::text::{is_printable, printable};

/// A user, as the provider describes them (OpenID Connect Core 5.1). Every text is printable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user at this provider, for ever.
    pub sub: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// True if the provider vouches that the address is the user's, and it is one to compare with others letter by letter.
    pub email_verified: bool,
    /// The name to show.
    pub name: Option<String>,
    /// The address of a picture.
    pub picture: Option<String>,
    /// The further claims that were asked for, as far as the provider tells them.
    pub claims: Vec<Claim>,
}

/// A further claim about a user. In a list these take a tenth of the memory of a map, and a user has few.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: Vec<String>,
}

impl Identity {
    /// Names the user: the verified e-mail address, else the name, else the subject.
    #[must_use]
    pub fn label(&self) -> &str {
        self.verified_email().or(self.name.as_deref()).unwrap_or(&self.sub)
    }

    /// Tells the user from every other: the verified e-mail address in lower case, else the subject. A subject that may look
    /// like an address is marked as one, since some providers let users choose it.
    #[must_use]
    pub fn user(&self) -> String {
        match self.verified_email() {
            Some(address) => address.to_ascii_lowercase(),
            None if self.sub.contains('@') || !self.sub.is_ascii() => format!("sub:{}", self.sub),
            None => self.sub.clone(),
        }
    }

    /// The values of a further claim; `None` if the provider does not tell it.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&[String]> {
        self.claims.iter().find(|claim| claim.name == name).map(|claim| claim.values.as_slice())
    }

    /// The e-mail address, if the provider vouches for it.
    #[must_use]
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }
}

/// Who may authorise a device, or pass the gate; an empty list admits everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Box<[Admission]>);

/// One line of an [`AllowList`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// A verified address, in lower case.
    Email(String),
    /// Every verified address at this domain, in lower case.
    Domain(String),
    Subject(String),
    /// Everybody of whom a claim has this value.
    Claim {
        name: String,
        value: String,
    },
}

/// Returns whether an address, as the provider sent it, is one that can be compared with others: nothing in it is hidden, and it
/// has one local part and one domain.
#[must_use]
pub(crate) fn is_plain_address(address: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '@');
    is_printable(address) && address.split_once('@').is_some_and(|(local, domain)| is_plain(local) && is_plain(domain))
}

/// Why a text admits nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is neither an e-mail address, nor *@ and a domain, nor sub: and a subject")]
pub struct InvalidAdmission;

impl FromStr for Admission {
    type Err = InvalidAdmission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(subject) = text.strip_prefix("sub:") {
            let usable = !subject.is_empty() && is_printable(subject);
            return usable.then(|| Self(Pattern::Subject(subject.to_owned()))).ok_or(InvalidAdmission);
        }
        if let Some((name, value)) = claim(text) {
            // As claims these would count whether they are verified or not, or would never be found.
            let has_form_of_its_own =
                ["email", "email_verified", "sub"].iter().any(|own| name.eq_ignore_ascii_case(own));
            let usable = is_printable(text) && !value.is_empty() && !has_form_of_its_own;
            let claim = || Self(Pattern::Claim { name: name.to_owned(), value: value.to_owned() });
            return usable.then(claim).ok_or(InvalidAdmission);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidAdmission)?;
        let plain =
            |part: &str| !part.is_empty() && is_printable(part) && !part.contains(['*', ' ', '@', ','].as_slice());
        if !plain(domain) {
            return Err(InvalidAdmission);
        }
        match local {
            "*" => Ok(Self(Pattern::Domain(domain.to_ascii_lowercase()))),
            local if plain(local) => Ok(Self(Pattern::Email(text.to_ascii_lowercase()))),
            _ => Err(InvalidAdmission),
        }
    }
}

/// The name and value of a claim, as in `groups:operators`. A name that is an address has a colon of its own.
fn claim(text: &str) -> Option<(&str, &str)> {
    let is_address = text.starts_with("https://") || text.starts_with("http://");
    let (name, value) = if is_address { text.rsplit_once(':') } else { text.split_once(':') }?;
    (!name.is_empty() && !name.contains([' ', '@', '*'])).then_some((name, value))
}

impl Admission {
    /// The name of the claim by which it admits, if it does.
    #[must_use]
    pub fn claim(&self) -> Option<&str> {
        match &self.0 {
            Pattern::Claim { name, .. } => Some(name),
            Pattern::Email(_) | Pattern::Domain(_) | Pattern::Subject(_) => None,
        }
    }
}

impl FromIterator<Admission> for AllowList {
    fn from_iter<T: IntoIterator<Item = Admission>>(admissions: T) -> Self {
        Self(admissions.into_iter().collect())
    }
}

impl AllowList {
    /// Returns whether everybody is admitted.
    #[must_use]
    pub fn admits_everybody(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether somebody is admitted by an e-mail address.
    #[must_use]
    pub fn names_addresses(&self) -> bool {
        self.0.iter().any(|Admission(pattern)| matches!(pattern, Pattern::Email(_) | Pattern::Domain(_)))
    }

    /// The names of the claims by which somebody is admitted.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Admission::claim)
    }

    /// Returns whether somebody is admitted by this value of this claim.
    #[must_use]
    pub fn names_claim(&self, claim: &str, of: &str) -> bool {
        self.0.iter().any(|Admission(pattern)| match pattern {
            Pattern::Claim { name, value } => name == claim && value == of,
            Pattern::Email(_) | Pattern::Domain(_) | Pattern::Subject(_) => false,
        })
    }

    /// Returns whether this user is admitted. An address counts only where the provider vouches for it: at many providers a
    /// user can write any other into their profile. Letters are compared as they are, but for the case of those of ASCII: other
    /// folding takes some letters for others, such as the Kelvin sign for `k`.
    #[must_use]
    pub fn admits(&self, user: &Identity) -> bool {
        let email = user.verified_email().map(str::to_ascii_lowercase);
        self.admits_everybody()
            || self.0.iter().any(|Admission(pattern)| match pattern {
                Pattern::Subject(subject) => *subject == user.sub,
                Pattern::Claim { name, value } => user.claim(name).is_some_and(|values| values.contains(value)),
                Pattern::Email(address) => email.as_ref() == Some(address),
                Pattern::Domain(domain) => {
                    email.as_deref().and_then(|email| email.rsplit_once('@')).is_some_and(|(_, at)| at == domain)
                }
            })
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Email(address) => f.write_str(&printable(address)),
            Pattern::Domain(domain) => write!(f, "*@{}", printable(domain)),
            Pattern::Subject(subject) => write!(f, "sub:{}", printable(subject)),
            Pattern::Claim { name, value } => write!(f, "{}:{}", printable(name), printable(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(email: &str, verified: bool) -> Identity {
        let email = Some(email.to_owned()).filter(|email| !email.is_empty());
        Identity {
            sub: "248289761001".to_owned(),
            email,
            email_verified: verified,
            name: None,
            picture: None,
            claims: Vec::new(),
        }
    }

    fn list(texts: &[&str]) -> AllowList {
        texts.iter().map(|text| text.parse::<Admission>().unwrap()).collect()
    }

    #[test]
    fn an_empty_list_admits_everybody() {
        assert!(AllowList::default().admits(&user("", false)));
    }

    #[test]
    fn an_address_counts_only_if_it_is_verified() {
        let allow = list(&["ann@example.com"]);
        assert!(allow.admits(&user("Ann@Example.com", true)));
        assert!(!allow.admits(&user("ann@example.com", false)));
        assert!(!allow.admits(&user("bob@example.com", true)));
        assert!(!allow.admits(&user("", true)));
    }

    #[test]
    fn an_address_that_only_looks_like_one_of_the_list_is_not_admitted() {
        let allow = list(&["kate@example.com", "*@kiosk.example"]);
        assert!(
            !allow.admits(&user("\u{212a}ate@example.com", true))
                && !allow.admits(&user("x@\u{212a}iosk.example", true))
        );
        assert!(is_plain_address("kate@example.com") && is_plain_address("\u{fc}mit@example.com"));
        for odd in [
            "kate@example.com\0",
            "\u{200b}kate@example.com",
            "kate@example.com\n",
            " kate@example.com",
            "a@b@c",
            "kate",
            "@c",
        ] {
            assert!(!is_plain_address(odd), "{odd:?}");
        }
    }

    #[test]
    fn only_a_verified_address_names_the_user() {
        let named = |verified| Identity { name: Some("Ann".to_owned()), ..user("ann@example.com", verified) };
        assert_eq!((named(true).label(), named(false).label()), ("ann@example.com", "Ann"));
    }

    #[test]
    fn a_subject_that_looks_like_an_address_is_not_taken_for_one() {
        let of = |sub: &str, email: &str, verified| Identity { sub: sub.to_owned(), ..user(email, verified) }.user();
        assert_eq!(of("1", "Ann@Example.com", true), "ann@example.com");
        assert_eq!(of("1", "ann@example.com", false), "1");
        assert_eq!(of("ann@example.com", "eve@example.com", false), "sub:ann@example.com");
        // With a wide commercial at (U+FF20).
        assert_eq!(of("ann\u{ff20}example.com", "", false), "sub:ann\u{ff20}example.com");
    }

    #[test]
    fn a_domain_is_the_whole_of_what_stands_behind_the_last_at() {
        let allow = list(&["*@example.com"]);
        assert!(allow.admits(&user("x@EXAMPLE.com", true)));
        for stranger in ["x@sub.example.com", "x@example.com.evil.net", "x@notexample.com", "example.com"] {
            assert!(!allow.admits(&user(stranger, true)), "{stranger}");
        }
        assert!(!allow.admits(&user("x@example.com", false)));
    }

    #[test]
    fn a_subject_is_compared_to_the_letter() {
        assert!(list(&["sub:248289761001"]).admits(&user("", false)));
        assert!(!list(&["sub:24828976100"]).admits(&user("", false)));
    }

    #[test]
    fn a_claim_admits_by_one_of_its_values_to_the_letter() {
        let of = |name: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            Identity { claims: vec![Claim { name: name.to_owned(), values }], ..user("", false) }
        };
        assert!(list(&["groups:operators"]).admits(&of("groups", &["guests", "operators"])));
        assert!(list(&["https://plant.example/roles:admin"]).admits(&of("https://plant.example/roles", &["admin"])));
        for stranger in
            [of("groups", &["operator", "Operators", "operators "]), of("roles", &["operators"]), user("", true)]
        {
            assert!(!list(&["groups:operators"]).admits(&stranger));
        }
        let allow = list(&["groups:operators", "sub:1", "hd:example.com"]);
        assert_eq!(allow.claims().collect::<Vec<_>>(), ["groups", "hd"]);
        assert!(!allow.names_addresses() && allow.names_claim("hd", "example.com") && !allow.names_claim("hd", "x"));
    }

    #[test]
    fn a_text_that_admits_nobody_in_particular_is_refused() {
        for bad in [
            "email:ann@example.com",
            "Email:ann@example.com",
            "email_verified:true",
            "SUB:1",
            "",
            "groups:",
            ":x",
            "*:x",
            "*",
            "*@",
            "@example.com",
            "ann",
            "sub:",
            "*@*",
            "a*@example.com",
            "*@a@b",
            "a b@c",
            "a@b,c@d",
        ] {
            assert_eq!(bad.parse::<Admission>(), Err(InvalidAdmission), "{bad:?}");
        }
        assert_eq!("*@Example.com".parse::<Admission>().unwrap().to_string(), "*@example.com");
    }
}
