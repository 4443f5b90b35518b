//! What one rule comes to for one request. Only what is verified counts: no address that
//! was not proven, nothing that a person sets alone.

use super::truth::Truth;
use crate::sessions::Account;
use portcullis_config::Rule;
use portcullis_plugin_api::Object;
use serde_json::Value;
use std::net::IpAddr;

/// What rules are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who is signed in.
    pub account: Option<&'a Account>,
    /// By which strategy.
    pub strategy: Option<&'a str>,
    /// What that strategy says, as far as it is verified.
    pub claims: Option<&'a Object>,
    /// The client's address.
    pub client: IpAddr,
    /// The request's method.
    pub method: &'a str,
}

/// True, false, or unknown: the principal has no such attribute at all.
pub fn truth(rule: &Rule, facts: &Facts<'_>) -> Truth {
    let account = facts.account;
    let found = match rule {
        Rule::Role(role) => account.map(|a| a.roles.contains(role)),
        Rule::Strategy(id) => facts.strategy.map(|strategy| strategy == id),
        Rule::Email(wanted) => email(account).map(|email| email == *wanted),
        Rule::EmailDomain(wanted) => {
            email(account).and_then(|email| Some(email.rsplit_once('@')?.1 == wanted))
        }
        Rule::Claim { path, is } => claim(path, facts).and_then(|value| compare(&value, is)),
        Rule::Ip(network) => Some(network.contains(&facts.client.to_canonical())),
        // `GET` includes `HEAD` (contract section 4).
        Rule::Method(method) => Some(facts.method == method || (method == "GET" && facts.method == "HEAD")),
    };
    found.map_or(Truth::Unknown, Truth::from)
}

/// Rules are kept in lower case.
fn email(account: Option<&Account>) -> Option<String> {
    account?.verified_email().map(str::to_lowercase)
}

/// What is verified of a principal: the account's own attributes, what an operator keeps
/// in `app`, and under every other name what the strategy of the session says.
fn claim(path: &[String], facts: &Facts<'_>) -> Option<Value> {
    let account = facts.account?;
    let (first, rest) = path.split_first()?;
    let value = match (first.as_str(), rest) {
        ("app", [key, inside @ ..]) => {
            let top = account.app.get(key)?;
            return inside.iter().try_fold(top, |value, key| value.as_object()?.get(key)).cloned();
        }
        // The bearer of a foreign issuer has no account; its token says whose it is.
        ("uuid", []) if account.is_guest() => return None,
        ("sub", []) if account.is_guest() => return facts.claims?.get("sub").cloned(),
        ("uuid" | "sub", []) => account.uuid.to_string().into(),
        // A name that is an address nobody has proven is not the account's to use.
        ("name", []) if account.public_name() == account.name => account.name.as_str().into(),
        ("email", []) => account.verified_email()?.into(),
        ("email_verified", []) => account.verified_email().is_some().into(),
        ("roles", []) => account.roles.iter().map(String::as_str).collect(),
        ("strategy", []) => facts.strategy?.into(),
        ("uuid" | "sub" | "name" | "email" | "email_verified" | "roles" | "strategy", _) => return None,
        _ => return find(facts.claims?, path).cloned(),
    };
    Some(value)
}

/// A claim by its path. A name that holds dots itself (`https://example.com/team`) is found
/// before a path of the same spelling.
pub fn find<'a>(claims: &'a Object, path: &[String]) -> Option<&'a Value> {
    (1..=path.len()).rev().find_map(|taken| {
        let value = claims.get(&path[..taken].join("."))?;
        match &path[taken..] {
            [] => Some(value),
            rest => find(value.as_object()?, rest),
        }
    })
}

/// Whether a claim is `wanted`, or a list that holds it. A claim without a value, and one
/// with members of its own, is nothing that can be compared.
pub(super) fn compare(value: &Value, wanted: &Value) -> Option<bool> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Array(items) => Some(items.iter().any(|item| same(item, wanted))),
        value => Some(same(value, wanted)),
    }
}

/// `3.0` is 3.
fn same(value: &Value, wanted: &Value) -> bool {
    match (value.as_f64(), wanted.as_i64()) {
        (Some(number), Some(wanted)) if value.is_f64() => {
            // Above 2^53 a float names no single whole number.
            wanted.unsigned_abs() <= 1 << 53 && number == wanted as f64
        }
        _ => value == wanted,
    }
}
