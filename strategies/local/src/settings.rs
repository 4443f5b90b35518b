//! The keys of `[strategies.ID]` that are this kind's own.

use crate::policy::Class;
use portcullis_plugin_api::{Object, SettingsProblem};
use serde_json::Value;
use std::path::PathBuf;

const KNOWN: &[&str] = &["min_length", "strength", "require", "breached"];

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Characters that a new password has at least.
    pub(crate) min_length: usize,
    /// zxcvbn's score that it has at least; 0 asks nothing.
    pub(crate) strength: u8,
    /// Kinds of character that it must have.
    pub(crate) require: Vec<Class>,
    /// A sorted list of the hashes of passwords that it may not be.
    pub(crate) breached: Option<PathBuf>,
}

impl Settings {
    /// Collects every problem.
    pub(crate) fn read(table: &Object) -> Result<Self, Vec<SettingsProblem>> {
        let mut settings = Self { min_length: 8, strength: 2, require: Vec::new(), breached: None };
        let mut problems = Vec::new();
        for (key, value) in table {
            let read = match key.as_str() {
                "min_length" => whole(key, value, 8, 128).and_then(|number| {
                    settings.min_length = usize::try_from(number).map_err(|_| wrong(key, value))?;
                    Ok(())
                }),
                "strength" => whole(key, value, 0, 4).and_then(|number| {
                    settings.strength = u8::try_from(number).map_err(|_| wrong(key, value))?;
                    Ok(())
                }),
                "require" => require(key, value).map(|classes| settings.require = classes),
                "breached" => path(key, value).map(|path| settings.breached = Some(path)),
                _ => Err(SettingsProblem::unknown_key(key, KNOWN)),
            };
            problems.extend(read.err());
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }
}

fn wrong(key: &str, value: &Value) -> SettingsProblem {
    SettingsProblem::at(key, format!("`{key}` cannot be {value}"))
}

fn whole(key: &str, value: &Value, least: u64, most: u64) -> Result<u64, SettingsProblem> {
    value
        .as_u64()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| wrong(key, value).expected(format!("an integer from {least} to {most}")))
}

fn require(key: &str, value: &Value) -> Result<Vec<Class>, SettingsProblem> {
    let names = || Class::ALL.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let expected = |value: &Value| wrong(key, value).expected(format!("a list of {}", names()));
    let one = |item: &Value| {
        let found = Class::ALL.iter().find(|(name, _)| item.as_str() == Some(name));
        found.map(|(_, class)| *class).ok_or_else(|| expected(item))
    };
    value.as_array().ok_or_else(|| expected(value))?.iter().map(one).collect()
}

/// The gateway has made it absolute.
fn path(key: &str, value: &Value) -> Result<PathBuf, SettingsProblem> {
    value
        .as_str()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .ok_or_else(|| wrong(key, value).expected("the path of a file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(table: Value) -> Result<Settings, Vec<String>> {
        let Value::Object(table) = table else { panic!("a table") };
        Settings::read(&table).map_err(|problems| {
            let text = |p: SettingsProblem| {
                format!("{}: {} ({})", p.path.join("."), p.message, p.expected.unwrap_or_default())
            };
            problems.into_iter().map(text).collect()
        })
    }

    #[test]
    fn the_least_length_is_eight_unless_the_file_asks_for_more() {
        let length = |table| read(table).map(|settings| settings.min_length);
        assert_eq!(length(json!({})), Ok(8));
        assert_eq!(length(json!({"min_length": 8})), Ok(8));
        assert_eq!(length(json!({"min_length": 128})), Ok(128));
        for bad in [json!(7), json!(129), json!(-8), json!(8.0), json!("8"), json!(true)] {
            let problems = read(json!({ "min_length": bad })).unwrap_err();
            assert!(problems[0].ends_with("(an integer from 8 to 128)"), "{problems:?}");
        }
    }

    #[test]
    fn the_other_rules_have_defaults_and_limits() {
        let usual = read(json!({})).unwrap();
        assert_eq!((usual.strength, usual.require, usual.breached), (2, vec![], None));
        let all = read(json!({"strength": 4, "require": ["lower", "symbol"], "breached": "/x"})).unwrap();
        assert_eq!((all.strength, all.require), (4, vec![Class::Lower, Class::Symbol]));
        assert_eq!(all.breached.unwrap().to_str(), Some("/x"));
        for (key, bad) in [
            ("strength", json!(5)),
            ("strength", json!(-1)),
            ("strength", json!("2")),
            ("require", json!("lower")),
            ("require", json!(["lower", "letter"])),
            ("require", json!([1])),
            ("breached", json!("")),
            ("breached", json!(["x"])),
        ] {
            let problems = read(json!({ key: bad })).unwrap_err();
            assert!(problems[0].starts_with(&format!("{key}: `{key}` cannot be ")), "{problems:?}");
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let problems = read(json!({"min_lenght": 9, "strength": 9, "require": ["x"]}));
        assert_eq!(
            problems.unwrap_err(),
            [
                "min_lenght: unknown key `min_lenght` (did you mean `min_length`?)",
                "require: `require` cannot be \"x\" (a list of \"lower\", \"upper\", \"digit\", \"symbol\")",
                "strength: `strength` cannot be 9 (an integer from 0 to 4)",
            ]
        );
    }
}
