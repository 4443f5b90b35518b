//! Who a strategy says has signed in. Limits are checked on construction, so that
//! no later step meets an empty subject or one of a megabyte.

use crate::Object;
use serde::{Deserialize, Serialize};

/// The name by which a strategy knows a person, for ever and only within its realm.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for Subject {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text).ok_or("a subject has 1 to 255 bytes and no control characters")
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

/// What a strategy knows of the person beside the subject: `name`, `email`, `groups`, …
/// Nothing here is believed until the gateway has admitted the login.
pub type Claims = Object;

/// The most bytes of claims as JSON, without their `groups` …
pub const MOST_CLAIMS: usize = 16 * 1024;
/// … and of their `groups`: more than two thousand that are named by GUIDs.
pub const MOST_GROUPS: usize = 96 * 1024;

/// Whether claims are no larger than the gateway takes.
pub fn claims_fit(claims: &Claims) -> bool {
    let size = |text: serde_json::Result<Vec<u8>>| text.map_or(usize::MAX, |text| text.len());
    let groups = claims.get("groups").map_or(0, |groups| size(serde_json::to_vec(groups)));
    groups <= MOST_GROUPS && size(serde_json::to_vec(claims)) - groups <= MOST_CLAIMS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_room_of_their_own() {
        let claims = |name: &str, value: serde_json::Value| Claims::from_iter([(name.to_owned(), value)]);
        assert!(claims_fit(&Claims::new()));
        let ids = |n: usize| vec!["4a1b2c3d-0000-4000-8000-000000000001"; n];
        assert!(claims_fit(&claims("groups", ids(2048).into())));
        assert!(!claims_fit(&claims("groups", ids(2600).into())));
        assert!(!claims_fit(&claims("roles", ids(450).into())));
        assert!(claims_fit(&claims("roles", ids(400).into())));
    }

    #[test]
    fn a_subject_has_1_to_255_bytes() {
        assert_eq!(Subject::new(""), None);
        for fits in ["a".to_owned(), "a".repeat(255), "é".repeat(127), "uid=bob,dc=example".to_owned()] {
            assert_eq!(Subject::new(fits.clone()).expect("it fits").as_str(), fits);
        }
        // Bytes, not characters: 128 times two.
        assert_eq!(Subject::new("é".repeat(128)), None);
        assert_eq!(Subject::new("a".repeat(256)), None);
    }

    #[test]
    fn a_subject_has_no_control_characters() {
        for control in ['\0', '\n', '\r', '\t', '\u{7f}', '\u{85}'] {
            assert_eq!(Subject::new(format!("bob{control}")), None, "{control:?}");
        }
    }
}
