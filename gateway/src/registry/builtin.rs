//! The kinds that are linked in. The only file of the gateway that names a strategy's
//! crate; everything else knows kinds by name.

#[cfg(feature = "fuzzing")]
pub(crate) use portcullis_strategy_ldap::fuzzing;

use crate::random::Random;
use portcullis_plugin_api::{Host, Object, Operations, Started, Strategy, start};
use portcullis_strategy_ldap::Ldap;
use portcullis_strategy_local::Local;
use portcullis_strategy_oauth::OAuth;
use std::pin::Pin;

/// A strategy that is on its way.
pub(super) type Starting = Pin<Box<dyn Future<Output = Started> + Send>>;

/// A kind of strategy: its name, and how an instance of it is made.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) operations: Operations,
    pub(super) start: fn(Object, Host) -> Starting,
}

impl Kind {
    /// The kind that `S` implements.
    pub(super) const fn of<S: Strategy>() -> Self {
        Self { name: S::KIND, operations: S::OPERATIONS, start: start::<S> }
    }
}

pub(super) const KINDS: &[Kind] = &[Kind::of::<Local>(), Kind::of::<OAuth>(), Kind::of::<Ldap>()];

/// The names of the kinds that are linked in.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// The stored form (a PHC string) of a password, for `portcullis hash-password`. The
/// error says what is wrong with the password.
pub fn hash_password(password: &str, random: &Random) -> Result<String, String> {
    portcullis_strategy_local::hash_password(password, random.shared())
}

/// Whether a login by this stored form costs another time than one by [`hash_password`]'s.
pub fn costs_otherwise(stored: &str) -> bool {
    portcullis_strategy_local::costs_otherwise(stored)
}
