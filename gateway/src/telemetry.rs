//! Logs: what the program says of itself, and the audit trail. Nothing secret may come
//! in: no password, cookie, token, or query.

use std::net::IpAddr;

/// One line of the audit trail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit<'a> {
    /// `login`, `login_failed`, `locked`, `logout`, `revoked`, …
    pub event: &'static str,
    /// The account's name, as it is known or as it was given.
    pub account: Option<&'a str>,
    /// The strategy instance.
    pub strategy: Option<&'a str>,
    /// The session.
    pub sid: Option<&'a str>,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// During which request.
    pub request_id: Option<&'a str>,
    /// Why: a stable word.
    pub reason: Option<&'a str>,
}

/// Writes one.
pub fn audit(_line: &Audit<'_>) {}
