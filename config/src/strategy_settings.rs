//! A strategy's own settings as the strategy gets them. What they mean is its business;
//! what it cannot do itself is done here: a secret that stands elsewhere is fetched, and
//! a path becomes one from the folder of the file that names it.

use crate::{
    load::Surroundings,
    problem::{At, Book},
    secret::{self, is_elsewhere},
    section::Section,
    tree::{self, Entry, Node, Table, Value},
};
use serde_json::Value as Json;
use std::{collections::BTreeMap, path::Path};

/// Keys of a table `tls` that name files, and keys of the strategy's own table that do.
const OF_TLS: &[&str] = &["ca", "certificate", "key"];
const OF_STRATEGY: &[&str] = &["breached"];

/// Keys that hold a secret: in a file that everybody can read they are worth a warning.
const SECRETS: &[&str] = &["client_secret", "client_key", "bind_password"];

/// Reads `key = value` of the table called `label`. `path` ends in the key.
pub(crate) fn read(
    entry: &Entry,
    label: &str,
    path: &[String],
    found: &mut BTreeMap<Vec<String>, At>,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Json {
    found.insert(path.to_vec(), entry.node.at.clone());
    let is_text = SECRETS.contains(&entry.key.as_str()) || entry.key == "client_id";
    let node = &match entry.node.settled() {
        // A password of digits is no number, and its quotes are its own.
        Some(settled) if !is_text || is_elsewhere(&settled) => settled,
        _ => entry.node.as_text(),
    };
    if is_elsewhere(node) || (SECRETS.contains(&entry.key.as_str()) && matches!(node.value, Value::Text(_))) {
        let table = Table { entries: vec![Entry { node: node.clone(), ..entry.clone() }] };
        let owner = Node { at: node.at.clone(), value: Value::Table(table) };
        let section = Section::unchecked(&owner, label.to_owned(), book);
        let field = section.as_ref().and_then(|section| section.field(&entry.key));
        let text = field.and_then(|field| secret::read(field, around, book));
        return text.map_or(Json::Null, |text| Json::from(text.reveal()));
    }
    match &node.value {
        Value::Table(table) => {
            let below = |inner: &Entry| path.iter().cloned().chain([inner.key.clone()]).collect::<Vec<_>>();
            let label = format!("{label} {}", entry.key);
            let mut object = portcullis_plugin_api::Object::new();
            for inner in &table.entries {
                object.insert(inner.key.clone(), read(inner, &label, &below(inner), found, around, book));
            }
            Json::Object(object)
        }
        Value::Text(text) if is_path(path) => {
            Json::from(around.folder_at(&node.at).join(text).to_string_lossy().into_owned())
        }
        _ => tree::json(node, path, found),
    }
}

/// The files that settings name, as they are once they are read.
pub fn files_of(settings: &portcullis_plugin_api::Object) -> impl Iterator<Item = &Path> {
    let of_tls = settings.get("tls").into_iter().flat_map(|tls| OF_TLS.iter().map(|key| tls.get(*key)));
    let of_strategy = OF_STRATEGY.iter().map(|key| settings.get(*key));
    of_tls.chain(of_strategy).flatten().filter_map(Json::as_str).map(Path::new)
}

/// `path` begins with the id of the strategy.
fn is_path(path: &[String]) -> bool {
    match path {
        [_, key] => OF_STRATEGY.contains(&key.as_str()),
        [_, tls, key] => tls == "tls" && OF_TLS.contains(&key.as_str()),
        _ => false,
    }
}
