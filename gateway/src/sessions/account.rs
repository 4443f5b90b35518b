//! A person the gateway knows, as a request sees them.

use crate::clock::UnixMillis;
use portcullis_plugin_api::Object;
use uuid::Uuid;

/// An account. Never changed in place: a change makes a new one with a higher `version`.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// For ever.
    pub uuid: Uuid,
    /// The name people sign in with.
    pub name: String,
    /// No: it is an address that was not proved to be theirs. Others are told the uuid.
    pub name_proved: bool,
    /// The address, if there is one.
    pub email: Option<String>,
    /// Only a verified address is told to anyone or satisfies a rule.
    pub email_verified: bool,
    /// What pages and upstreams show.
    pub display_name: Option<String>,
    /// Given by an operator.
    pub roles: Vec<String>,
    /// The person's own claims.
    pub metadata: Object,
    /// The operator's claims.
    pub app: Object,
    /// A disabled account signs in nowhere and its sessions are over.
    pub active: bool,
    /// When it was made.
    pub created: UnixMillis,
    /// When it was changed last.
    pub updated: UnixMillis,
    /// Rises with each change; what is cached of an account is keyed by it.
    pub version: u64,
}

impl Account {
    /// The address, if it is verified.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }

    /// The name as others are told it: a name that is an unverified address is sent as
    /// the uuid (contract, section 1), also when the address is not the account's any more.
    pub fn public_name(&self) -> String {
        let unverified = self.email.as_deref() == Some(self.name.as_str()) && !self.email_verified;
        if self.name_proved && !unverified { self.name.clone() } else { self.uuid.to_string() }
    }
}

#[cfg(test)]
impl Account {
    /// Somebody, in version 1.
    pub(crate) fn for_tests(name: &str) -> Self {
        Self {
            uuid: Uuid::from_u128(1),
            name: name.into(),
            name_proved: true,
            email: None,
            email_verified: false,
            display_name: None,
            roles: Vec::new(),
            metadata: Object::new(),
            app: Object::new(),
            active: true,
            created: UnixMillis(0),
            updated: UnixMillis(0),
            version: 1,
        }
    }
}
