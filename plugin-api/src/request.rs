//! What a strategy is asked.

use crate::Subject;
use std::{collections::BTreeMap, net::IpAddr};

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
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// The fields of the body; `username` holds who wants to sign in, whatever the field was called.
    pub form: BTreeMap<String, String>,
    /// What the gateway keeps of this person for this strategy, if it found any.
    pub credential: Option<StoredCredential>,
}

/// A further step.
#[derive(Clone, Debug)]
pub struct Resume {
    /// The fields of the body.
    pub form: BTreeMap<String, String>,
    /// What the strategy asked to be given back.
    pub flow: Vec<u8>,
}

/// A credential as the gateway keeps it.
#[derive(Clone, Debug)]
pub struct StoredCredential {
    /// Whose it is.
    pub subject: Subject,
    /// What [`CredentialReply`](crate::CredentialReply) said to store.
    pub secret: String,
}
