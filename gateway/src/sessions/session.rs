//! One login on one device.

use super::Account;
use crate::clock::UnixMillis;
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

/// How the client carries its credential; fixed at login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Cookie and token in one answer (the default).
    Both,
    /// A cookie, no token in any body.
    Cookie,
    /// A token, no cookie.
    Token,
}

/// A session as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// Its name; opens nothing.
    pub sid: String,
    /// SHA-256 of the cookie's value.
    pub cookie_hash: [u8; 32],
    /// Whose.
    pub account: Uuid,
    /// Which strategy instance admitted it.
    pub strategy: String,
    /// Fixed at login.
    pub transport: Transport,
    /// When it began.
    pub created: UnixMillis,
    /// When it was used last, as of the last write.
    pub last_used: UnixMillis,
    /// The end that nothing moves.
    pub expires: UnixMillis,
    /// Where the login came from.
    pub address: IpAddr,
    /// The browser's name for itself, cut to 256 bytes.
    pub user_agent: String,
}

/// A session in the table.
pub struct LiveSession {}

impl LiveSession {
    /// Unlike any other session's in this process; keys what a worker caches of it.
    pub fn serial(&self) -> u64 {
        unimplemented!()
    }
    /// Its name.
    pub fn sid(&self) -> &str {
        unimplemented!()
    }
    /// The strategy instance that admitted it.
    pub fn strategy(&self) -> &str {
        unimplemented!()
    }
    /// How the client carries it.
    pub fn transport(&self) -> Transport {
        unimplemented!()
    }
    /// The account as it is now.
    pub fn account(&self) -> Arc<Account> {
        unimplemented!()
    }
    /// Not ended, not expired, not idle for too long, and the account is active.
    pub fn is_live(&self, _now: UnixMillis) -> bool {
        unimplemented!()
    }
    /// Notes a use.
    pub fn touch(&self, _now: UnixMillis) {}
    /// The end that nothing moves.
    pub fn expires(&self) -> UnixMillis {
        unimplemented!()
    }
}
