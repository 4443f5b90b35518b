//! Who may: the only place that makes a [`Permit`], without which nothing is forwarded.
//!
//! `login.rs` judges a login before there is an account. `rule.rs` says what one rule comes to, `truth.rs` what a list of them does. What may
//! not come in: anything that could make a permit elsewhere.

mod login;
mod rule;
mod truth;

pub use login::{LoginFacts, admits};

use super::{authenticate::Identity, cors::Preflight};
use crate::{problem::Code, snapshot::Route};
use portcullis_config::{self as config, Rule, Rules};
use rule::{Facts, truth};
use std::net::IpAddr;
use truth::Truth;

/// The compiled policy of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(config::Policy);

/// Proof that the policy of the route was asked and said yes. Holds whom it was asked about.
#[derive(Debug)]
pub struct Permit {
    identity: Option<Identity>,
}

/// What a policy may ask about beside who is signed in.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The client's address (contract section 4).
    pub client: IpAddr,
    /// The request's method.
    pub method: &'a str,
}

impl Permit {
    /// Who is signed in, if anybody.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

impl Policy {
    /// From a checked one.
    pub fn new(policy: &config::Policy) -> Self {
        Self(policy.clone())
    }

    /// Whether anybody may, signed in or not, from anywhere.
    pub fn is_public(&self) -> bool {
        self.0 == config::Policy::Public
    }

    /// Whether somebody must be signed in.
    pub fn asks_who(&self) -> bool {
        match &self.0 {
            config::Policy::Public => false,
            config::Policy::SignedIn => true,
            config::Policy::Rules(rules) => !rules.anonymous,
        }
    }

    /// Yes, or what is missing. What is not decided is refused.
    pub fn permit(&self, identity: Option<Identity>, around: Circumstances<'_>) -> Result<Permit, Code> {
        if self.asks_who() && identity.is_none() {
            return Err(Code::LoginRequired);
        }
        let external = identity.as_ref().and_then(|i| i.session.external());
        let facts = Facts {
            account: identity.as_ref().map(|i| &*i.account),
            strategy: identity.as_ref().map(|i| i.session.strategy()),
            claims: external.as_ref().map(|external| &external.claims),
            client: around.client,
            method: around.method,
        };
        let passes = match &self.0 {
            config::Policy::Public | config::Policy::SignedIn => true,
            config::Policy::Rules(rules) => pass(rules, &facts),
        };
        if passes { Ok(Permit { identity }) } else { Err(Code::Forbidden) }
    }
}

/// Leave for a preflight of a route that lets it through: nobody's. Who is asking cannot
/// be known then and is not asked; where it comes from can, so rules about that hold.
pub fn permit_preflight(
    preflight: &Preflight<'_>,
    route: &Route,
    around: Circumstances<'_>,
) -> Option<Permit> {
    let from_here = match &route.policy.0 {
        config::Policy::Public | config::Policy::SignedIn => true,
        config::Policy::Rules(rules) => may_come_from(rules, &around),
    };
    (preflight.passes(route) && from_here).then_some(Permit { identity: None })
}

/// Whether the table could pass for somebody at this address.
fn may_come_from(rules: &Rules, around: &Circumstances<'_>) -> bool {
    let facts =
        Facts { account: None, strategy: None, claims: None, client: around.client, method: around.method };
    let is_ip = |rule: &&Rule| matches!(rule, Rule::Ip(_));
    let judge = |rule| truth(rule, &facts);
    (rules.any.is_empty()
        || !rules.any.iter().all(|rule| is_ip(&rule))
        || truth::any(rules.any.iter().map(judge)))
        && truth::all(rules.all.iter().filter(is_ip).map(judge))
        && truth::none(rules.none.iter().filter(is_ip).map(judge))
}

/// Whether every key of the table passes. A key that was not given has an empty list.
fn pass(rules: &Rules, facts: &Facts<'_>) -> bool {
    let has = |role: &String| facts.account.is_some_and(|account| account.roles.contains(role));
    judged(rules, has, |rule| truth(rule, facts))
}

fn judged<'a>(
    rules: &'a Rules,
    has: impl Fn(&String) -> bool,
    judge: impl Fn(&'a Rule) -> Truth + Copy,
) -> bool {
    (rules.roles.is_empty() || rules.roles.iter().any(has))
        && (rules.any.is_empty() || truth::any(rules.any.iter().map(judge)))
        && (rules.all.is_empty() || truth::all(rules.all.iter().map(judge)))
        && (rules.none.is_empty() || truth::none(rules.none.iter().map(judge)))
}

#[cfg(test)]
mod tests;
