//! What is remembered of foreign tokens, and how many questions about them are under way.
//! Anybody can send what is no token, so neither is a place where garbage costs the good:
//! a no never makes room by forgetting a yes, and one network takes its share of the
//! questions and no more.
//!
//! What may not come in: what a token says, and how it is asked about.

use super::Print;
use crate::{clock::UnixMillis, sessions::LiveSession};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many good tokens are remembered, and how many others.
const CAPACITY: usize = 4096;

/// How many questions may be under way at once, and how many of one network.
const UNDER_WAY: usize = 128;
const OF_ONE: usize = 32;

/// How long somebody waits for their turn.
const TURN: Duration = Duration::from_secs(2);

/// What is remembered of a token: whose it is, or that it is no good.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) bearer: Option<Arc<LiveSession>>,
    pub(super) until: UnixMillis,
}

/// The tokens that came lately, by their hashes: 32 bytes, however long they are.
#[derive(Default)]
pub(super) struct Memory {
    good: Mutex<HashMap<Print, Known>>,
    refused: Mutex<HashMap<Print, Known>>,
}

impl Memory {
    pub(super) fn get(&self, token: &Print, now: UnixMillis) -> Option<Known> {
        let fresh = |all: &Mutex<HashMap<Print, Known>>| {
            lock(all).get(token).filter(|known| now < known.until).cloned()
        };
        fresh(&self.good).or_else(|| fresh(&self.refused))
    }

    pub(super) fn put(&self, token: Print, known: Known, now: UnixMillis) {
        let mut all = lock(if known.bearer.is_some() { &self.good } else { &self.refused });
        if all.len() >= CAPACITY {
            all.retain(|_, known| now < known.until);
        }
        if all.len() >= CAPACITY {
            // As the memory of our own tokens does it: nobody outside can choose whose go.
            let mut keep = false;
            all.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        all.insert(token, known);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.good).len() + lock(&self.refused).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic happens while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The questions under way.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    networks: Mutex<HashMap<Vec<u8>, Arc<Semaphore>>>,
}

/// Leave to ask one question, until it is dropped.
pub(super) struct Turn(#[allow(dead_code)] [OwnedSemaphorePermit; 2]); // held, not read

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(UNDER_WAY)), networks: Mutex::default() }
    }
}

impl Turns {
    /// Waits a while for a turn of this client's network; whoever came first is first.
    pub(super) async fn take(&self, client: IpAddr) -> Option<Turn> {
        let own = self.share(client);
        let turn = async {
            // The network's own first, or its surplus would stand in everybody's way.
            let own = own.acquire_owned().await.ok()?;
            Some(Turn([own, self.all.clone().acquire_owned().await.ok()?]))
        };
        tokio::time::timeout(TURN, turn).await.ok().flatten()
    }

    fn share(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut networks = lock(&self.networks);
        if networks.len() >= CAPACITY {
            networks.retain(|_, share| Arc::strong_count(share) > 1);
        }
        networks.entry(network(client)).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))).clone()
    }
}

/// As failures of logins are counted: an IPv4 /24, an IPv6 /64.
fn network(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::Guest;

    fn print(token: &str) -> Print {
        Print::of(token.as_bytes())
    }

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn good(until: UnixMillis) -> Known {
        let guest = Guest {
            issuer: "ci".into(),
            subject: "s".into(),
            roles: Vec::new(),
            claims: serde_json::Map::new(),
            expires: until,
        };
        Known { bearer: Some(Arc::new(LiveSession::of_guest(guest, NOW))), until }
    }

    /// Rows O-17 and O-19, and neither kind is kept without end.
    #[test]
    fn no_number_of_refused_tokens_makes_a_good_one_be_forgotten() {
        let memory = Memory::default();
        let until = NOW.plus(Duration::from_secs(10));
        memory.put(print("good"), good(until), NOW);
        for n in 0..3 * CAPACITY {
            memory.put(print(&format!("bad {n}")), Known { bearer: None, until }, NOW);
        }
        assert!(memory.get(&print("good"), NOW).is_some_and(|known| known.bearer.is_some()));
        assert!(memory.get(&print(&format!("bad {}", 3 * CAPACITY - 1)), NOW).is_some());
        assert!(memory.len() <= 2 * CAPACITY);
        assert!(memory.get(&print("good"), until).is_none(), "it is over");
    }

    #[tokio::test(start_paused = true)]
    async fn one_network_has_its_share_of_the_turns_and_leaves_the_others_theirs() {
        let turns = Turns::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut taken = Vec::new();
        for n in 0..OF_ONE {
            taken.push(turns.take(address(&format!("192.0.2.{n}"))).await.unwrap());
        }
        assert!(turns.take(address("192.0.2.200")).await.is_none(), "its share is taken");
        assert!(turns.take(address("::ffff:192.0.2.7")).await.is_none(), "however it is written");
        let other = turns.take(address("198.51.100.1")).await;
        assert!(other.is_some());
        taken.pop();
        assert!(turns.take(address("192.0.2.200")).await.is_some(), "a turn that ended is free again");
    }
}
