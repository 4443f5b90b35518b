//! What a strategy answers.

use crate::{Claims, Subject, wire};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The answer to a step of a login.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Ask the person for these fields.
    Form(Form),
    /// Send the person to a provider, and wait for them at [`Begin::resume_url`](crate::Begin).
    Redirect(Redirect),
    /// The person is who they say.
    Authenticated(Box<Authenticated>),
    /// No. The gateway decides how much of the reason the person hears.
    Denied(Denied),
}

impl Outcome {
    /// A no without a word to the person.
    pub fn denied(reason: Denial) -> Self {
        Self::Denied(Denied { reason, message: None, subject: None })
    }

    /// The same, about this person: the gateway counts failures on them, too, under whatever
    /// name they were tried.
    #[must_use]
    pub fn about(mut self, who: Option<Subject>) -> Self {
        match &mut self {
            Self::Denied(denied) => denied.subject = who,
            Self::Form(form) => form.subject = who,
            Self::Redirect(_) | Self::Authenticated(_) => {}
        }
        self
    }
}

/// Where a provider takes over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Redirect {
    /// The absolute URL that the browser is sent to.
    pub url: String,
    /// At most 4 KiB, opaque to the gateway, which keeps it sealed for ten minutes under
    /// the login's one-time `state` and hands it to `resume` once.
    #[serde(with = "wire::base64_text")]
    pub flow: Vec<u8>,
}

/// A form to be filled in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// In the order in which they are shown.
    pub fields: Vec<Field>,
    /// A sentence above them.
    pub message: Option<String>,
    /// Not empty for a further step: what `resume` gets back with the filled-in form, as
    /// in [`Redirect::flow`]. Empty for a first step, whose form comes to `begin`.
    ///
    /// A form as the answer to `resume` counts as a failure until the login succeeds, so
    /// that a code cannot be guessed without end: say "wrong, try again" by one, or better
    /// by [`Denial::BadCredentials`].
    #[serde(with = "wire::base64_text")]
    pub flow: Vec<u8>,
    /// Whom it is about, as in [`Denied::subject`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
}

/// One field of a form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Its name in the body.
    pub name: String,
    /// How it is shown and which hints a password manager gets.
    #[serde(default)]
    pub kind: FieldKind,
    /// What the person reads.
    #[serde(default)]
    pub label: String,
    /// Whether it may be empty.
    #[serde(default)]
    pub required: bool,
}

impl Field {
    /// A field that may not be empty.
    pub fn required(name: &str, kind: FieldKind, label: &str) -> Self {
        Self { name: name.to_owned(), kind, label: label.to_owned(), required: true }
    }
}

/// The kinds of field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FieldKind {
    /// Who signs in (`autocomplete="username"`).
    Username,
    /// A secret (`autocomplete="current-password"`).
    Password,
    /// A secret to be set (`autocomplete="new-password"`).
    NewPassword,
    /// Anything else.
    #[default]
    Text,
}

impl FieldKind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Password => "password",
            Self::NewPassword => "new-password",
            Self::Text => "text",
        }
    }
}

/// A good login.
#[derive(Clone, Serialize, Deserialize)]
pub struct Authenticated {
    /// Who. A strategy that was handed a stored credential may name that one's subject only.
    pub subject: Subject,
    /// Within what the subject is unique for ever: the issuer, the token endpoint's origin,
    /// the naming context. Empty: the strategy instance itself.
    #[serde(default)]
    pub realm: String,
    /// What else it knows of them. The gateway reads `name`, `preferred_username`, `email`,
    /// `email_verified` (boolean), `display_name` and `groups` (array of text); policies
    /// may read all of them. At most 16 KiB as JSON and 96 KiB of `groups`, nested at most 32
    /// deep.
    #[serde(default)]
    pub claims: Claims,
    /// How they proved it, in the words of RFC 8176 (`pwd`, `otp`, …).
    #[serde(default)]
    pub methods: Vec<String>,
    /// At most 16 KiB, opaque: the gateway seals it, keeps it with the session and hands
    /// it to `refresh` and `logout`. For example a provider's tokens.
    #[serde(default, with = "wire::base64_text")]
    pub state: Vec<u8>,
    /// When to call `refresh`. None: never.
    #[serde(default, rename = "refresh_after_s", with = "wire::maybe_seconds")]
    pub refresh_after: Option<Duration>,
    /// The provider's own name for this login, by which it may later end it.
    #[serde(default)]
    pub provider_session: Option<String>,
    /// A new stored form of the same secret, when the old one's parameters are out of date.
    #[serde(default)]
    pub renewed_secret: Option<String>,
    /// The longest that a session from this login may live, if shorter than ours.
    #[serde(default, rename = "session_max_s", with = "wire::maybe_seconds")]
    pub session_max: Option<Duration>,
    /// They have replaced their secret on the way in: all their older sessions end, and they
    /// are told.
    #[serde(default)]
    pub secret_changed: bool,
}

impl Authenticated {
    /// A good login of `subject` of which nothing else is known.
    pub fn of(subject: Subject) -> Self {
        Self {
            subject,
            realm: String::new(),
            claims: Claims::new(),
            methods: Vec::new(),
            state: Vec::new(),
            refresh_after: None,
            provider_session: None,
            renewed_secret: None,
            session_max: None,
            secret_changed: false,
        }
    }
}

/// A no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Why not.
    pub reason: Denial,
    /// A sentence for the person. Only to be given once nothing is revealed by it: after
    /// the right password, or in a provider's own words.
    #[serde(default)]
    pub message: Option<String>,
    /// Whom it was about, where the strategy knows: it never reaches the client, and says
    /// nothing of the secret. Failures are counted on them under all their names together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Denial {
    /// Unknown person or wrong secret: the two must not differ, in answer or in work.
    BadCredentials,
    /// Known and right, but not allowed in: disabled, expired, outside hours.
    NotAdmitted,
    /// Known and right, but locked by the directory.
    Locked,
    /// The provider said no; `message` holds its `error` code.
    ProviderRefused,
}

impl std::fmt::Debug for Authenticated {
    // Without the renewed secret and the state, and without claims, which are somebody's private data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticated").field("subject", &self.subject).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_library_says_is_read_and_says_no_more() {
        let read = |text: &str| serde_json::from_str::<Outcome>(text).unwrap();
        let Outcome::Denied(denied) = read(r#"{"outcome":"denied","reason":"bad_credentials"}"#) else {
            panic!()
        };
        assert_eq!((denied.reason, denied.subject), (Denial::BadCredentials, None));
        let Outcome::Authenticated(who) = read(r#"{"outcome":"authenticated","subject":"s"}"#) else {
            panic!()
        };
        assert!(!who.secret_changed);
        let Outcome::Form(form) = read(r#"{"outcome":"form","fields":[]}"#) else { panic!() };
        assert_eq!(form.subject, None);
    }

    #[test]
    fn an_outcome_is_about_somebody() {
        let who = Subject::new("s");
        let Outcome::Denied(denied) = Outcome::denied(Denial::Locked).about(who.clone()) else { panic!() };
        assert_eq!(denied.subject, who);
    }
}
