//! The keys of `[strategies.ID]` that are this kind's own.

use portcullis_plugin_api::{Object, SettingsProblem};
use serde_json::Value;

const KNOWN: &[&str] = &["min_length", "strength", "require", "breached"];

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Characters that a new password has at least.
    pub(crate) min_length: usize,
}

impl Settings {
    /// Collects every problem.
    pub(crate) fn read(table: &Object) -> Result<Self, Vec<SettingsProblem>> {
        let mut settings = Self { min_length: 8 };
        let mut problems = Vec::new();
        for (key, value) in table {
            match key.as_str() {
                "min_length" => match length(value) {
                    Ok(length) => settings.min_length = length,
                    Err(problem) => problems.push(problem),
                },
                "strength" | "require" | "breached" => {
                    problems.push(SettingsProblem::at(key, format!("`{key}` is not built yet")));
                }
                _ => problems.push(SettingsProblem::unknown_key(key, KNOWN)),
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }
}

fn length(value: &Value) -> Result<usize, SettingsProblem> {
    value
        .as_u64()
        .filter(|length| (8..=128).contains(length))
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| {
            SettingsProblem::at("min_length", format!("`min_length` cannot be {value}"))
                .expected("an integer from 8 to 128")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(table: Value) -> Result<usize, Vec<String>> {
        let Value::Object(table) = table else { panic!("a table") };
        Settings::read(&table).map(|settings| settings.min_length).map_err(|problems| {
            let text = |p: SettingsProblem| {
                format!("{}: {} ({})", p.path.join("."), p.message, p.expected.unwrap_or_default())
            };
            problems.into_iter().map(text).collect()
        })
    }

    #[test]
    fn the_least_length_is_eight_unless_the_file_asks_for_more() {
        assert_eq!(read(json!({})), Ok(8));
        assert_eq!(read(json!({"min_length": 8})), Ok(8));
        assert_eq!(read(json!({"min_length": 128})), Ok(128));
        for wrong in [json!(7), json!(129), json!(-8), json!(8.0), json!("8"), json!(true)] {
            let problems = read(json!({ "min_length": wrong })).unwrap_err();
            assert!(problems[0].ends_with("(an integer from 8 to 128)"), "{problems:?}");
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let problems = read(json!({"min_lenght": 9, "strength": 3, "require": [], "breached": "x"}));
        assert_eq!(
            problems.unwrap_err(),
            [
                "breached: `breached` is not built yet ()",
                "min_lenght: unknown key `min_lenght` (did you mean `min_length`?)",
                "require: `require` is not built yet ()",
                "strength: `strength` is not built yet ()",
            ]
        );
    }
}
