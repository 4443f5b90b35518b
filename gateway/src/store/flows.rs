//! Logins under way: kept under the hash of their one-time state, taken once, and bounded
//! per network and in all, whoever starts them.

use super::{Store, Stored, millis};
use crate::clock::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

/// How many may be under way from one network (IPv4 address, IPv6 /64) …
pub const PER_NETWORK: u32 = 500;
/// … and in all.
pub const IN_ALL: u32 = 20_000;

/// How many make room at once when all places are taken: to find out who has most of them is
/// too much work for each login that is started.
pub const AT_ONCE: u32 = 200;

/// The network around one: what one customer of a provider may have (IPv4 /24, IPv6 /48).
const WIDE: &str = "substr(network, 1, CASE length(network) WHEN 4 THEN 3 ELSE 6 END)";

/// A login that waits for its next step.
#[derive(Clone, Debug)]
pub struct NewFlow {
    /// SHA-256 of its one-time state.
    pub state: [u8; 32],
    /// The strategy instance.
    pub strategy: String,
    /// `redirect` or `form`: how the next step comes.
    pub via: &'static str,
    /// SHA-256 of the flow cookie that may go on with it; none: whoever knows the state.
    pub browser: Option<[u8; 32]>,
    /// Whence it was started.
    pub network: Vec<u8>,
    /// When it is over.
    pub expires: UnixMillis,
    /// What is kept of it, sealed.
    pub flow: Vec<u8>,
}

/// A login that goes on.
#[derive(Clone, Debug)]
pub struct TakenFlow {
    /// What was kept of it.
    pub flow: Vec<u8>,
    /// Parameters that a provider posted, and until when they are good.
    pub parked: Option<(Vec<u8>, UnixMillis)>,
}

impl Store {
    /// Keeps one. The oldest make room: of the same network; when all places are taken, of
    /// whoever has most of them, so that one host cannot take those of all others.
    pub async fn insert_flow(&self, flow: NewFlow, now: UnixMillis) -> Stored<()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM flows WHERE expires <= ?1")?.execute([millis(now)])?;
            make_room_in(db, &flow.network)?;
            make_room_for_all(db)?;
            db.prepare_cached(
                "INSERT INTO flows (state, strategy, via, browser, network, created, expires, flow) VALUES (?1, \
                 ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                flow.state,
                flow.strategy,
                flow.via,
                flow.browser,
                flow.network,
                millis(now),
                millis(flow.expires),
                flow.flow
            ])?;
            Ok(())
        })
        .await
    }

    /// Takes one, once: of this strategy, this kind of step and this browser, in its time.
    /// What does not fit stays for whom it does.
    pub async fn take_flow(
        &self,
        state: [u8; 32],
        strategy: &str,
        via: &'static str,
        browser: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Stored<Option<TakenFlow>> {
        let strategy = strategy.to_owned();
        self.write(move |db| {
            db.prepare_cached(
                "DELETE FROM flows WHERE state = ?1 AND strategy = ?2 AND via = ?3 AND (browser IS NULL OR \
                 browser = ?4) AND expires > ?5 RETURNING flow, parked, parked_until",
            )?
            .query_row(params![state, strategy, via, browser, millis(now)], |row| {
                let parked: Option<Vec<u8>> = row.get(1)?;
                let until = row.get::<_, Option<i64>>(2)?.unwrap_or(0);
                Ok(TakenFlow {
                    flow: row.get(0)?,
                    parked: parked.map(|parked| (parked, UnixMillis(until.unsigned_abs()))),
                })
            })
            .optional()
        })
        .await
    }

    /// Keeps what a provider posted until the browser comes for it; once for each login.
    pub async fn park(
        &self,
        state: [u8; 32],
        strategy: &str,
        parked: Vec<u8>,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Stored<bool> {
        let strategy = strategy.to_owned();
        self.write(move |db| {
            let kept = db
                .prepare_cached(
                    "UPDATE flows SET parked = ?3, parked_until = ?4 WHERE state = ?1 AND strategy = ?2 AND via = \
                     'redirect' AND parked IS NULL AND expires > ?5",
                )?
                .execute(params![state, strategy, parked, millis(until), millis(now)])?;
            Ok(kept == 1)
        })
        .await
    }

    /// How many are under way, for tests and figures.
    pub async fn count_flows(&self) -> Stored<u64> {
        self.read(|db| {
            db.prepare_cached("SELECT count(*) FROM flows")?
                .query_row([], |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
        })
        .await
    }
}

/// Deletes the oldest of a network until there is room for one more.
fn make_room_in(db: &Connection, network: &[u8]) -> rusqlite::Result<()> {
    let count: u32 = db
        .prepare_cached("SELECT count(*) FROM flows WHERE network = ?1")?
        .query_row([network], |row| row.get(0))?;
    if count >= PER_NETWORK {
        db.prepare_cached(
            "DELETE FROM flows WHERE state IN (SELECT state FROM flows WHERE network = ?1 ORDER BY created \
             LIMIT ?2)",
        )?
        .execute(params![network, count + 1 - PER_NETWORK])?;
    }
    Ok(())
}

/// Makes room where nobody has any more.
fn make_room_for_all(db: &Connection) -> rusqlite::Result<()> {
    let count: u32 = db.prepare_cached("SELECT count(*) FROM flows")?.query_row([], |row| row.get(0))?;
    if count < IN_ALL {
        return Ok(());
    }
    let (widest, has): (Vec<u8>, u32) = db
        .prepare_cached(&format!(
            "SELECT {WIDE} AS wide, count(*) AS has FROM flows GROUP BY wide ORDER BY has DESC LIMIT 1"
        ))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let most = AT_ONCE + count - IN_ALL;
    if has > most {
        db.prepare_cached(&format!(
            "DELETE FROM flows WHERE state IN (SELECT state FROM flows WHERE {WIDE} = ?1 ORDER BY created LIMIT ?2)"
        ))?
        .execute(params![widest, most])?;
    } else {
        // From everywhere, a few each: nobody in particular has them all.
        db.prepare_cached(
            "DELETE FROM flows WHERE state IN (SELECT state FROM flows ORDER BY created LIMIT ?1)",
        )?
        .execute([most])?;
    }
    Ok(())
}
