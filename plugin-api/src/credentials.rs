//! Credentials that the gateway keeps for a strategy (a password's hash), and the
//! questions it asks about them.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What is to be done with a stored credential. Whether one exists, finding it and
/// deleting it are the gateway's.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum CredentialOp {
    /// Make one from form fields (`password`). `about` holds what the person is called
    /// (name, address), which a strategy may refuse inside a secret.
    Create {
        /// The fields as they were given.
        #[serde(default)]
        form: BTreeMap<String, String>,
        /// Words that the secret may not contain.
        #[serde(default)]
        about: Vec<String>,
    },
    /// Take over a secret that is already in stored form (a PHC string). Never reachable
    /// from a form field.
    Import {
        /// The stored form.
        secret: String,
    },
}

/// What the gateway should store.
#[derive(Clone, Serialize, Deserialize)]
pub struct CredentialReply {
    /// Opaque to the gateway.
    pub secret: String,
}

// `Debug` shows no password and no hash.

impl fmt::Debug for CredentialOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { form, .. } => {
                let fields: Vec<_> = form.keys().collect();
                f.debug_struct("Create").field("form", &fields).finish_non_exhaustive()
            }
            Self::Import { .. } => f.debug_struct("Import").finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for CredentialReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialReply").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Authenticated, Begin, ChangeSecret, CredentialOp, CredentialReply, Resume, StoredCredential, Subject,
        Via,
    };

    #[test]
    fn no_secret_is_in_debug_output() {
        let secret = || "hunter2".to_owned();
        let form: std::collections::BTreeMap<_, _> = [("password".to_owned(), secret())].into();
        let subject = Subject::new("bob").expect("it fits");
        let credential = StoredCredential { subject: subject.clone(), secret: secret() };
        let begin = Begin { form: form.clone(), credential: Some(credential.clone()), ..Begin::default() };
        let resume = Resume {
            params: form.clone(),
            flow: secret().into_bytes(),
            via: Via::Form,
            resume_url: String::new(),
            state: String::new(),
        };
        let change = ChangeSecret {
            subject: subject.clone(),
            credential: Some(credential),
            current: secret(),
            next: secret(),
            about: vec![],
        };
        let shown = [
            format!("{begin:?} {resume:?} {change:?}"),
            format!("{:?}", CredentialOp::Create { form, about: vec![] }),
            format!("{:?}", CredentialOp::Import { secret: secret() }),
            format!("{:?}", CredentialReply { secret: secret() }),
            format!("{:?}", Authenticated { renewed_secret: Some(secret()), ..Authenticated::of(subject) }),
        ];
        for text in shown {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
