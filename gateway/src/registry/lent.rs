//! What each instance of a library was lent, by its number: the clock, randomness, and its
//! share of the log. A library that keeps a number too long finds nothing here.

use portcullis_plugin_api::{Host, abi::level};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// One instance's.
pub(super) struct Lent {
    pub(super) host: Host,
    plugin: String,
    strategy: String,
    budget: Mutex<Budget>,
}

/// Lines in a second; of more, the number is told.
const LINES: u32 = 200;
/// The longest line.
const LONGEST: usize = 8 * 1024;

struct Budget {
    since: Instant,
    said: u32,
}

static ALL: Mutex<Option<HashMap<u64, Arc<Lent>>>> = Mutex::new(None);
static LAST: AtomicU64 = AtomicU64::new(0);

/// Gives a new instance its number.
pub(super) fn lend(host: Host, plugin: &str, strategy: &str) -> u64 {
    let number = LAST.fetch_add(1, Relaxed) + 1;
    put(number, host, plugin, strategy);
    number
}

/// The same in a process of its own, where the gateway has given the number. What is said
/// there is said by the gateway, so it needs no name.
pub(super) fn lend_as(number: u64, host: Host) {
    put(number, host, "", "");
}

fn put(number: u64, host: Host, plugin: &str, strategy: &str) {
    let budget = Mutex::new(Budget { since: Instant::now(), said: 0 });
    let lent = Lent { host, plugin: plugin.to_owned(), strategy: strategy.to_owned(), budget };
    lock(|all| all.insert(number, Arc::new(lent)));
}

/// What an instance was lent, if there is one of this number.
pub(super) fn of(number: u64) -> Option<Arc<Lent>> {
    lock(|all| all.get(&number).cloned())
}

/// The instance is gone.
pub(super) fn take_back(number: u64) {
    let lent = lock(|all| all.remove(&number));
    drop(lent);
}

fn lock<T>(work: impl FnOnce(&mut HashMap<u64, Arc<Lent>>) -> T) -> T {
    work(ALL.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

impl Lent {
    /// A line of the library, under its own name and the instance's.
    pub(super) fn log(&self, at: u32, target: &str, message: &str, fields: &str) {
        match self.may_speak() {
            Speaks::Yes(0) => {}
            Speaks::Yes(left_out) => {
                tracing::warn!(plugin = %self.plugin, strategy = %self.strategy, left_out,
                    "the library says more than {LINES} lines a second");
            }
            Speaks::No => return,
        }
        let (plugin, strategy) = (&self.plugin, &self.strategy);
        let (message, target) = (one_line(message), one_line(target));
        let fields = if fields == "{}" { String::new() } else { one_line(fields) };
        match at {
            level::ERROR => tracing::error!(%plugin, %strategy, from = %target, %fields, "{message}"),
            level::WARN => tracing::warn!(%plugin, %strategy, from = %target, %fields, "{message}"),
            level::INFO => tracing::info!(%plugin, %strategy, from = %target, %fields, "{message}"),
            _ => tracing::debug!(%plugin, %strategy, from = %target, %fields, "{message}"),
        }
    }

    fn may_speak(&self) -> Speaks {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left_out = 0;
        if budget.since.elapsed() >= Duration::from_secs(1) {
            left_out = budget.said.saturating_sub(LINES);
            *budget = Budget { since: Instant::now(), said: 0 };
        }
        budget.said = budget.said.saturating_add(1);
        if budget.said <= LINES { Speaks::Yes(left_out) } else { Speaks::No }
    }
}

enum Speaks {
    /// And how many lines were left out before.
    Yes(u32),
    No,
}

/// Without what could begin another line or paint a terminal, and not too long.
pub(super) fn one_line(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_and_a_line_is_one() {
        let host = Host { random: Arc::new(|_| ()), now: Arc::new(|| 0), cores: 1 };
        let number = lend(host, "p", "s");
        let lent = of(number).unwrap();
        let through = (0..100_000).filter(|_| matches!(lent.may_speak(), Speaks::Yes(_))).count();
        assert!((200..2_000).contains(&through), "{through}");
        take_back(number);
        assert!(of(number).is_none());
        assert_eq!(one_line("a\nb\x1b[1mc"), "a b [1mc");
        assert_eq!(one_line(&"é".repeat(9_000)).len(), LONGEST);
    }
}
