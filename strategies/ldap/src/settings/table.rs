//! Reads a table of settings and remembers what is wrong with it. A value of the wrong
//! type is a problem once, and then as if it were not there.

use portcullis_plugin_api::{Object, SettingsProblem};
use serde_json::Value;
use std::{ops::RangeInclusive, time::Duration};

pub(super) struct Table<'a> {
    values: &'a Object,
    path: Vec<String>,
    problems: &'a mut Vec<SettingsProblem>,
}

impl<'a> Table<'a> {
    /// The strategy's own table; keys that are not `known` are problems.
    pub(super) fn root(values: &'a Object, known: &[&str], problems: &'a mut Vec<SettingsProblem>) -> Self {
        let mut table = Self { values, path: Vec::new(), problems };
        table.check_keys(known);
        table
    }

    /// The table at `key`.
    pub(super) fn inner(&mut self, key: &str, known: &[&str]) -> Option<Table<'_>> {
        match self.values.get(key)? {
            Value::Object(values) => {
                let mut path = self.path.clone();
                path.push(key.to_owned());
                let mut table = Table { values, path, problems: &mut *self.problems };
                table.check_keys(known);
                Some(table)
            }
            other => {
                self.not_a(key, other, "a table");
                None
            }
        }
    }

    fn check_keys(&mut self, known: &[&str]) {
        for key in self.values.keys().filter(|key| !known.contains(&key.as_str())) {
            self.problem(SettingsProblem::unknown_key(key, known));
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Adds a problem of a key of this table.
    pub(super) fn problem(&mut self, mut problem: SettingsProblem) {
        let mut path = self.path.clone();
        path.append(&mut problem.path);
        self.problems.push(SettingsProblem { path, ..problem });
    }

    pub(super) fn wrong(&mut self, key: &str, message: String) {
        self.problem(SettingsProblem::at(key, message));
    }

    /// `key` is not there and has to be.
    pub(super) fn missing(&mut self, key: &str, what: &str) {
        // There is no value to point at: the table is where the mistake is.
        let problem =
            SettingsProblem { path: Vec::new(), message: format!("`{key}` is missing"), expected: None };
        self.problem(problem.expected(what));
    }

    pub(super) fn not_one_of(&mut self, key: &str, given: &str, names: &[&str]) {
        let near = SettingsProblem::unknown_key(given, names).expected;
        let message = format!("`{key}` cannot be \"{}\"", given.escape_debug());
        let expected = near.unwrap_or_else(|| format!("one of \"{}\"", names.join("\", \"")));
        self.problem(SettingsProblem::at(key, message).expected(expected));
    }

    fn not_a(&mut self, key: &str, given: &Value, expected: &str) {
        let what = match given {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "a table",
        };
        self.problem(SettingsProblem::at(key, format!("`{key}` cannot be {what}")).expected(expected));
    }

    /// A string that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.values.get(key)? {
            // A secret that could not be fetched: the gateway has said why.
            Value::Null => None,
            Value::String(text) if text.is_empty() => {
                self.wrong(key, format!("`{key}` is empty"));
                None
            }
            Value::String(text) => Some(text.clone()),
            other => {
                self.not_a(key, other, "a string");
                None
            }
        }
    }

    /// A string or a list of strings.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let all = match self.values.get(key) {
            None => return Vec::new(),
            Some(Value::Array(all)) => all.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
            Some(one) => one.as_str().map(|one| vec![one]),
        };
        match all {
            Some(all) if !all.is_empty() => all.into_iter().map(str::to_owned).collect(),
            _ => {
                self.problem(
                    SettingsProblem::at(key, format!("`{key}` must be a string or a list of strings"))
                        .expected("[\"ldaps://dc1.example.org\", \"ldaps://dc2.example.org\"]"),
                );
                Vec::new()
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.values.get(key)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                self.not_a(key, other, "true or false");
                None
            }
        }
    }

    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = self.values.get(key)?;
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("an integer from {} to {}", range.start(), range.end());
            let message = format!("`{key}` cannot be {value}");
            self.problem(SettingsProblem::at(key, message).expected(expected));
        }
        number
    }

    /// An integer and `ms`, `s`, `m`, `h` or `d`.
    pub(super) fn duration(&mut self, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.values.get(key)?;
        let found = value.as_str().and_then(duration).filter(|found| range.contains(found));
        if found.is_none() {
            let expected = format!("\"{}\" to \"{}\"", text_of(*range.start()), text_of(*range.end()));
            let message = format!("`{key}` cannot be {value}");
            self.problem(SettingsProblem::at(key, message).expected(expected));
        }
        found
    }

    /// The name of an attribute (RFC 4512 §1.4).
    pub(super) fn attribute(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        let fits =
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b';'));
        if fits {
            return Some(text);
        }
        let message = format!("`{key}` is no attribute: \"{}\"", text.escape_debug());
        self.problem(SettingsProblem::at(key, message).expected("a name such as \"mail\""));
        None
    }
}

fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    let unit = match &text[end..] {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(unit).map(Duration::from_secs)
}

fn text_of(duration: Duration) -> String {
    match duration.as_millis() {
        whole if whole % 1000 == 0 => format!("{}s", duration.as_secs()),
        part => format!("{part}ms"),
    }
}
