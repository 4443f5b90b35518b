//! One login on one device.

use super::{
    Account,
    external::{self, External, ExternalRecord},
};
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
    /// The how many-th it is: 0 at the login, one more at each refresh.
    pub cookie_number: u64,
    /// From when on that cookie opens nothing, however much it is used.
    pub cookie_expires: UnixMillis,
    /// When that cookie was used last, as of the last write.
    pub cookie_used: UnixMillis,
    /// The cookie before it, which opens the session until then.
    pub former_cookie: Option<([u8; 32], UnixMillis)>,
    /// Whether it has a refresh family, and so lives without use for longer.
    pub family: bool,
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
    /// What a login from outside left; none where the secret is kept here.
    pub external: Option<ExternalRecord>,
}

/// A session in the table. Made by [`Sessions`](super::Sessions) alone.
pub struct LiveSession {
    serial: u64,
    sid: Box<str>,
    strategy: Box<str>,
    transport: Transport,
    family: bool,
    cookies: ArcSwap<Cookies>,
    created: UnixMillis,
    expires: UnixMillis,
    idle: Idle,
    /// One cell for all sessions of an account: a change is seen by each at once.
    account: AccountCell,
    external: external::Live,
    last_used: AtomicU64,
    /// The last of these that was by cookie.
    cookie_used: AtomicU64,
    /// The last use that the store knows.
    saved: AtomicU64,
    /// The number of the newest event when the store was asked.
    read_at: AtomicU64,
    /// Where the shelf keeps it; the shelf's own business.
    slot: AtomicUsize,
    over: AtomicBool,
    told: Notify,
}

/// The cookies that open a session. A refresh gives a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cookies {
    pub(super) hash: [u8; 32],
    pub(super) number: u64,
    /// From when on it opens nothing, however much it is used.
    pub(super) expires: UnixMillis,
    /// The one before it, and until when that opens.
    pub(super) former: Option<([u8; 32], UnixMillis)>,
}

impl Cookies {
    pub(super) fn of(record: &SessionRecord) -> Self {
        Self {
            hash: record.cookie_hash,
            number: record.cookie_number,
            expires: record.cookie_expires,
            former: record.former_cookie,
        }
    }
}

/// How long a session lives without use (contract, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Without a refresh family, and each session cookie: `[session] idle`.
    pub session: Duration,
    /// With one: `[token] refresh_idle`.
    pub family: Duration,
}

impl Idle {
    /// As the configuration has it.
    pub fn of(config: &portcullis_config::Config) -> Self {
        Self { session: config.session.idle, family: config.token.refresh_idle }
    }
}

/// A last use of a session, on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Which session.
    pub sid: String,
    /// When it was used last.
    pub at: UnixMillis,
    /// When it was used last by cookie.
    pub by_cookie: UnixMillis,
}

/// The account as it is now, shared by its sessions.
pub(super) type AccountCell = Arc<ArcSwap<Account>>;

impl LiveSession {
    pub(super) fn new(record: &SessionRecord, account: AccountCell, idle: Idle, read_at: u64) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Self {
            serial: SERIAL.fetch_add(1, Relaxed),
            sid: record.sid.as_str().into(),
            strategy: record.strategy.as_str().into(),
            transport: record.transport,
            family: record.family,
            cookies: ArcSwap::from_pointee(Cookies::of(record)),
            created: record.created,
            expires: record.expires,
            idle,
            account,
            external: external::Live::new(record.external.as_ref()),
            last_used: AtomicU64::new(record.last_used.0),
            cookie_used: AtomicU64::new(record.cookie_used.0),
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

    /// Whether it has a refresh family.
    pub fn has_family(&self) -> bool {
        self.family
    }

    /// When it began.
    pub fn created(&self) -> UnixMillis {
        self.created
    }

    /// The account as it is now, with the roles of the credential that it signed in with.
    pub fn account(&self) -> Arc<Account> {
        self.external.principal(self.account.load_full())
    }

    /// Whose it is.
    pub fn account_id(&self) -> Uuid {
        self.account.load().uuid
    }

    /// What a login from outside left: verified claims.
    pub fn external(&self) -> Option<Arc<External>> {
        self.external.get()
    }

    pub(super) fn set_external(&self, record: Option<&ExternalRecord>) {
        self.external.set(record);
    }

    /// Not ended, not expired, not idle for too long, and the account is active.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        let idle = if self.family { self.idle.family } else { self.idle.session };
        !self.over.load(Acquire)
            && now < self.expires
            && now.since(self.last_used()) < idle
            && self.account.load().active
    }

    /// Whether the cookie of this hash opens it now: the present one for `[session] idle`
    /// since its last use and until its own end, the one before it until grace ends.
    pub(super) fn is_opened_by(&self, hash: &[u8; 32], now: UnixMillis) -> bool {
        let cookies = self.cookies.load();
        if cookies.hash == *hash {
            let used = UnixMillis(self.cookie_used.load(Relaxed));
            return now < cookies.expires && now.since(used) < self.idle.session;
        }
        cookies.former.is_some_and(|(former, until)| former == *hash && now < until)
    }

    /// Whether its present cookie opens it now.
    pub fn has_working_cookie(&self, now: UnixMillis) -> bool {
        self.is_opened_by(&self.cookies.load().hash, now)
    }

    /// Notes a use. Time never goes back: of two uses the later one counts.
    pub fn touch(&self, now: UnixMillis) {
        later(&self.last_used, now);
    }

    /// Notes a use by cookie, or on a connection that a cookie opened.
    pub fn touch_by_cookie(&self, now: UnixMillis) {
        later(&self.last_used, now);
        later(&self.cookie_used, now);
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

    pub(super) fn cookies(&self) -> Arc<Cookies> {
        self.cookies.load_full()
    }

    /// The cookie before the present one opens nothing any more.
    pub(super) fn forget_former(&self) {
        let cookies = self.cookies();
        self.cookies.store(Arc::new(Cookies { former: None, ..Cookies::clone(&cookies) }));
    }

    /// A refresh gave a new cookie, and that was a use.
    pub(super) fn give(&self, cookies: Cookies, used: UnixMillis) {
        self.cookies.store(Arc::new(cookies));
        self.touch_by_cookie(used);
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
    pub(super) fn read_again(&self, read_at: u64, record: &SessionRecord) {
        self.read_at.fetch_max(read_at, Relaxed);
        self.saved.fetch_max(record.last_used.0, Relaxed);
        self.touch(record.last_used);
        later(&self.cookie_used, record.cookie_used);
    }

    /// The last use, if the store does not know it yet.
    pub(super) fn unsaved_use(&self) -> Option<Used> {
        let at = self.last_used.load(Relaxed);
        let by_cookie = UnixMillis(self.cookie_used.load(Relaxed));
        let used = || Used { sid: self.sid.to_string(), at: UnixMillis(at), by_cookie };
        (at > self.saved.load(Relaxed)).then(used)
    }

    pub(super) fn saved_use(&self, last_used: UnixMillis) {
        self.saved.fetch_max(last_used.0, Relaxed);
    }
}

/// A plain read first: thousands of requests in one millisecond write once.
fn later(cell: &AtomicU64, now: UnixMillis) {
    if cell.load(Relaxed) < now.0 {
        cell.fetch_max(now.0, Relaxed);
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
        cookie_number: 0,
        cookie_expires: expires,
        cookie_used: now,
        former_cookie: None,
        family: false,
        account: account.uuid,
        strategy: "local".to_owned(),
        transport: Transport::Both,
        created: now,
        last_used: now,
        expires,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        user_agent: String::new(),
        external: None,
    };
    let account = Arc::new(ArcSwap::from_pointee(account));
    let hour = Duration::from_secs(3_600);
    Arc::new(LiveSession::new(&record, account, Idle { session: hour, family: hour }, 0))
}
