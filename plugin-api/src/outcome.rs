//! What a strategy answers.

use crate::{Claims, Subject};

/// The answer to a step of a login.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Ask the person for these fields.
    Form(Form),
    /// The person is who they say.
    Authenticated(Box<Authenticated>),
    /// No. The gateway decides how much of the reason the person hears.
    Denied(Denial),
}

/// A form to be filled in.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// In the order in which they are shown.
    pub fields: Vec<Field>,
    /// A sentence above them.
    pub message: Option<String>,
}

/// One field of a form.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in the body.
    pub name: String,
    /// How it is shown and which hints a password manager gets.
    pub kind: FieldKind,
    /// What the person reads.
    pub label: String,
    /// Whether it may be empty.
    pub required: bool,
}

/// The kinds of field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// Who signs in (`autocomplete="username"`).
    Username,
    /// A secret (`autocomplete="current-password"`).
    Password,
    /// Anything else.
    Text,
}

impl FieldKind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Password => "password",
            Self::Text => "text",
        }
    }
}

/// A good login.
#[derive(Clone)]
pub struct Authenticated {
    /// Who. A strategy that was handed a stored credential may name that one's subject only.
    pub subject: Subject,
    /// What else it knows of them.
    pub claims: Claims,
    /// A new stored form of the same secret, when the old one's parameters are out of date.
    pub renewed_secret: Option<String>,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// Unknown person or wrong secret: the two must not differ, in answer or in work.
    BadCredentials,
    /// Known and right, but not allowed in.
    NotAdmitted,
}

impl std::fmt::Debug for Authenticated {
    // Without the renewed secret, and without claims, which are somebody's private data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticated").field("subject", &self.subject).finish_non_exhaustive()
    }
}
