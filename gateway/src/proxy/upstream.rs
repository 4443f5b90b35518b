//! Which server of an upstream a request goes to: each worker takes them in turn and
//! leaves out those that are set aside. One that could not be connected to is left out
//! for a growing time, and then tried by one request; one whose health check failed is
//! left out until a check succeeds.
//!
//! What may not come in: connections (`pool.rs`), and what is sent over them.

use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a server is left out after its first failure; each further one doubles it.
const FIRST: Duration = Duration::from_millis(200);

/// And how long at most.
const LONGEST: Duration = Duration::from_secs(10);

/// One of the places of an upstream.
#[derive(Clone)]
pub struct Server {
    /// Where it is, and how it is spoken to.
    pub place: Place,
    /// For the handshake; none: plain HTTP.
    pub secure: Option<Secure>,
    /// The same as a `Host` field has it.
    pub host_field: String,
    /// How it does; all workers share it, and a reload keeps it.
    pub condition: Arc<Condition>,
}

/// What makes a connection one of this server's and of no other's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// [`ClientTls::setting`](crate::tls::ClientTls), 0 for plain HTTP: a connection that
    /// was made under one setting is never used under another.
    pub setting: u64,
}

/// How a server is spoken to over TLS.
#[derive(Clone)]
pub struct Secure {
    /// What rustls is told.
    pub config: Arc<ClientConfig>,
    /// What its certificate must be made for.
    pub name: ServerName<'static>,
}

/// How a server does.
pub struct Condition {
    since: Instant,
    /// Connections that could not be made, in a row.
    failures: AtomicU32,
    /// Until when it is left out, in milliseconds.
    until: AtomicU64,
    /// Its last health check failed.
    ill: AtomicBool,
    /// When its next health check is due, in milliseconds.
    check: AtomicU64,
    /// What its name meant when it last meant anything.
    known: Mutex<Vec<SocketAddr>>,
}

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// It was refused, or could not be made: known at once.
    Refused,
    /// Nobody answered in time: whoever tries again waits as long.
    Silent,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            failures: AtomicU32::new(0),
            until: AtomicU64::new(0),
            ill: AtomicBool::new(false),
            check: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }
}

impl Condition {
    /// Whether a request may be sent there now. Once its time is over a server is given
    /// to one request; the others wait for how that goes.
    fn admits(&self) -> bool {
        if self.ill.load(Ordering::Relaxed) {
            return false;
        }
        let failures = self.failures.load(Ordering::Relaxed);
        failures == 0 || self.takes_trial(failures, self.now())
    }

    fn takes_trial(&self, failures: u32, now: u64) -> bool {
        let until = self.until.load(Ordering::Acquire);
        let next = now + millis(left_out(failures + 1));
        until <= now && self.until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// A connection was made. True: it had been set aside.
    pub fn reached(&self) -> bool {
        self.failures.load(Ordering::Relaxed) != 0 && self.failures.swap(0, Ordering::AcqRel) != 0
    }

    fn failed(&self) -> bool {
        let before = self.failures.fetch_add(1, Ordering::AcqRel);
        self.until.store(self.now() + millis(left_out(before + 1)), Ordering::Release);
        before == 0
    }

    /// What a health check found. True: that is news.
    pub fn checked(&self, healthy: bool) -> bool {
        if healthy {
            self.reached();
        }
        self.ill.swap(!healthy, Ordering::AcqRel) == healthy
    }

    /// Whether a health check is due; the next one is then due `interval` later.
    pub fn is_due(&self, interval: Duration) -> bool {
        let (now, due) = (self.now(), self.check.load(Ordering::Relaxed));
        let next = now + millis(interval);
        due <= now && self.check.compare_exchange(due, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The addresses of a look-up that was just made; when it failed, those of the last
    /// one that did not.
    pub fn addresses(&self, found: std::io::Result<Vec<SocketAddr>>) -> std::io::Result<Vec<SocketAddr>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(found) if !found.is_empty() => {
                known.clone_from(&found);
                Ok(found)
            }
            _ if !known.is_empty() => Ok(known.clone()),
            nothing => nothing,
        }
    }

    fn now(&self) -> u64 {
        // From 1 on, so that a time that was never set has always passed.
        millis(self.since.elapsed()) + 1
    }
}

/// A connection to this one could not be made. True: it is set aside, and was not before.
/// The only server of an upstream is set aside only when trying it means a long wait:
/// one that refuses at once is there again the moment it is started again.
pub fn failed(servers: &[Server], at: usize, why: Unreached) -> bool {
    (servers.len() > 1 || why == Unreached::Silent) && servers[at].condition.failed()
}

/// The server whose turn it is, and none when all are set aside. `turn` is the worker's
/// own count; `tried` says which ones this request has tried in vain.
pub fn choose(servers: &[Server], turn: usize, tried: u64) -> Option<usize> {
    if let [only] = servers {
        return (tried == 0 && only.condition.admits()).then_some(0);
    }
    let in_turn = (0..servers.len()).map(|step| (turn + step) % servers.len());
    in_turn.filter(|at| tried & bit(*at) == 0).find(|at| servers[*at].condition.admits())
}

/// A server's place in a set of tried ones.
pub fn bit(at: usize) -> u64 {
    1 << (at % 64)
}

fn left_out(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << (failures.saturating_sub(1)).min(16)).min(LONGEST)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: usize) -> Vec<Server> {
        let server = |port| Server {
            place: Place { host: "127.0.0.1".into(), port, setting: 0 },
            secure: None,
            host_field: format!("127.0.0.1:{port}"),
            condition: Arc::default(),
        };
        (0..count).map(|at| server(at as u16 + 1)).collect()
    }

    #[test]
    fn servers_are_taken_in_turn() {
        let three = servers(3);
        let order: Vec<_> = (0..6).map(|turn| choose(&three, turn, 0)).collect();
        assert_eq!(order, [Some(0), Some(1), Some(2), Some(0), Some(1), Some(2)]);
        assert_eq!(choose(&three, 0, bit(0) | bit(1)), Some(2));
        assert_eq!(choose(&three, 0, bit(0) | bit(1) | bit(2)), None);
    }

    #[test]
    fn one_that_failed_is_left_out_until_its_time_is_over_and_then_given_to_one() {
        let two = servers(2);
        assert!(two[0].condition.failed());
        assert_eq!(choose(&two, 0, 0), Some(1));
        two[0].condition.until.store(0, Ordering::Release);
        assert_eq!(choose(&two, 0, 0), Some(0), "its time is over");
        assert_eq!(choose(&two, 0, 0), Some(1), "somebody is trying it");
        assert!(!two[0].condition.failed(), "it was set aside already");
        assert_eq!(choose(&two, 0, 0), Some(1));
        assert!(two[0].condition.reached());
        assert_eq!(choose(&two, 0, 0), Some(0));
    }

    #[test]
    fn the_time_grows_to_ten_seconds() {
        let times: Vec<_> = (1..=8).map(|n| left_out(n).as_millis()).collect();
        assert_eq!(times, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(left_out(u32::MAX), LONGEST);
    }

    #[test]
    fn the_only_one_is_set_aside_when_it_is_silent_and_not_when_it_refuses() {
        let one = servers(1);
        assert!(!failed(&one, 0, Unreached::Refused));
        assert_eq!(choose(&one, 0, 0), Some(0));
        assert!(failed(&one, 0, Unreached::Silent));
        assert_eq!(choose(&one, 0, 0), None);
    }

    #[test]
    fn one_that_is_ill_is_left_out_until_a_check_succeeds() {
        let one = servers(1);
        assert!(!one[0].condition.checked(true), "as it was");
        assert!(one[0].condition.checked(false));
        assert!(!one[0].condition.checked(false));
        assert_eq!(choose(&one, 0, 0), None);
        assert!(one[0].condition.checked(true));
        assert_eq!(choose(&one, 0, 0), Some(0));
    }

    #[test]
    fn a_check_is_due_once_in_its_interval() {
        let condition = Condition::default();
        assert!(condition.is_due(Duration::from_secs(60)));
        assert!(!condition.is_due(Duration::from_secs(60)));
    }

    #[test]
    fn a_name_that_means_nothing_any_more_means_what_it_did() {
        let condition = Condition::default();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let gone = || Err(std::io::ErrorKind::NotFound.into());
        assert!(condition.addresses(gone()).is_err());
        assert_eq!(condition.addresses(Ok(vec![address])).unwrap(), [address]);
        assert_eq!(condition.addresses(gone()).unwrap(), [address]);
    }
}
