//! `[lockout]`: how many wrong passwords are too many.

use crate::{
    problem::Book,
    section::{ANY, Section},
    tree::Table,
};
use std::time::Duration;

/// `[lockout]`
#[derive(Clone, Debug)]
pub struct Lockout {
    /// Failures of one account from one client network that lock that pair.
    pub failures: u32,
    /// Within this time.
    pub window: Duration,
    /// For this long.
    pub duration: Duration,
    /// Failures of one account in 24 hours, wherever they come from, after which only
    /// networks that signed in lately may try.
    pub account_failures: u32,
    /// Failures a minute from one address, whatever the account.
    pub per_address: u32,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["failures", "window", "duration", "account_failures", "per_address"];

/// Reads the table.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> Lockout {
    let table = Section::open(root, "lockout", KEYS, book);
    let count = |key, default, book: &mut Book<'_>| {
        table.field(key).and_then(|field| field.count(1_000_000, book)).unwrap_or(default)
    };
    let time = |key, minutes: u64, book: &mut Book<'_>| {
        let given = table.field(key).and_then(|field| field.duration(ANY, book));
        given.unwrap_or(Duration::from_secs(minutes * 60))
    };
    Lockout {
        failures: count("failures", 5, book),
        window: time("window", 2, book),
        duration: time("duration", 15, book),
        account_failures: count("account_failures", 100, book),
        per_address: count("per_address", 60, book),
    }
}
