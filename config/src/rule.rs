//! One rule of a policy table, `{ role = "staff" }`: one subject and what it must be.
//! What may not come in: what a rule comes to for somebody.

use crate::{
    names::{is_role, is_token},
    nearest, network,
    problem::Book,
    section::{Field, Section},
    tree::{Node, Value},
};
use ipnet::IpNet;
use serde_json::Value as Json;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Has this role.
    Role(String),
    /// Signed in by the strategy of this id.
    Strategy(String),
    /// Has this verified address, in lower case.
    Email(String),
    /// Has a verified address of this domain, in lower case.
    EmailDomain(String),
    /// A claim is this, or is a list that holds it.
    Claim {
        /// `app.team.name` is `["app", "team", "name"]`.
        path: Vec<String>,
        /// A string, a whole number or a boolean.
        is: Json,
    },
    /// The client's address lies in this network.
    Ip(IpNet),
    /// The request's method, in capitals; `GET` includes `HEAD`.
    Method(String),
}

pub(crate) const ROLE_SHAPE: &str = "a role has 1 to 128 bytes, no comma and no control character";

/// What a rule can be about.
const SUBJECTS: &[&str] = &["role", "strategy", "email", "email_domain", "claim", "ip", "method"];

/// The keys of a rule.
pub(crate) const KEYS: &[&str] =
    &["role", "strategy", "email", "email_domain", "claim", "is", "ip", "method"];

/// Reads a list of rules. A list that is none, or empty, is a problem.
pub(crate) fn list(field: Field<'_>, strategies: &[&str], book: &mut Book<'_>) -> Vec<Rule> {
    let Value::List(items) = &field.node().value else {
        let message = format!("{} must be a list of rules, not {}", field.label(), field.node().what());
        book.refuse_with(field.at(), message, "write [{ role = \"staff\" }]");
        return Vec::new();
    };
    if items.is_empty() {
        let message = format!("{} must not be empty", field.label());
        book.refuse_with(field.at(), message, "write [{ role = \"staff\" }], or leave the key out");
    }
    items.iter().filter_map(|item| one(item, &field.label(), strategies, book)).collect()
}

fn one(item: &Node, label: &str, strategies: &[&str], book: &mut Book<'_>) -> Option<Rule> {
    let before = book.count();
    if !matches!(item.value, Value::Table(_)) {
        let message = format!("{label} holds rules only, not {}", item.what());
        book.refuse_with(&item.at, message, "write { role = \"staff\" }");
        return None;
    }
    let table = Section::of(item, label.to_owned(), "rule", KEYS, book)?;
    let subjects: Vec<&str> = SUBJECTS.iter().copied().filter(|key| table.field(key).is_some()).collect();
    let subject = match subjects[..] {
        [subject] => subject,
        [] if book.count() > before => return None,
        [] => {
            let message = format!("{label} holds a rule about nothing");
            book.refuse_with(&item.at, message, format!("name one of {}", SUBJECTS.join(", ")));
            return None;
        }
        _ => {
            let message = format!("{label} holds a rule about {}", subjects.join(" and "));
            book.refuse_with(&item.at, message, "write a rule for each of them");
            return None;
        }
    };
    if let (Some(is), true) = (table.field("is"), subject != "claim") {
        book.refuse_with(
            is.at(),
            format!("{label} is goes with claim alone"),
            format!("write {{ {subject} = … }}"),
        );
    }
    let field = table.field(subject)?;
    match subject {
        "role" => role(field, book),
        "strategy" => strategy(field, strategies, book),
        "email" => email(field, book),
        "email_domain" => email_domain(field, book),
        "claim" => claim(field, &table, book),
        "ip" => ip(field, book),
        _ => method(field, book),
    }
}

fn role(field: Field<'_>, book: &mut Book<'_>) -> Option<Rule> {
    let text = field.text(book)?;
    if !is_role(&text) {
        let message = format!("{} is not a role: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, ROLE_SHAPE);
    }
    Some(Rule::Role(text))
}

/// A name that is no strategy's would make `none` let everybody through.
fn strategy(field: Field<'_>, strategies: &[&str], book: &mut Book<'_>) -> Option<Rule> {
    let text = field.text(book)?;
    if !strategies.contains(&text.as_str()) {
        let message = format!("{} is no strategy of this file: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, nearest::help(&text, strategies, &[]));
    }
    Some(Rule::Strategy(text))
}

fn email(field: Field<'_>, book: &mut Book<'_>) -> Option<Rule> {
    let text = field.text(book)?.to_lowercase();
    let parts = text.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && is_domain(domain));
    if parts.is_none() || text.contains(char::is_whitespace) {
        let message = format!("{} is not an address: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, "write \"ann@example.com\"; a whole domain is email_domain");
    }
    Some(Rule::Email(text))
}

fn email_domain(field: Field<'_>, book: &mut Book<'_>) -> Option<Rule> {
    let text = field.text(book)?.to_lowercase();
    if !is_domain(&text) {
        let message = format!("{} is not a domain: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(
            field.at(),
            message,
            "write \"example.com\"; each sub-domain needs a rule of its own",
        );
    }
    Some(Rule::EmailDomain(text))
}

fn is_domain(text: &str) -> bool {
    let label = |l: &str| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    text.split('.').all(label)
}

fn claim(field: Field<'_>, table: &Section<'_>, book: &mut Book<'_>) -> Option<Rule> {
    let Some(is) = table.field("is") else {
        let message = format!("{} says nothing of what it must be", field.label());
        book.refuse_with(field.at(), message, "write { claim = \"app.team\", is = \"blue\" }");
        return None;
    };
    let text = field.text(book)?;
    let path: Vec<String> = text.split('.').map(str::to_owned).collect();
    let first = path[0].as_str();
    let shown = text.escape_debug();
    if matches!(first, "metadata" | "display_name") {
        let message = format!("{} reads nothing that a person sets alone: \"{shown}\"", field.label());
        book.refuse_with(field.at(), message, "write \"app.…\", which only an operator sets");
    } else if path.iter().any(String::is_empty) || text == "app" {
        let message = format!("{} is no path: \"{shown}\"", field.label());
        book.refuse_with(field.at(), message, "write \"app.team\"");
    }
    let is = match &is.node().value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Boolean(yes) => Json::from(*yes),
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => Json::from(number),
            Err(_) => {
                book.refuse(is.at(), format!("{} is too large", is.label()));
                return None;
            }
        },
        _ => {
            let what = is.node().what();
            let message =
                format!("{} must be a string, a whole number, true or false, not {what}", is.label());
            book.refuse_with(is.at(), message, "write a rule for each value");
            return None;
        }
    };
    Some(Rule::Claim { path, is })
}

fn ip(field: Field<'_>, book: &mut Book<'_>) -> Option<Rule> {
    let text = field.text(book)?;
    let network = network::read(&text);
    if network.is_none() {
        let message =
            format!("{} is not an address or a network: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, network::SHAPE);
    }
    network.map(Rule::Ip)
}

fn method(field: Field<'_>, book: &mut Book<'_>) -> Option<Rule> {
    let text = field.text(book)?;
    let upper = text.to_ascii_uppercase();
    let shown = text.escape_debug();
    if !is_token(&text) {
        book.refuse_with(
            field.at(),
            format!("{} is not a method: \"{shown}\"", field.label()),
            "write \"GET\"",
        );
    } else if matches!(upper.as_str(), "TRACE" | "CONNECT") {
        book.refuse_with(
            field.at(),
            format!("{}: {upper} is never proxied", field.label()),
            "leave the rule out",
        );
    } else if upper != text {
        let message = format!("{} is written in capitals: \"{shown}\"", field.label());
        book.refuse_with(field.at(), message, format!("write \"{upper}\""));
    }
    Some(Rule::Method(text))
}
