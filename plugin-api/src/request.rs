//! What a strategy is asked.

use crate::Subject;
use std::{collections::BTreeMap, fmt, net::IpAddr};

/// The circumstances of every call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Ties log lines of the strategy to the request.
    pub request_id: String,
    /// The configured instance, the `:strategy` of the URL.
    pub strategy: String,
    /// Where the person is.
    pub client_ip: IpAddr,
}

/// The first step of a login. An empty form asks what the form should be.
#[derive(Clone, Default)]
pub struct Begin {
    /// The fields of the body; `username` holds who wants to sign in, whatever the field was called.
    pub form: BTreeMap<String, String>,
    /// What the gateway keeps of this person for this strategy, if it found any.
    pub credential: Option<StoredCredential>,
}

/// A further step.
#[derive(Clone)]
pub struct Resume {
    /// The fields of the body.
    pub form: BTreeMap<String, String>,
    /// What the strategy asked to be given back.
    pub flow: Vec<u8>,
}

/// A credential as the gateway keeps it.
#[derive(Clone)]
pub struct StoredCredential {
    /// Whose it is.
    pub subject: Subject,
    /// What [`CredentialReply`](crate::CredentialReply) said to store.
    pub secret: String,
}

// Forms hold passwords, so `Debug` shows the names of their fields only.

impl fmt::Debug for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.form.keys().collect();
        f.debug_struct("Begin").field("form", &fields).field("credential", &self.credential).finish()
    }
}

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.form.keys().collect();
        f.debug_struct("Resume").field("form", &fields).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredential").field("subject", &self.subject).finish_non_exhaustive()
    }
}
