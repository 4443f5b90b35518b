//! Who a strategy says has signed in. Limits are checked on construction, so that
//! no later step meets an empty subject or one of a megabyte.

use crate::Object;

/// The name by which a strategy knows a person, for ever and only within its realm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject(String);

impl Subject {
    /// Between 1 and 255 bytes without control characters, as OpenID Connect Core §2 has `sub`.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let fits = !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
        fits.then_some(Self(text))
    }

    /// The subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a strategy knows of the person beside the subject: `name`, `email`, `groups`, …
/// Nothing here is believed until the gateway has admitted the login.
pub type Claims = Object;
