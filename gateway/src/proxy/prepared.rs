//! Identity headers and assertions as bytes, made once for a session and used until the
//! account changes or the assertion nears its end.

use super::{authenticate::Identity, identity_headers::TooLarge, request_head::Parts, worker::Worker};
use crate::{clock::UnixMillis, metrics::Limit, problem::Code};
use portcullis_config::AssertionMode;
use std::{cell::RefCell, collections::HashMap};

/// Sessions that one worker remembers. When it is full it forgets them all: making them
/// again costs a signature each.
const SESSIONS: usize = 8192;

/// What one worker has made ready.
#[derive(Default)]
pub struct PreparedHeaders(RefCell<HashMap<u64, Prepared>>);

struct Prepared {
    account_version: u64,
    /// By header set.
    identity: Vec<(usize, Vec<u8>)>,
    /// By upstream.
    assertions: Vec<(usize, Assertion)>,
}

struct Assertion {
    until: UnixMillis,
    keys: u64,
    token: String,
}

impl PreparedHeaders {
    /// Appends the identity headers and the assertion of this request.
    pub fn append(
        &self,
        out: &mut Vec<u8>,
        parts: &Parts<'_>,
        identity: &Identity,
        worker: &Worker,
    ) -> Result<(), Code> {
        let mut sessions = self.0.borrow_mut();
        if sessions.len() >= SESSIONS {
            sessions.clear();
        }
        let version = identity.account.version;
        let fresh = || Prepared { account_version: version, identity: Vec::new(), assertions: Vec::new() };
        let prepared = sessions.entry(identity.session.serial()).or_insert_with(fresh);
        if prepared.account_version != version {
            *prepared = fresh();
        }
        out.extend_from_slice(prepared.identity(parts, identity, worker)?);
        match parts.route.assertion {
            AssertionMode::Off => return Ok(()),
            AssertionMode::Authorization => out.extend_from_slice(b"Authorization: Bearer "),
            AssertionMode::Header => {
                out.extend_from_slice(parts.snapshot.assertion.header.as_bytes());
                out.extend_from_slice(b": ");
            }
        }
        out.extend_from_slice(prepared.assertion(parts, identity, worker).as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Forgets everything: the configuration has changed.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Prepared {
    fn identity(&mut self, parts: &Parts<'_>, identity: &Identity, worker: &Worker) -> Result<&[u8], Code> {
        let set = parts.route.header_set;
        let at = match self.identity.iter().position(|(s, _)| *s == set) {
            Some(at) => at,
            None => {
                let rendered = parts.snapshot.header_sets[set].render(identity);
                let bytes = rendered.map_err(|TooLarge| {
                    worker.meter.limit(Limit::IdentityHeader);
                    Code::HeadersTooLarge
                })?;
                self.identity.push((set, bytes));
                self.identity.len() - 1
            }
        };
        Ok(&self.identity[at].1)
    }

    fn assertion(&mut self, parts: &Parts<'_>, identity: &Identity, worker: &Worker) -> &str {
        let now = parts.request.now;
        let keys = worker.tokens.generation();
        let upstream = parts.route.upstream;
        let at = match self.assertions.iter().position(|(u, _)| *u == upstream) {
            Some(at) if self.assertions[at].1.until > now && self.assertions[at].1.keys == keys => at,
            old => {
                if let Some(old) = old {
                    self.assertions.swap_remove(old);
                }
                let token =
                    worker.tokens.assertion(&parts.upstream.id, &identity.session, &identity.account, now);
                let until = now.plus(parts.snapshot.assertion.reuse);
                self.assertions.push((upstream, Assertion { until, keys, token }));
                self.assertions.len() - 1
            }
        };
        &self.assertions[at].1.token
    }
}
