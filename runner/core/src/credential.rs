//! Secrets, which are named in requests and never written down.

use std::fmt;

/// The name of a credential that the host holds; its value never enters a key, a log, a plan or the store.
pub type CredentialId = String;

/// A value that must not be shown. It has no way to be printed or serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that hands it on.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

/// A user name and a password, or a token as the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user name; an index that takes tokens commonly wants `__token__` or any text here.
    pub username: String,
    /// The password or token.
    pub password: Secret,
}
