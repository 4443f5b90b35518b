//! `[strategies.ID]`: who vouches. The kind's own settings are not read here: the
//! strategy checks them, and says by path what is wrong.

use crate::{
    accounts::Accounts,
    admission::{self, Admission},
    excerpt::Excerpt,
    load::Surroundings,
    names::{ID_SHAPE, is_id},
    nearest, plugins,
    problem::{At, Book},
    section::{Field, Section},
    strategy_settings,
    tree::{Entry, Table},
};
use portcullis_plugin_api::Object;
use std::collections::BTreeMap;

/// `[strategies.ID]`
#[derive(Clone, Debug)]
pub struct Strategy {
    /// The `:strategy` of the URL.
    pub id: String,
    /// Which module implements it.
    pub kind: String,
    /// What its button says; default: the id with a capital.
    pub title: String,
    /// Whether the gateway refuses to start without it.
    pub required: bool,
    /// The kind's own keys.
    pub settings: Object,
    /// What the gateway asks of its logins; none for a kind whose people are kept here.
    pub admission: Option<Admission>,
}

/// The keys that are the gateway's own.
pub(crate) const KEYS: &[&str] = &[
    "kind",
    "title",
    "required",
    "admit",
    "roles",
    "groups_as_roles",
    "trust_email",
    "provision",
    "link",
    "default_roles",
];

/// The kinds that are built in.
const KINDS: &[&str] = &["local", "oauth", "ldap"];

/// The kind whose people are the gateway's own.
const LOCAL: &str = "local";

/// Where each setting of each strategy was written: id, then the path inside its table.
pub(crate) type Places = BTreeMap<Vec<String>, (String, Option<Excerpt>)>;

/// What the strategies of a file come to.
pub(crate) struct Read {
    /// In the order of the file.
    pub(crate) strategies: Vec<Strategy>,
    pub(crate) places: Places,
    admissions: Vec<Option<admission::Written>>,
}

impl Read {
    /// All of them, once `[accounts]` is known.
    pub(crate) fn over(self, accounts: &Accounts) -> (Vec<Strategy>, Places) {
        let with = |(mut strategy, written): (Strategy, Option<admission::Written>)| {
            strategy.admission = written.map(|written| written.over(accounts));
            strategy
        };
        (self.strategies.into_iter().zip(self.admissions).map(with).collect(), self.places)
    }
}

/// Reads all strategies.
pub(crate) fn read(root: &Table, around: &Surroundings<'_>, book: &mut Book<'_>) -> Read {
    let mut places = Places::new();
    let Some(all) =
        root.get("strategies").and_then(|e| Section::unchecked(&e.node, "[strategies]".into(), book))
    else {
        return Read { strategies: Vec::new(), places, admissions: Vec::new() };
    };
    let ids: Vec<&str> = all.entries().iter().map(|entry| entry.key.as_str()).collect();
    let libraries = plugins::any(root);
    let read =
        all.entries().iter().filter_map(|entry| strategy(entry, &ids, libraries, &mut places, around, book));
    let (strategies, admissions) = read.unzip();
    Read { strategies, places, admissions }
}

fn strategy(
    entry: &Entry,
    ids: &[&str],
    libraries: bool,
    places: &mut Places,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Option<(Strategy, Option<admission::Written>)> {
    let id = entry.key.clone();
    let name = format!("[strategies.{}]", id.escape_debug());
    if !is_id(&id) {
        book.refuse_with(&entry.at, format!("{name} has no valid id"), ID_SHAPE);
    }
    let table = Section::unchecked(&entry.node, name.clone(), book)?;
    let kind = match table.field("kind") {
        Some(field) => kind(field, libraries, book).unwrap_or_default(),
        None => {
            book.refuse_with(&entry.at, format!("{name} has no kind"), "write kind = \"local\"");
            String::new()
        }
    };
    let mut settings = Object::new();
    let mut found: BTreeMap<Vec<String>, At> = BTreeMap::from([(vec![id.clone()], entry.at.clone())]);
    for own in table.entries().iter().filter(|own| !KEYS.contains(&own.key.as_str())) {
        let path = vec![id.clone(), own.key.clone()];
        let value = strategy_settings::read(own, &name, &path, &mut found, around, book);
        settings.insert(own.key.clone(), value);
    }
    places.extend(found.into_iter().map(|(path, at)| (path, (book.place(&at), book.excerpt(&at)))));
    let admission = if kind == LOCAL {
        let theirs = |own: &&Entry| admission::KEYS.contains(&own.key.as_str());
        table.entries().iter().filter(theirs).for_each(|own| admission::refuse(&table, &kind, own, book));
        None
    } else {
        admission::read(&table, &entry.at, &kind, ids, book)
    };
    let title = table.field("title").and_then(|field| field.text(book));
    let required = table.field("required").and_then(|field| field.boolean(book)).unwrap_or(false);
    let title = title.unwrap_or_else(|| with_capital(&id));
    Some((Strategy { title, id, kind, required, settings, admission: None }, admission))
}

fn kind(field: Field<'_>, libraries: bool, book: &mut Book<'_>) -> Option<String> {
    let kind = field.text(book)?;
    // What a library provides, only the gateway finds out.
    if KINDS.contains(&kind.as_str()) || (libraries && is_id(&kind)) {
        return Some(kind);
    }
    let written = format!("{} = \"{}\"", field.label(), kind.escape_debug());
    book.refuse_with(field.at(), format!("{written} is unknown"), nearest::help(&kind, KINDS, &[]));
    None
}

/// A strategy that another table names.
pub(crate) fn named(field: Field<'_>, strategies: &[Strategy], book: &mut Book<'_>) -> Option<String> {
    let name = field.text(book)?;
    let known: Vec<&str> = strategies.iter().map(|strategy| strategy.id.as_str()).collect();
    if known.contains(&name.as_str()) {
        return Some(name);
    }
    let help = match known.is_empty() {
        true => "no strategy is configured: write [strategies.local] and kind = \"local\"".to_owned(),
        false => nearest::help(&name, &known, &[]),
    };
    let message = format!("{} names no strategy of this file: \"{}\"", field.label(), name.escape_debug());
    book.refuse_with(field.at(), message, help);
    None
}

fn with_capital(id: &str) -> String {
    let mut letters = id.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
