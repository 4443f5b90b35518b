//! What one rule comes to for one request. Only what is verified counts: no address that
//! was not proven, nothing that a person sets alone.

use super::truth::Truth;
use crate::sessions::Account;
use portcullis_config::Rule;
use serde_json::Value;
use std::net::IpAddr;

/// What rules are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who is signed in.
    pub account: Option<&'a Account>,
    /// By which strategy.
    pub strategy: Option<&'a str>,
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

/// What is verified of a principal: the account's own attributes, and what an operator
/// keeps in `app`. Other names are claims of strategies to come; nobody has them.
fn claim(path: &[String], facts: &Facts<'_>) -> Option<Value> {
    let account = facts.account?;
    let (first, rest) = path.split_first()?;
    let value = match (first.as_str(), rest) {
        ("app", [key, inside @ ..]) => {
            let top = account.app.get(key)?;
            return inside.iter().try_fold(top, |value, key| value.as_object()?.get(key)).cloned();
        }
        ("uuid" | "sub", []) => account.uuid.to_string().into(),
        // A name that is an address nobody has proven is not the account's to use.
        ("name", []) if account.public_name() == account.name => account.name.as_str().into(),
        ("email", []) => account.verified_email()?.into(),
        ("email_verified", []) => account.verified_email().is_some().into(),
        ("roles", []) => account.roles.iter().map(String::as_str).collect(),
        ("strategy", []) => facts.strategy?.into(),
        _ => return None,
    };
    Some(value)
}

/// Whether a claim is `wanted`, or a list that holds it. A claim without a value, and one
/// with members of its own, is nothing that can be compared.
fn compare(value: &Value, wanted: &Value) -> Option<bool> {
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
