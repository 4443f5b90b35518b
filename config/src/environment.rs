//! `PORTCULLIS_TABLE__KEY`: variables laid over the file. Two underscores separate, `_`
//! stands for `-` in ids and header names (contract section 3). What may not come in:
//! the types of keys; a variable's text is read by whoever reads the key.

use crate::{
    load::TABLES,
    names::is_id,
    nearest,
    problem::{At, Book},
    strategies,
    tree::{Entry, Node, Table, Value},
    unbuilt, upstreams,
};

const PREFIX: &str = "PORTCULLIS_";

/// Variables that are ours and override nothing.
const OTHER: &[&str] = &["PORTCULLIS_CONFIG"];

/// Lays every variable of ours over the tree, in the order of their names.
pub(crate) fn lay_over(root: &mut Table, env: &[(String, String)], book: &mut Book<'_>) {
    let mut secrets = Vec::new();
    secret_names(root, &mut secrets);
    let mut ours: Vec<&(String, String)> = env.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, text) in ours {
        if OTHER.contains(&name.as_str()) || secrets.contains(name) || is_service_link(name) {
            continue;
        }
        match path(name) {
            Ok(path) => lay(root, &path, name, text, book),
            Err((message, help)) => book.refuse_with(&At::Variable(name.clone()), message, help),
        }
    }
}

/// Variables that the file reads as `{ env = "…" }` may have any name.
fn secret_names(table: &Table, names: &mut Vec<String>) {
    for entry in &table.entries {
        match &entry.node.value {
            Value::Table(inner) => secret_names(inner, names),
            Value::Text(name) if entry.key == "env" => names.push(name.clone()),
            _ => {}
        }
    }
}

/// Kubernetes tells every container about a service called `portcullis` in variables such
/// as `PORTCULLIS_SERVICE_HOST` and `PORTCULLIS_PORT_8080_TCP`. Those are not ours.
fn is_service_link(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    let has = |part: &str| rest.contains(part);
    let is_port = rest == "PORT" || rest.ends_with("_PORT") || has("PORT_") && (has("_TCP") || has("_UDP"));
    !has("__") && (is_port || has("SERVICE_HOST") || has("SERVICE_PORT"))
}

/// The keys that a variable's name leads through, or what is wrong with it.
fn path(name: &str) -> Result<Vec<String>, (String, String)> {
    let rest = &name[PREFIX.len()..];
    let unknown = || (format!("no key of the configuration is called {}", name.escape_debug()), guess(name));
    if rest.contains(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')) {
        return Err(unknown());
    }
    let mut path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    if path.iter().any(String::is_empty) {
        return Err(unknown());
    }
    let table = path[0].clone();
    let is_known = match (table.as_str(), path.len()) {
        ("routes" | "aliases", _) => {
            let message = format!("{table} is an array of tables, which a variable cannot hold");
            return Err((message, format!("write [[{table}]] in the file")));
        }
        ("include", 1) => {
            let message = "include is read from the file alone".to_owned();
            return Err((message, "write include = [\"conf.d/*.toml\"] in the file".to_owned()));
        }
        (key, 1) => unbuilt::keys("").contains(&key),
        ("strategies" | "plugins" | "upstreams", length) => {
            path[1] = path[1].replace('_', "-");
            length >= 3 && is_id(&path[1])
        }
        ("identity_headers", length) => {
            path[1] = path[1].replace('_', "-");
            length == 2
        }
        (table, _) if unbuilt::table(table).is_some() => true,
        (table, length) => {
            let keys = TABLES.iter().find(|(known, _)| *known == table).map_or(&[][..], |(_, keys)| keys);
            let key = path[1].as_str();
            let secrets = [("store", "key"), ("token", "secret"), ("mail", "url")];
            let is_secret = secrets.contains(&(table, key)) && length == 3;
            unbuilt::keys(table).contains(&key) || keys.contains(&key) && (length == 2 || is_secret)
        }
    };
    if is_known { Ok(path) } else { Err(unknown()) }
}

/// The nearest variable that there is.
fn guess(name: &str) -> String {
    let mut known: Vec<String> = OTHER.iter().map(|name| (*name).to_owned()).collect();
    let mut add = |table: &str, keys: &[&str]| {
        known.extend(keys.iter().map(|key| format!("{PREFIX}{table}__{key}").to_ascii_uppercase()));
    };
    for (table, keys) in TABLES {
        add(table, keys);
        add(table, unbuilt::keys(table));
    }
    // The id stays as it was written; only the key after it can be guessed.
    let parts: Vec<&str> = name[PREFIX.len()..].split("__").collect();
    if let [_, id, ..] = parts[..] {
        add(&format!("strategies__{id}"), strategies::KEYS);
        add(&format!("upstreams__{id}"), upstreams::KEYS);
    }
    // The prefix is common to all and would make everything look near.
    let rests: Vec<&str> = known.iter().map(|name| &name[PREFIX.len()..]).collect();
    match nearest::nearest(&name[PREFIX.len()..], &rests) {
        Some(rest) => format!("did you mean {PREFIX}{rest}?"),
        None => "write PORTCULLIS_TABLE__KEY, with two underscores between table and key".to_owned(),
    }
}

/// Puts the text at its place, making the tables on the way.
fn lay(root: &mut Table, path: &[String], name: &str, text: &str, book: &mut Book<'_>) {
    let at = At::Variable(name.to_owned());
    let mut table = root;
    let (last, above) = path.split_last().expect("a path has at least one key");
    // Above this depth are tables, from it on values: of a secret and of a strategy.
    let values = if path[0] == "strategies" { 2 } else { 1 };
    for (depth, key) in above.iter().enumerate() {
        let empty = || Node { at: at.clone(), value: Value::Table(Table::default()) };
        if table.get(key).is_none() {
            table.entries.push(Entry { key: key.clone(), at: at.clone(), node: empty() });
        }
        let entry = table.get_mut(key).expect("it was put there if it was missing");
        // A secret of the file gives way whole to `…__FILE` and `…__ENV`.
        let is_secret = depth >= values && matches!(last.as_str(), "file" | "env");
        if is_secret && matches!(entry.node.at, At::File(_)) {
            entry.node = empty();
        }
        match &mut entry.node.value {
            Value::Table(inner) => table = inner,
            _ => {
                let place = book.place(&entry.node.at);
                book.refuse(&at, format!("`{key}` is no table at {place}"));
                return;
            }
        }
    }
    let node = Node { at: at.clone(), value: Value::Variable(text.to_owned()) };
    // Header names know no case.
    match table.entries.iter_mut().find(|entry| entry.key.eq_ignore_ascii_case(last)) {
        Some(entry) => *entry = Entry { key: entry.key.clone(), at, node },
        None => table.entries.push(Entry { key: last.clone(), at, node }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_can_be_reached_by_a_variable() {
        for (table, keys) in TABLES {
            for key in *keys {
                let name = format!("{PREFIX}{table}__{key}").to_ascii_uppercase();
                assert_eq!(path(&name), Ok(vec![(*table).to_owned(), (*key).to_owned()]), "{name}");
            }
        }
        // The rules for these are written out in `path`.
        assert_eq!(
            crate::load::OPEN_TABLES,
            ["strategies", "plugins", "upstreams", "routes", "aliases", "identity_headers"]
        );
    }

    #[test]
    fn what_an_orchestrator_says_about_a_service_of_our_name_is_not_ours() {
        for name in [
            "PORTCULLIS_SERVICE_HOST",
            "PORTCULLIS_SERVICE_PORT_HTTP",
            "PORTCULLIS_PORT",
            "PORTCULLIS_PORT_8080_TCP",
            "PORTCULLIS_PORT_8080_TCP_ADDR",
            "PORTCULLIS_ADMIN_PORT",
        ] {
            assert!(is_service_link(name), "{name}");
        }
        assert!(!is_service_link("PORTCULLIS_SERVER__PORT") && !is_service_link("PORTCULLIS_SERVER_LISTEN"));
    }
}
