//! Credentials that the gateway keeps for a strategy (a password's hash), and the
//! questions it asks about them.

use std::collections::BTreeMap;

/// What is to be done with a stored credential. Whether one exists, finding it and
/// deleting it are the gateway's.
#[derive(Clone, Debug)]
pub enum CredentialOp {
    /// Make one from form fields (`password`). `about` holds what the person is called
    /// (name, address), which a strategy may refuse inside a secret.
    Create {
        /// The fields as they were given.
        form: BTreeMap<String, String>,
        /// Words that the secret may not contain.
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
#[derive(Clone, Debug)]
pub struct CredentialReply {
    /// Opaque to the gateway.
    pub secret: String,
}
