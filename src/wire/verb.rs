//! The verbs of requests.

/// A kind of request: the last level of its topic, `bridge/request/<verb>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Start a sign-in.
    Login,
    /// Give up the pending sign-in.
    Cancel,
    /// Continue with the address that the provider redirected the user's browser to.
    Complete,
    /// Refresh now.
    Refresh,
    /// Revoke the tokens and erase them.
    Logout,
    /// Tell the state of one account, or of all.
    Status,
    /// Give out the access token of an account that does not publish it.
    Token,
    /// Read the configuration again.
    Reload,
    /// Add an account, or change one that was declared before.
    Declare,
    /// Revoke the tokens of a declared account, and remove the account.
    Forget,
    /// Tell who is signed in at the gate, or sign somebody out there.
    Gate,
}

impl Verb {
    /// Every verb.
    pub(crate) const ALL: [Self; 11] = [
        Self::Login,
        Self::Cancel,
        Self::Complete,
        Self::Refresh,
        Self::Logout,
        Self::Status,
        Self::Token,
        Self::Reload,
        Self::Declare,
        Self::Forget,
        Self::Gate,
    ];

    /// The last level of its topics.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Cancel => "cancel",
            Self::Complete => "complete",
            Self::Refresh => "refresh",
            Self::Logout => "logout",
            Self::Status => "status",
            Self::Token => "token",
            Self::Reload => "reload",
            Self::Declare => "declare",
            Self::Forget => "forget",
            Self::Gate => "gate",
        }
    }

    /// The verb of that name.
    #[must_use]
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}
