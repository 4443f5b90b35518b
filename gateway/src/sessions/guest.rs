//! Somebody whom a foreign issuer vouches for with each request: nobody signed in here,
//! no account and no session is kept. For one token it looks like a session without a
//! name, so that policies, headers and streams need to know of one kind of principal only.

use super::{
    Account, LiveSession,
    external::ExternalRecord,
    session::{Idle, SessionRecord, Transport},
};
use crate::clock::UnixMillis;
use arc_swap::ArcSwap;
use portcullis_plugin_api::Object;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// Longer than any token lives.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What a token says of its bearer.
pub struct Guest {
    /// Which `[[token.trusted]]`.
    pub issuer: String,
    /// Who, there.
    pub subject: String,
    /// Mapped from groups.
    pub roles: Vec<String>,
    /// Verified claims.
    pub claims: Object,
    /// When the token ends.
    pub expires: UnixMillis,
}

impl LiveSession {
    /// For as long as the token is good. It is in no table and in no store.
    pub fn of_guest(guest: Guest, now: UnixMillis) -> Self {
        let account = Account {
            uuid: Uuid::nil(),
            name: format!("{}@{}", guest.subject, guest.issuer),
            name_proved: true,
            email: None,
            email_verified: false,
            display_name: None,
            roles: guest.roles,
            metadata: Object::new(),
            app: Object::new(),
            active: true,
            created: now,
            updated: now,
            version: 0,
        };
        let record = SessionRecord {
            sid: String::new(),
            cookie_hash: [0; 32],
            cookie_number: 0,
            cookie_expires: UnixMillis(0),
            cookie_used: now,
            former_cookie: None,
            family: false,
            account: account.uuid,
            strategy: guest.issuer.clone(),
            transport: Transport::Token,
            created: now,
            last_used: now,
            expires: guest.expires,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            user_agent: String::new(),
            external: Some(ExternalRecord {
                realm: guest.issuer,
                subject: guest.subject,
                roles: Vec::new(),
                claims: guest.claims,
                state: Vec::new(),
                provider_session: None,
                refresh_at: None,
            }),
        };
        let idle = Idle { session: NEVER, family: NEVER };
        Self::new(&record, Arc::new(ArcSwap::from_pointee(account)), idle, 0)
    }
}

impl Account {
    /// Whether nobody has this account: it stands for the bearer of a foreign token.
    pub fn is_guest(&self) -> bool {
        self.uuid.is_nil()
    }
}
