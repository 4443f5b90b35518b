//! The schema says what the readers do: every key of the example passes, every other key
//! is refused, and no value that a reader takes is refused by the schema.

use super::*;
use crate::{
    parse,
    problem::At,
    tree::{Node, Table},
};
use std::path::Path;

/// Whether a value fits. A keyword that is not known here is no test at all.
fn fits(schema: &Json, value: &Json) -> bool {
    let rules = schema.as_object().expect("a schema is an object");
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" | "properties" => true,
        "type" => match rule.as_str().expect("one type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("type {other}"),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "anyOf" => rule.as_array().unwrap().iter().any(|one| fits(one, value)),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| fits(rule, item))),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap()),
        "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| match rule.as_str().unwrap() {
            DURATION => is_duration(text),
            ID => crate::names::is_id(text),
            other => panic!("pattern {other}"),
        }),
        "required" => value.as_object().is_none_or(|object| {
            rule.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))
        }),
        "propertyNames" => value
            .as_object()
            .is_none_or(|object| object.keys().all(|key| fits(rule, &Json::from(key.clone())))),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            object.iter().all(|(key, inner)| match rules.get("properties").and_then(|known| known.get(key)) {
                Some(known) => fits(known, inner),
                None => match rule {
                    Json::Bool(open) => *open,
                    schema => fits(schema, inner),
                },
            })
        }),
        other => panic!("the keyword {other} is not checked here"),
    })
}

fn as_json(text: &str) -> Json {
    let root: Table = tree::read(text).expect("it is TOML");
    tree::json(&Node { at: At::File(0), value: Value::Table(root) }, &[], &mut BTreeMap::new())
}

/// A file with this line in this table, and what the table needs beside it.
fn file(table: &str, line: &str) -> String {
    let key = line.split(' ').next().unwrap();
    let with = |heading: &str, others: &[&str]| {
        let others = others.iter().filter(|other| !other.starts_with(&format!("{key} ")));
        let others: Vec<String> = others.map(|other| format!("{other}\n")).collect();
        format!("{heading}\n{}{line}\n", others.concat())
    };
    let upstream = "[upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n";
    match table {
        "strategies" if crate::admission::KEYS.contains(&key) => {
            with("[strategies.corp]", &["kind = \"oauth\"", "admit = \"anyone\""])
        }
        "strategies" => with("[strategies.local]", &["kind = \"local\""]),
        "mail" => with("[mail]", &["url = \"file:x\"", "from = \"a@x.io\""]),
        "plugins" if key == "sha256" => with("[plugins.x]", &["path = \"x\""]),
        "plugins" => with("[plugins.x]", &["path = \"x\"", "danger_unpinned = true"]),
        "upstreams" => with("[upstreams.api]", &["urls = [\"http://127.0.0.1:3000\"]"]),
        "routes" => upstream.to_owned() + &with("[[routes]]", &["path = \"/*\"", "upstream = \"api\""]),
        "aliases" => with("[[aliases]]", &["from = \"POST /x\"", "to = \"login\""]),
        "login" | "accounts" => format!("[strategies.local]\nkind = \"local\"\n[{table}]\n{line}\n"),
        "" => format!("{line}\n"),
        _ => format!("[{table}]\n{line}\n"),
    }
}

/// Every table with the keys that its reader knows.
fn all_keys() -> Vec<(&'static str, &'static str)> {
    let open = [
        ("strategies", strategies::KEYS),
        ("plugins", plugins::KEYS),
        ("upstreams", upstreams::KEYS),
        ("routes", routes::KEYS),
        ("aliases", aliases::KEYS),
        ("identity_headers", &[identity_headers::STRIP][..]),
    ];
    assert_eq!(open.map(|(name, _)| name), OPEN_TABLES);
    TABLES.iter().copied().chain(open).flat_map(|(t, keys)| keys.iter().map(move |k| (t, *k))).collect()
}

#[test]
fn every_key_of_the_example_fits_also_the_ones_that_are_commented_out() {
    assert!(fits(&schema(), &as_json(EXAMPLE)));
    let mut table = "";
    for text in EXAMPLE.lines() {
        if let Some(heading) = text.strip_prefix('[') {
            table = heading.trim_start_matches('[').split([']', '.']).next().unwrap();
        } else if let Some((key, rest)) = text.strip_prefix("# ").and_then(|line| line.split_once(" = ")) {
            assert!(fits(&schema(), &as_json(&file(table, &format!("{key} = {rest}")))), "{table} {key}");
        }
    }
}

#[test]
fn every_unknown_key_is_refused_by_the_schema_as_by_the_reader() {
    for (table, _) in all_keys() {
        // The other keys of a strategy are its kind's; those of a header table are headers.
        if table == "strategies" || table == "identity_headers" {
            continue;
        }
        let text = file(table, "zzz = 1");
        assert!(!fits(&schema(), &as_json(&text)), "{table}");
        assert!(parse(&text, Path::new("p"), &[]).is_err(), "{table}");
    }
    for text in [
        "zzz = 1",
        "[zzz]",
        "[mail]\nurl = \"file:x\"",
        "[plugins.x]\npath = \"x\"\nzzz = 1",
        "routes = 1",
        "[upstreams.API]\nurls = [\"http://a\"]",
    ] {
        assert!(!fits(&schema(), &as_json(text)), "{text}");
        assert!(parse(text, Path::new("p"), &[]).is_err(), "{text}");
    }
}

#[test]
fn what_a_reader_takes_fits_and_every_key_refuses_something() {
    let samples = [
        "0",
        "1",
        "8",
        "-1",
        "1.5",
        "true",
        "false",
        "\"\"",
        "\"x\"",
        "\"30s\"",
        "\"0s\"",
        "\"1d\"",
        "\"/x\"",
        "\"/*\"",
        "\"127.0.0.1:1\"",
        "\"http://127.0.0.1:1\"",
        "\"local\"",
        "\"api\"",
        "\"ES256\"",
        "\"public\"",
        "\"strict\"",
        "\"keep\"",
        "\"off\"",
        "\"json\"",
        "\"debug\"",
        "\"sqlite:x.db\"",
        "\"X-Who\"",
        "\"a secret of enough bytes\"",
        "[]",
        "[1]",
        "[\"a\"]",
        "[\"GET\"]",
        "[\"127.0.0.1:1\"]",
        "[\"10.0.0.0/8\"]",
        "[\"http://127.0.0.1:1\"]",
        "{}",
        "{ roles = [\"staff\"] }",
        "{ roles = [] }",
        "{ any = [{ role = \"staff\" }], none = [{ claim = \"app.x\", is = true }] }",
        "{ any = [{ rol = \"staff\" }] }",
        "{ X-User = \"name\" }",
        "{ env = \"SOME_SECRET\" }",
        "{ env = 1 }",
        "2026-01-01",
    ];
    let env = [("SOME_SECRET".to_owned(), "a secret of enough bytes".to_owned())];
    let (schema, mut taken) = (schema(), 0);
    for (table, key) in all_keys() {
        let mut refused = 0;
        for sample in samples {
            let text = file(table, &format!("{key} = {sample}"));
            let fit = fits(&schema, &as_json(&text));
            let read = parse(&text, Path::new("/x/p"), &env);
            assert!(
                fit || read.is_err(),
                "{table} {key} = {sample} is accepted, but does not fit the schema: say its shape in SHAPES"
            );
            taken += usize::from(read.is_ok());
            refused += usize::from(!fit);
        }
        assert!(refused > 0, "{table} {key}: the schema lets everything through: say its shape in SHAPES");
    }
    assert!(taken > 100, "only {taken} samples are accepted: the readers were not asked");
}

#[test]
fn words_and_defaults_are_those_of_the_reader() {
    for (table, key, shape) in SHAPES {
        let Shape::Words(words) = shape else { continue };
        for word in *words {
            let text = file(table, &format!("{key} = \"{word}\""));
            assert!(parse(&text, Path::new("p"), &[]).is_ok(), "{table} {key} = {word}");
        }
    }
    let schema = schema();
    assert_eq!(schema["properties"]["session"]["properties"]["idle"]["default"], "1h");
    assert_eq!(schema["properties"]["routes"]["items"]["properties"]["path"]["default"], Json::Null);
    assert!(schema["properties"]["log"]["properties"]["access"]["description"].is_string());
}
