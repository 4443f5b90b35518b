//! `tests/rows.txt` against the sources: every test that it names is there, no row of a
//! group is missing.

use super::{root, sources};
use std::{collections::BTreeMap, fs};

/// How many rows each group has.
const GROUPS: &[(char, usize)] = &[
    ('M', 24),
    ('H', 19),
    ('P', 26),
    ('S', 18),
    ('Q', 12),
    ('C', 16),
    ('D', 7),
    ('T', 5),
    ('G', 7),
    ('O', 22),
    ('J', 13),
    ('L', 10),
    ('W', 7),
];

/// What each row says, in order.
fn rows() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("tests/rows.txt")).unwrap();
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (id, what) = line.split_once("  ").unwrap_or_else(|| panic!("no two spaces: {line}"));
        rows.entry(id.into()).or_default().push(what.trim().into());
    }
    rows
}

#[test]
fn no_row_is_missing_and_each_says_what_proves_it() {
    let rows = rows();
    for (group, count) in GROUPS {
        let missing: Vec<String> =
            (1..=*count).map(|n| format!("{group}-{n:02}")).filter(|id| !rows.contains_key(id)).collect();
        assert!(missing.is_empty(), "rows without a line: {missing:?}");
        let more = rows.keys().filter(|id| id.starts_with(*group)).count();
        assert_eq!(more, *count, "rows of {group}");
    }
}

#[test]
fn every_test_that_a_row_names_is_there() {
    let sources = sources();
    let scripts = fs::read_to_string(root().join("tests/run")).unwrap();
    for (id, said) in rows() {
        for what in said {
            if what.starts_with('=') || what.starts_with("- ") {
                assert!(what.len() > 4, "{id}: {what}");
            } else if let Some(name) = what.strip_prefix("long ") {
                assert!(scripts.contains(name), "{id}: tests/run has no {name}");
            } else {
                let parts: Vec<&str> = what.split("::").collect();
                let test = format!("fn {}()", parts.last().unwrap());
                let room = parts[..parts.len() - 1].iter().rfind(|part| **part != "tests");
                let room = room.copied().unwrap_or_default().to_owned();
                let found = sources.iter().any(|source| {
                    source.text.contains(&test) && (room.is_empty() || source.path.contains(&room))
                });
                assert!(found, "{id}: there is no test {what}");
            }
        }
    }
}
