//! Who may: the only place that makes a [`Permit`], without which nothing is forwarded.

use super::authenticate::Identity;
use crate::problem::Code;
use portcullis_config as config;

/// The compiled policy of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(config::Policy);

/// Proof that the policy of the route was asked and said yes. Holds whom it was asked about.
#[derive(Debug)]
pub struct Permit {
    identity: Option<Identity>,
}

impl Permit {
    /// Who is signed in, if anybody.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

impl Policy {
    /// From a checked one.
    pub fn new(policy: &config::Policy) -> Self {
        Self(policy.clone())
    }

    /// Whether anybody may, signed in or not.
    pub fn is_public(&self) -> bool {
        self.0 == config::Policy::Public
    }

    /// Yes, or what is missing. What is not decided is refused.
    pub fn permit(&self, identity: Option<Identity>) -> Result<Permit, Code> {
        match (&self.0, identity) {
            (config::Policy::Public, identity) => Ok(Permit { identity }),
            (_, None) => Err(Code::LoginRequired),
            (config::Policy::SignedIn, identity) => Ok(Permit { identity }),
            (config::Policy::Roles(wanted), Some(identity)) => {
                let has = |role: &String| identity.account.roles.contains(role);
                if wanted.iter().any(has) {
                    Ok(Permit { identity: Some(identity) })
                } else {
                    Err(Code::Forbidden)
                }
            }
        }
    }
}
