//! Failures, counted before a password is looked at: in one transaction the store asks
//! whether one more attempt is allowed and counts it, so that a burst gets no further
//! than a queue of single attempts would (contract, `[lockout]`).
//!
//! - A **pair** is an account and a client network (IPv4 /24, IPv6 /64; an IPv4-mapped
//!   address is IPv4). It is found by the account, so its name and its address share one
//!   counter.
//! - Names that no account has are counted alike, in a keyed table of fixed size.
//! - An **account** is counted from all networks together for 24 hours. Over the limit, only
//!   networks from which it signed in within 30 days may try.
//! - An **address** is an IPv4 address or an IPv6 /64, because one host has all of that.
//!
//! An attempt counts as failed until it is given back or cleared. Locks end no session.

use super::{
    Attempt, LockoutLimits, Reservation, Store, Stored, column_millis, millis, open::OpenError,
    underway::Coming,
};
use crate::{clock::UnixMillis, random::Random};
use aws_lc_rs::hmac;
use rusqlite::{Connection, OptionalExtension, params};
use std::{fmt, net::IpAddr, path::Path, time::Duration};
use uuid::Uuid;

/// Slots for names that no account has, and as many again for addresses.
const SLOTS: u32 = 1 << 16;
/// Over this time an address's failures are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// Over this time an account's failures are counted, wherever they come from.
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// For so long a network is known from which an account signed in.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Under which names and addresses are hashed to slots, so that nobody can aim at one.
#[derive(Clone)]
pub(super) struct Key(hmac::Key);

/// For so long an attempt waits for others of its pair, which may turn out to be none of
/// the failures that they are counted as.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where failures are counted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Counter {
    Pair {
        account: String,
        network: Vec<u8>,
    },
    /// An account from anywhere. No network is empty, so it is a row of the same table.
    Account {
        account: String,
    },
    Slot(u32),
}

/// Where a counter is kept.
enum Row<'a> {
    Pair(&'a str, &'a [u8]),
    Slot(u32),
}

impl Counter {
    fn row(&self) -> Row<'_> {
        match self {
            Self::Pair { account, network } => Row::Pair(account, network),
            Self::Account { account } => Row::Pair(account, &[]),
            Self::Slot(slot) => Row::Slot(*slot),
        }
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pair { .. } => "Pair",
            Self::Account { .. } => "Account",
            Self::Slot(_) => "Slot",
        })
    }
}

/// What a counter holds: when it was failed, and until when it is locked.
#[derive(Default)]
struct Failures {
    times: Vec<UnixMillis>,
    locked_until: UnixMillis,
}

impl Store {
    /// Counts a failure before the password is looked at, atomically with the question
    /// whether one more is allowed. `account` is who was named, known or not. A pair that is
    /// locked because of attempts under way is asked about again when they are decided.
    pub async fn attempt(
        &self,
        account: &str,
        client: IpAddr,
        limits: LockoutLimits,
        now: UnixMillis,
    ) -> Stored<Attempt> {
        self.attempt_in_turn(account, client, true, limits, now).await
    }

    /// The same attempt on somebody else: its address is counted already.
    pub async fn attempt_again(
        &self,
        account: &str,
        client: IpAddr,
        limits: LockoutLimits,
        now: UnixMillis,
    ) -> Stored<Attempt> {
        self.attempt_in_turn(account, client, false, limits, now).await
    }

    async fn attempt_in_turn(
        &self,
        account: &str,
        client: IpAddr,
        of_address: bool,
        limits: LockoutLimits,
        now: UnixMillis,
    ) -> Stored<Attempt> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (attempt, others) = self.attempt_now(account, client, of_address, limits, now).await?;
            let Some(others) = others else { return Ok(attempt) };
            if tokio::time::timeout_at(until, others.decided()).await.is_err() {
                return Ok(attempt);
            }
        }
    }

    async fn attempt_now(
        &self,
        account: &str,
        client: IpAddr,
        of_address: bool,
        limits: LockoutLimits,
        now: UnixMillis,
    ) -> Stored<(Attempt, Option<Coming>)> {
        let (account, key) = (account.to_owned(), self.inner.lockout_key.clone());
        let underway = self.inner.underway.clone();
        self.write(move |db| {
            let pair = pair(db, &key, &account, client)?;
            let address = of_address.then(|| address(&key, client));
            let whole = whole(&key, &pair, &account);
            let mut tried = load(db, &pair)?;
            if let Some(until) = tried.locked(limits.window, now) {
                return Ok((Attempt::Locked(until), underway.coming(&pair)));
            }
            let mut anywhere = load(db, &whole)?;
            anywhere.times.retain(|at| now.since(*at) < DAY);
            if anywhere.times.len() >= at_least_one(limits.account_failures) && !is_known(db, &pair, now)? {
                return Ok((Attempt::Closed, None));
            }
            let mut seen = address.as_ref().map(|at| load(db, at)).transpose()?.unwrap_or_default();
            if let Some(seconds) = seen.too_many(limits.per_address, now) {
                return Ok((Attempt::TooMany(seconds), None));
            }
            tried.times.push(now);
            if tried.times.len() >= at_least_one(limits.failures) {
                tried.locked_until = now.plus(limits.duration);
            }
            // From networks that are known more may come than are worth counting.
            if anywhere.times.len() < at_least_one(limits.account_failures) {
                anywhere.times.push(now);
            }
            seen.times.push(now);
            save(db, &whole, &anywhere, now.plus(DAY))?;
            save(db, &pair, &tried, now.plus(limits.window))?;
            if let Some(address) = &address {
                save(db, address, &seen, now.plus(MINUTE))?;
            }
            let _underway = underway.begin(&pair);
            Ok((Attempt::Counted(Reservation { pair, account: whole, address, at: now, _underway }), None))
        })
        .await
    }

    /// The attempt ended in an error: it was no failure.
    pub async fn give_back(&self, reservation: Reservation) -> Stored<()> {
        self.write(move |db| {
            take_off(db, &reservation.pair, reservation.at)?;
            take_off(db, &reservation.account, reservation.at)?;
            reservation.address.map_or(Ok(()), |address| take_off(db, &address, reservation.at))
        })
        .await
    }

    /// The attempt succeeded: the pair starts again at zero, and the address gets this one back.
    pub async fn clear(&self, reservation: Reservation) -> Stored<()> {
        self.write(move |db| {
            match &reservation.pair {
                Counter::Pair { account, network } => {
                    db.prepare_cached("DELETE FROM lockout_pairs WHERE account = ?1 AND network = ?2")?
                        .execute(params![account, network])?;
                }
                // The name was nobody's when it was counted, and others may share the slot.
                other => take_off(db, other, reservation.at)?,
            }
            take_off(db, &reservation.account, reservation.at)?;
            reservation.address.map_or(Ok(()), |address| take_off(db, &address, reservation.at))
        })
        .await
    }

    /// Removes every lock of an account, whoever holds it: also what a mailed reset does.
    pub async fn unlock(&self, account: &str) -> Stored<()> {
        let account = account.to_owned();
        self.write(move |db| {
            db.prepare_cached(
                "DELETE FROM lockout_pairs WHERE account = (SELECT account FROM identifiers WHERE text = ?1)",
            )?
            .execute([account])?;
            Ok(())
        })
        .await
    }
}

impl Failures {
    /// Until when it is locked; otherwise what lies outside the window is dropped, and so
    /// is everything when a lock has just run out.
    fn locked(&mut self, window: Duration, now: UnixMillis) -> Option<UnixMillis> {
        if self.locked_until > now {
            return Some(self.locked_until);
        }
        if self.locked_until != UnixMillis::default() {
            *self = Self::default();
        }
        self.times.retain(|at| now.since(*at) < window);
        None
    }

    /// In how many seconds there is room for one more; none when there is now.
    fn too_many(&mut self, limit: u32, now: UnixMillis) -> Option<u32> {
        self.times.retain(|at| now.since(*at) < MINUTE);
        let over = (self.times.len() + 1).checked_sub(at_least_one(limit)).filter(|over| *over > 0)?;
        // The oldest that must be out of the minute before one more fits.
        let free = self.times.get(over - 1)?.plus(MINUTE).since(now);
        Some(u32::try_from(free.as_millis().div_ceil(1000)).unwrap_or(60).clamp(1, 60))
    }
}

fn at_least_one(limit: u32) -> usize {
    usize::try_from(limit.max(1)).unwrap_or(usize::MAX)
}

/// The lockout key of this store; made with it.
pub(super) fn key(db: &Connection, path: &Path) -> Result<Key, OpenError> {
    db.query_row("SELECT value FROM meta WHERE name = 'lockout_key'", [], |row| row.get::<_, Vec<u8>>(0))
        .map(|bytes| Key(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
        .map_err(|error| OpenError::because(path, "cannot be read", &error))
}

/// Makes the key unless there is one.
pub(super) fn make_key(db: &Connection, random: &Random) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO meta (name, value) VALUES ('lockout_key', ?1) ON CONFLICT DO NOTHING",
        [random.bytes::<32>()],
    )?;
    Ok(())
}

/// Removes counters that say nothing any more.
pub(super) fn prune(db: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
    for table in ["lockout_pairs", "lockout_slots"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE forget <= ?1"))?.execute([millis(now)])?;
    }
    db.prepare_cached("DELETE FROM known_networks WHERE at <= ?1")?.execute([unknown_since(now)])?;
    Ok(())
}

/// Somebody signed in from there. Part of the transaction that opens the session.
pub(super) fn signed_in(
    db: &Connection,
    account: Uuid,
    client: IpAddr,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO known_networks (account, network, at) VALUES (?1, ?2, ?3)")?
        .execute(params![account.to_string(), network(client, 3), millis(now)])?;
    Ok(())
}

/// A sign-in at or before this moment does not make a network known any more.
fn unknown_since(now: UnixMillis) -> i64 {
    millis(now) - i64::try_from(KNOWN.as_millis()).unwrap_or(i64::MAX)
}

/// Whether the account of a pair signed in from its network lately. Nobody's name never did.
fn is_known(db: &Connection, pair: &Counter, now: UnixMillis) -> rusqlite::Result<bool> {
    let Counter::Pair { account, network } = pair else { return Ok(false) };
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM known_networks WHERE account = ?1 AND network = ?2 AND at > ?3)",
    )?
    .query_row(params![account, network, unknown_since(now)], |row| row.get(0))
}

/// The counter of an account from anywhere, or of a name that nobody has.
fn whole(key: &Key, pair: &Counter, account: &str) -> Counter {
    match pair {
        Counter::Pair { account, .. } => Counter::Account { account: account.clone() },
        _ => Counter::Slot(2 * SLOTS + slot(key, &[b"anywhere", account.as_bytes()])),
    }
}

fn pair(db: &Connection, key: &Key, account: &str, client: IpAddr) -> rusqlite::Result<Counter> {
    let network = network(client, 3);
    let known: Option<String> = db
        .prepare_cached("SELECT account FROM identifiers WHERE text = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()?;
    Ok(match known {
        Some(account) => Counter::Pair { account, network },
        None => Counter::Slot(slot(key, &[b"name", &network, account.as_bytes()])),
    })
}

fn address(key: &Key, client: IpAddr) -> Counter {
    Counter::Slot(SLOTS + slot(key, &[b"address", &network(client, 4)]))
}

/// The first bytes of an address: `ipv4` of four, or eight of sixteen. Their number
/// tells the families apart.
fn network(client: IpAddr, ipv4: usize) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(address) => address.octets()[..ipv4].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

fn slot(key: &Key, parts: &[&[u8]]) -> u32 {
    let mut context = hmac::Context::with_key(&key.0);
    for part in parts {
        context.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        context.update(part);
    }
    let tag = context.sign();
    let first = tag.as_ref().first_chunk::<4>().expect("HMAC-SHA256 gives 32 bytes");
    u32::from_le_bytes(*first) % SLOTS
}

fn load(db: &Connection, counter: &Counter) -> rusqlite::Result<Failures> {
    let read = |row: &rusqlite::Row<'_>| {
        let (eights, _) = row.get_ref(0)?.as_blob()?.as_chunks::<8>();
        let times = eights.iter().map(|eight| UnixMillis(u64::from_le_bytes(*eight))).collect();
        Ok(Failures { times, locked_until: column_millis(row, 1)? })
    };
    let found = match counter.row() {
        Row::Pair(account, network) => db
            .prepare_cached(
                "SELECT times, locked_until FROM lockout_pairs WHERE account = ?1 AND network = ?2",
            )?
            .query_row(params![account, network], read),
        Row::Slot(slot) => db
            .prepare_cached("SELECT times, locked_until FROM lockout_slots WHERE slot = ?1")?
            .query_row([slot], read),
    };
    Ok(found.optional()?.unwrap_or_default())
}

/// `fades` is when the newest failure leaves its window.
fn save(db: &Connection, counter: &Counter, held: &Failures, fades: UnixMillis) -> rusqlite::Result<()> {
    let times: Vec<u8> = held.times.iter().flat_map(|at| at.0.to_le_bytes()).collect();
    let (locked, forget) = (millis(held.locked_until), millis(held.locked_until.max(fades)));
    match counter.row() {
        Row::Pair(account, network) => db
            .prepare_cached(
                "INSERT OR REPLACE INTO lockout_pairs (account, network, times, locked_until, forget) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![account, network, times, locked, forget]),
        Row::Slot(slot) => db
            .prepare_cached(
                "INSERT OR REPLACE INTO lockout_slots (slot, times, locked_until, forget) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![slot, times, locked, forget]),
    }?;
    Ok(())
}

/// Takes one failure off. A lock that stood on it falls: without it there were too few.
fn take_off(db: &Connection, counter: &Counter, at: UnixMillis) -> rusqlite::Result<()> {
    let mut held = load(db, counter)?;
    let Some(place) = held.times.iter().position(|time| *time == at) else { return Ok(()) };
    held.times.remove(place);
    let times: Vec<u8> = held.times.iter().flat_map(|at| at.0.to_le_bytes()).collect();
    match counter.row() {
        Row::Pair(account, network) => db
            .prepare_cached(
                "UPDATE lockout_pairs SET times = ?3, locked_until = 0 WHERE account = ?1 AND network = ?2",
            )?
            .execute(params![account, network, times]),
        Row::Slot(slot) => db
            .prepare_cached("UPDATE lockout_slots SET times = ?2, locked_until = 0 WHERE slot = ?1")?
            .execute(params![slot, times]),
    }?;
    Ok(())
}
