//! `include`: several files as if they were one (contract section 3).
#![allow(clippy::unwrap_used)] // tests: a panic is the report

use portcullis_config::{Config, Problem, load};
use std::{fs, os::unix::fs::PermissionsExt};
use tempfile::TempDir;

const FIRST: &str = "include = [\"conf.d/*.toml\"]\n[strategies.local]\nkind = \"local\"\n[upstreams.api]\n\
                     urls = [\"http://127.0.0.1:3000\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n";

fn read(first: &str, more: &[(&str, &str)]) -> (TempDir, Result<Config, Vec<Problem>>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    fs::write(folder.path().join("p.toml"), first).unwrap();
    for (name, text) in more {
        fs::write(folder.path().join("conf.d").join(name), text).unwrap();
    }
    let result = load(&folder.path().join("p.toml"), &[]);
    (folder, result)
}

fn said(first: &str, more: &[(&str, &str)]) -> Vec<String> {
    let (folder, result) = read(first, more);
    let here = format!("{}/", folder.path().display());
    result
        .err()
        .unwrap_or_default()
        .iter()
        .map(|p| format!("{}: {}", p.place, p.message).replace(&here, ""))
        .collect()
}

#[test]
fn tables_join_and_arrays_of_tables_append() {
    let (_folder, config) = read(
        FIRST,
        &[
            ("b.toml", "[[routes]]\npath = \"/b\"\nupstream = \"other\"\n[server]\nhosts = [\"b.test\"]"),
            (
                "a.toml",
                "[[routes]]\npath = \"/a\"\nupstream = \"api\"\n[upstreams.other]\nurls = [\"http://h\"]\n",
            ),
            ("not.toml.bak", "nonsense"),
        ],
    );
    let config = config.unwrap();
    let ids: Vec<&str> = config.routes.iter().map(|route| route.id.as_str()).collect();
    assert_eq!(ids, ["/*", "/a", "/b"]);
    assert_eq!(config.upstreams.len(), 2);
    assert_eq!(config.server.hosts, ["b.test"]);
}

#[test]
fn a_problem_names_the_included_file_and_a_key_given_twice_both_places() {
    let more = [
        ("a.toml", "[server]\nlisen = 1\ndrain = \"1s\"\n"),
        ("b.toml", "\n[server]\ndrain = \"2s\"\n[upstreams.api]\nurls = [\"http://h\"]\ninclude = 1"),
        ("c.toml", "include = \"d.toml\"\n[log\n"),
        ("d.toml", "include = \"e.toml\"\n"),
    ];
    assert_eq!(
        said(FIRST, &more),
        [
            "conf.d/a.toml:2:1: unknown key `lisen` in [server]",
            "conf.d/b.toml:3:1: `drain` is given twice: also at conf.d/a.toml:3:1",
            "conf.d/b.toml:5:1: `urls` is given twice: also at p.toml:5:1",
            "conf.d/b.toml:6:1: unknown key `include` in [upstreams.api]",
            "conf.d/c.toml:2:5: unclosed table, expected `]`",
            "conf.d/d.toml:1:1: an included file includes no others",
        ]
    );
}

#[test]
fn a_file_that_is_named_must_be_there_and_a_pattern_may_match_nothing() {
    assert_eq!(said(FIRST, &[]), Vec::<String>::new());
    let named = FIRST.replace("conf.d/*.toml", "conf.d/x.toml");
    let found = said(&named, &[]);
    assert!(found[0].starts_with("p.toml:1:12: include: conf.d/x.toml cannot be read"), "{found:?}");
    let wrong = FIRST.replace("[\"conf.d/*.toml\"]", "3");
    assert_eq!(said(&wrong, &[]), ["p.toml:1:11: include must be a string or a list of strings"]);
}

#[test]
fn a_path_belongs_to_the_folder_of_the_file_that_names_it() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = read(FIRST, &[("a.toml", "[store]\nkey = { file = \"key\" }\n")]);
    let key = folder.path().join("conf.d/key");
    fs::write(&key, "a key of more than sixteen bytes\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let config = load(&folder.path().join("p.toml"), &[]).unwrap();
    assert!(format!("{:?}", config.store.key).starts_with("Given"), "{:?}", config.store.key);
}

#[test]
fn a_secret_in_a_file_that_everybody_can_read_is_a_warning_about_that_file() {
    let mail = ("mail.toml", "[mail]\nurl = \"smtps://ann:pw@mail.test\"\nfrom = \"a@x.io\"\n");
    let (folder, config) = read(FIRST, &[mail]);
    drop(config);
    let (first, included) = (folder.path().join("p.toml"), folder.path().join("conf.d/mail.toml"));
    for (first_mode, mode, warned) in [(0o644, 0o600, false), (0o600, 0o644, true)] {
        fs::set_permissions(&first, fs::Permissions::from_mode(first_mode)).unwrap();
        fs::set_permissions(&included, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = load(&first, &[]).unwrap().warnings;
        let found = warnings.iter().find(|w| w.message.contains("everybody on this machine can read"));
        assert_eq!(found.is_some(), warned, "{warnings:?}");
        if let Some(found) = found {
            assert!(found.help.as_deref().unwrap().contains("conf.d/mail.toml"), "{found:?}");
        }
    }
}
