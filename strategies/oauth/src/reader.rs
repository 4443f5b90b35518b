//! A table of settings while it is read: values by type, and every problem collected.

use portcullis_plugin_api::{Object, SettingsProblem};
use serde_json::Value;
use std::time::Duration;
use url::Url;

pub(crate) struct Reader<'t> {
    table: &'t Object,
    /// Where the table is inside the strategy's own.
    below: Vec<String>,
    pub(crate) problems: Vec<SettingsProblem>,
}

impl<'t> Reader<'t> {
    /// Opens a table; keys that are not known are problems.
    pub(crate) fn open(table: &'t Object, below: &[&str], known: &[&str]) -> Self {
        let below: Vec<String> = below.iter().map(|key| (*key).to_owned()).collect();
        let mut reader = Self { table, below, problems: Vec::new() };
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            let problem = SettingsProblem::unknown_key(key, known);
            reader.push(problem);
        }
        reader
    }

    /// Whether the key is given, whatever its value. A secret that could not be fetched is
    /// given, and reported by who fetched it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        match self.table.get(key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Null => None,
            other => self.wrong(key, other, "a text that is not empty"),
        }
    }

    pub(crate) fn flag(&mut self, key: &str) -> bool {
        match self.table.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(yes)) => *yes,
            Some(other) => self.wrong(key, other, "true or false").unwrap_or(false),
        }
    }

    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.table.get(key)?;
        let all: Option<Vec<String>> = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().filter(|t| !t.is_empty()).map(str::to_owned)).collect()
        });
        match all {
            Some(all) => Some(all),
            None => self.wrong(key, value, "a list of texts that are not empty"),
        }
    }

    pub(crate) fn duration(&mut self, key: &str, least: Duration, most: Duration) -> Option<Duration> {
        let value = self.table.get(key)?;
        let fits = |duration: &Duration| (least..=most).contains(duration);
        match value.as_str().and_then(duration).filter(fits) {
            Some(duration) => Some(duration),
            None => {
                let expected =
                    format!("a time like \"10s\", from {} to {} seconds", least.as_secs(), most.as_secs());
                self.wrong(key, value, &expected)
            }
        }
    }

    /// One of these words.
    pub(crate) fn word(&mut self, key: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(key)?;
        match words.iter().find(|word| **word == text) {
            Some(word) => Some(word),
            None => {
                let listed: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                self.wrong(key, &Value::from(text), &format!("one of {}", listed.join(", ")))
            }
        }
    }

    /// An address: https, or http where that is allowed.
    pub(crate) fn url(&mut self, key: &str, plaintext: bool) -> Option<Url> {
        let text = self.text(key)?;
        let fits = |url: &Url| {
            url.host().is_some()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        };
        let url = Url::parse(&text).ok().filter(fits);
        match url.as_ref().map(Url::scheme) {
            Some("https") => url,
            Some("http") if plaintext => url,
            Some("http") => {
                self.push(
                    SettingsProblem::at(
                        key,
                        format!("`{key}` is not https: whoever listens on the way can sign in as anybody"),
                    )
                    .expected("an https:// address, or danger_plaintext = true"),
                );
                None
            }
            _ => self.wrong(
                key,
                &Value::from(text),
                "an https:// address without a name, password or fragment",
            ),
        }
    }

    pub(crate) fn table(&mut self, key: &str) -> Option<&'t Object> {
        match self.table.get(key)? {
            Value::Object(table) => Some(table),
            other => self.wrong(key, other, "a table"),
        }
    }

    /// Reports that the value of a key cannot be.
    pub(crate) fn wrong<T>(&mut self, key: &str, found: &Value, expected: &str) -> Option<T> {
        // Secrets are not shown, not even those of the wrong type.
        let shown =
            if key.contains("secret") || key == "client_key" { "that".to_owned() } else { found.to_string() };
        self.push(SettingsProblem::at(key, format!("`{key}` cannot be {shown}")).expected(expected));
        None
    }

    /// Reports a problem of this table.
    pub(crate) fn push(&mut self, mut problem: SettingsProblem) {
        problem.path = self.below.iter().cloned().chain(problem.path).collect();
        self.problems.push(problem);
    }

    /// Reports a problem of the table as a whole.
    pub(crate) fn lacks(&mut self, message: &str, expected: &str) {
        let problem = SettingsProblem { path: Vec::new(), message: message.to_owned(), expected: None };
        self.push(problem.expected(expected));
    }
}

/// One integer and `ms s m h d`.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}
