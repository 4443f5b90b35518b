//! One login on one device.

use super::Account;
use crate::clock::UnixMillis;
use arc_swap::ArcSwap;
use std::{
    net::IpAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};
use tokio::sync::Notify;
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

/// A session in the table. Made by [`Sessions`](super::Sessions) alone.
pub struct LiveSession {
    serial: u64,
    sid: Box<str>,
    strategy: Box<str>,
    transport: Transport,
    cookie_hash: [u8; 32],
    expires: UnixMillis,
    idle: Duration,
    /// One cell for all sessions of an account: a change is seen by each at once.
    account: AccountCell,
    last_used: AtomicU64,
    /// The last use that the store knows.
    saved: AtomicU64,
    /// The number of the newest event when the store was asked.
    read_at: AtomicU64,
    /// Where the shelf keeps it; the shelf's own business.
    slot: AtomicUsize,
    over: AtomicBool,
    told: Notify,
}

/// The account as it is now, shared by its sessions.
pub(super) type AccountCell = Arc<ArcSwap<Account>>;

impl LiveSession {
    pub(super) fn new(record: &SessionRecord, account: AccountCell, idle: Duration, read_at: u64) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Self {
            serial: SERIAL.fetch_add(1, Relaxed),
            sid: record.sid.as_str().into(),
            strategy: record.strategy.as_str().into(),
            transport: record.transport,
            cookie_hash: record.cookie_hash,
            expires: record.expires,
            idle,
            account,
            last_used: AtomicU64::new(record.last_used.0),
            saved: AtomicU64::new(record.last_used.0),
            read_at: AtomicU64::new(read_at),
            slot: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            told: Notify::new(),
        }
    }

    /// Unlike any other session's in this process; keys what a worker caches of it.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Its name.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The strategy instance that admitted it.
    pub fn strategy(&self) -> &str {
        &self.strategy
    }

    /// How the client carries it.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The account as it is now.
    pub fn account(&self) -> Arc<Account> {
        self.account.load_full()
    }

    /// Not ended, not expired, not idle for too long, and the account is active.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        !self.over.load(Acquire)
            && now < self.expires
            && now.since(self.last_used()) < self.idle
            && self.account.load().active
    }

    /// Notes a use. Time never goes back: of two uses the later one counts.
    pub fn touch(&self, now: UnixMillis) {
        // A plain read first: thousands of requests in one millisecond write once.
        if self.last_used.load(Relaxed) < now.0 {
            self.last_used.fetch_max(now.0, Relaxed);
        }
    }

    /// The end that nothing moves.
    pub fn expires(&self) -> UnixMillis {
        self.expires
    }

    /// Returns once this session has ended (logout, a command, its time). What is open
    /// in its name is closed then. A session that nobody holds may leave the table
    /// without an end; one that is held stays.
    pub async fn ended(&self) {
        loop {
            // The end may come between the look and the wait: enlist first, then look.
            let mut told = pin!(self.told.notified());
            told.as_mut().enable();
            if self.over.load(Acquire) {
                return;
            }
            told.await;
        }
    }

    /// When it was used last.
    pub fn last_used(&self) -> UnixMillis {
        UnixMillis(self.last_used.load(Relaxed))
    }

    pub(super) fn end(&self) {
        self.over.store(true, Release);
        self.told.notify_waiters();
    }

    pub(super) fn cookie_hash(&self) -> &[u8; 32] {
        &self.cookie_hash
    }

    pub(super) fn account_cell(&self) -> &AccountCell {
        &self.account
    }

    pub(super) fn slot(&self) -> &AtomicUsize {
        &self.slot
    }

    pub(super) fn read_at(&self) -> u64 {
        self.read_at.load(Relaxed)
    }

    /// The store was asked again, and knew it still.
    pub(super) fn read_again(&self, read_at: u64, last_used: UnixMillis) {
        self.read_at.fetch_max(read_at, Relaxed);
        self.saved.fetch_max(last_used.0, Relaxed);
        self.touch(last_used);
    }

    /// The last use, if the store does not know it yet.
    pub(super) fn unsaved_use(&self) -> Option<UnixMillis> {
        let last = self.last_used.load(Relaxed);
        (last > self.saved.load(Relaxed)).then_some(UnixMillis(last))
    }

    pub(super) fn saved_use(&self, last_used: UnixMillis) {
        self.saved.fetch_max(last_used.0, Relaxed);
    }
}

impl std::fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The hash of the cookie is nobody's business.
        f.debug_struct("LiveSession")
            .field("serial", &self.serial)
            .field("sid", &self.sid)
            .finish_non_exhaustive()
    }
}

/// A session outside any table, for tests of what is said in its name.
#[cfg(test)]
pub(crate) fn live_for_tests(
    sid: &str,
    account: Account,
    now: UnixMillis,
    expires: UnixMillis,
) -> Arc<LiveSession> {
    let record = SessionRecord {
        sid: sid.to_owned(),
        cookie_hash: [0; 32],
        account: account.uuid,
        strategy: "local".to_owned(),
        transport: Transport::Both,
        created: now,
        last_used: now,
        expires,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        user_agent: String::new(),
    };
    let account = Arc::new(ArcSwap::from_pointee(account));
    Arc::new(LiveSession::new(&record, account, Duration::from_secs(3_600), 0))
}
