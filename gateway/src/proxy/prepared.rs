//! Identity headers and assertions as bytes, made once for a session and used until the
//! account changes or the assertion nears its end.

use super::{authenticate::Identity, identity_headers::TooLarge, request_head::Parts, worker::Worker};
use crate::{clock::UnixMillis, metrics::Limit, problem::Code, sessions::Account};
use portcullis_config::AssertionMode;
use std::{cell::RefCell, collections::HashMap, sync::Arc};

/// Sessions that one worker remembers. When it is full it forgets them all: making them
/// again costs a signature each.
const SESSIONS: usize = 8192;

/// What one worker has made ready.
#[derive(Default)]
pub struct PreparedHeaders(RefCell<HashMap<u64, Prepared>>);

struct Prepared {
    /// Whom it tells of. Held, so that no other principal is ever found at its address.
    account: Arc<Account>,
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
        // A request that began before a reload has other indices: nothing of it is kept.
        if !worker.is_current(parts.snapshot) {
            return Prepared::of(&identity.account).append(out, parts, identity, worker);
        }
        let mut sessions = self.0.borrow_mut();
        if sessions.len() >= SESSIONS {
            sessions.clear();
        }
        let fresh = || Prepared::of(&identity.account);
        let prepared = sessions.entry(identity.session.serial()).or_insert_with(fresh);
        if !prepared.is_of(&identity.account) {
            *prepared = fresh();
        }
        prepared.append(out, parts, identity, worker)
    }

    /// Forgets everything: the configuration has changed.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Prepared {
    fn of(account: &Arc<Account>) -> Self {
        Self { account: account.clone(), identity: Vec::new(), assertions: Vec::new() }
    }

    /// Whether it is this very state of this very principal. A version is not enough: roles
    /// of groups belong to the session's login and change without it.
    fn is_of(&self, account: &Arc<Account>) -> bool {
        Arc::ptr_eq(&self.account, account)
    }

    fn append(
        &mut self,
        out: &mut Vec<u8>,
        parts: &Parts<'_>,
        identity: &Identity,
        worker: &Worker,
    ) -> Result<(), Code> {
        out.extend_from_slice(self.identity(parts, identity, worker)?);
        match parts.route.assertion {
            AssertionMode::Off => return Ok(()),
            AssertionMode::Authorization => out.extend_from_slice(b"Authorization: Bearer "),
            AssertionMode::Header => {
                out.extend_from_slice(parts.snapshot.assertion.header.as_bytes());
                out.extend_from_slice(b": ");
            }
        }
        out.extend_from_slice(self.assertion(parts, identity, worker).as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    // A role that a group brought and that was taken away (contract section 6) changes
    // neither the account nor its version.
    #[test]
    fn what_was_made_for_other_roles_of_the_same_account_is_not_used() {
        let with = |roles: &[&str]| {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            Arc::new(Account { roles, ..Account::for_tests("ann") })
        };
        let (admin, nobody) = (with(&["admin"]), with(&[]));
        assert_eq!(admin.version, nobody.version);
        let prepared = Prepared::of(&admin);
        assert!(prepared.is_of(&admin.clone()), "it is used as long as nothing changes");
        assert!(!prepared.is_of(&nobody));
    }
}
