//! A policy: who may. Its rules are read in `rule.rs`. What may not come in: requests;
//! what a rule comes to is the gateway's.

use crate::{
    names::is_role,
    problem::Book,
    rule::{self, Rule},
    section::{Field, Section},
    tree::Value,
};

/// Who may use a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody.
    Public,
    /// Anybody who has signed in.
    SignedIn,
    /// A table.
    Rules(Rules),
}

/// A policy table: every list that is not empty must pass. At least one is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Nobody need be signed in: all rules are about the request itself.
    pub anonymous: bool,
    /// One of these.
    pub roles: Vec<String>,
    /// At least one is true.
    pub any: Vec<Rule>,
    /// Every one is true.
    pub all: Vec<Rule>,
    /// Every one is false.
    pub none: Vec<Rule>,
}

/// The keys of a policy table.
pub(crate) const KEYS: &[&str] = &["roles", "any", "all", "none", "anonymous"];

/// Reads a policy; `strategies` are the ids that a rule may name. None, and a problem:
/// it is none.
pub(crate) fn read(field: Field<'_>, strategies: &[&str], book: &mut Book<'_>) -> Option<Policy> {
    if !matches!(field.node().value, Value::Table(_) | Value::Text(_)) {
        let message = format!("{} must be a string or a table, not {}", field.label(), field.node().what());
        book.refuse_with(field.at(), message, "write \"signed-in\", \"public\" or { roles = [\"staff\"] }");
        return None;
    }
    if matches!(field.node().value, Value::Text(_)) {
        let public = field.one_of(&[("public", true), ("signed-in", false)], book)?;
        return Some(if public { Policy::Public } else { Policy::SignedIn });
    }
    table(field, strategies, "\"signed-in\"", book).map(Policy::Rules)
}

/// Reads a policy table; `all_of_them` is the word that stands for everybody in its place.
pub(crate) fn table(
    field: Field<'_>,
    strategies: &[&str],
    all_of_them: &str,
    book: &mut Book<'_>,
) -> Option<Rules> {
    let before = book.count();
    let table = Section::of(field.node(), field.label(), "policy", KEYS, book)?;
    let mut list = |key| match table.field(key) {
        Some(field) => rule::list(field, strategies, book),
        None => Vec::new(),
    };
    let (any, all, none) = (list("any"), list("all"), list("none"));
    let rules = Rules {
        anonymous: table.field("anonymous").and_then(|f| f.boolean(book)).unwrap_or(false),
        roles: table.field("roles").and_then(|f| roles(f, all_of_them, book)).unwrap_or_default(),
        any,
        all,
        none,
    };
    let says_something = ["roles", "any", "all", "none"].iter().any(|key| table.field(key).is_some());
    if !says_something && book.count() == before {
        let message = format!("{} says nothing", field.label());
        let help = match rules.anonymous {
            true => "write \"public\", or rules of ip and method beside anonymous".to_owned(),
            false => format!("write {{ roles = [\"staff\"] }} or {all_of_them}"),
        };
        book.refuse_with(field.at(), message, help);
    }
    check_anonymous(&table, &rules, book);
    (book.count() == before).then_some(rules)
}

/// Where nobody need be signed in, nothing may be asked of who is.
fn check_anonymous(table: &Section<'_>, rules: &Rules, book: &mut Book<'_>) {
    let mut all = rules.any.iter().chain(&rules.all).chain(&rules.none);
    let asks = !rules.roles.is_empty() || all.any(|rule| !matches!(rule, Rule::Ip(_) | Rule::Method(_)));
    if let (true, true, Some(field)) = (rules.anonymous, asks, table.field("anonymous")) {
        let message = format!("{} is for rules of ip and method alone", field.label());
        book.refuse_with(
            field.at(),
            message,
            "leave it out: the other rules ask for somebody who is signed in",
        );
    }
}

fn roles(field: Field<'_>, all_of_them: &str, book: &mut Book<'_>) -> Option<Vec<String>> {
    let given = field.texts(book)?;
    if given.is_empty() {
        let message = format!("{} must not be empty: nobody would pass", field.label());
        book.refuse_with(field.at(), message, format!("write {{ roles = [\"staff\"] }} or {all_of_them}"));
    }
    let mut names: Vec<String> = Vec::new();
    for entry in given {
        if is_role(&entry.text) {
            names.push(entry.text);
        } else {
            let message = format!("{} is not a role: \"{}\"", field.label(), entry.text.escape_debug());
            book.refuse_with(&entry.at, message, rule::ROLE_SHAPE);
        }
    }
    Some(names)
}
