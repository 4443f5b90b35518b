//! Checks `docs/configuration.md` and `examples/everything.toml` against the code: every
//! accepted key is in both, neither has another, and the defaults they state are the
//! same. (That the example's values are the defaults of the code is a test of its own:
//! `tests/defaults.rs`.)

use crate::{
    aliases, identity_headers,
    load::{OPEN_TABLES, TABLES},
    parse, plugins, routes, strategies,
    tree::{self, Node, Table, Value},
    upstreams,
};
use std::{collections::BTreeMap, path::Path};

const PAGE: &str = include_str!("../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../examples/everything.toml");

/// Table and key.
type Key = (String, String);

/// Every key that the readers accept, by the name of its table.
fn accepted() -> Vec<Key> {
    let headers: Vec<&str> = identity_headers::DEFAULT.iter().map(|(name, _)| *name).collect();
    let headers = [&headers[..], &[identity_headers::STRIP]].concat();
    let open = OPEN_TABLES.iter().map(|name| match *name {
        "strategies" => (*name, strategies::KEYS),
        "plugins" => (*name, plugins::KEYS),
        "upstreams" => (*name, upstreams::KEYS),
        "routes" => (*name, routes::KEYS),
        "aliases" => (*name, aliases::KEYS),
        "identity_headers" => (*name, &headers[..]),
        other => panic!("{other} is not on the page"),
    });
    let all = TABLES.iter().copied().chain(open);
    let mut keys: Vec<Key> =
        all.flat_map(|(table, keys)| keys.iter().map(move |key| (table.into(), (*key).into()))).collect();
    // The one key outside of all tables.
    keys.push((String::new(), "include".into()));
    keys.sort();
    keys
}

/// Every row below `## The tables`, with the text of its default.
fn on_the_page() -> BTreeMap<Key, String> {
    let (_, tables) = PAGE.split_once("\n## The tables\n").expect("the page has the tables");
    let mut rows = BTreeMap::new();
    let mut table = String::new();
    for line in tables.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            table = heading
                .trim_matches(|c: char| !c.is_ascii_alphabetic())
                .replace(".ID", "")
                .replace(".NAME", "");
        } else if let Some(row) = line.strip_prefix("| `") {
            let (key, rest) = row.split_once("` | ").expect("a row begins with a key");
            let (default, _) = rest.split_once(" | ").expect("a row has three cells");
            let before = rows.insert((table.clone(), key.to_owned()), default.to_owned());
            assert!(before.is_none(), "{table} {key} is on the page twice");
        }
    }
    rows
}

/// Every key of the example, with its value; none where it is commented out.
fn in_the_example() -> BTreeMap<Key, Option<Node>> {
    let root = tree::read(EXAMPLE).expect("the example is TOML");
    let mut keys = BTreeMap::new();
    let mut table = String::new();
    for line in EXAMPLE.lines() {
        if let Some(heading) = line.strip_prefix('[') {
            let heading = heading.trim_start_matches('[');
            table = heading.split([']', '.']).next().expect("split gives one").to_owned();
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") {
            let key = key.to_owned();
            let value = (!line.starts_with('#')).then(|| value_of(&root, &table, &key));
            keys.insert((table.clone(), key), value);
        }
    }
    keys
}

fn value_of(root: &Table, table: &str, key: &str) -> Node {
    let inside = |node: &Node| match &node.value {
        Value::Table(table) => table.get(key).map(|entry| entry.node.clone()),
        _ => None,
    };
    let node = &root.get(table).expect("it was in the text").node;
    let found = match &node.value {
        // `[[routes]]`, and `[strategies.ID]` with its one id.
        Value::List(items) => items.first().and_then(inside),
        Value::Table(ids) if matches!(table, "strategies" | "plugins" | "upstreams") => {
            ids.entries.first().and_then(|entry| inside(&entry.node))
        }
        _ => inside(node),
    };
    found.expect("it was in the text")
}

fn json(node: &Node) -> String {
    tree::json(node, &[], &mut BTreeMap::new()).to_string()
}

#[test]
fn the_page_and_the_example_have_every_accepted_key_and_no_other() {
    let accepted = accepted();
    assert_eq!(on_the_page().into_keys().collect::<Vec<_>>(), accepted);
    assert_eq!(in_the_example().into_keys().collect::<Vec<_>>(), accepted);
}

#[test]
fn the_page_states_the_defaults_of_the_example() {
    let example = in_the_example();
    for ((table, key), stated) in on_the_page() {
        let value = &example[&(table.clone(), key.clone())];
        match value {
            Some(_) if stated == "required" => {}
            // `title = "Local"` is what the page says in words.
            Some(_) if key == "title" && table == "strategies" => {}
            Some(value) => {
                let text = stated.trim_matches('`');
                let parsed = tree::read(&format!("x = {text}"));
                let parsed = parsed.unwrap_or_else(|_| panic!("{table} {key}: {stated} is no value"));
                assert_eq!(json(&parsed.entries[0].node), json(value), "{table} {key}");
            }
            None => {
                let is_value = tree::read(&format!("x = {}", stated.trim_matches('`'))).is_ok();
                assert!(!is_value, "{table} {key} has no fixed default, but the page states {stated}");
            }
        }
    }
}

#[test]
fn the_page_quotes_the_quickstart_and_its_variables_are_accepted() {
    let quickstart = include_str!("../examples/quickstart.toml");
    let (_, file) = quickstart.split_once("\n\n").expect("a comment, then the file");
    let (_, fence) = PAGE.split_once("```toml\n").expect("the page has an example");
    assert_eq!(fence.split_once("```").expect("it ends").0, file);

    let quoted = PAGE.lines().filter_map(|line| line.strip_prefix("| `PORTCULLIS_"));
    let variables: Vec<(String, String)> = quoted
        .map(|rest| {
            let (variable, _) = rest.split_once("` |").expect("a variable ends its cell");
            let (name, text) = variable.split_once('=').expect("it has a value");
            (format!("PORTCULLIS_{name}"), text.to_owned())
        })
        .collect();
    assert!(variables.len() >= 5);
    for variable in variables {
        let found = parse(file, Path::new("p"), std::slice::from_ref(&variable)).err().unwrap_or_default();
        // An upstream of its own without urls, a public address without public_url and a
        // secret that is not there are incomplete, not unknown.
        let unknown = found.iter().any(|problem| problem.message.contains("no key of the configuration"));
        assert!(!unknown, "{variable:?}: {found:?}");
    }
}
