//! `[strategies.ID]`: who vouches. The kind's own settings are not read here: the
//! strategy checks them, and says by path what is wrong.

use crate::{
    excerpt::Excerpt,
    names::{ID_SHAPE, is_id},
    nearest,
    problem::{At, Book},
    section::{Field, Section},
    tree::{self, Entry, Table},
    unbuilt,
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
}

/// The keys that are the gateway's own.
pub(crate) const KEYS: &[&str] = &["kind", "title", "required"];

/// The kinds that are built in.
const KINDS: &[&str] = &["local"];

/// Where each setting of each strategy was written: id, then the path inside its table.
pub(crate) type Places = BTreeMap<Vec<String>, (String, Option<Excerpt>)>;

/// Reads all strategies, in the order of the file.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> (Vec<Strategy>, Places) {
    let mut places = Places::new();
    let Some(all) =
        root.get("strategies").and_then(|e| Section::unchecked(&e.node, "[strategies]".into(), book))
    else {
        return (Vec::new(), places);
    };
    let read = all.entries().iter().filter_map(|entry| strategy(entry, &mut places, book)).collect();
    (read, places)
}

fn strategy(entry: &Entry, places: &mut Places, book: &mut Book<'_>) -> Option<Strategy> {
    let id = entry.key.clone();
    let name = format!("[strategies.{}]", id.escape_debug());
    if !is_id(&id) {
        book.refuse_with(&entry.at, format!("{name} has no valid id"), ID_SHAPE);
    }
    let table = Section::unchecked(&entry.node, name.clone(), book)?;
    let kind = match table.field("kind") {
        Some(field) => kind(field, book).unwrap_or_default(),
        None => {
            book.refuse_with(&entry.at, format!("{name} has no kind"), "write kind = \"local\"");
            String::new()
        }
    };
    let mut settings = Object::new();
    let mut found: BTreeMap<Vec<String>, At> = BTreeMap::from([(vec![id.clone()], entry.at.clone())]);
    for own in table.entries().iter().filter(|own| !KEYS.contains(&own.key.as_str())) {
        let path = vec![id.clone(), own.key.clone()];
        settings.insert(own.key.clone(), tree::json(&own.node, &path, &mut found));
    }
    places.extend(found.into_iter().map(|(path, at)| (path, (book.place(&at), book.excerpt(&at)))));
    let title = table.field("title").and_then(|field| field.text(book));
    let required = table.field("required").and_then(|field| field.boolean(book)).unwrap_or(false);
    Some(Strategy { title: title.unwrap_or_else(|| with_capital(&id)), id, kind, required, settings })
}

fn kind(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let kind = field.text(book)?;
    let later = unbuilt::values("strategies", "kind");
    if KINDS.contains(&kind.as_str()) {
        return Some(kind);
    }
    let written = format!("{} = \"{}\"", field.label(), kind.escape_debug());
    if later.contains(&kind.as_str()) {
        book.refuse(field.at(), unbuilt::line(&written));
    } else {
        book.refuse_with(field.at(), format!("{written} is unknown"), nearest::help(&kind, KINDS, later));
    }
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
