//! A table opened for reading: its keys are checked against the known ones at once, and
//! each value is asked for by its type. What may not come in: what a key means.

use crate::{
    nearest,
    problem::{At, Book},
    tree::{Node, Table, Value},
    unbuilt,
};
use std::time::Duration;

/// An open table. One that is not in the file reads as empty.
pub(crate) struct Section<'t> {
    /// As it is written in a file: `[server]`, `[upstreams.api]`, `[[routes]]`.
    pub(crate) name: String,
    /// Where it begins.
    pub(crate) at: At,
    table: Option<&'t Table>,
}

/// A value that was given, and what to call it.
#[derive(Clone, Copy)]
pub(crate) struct Field<'s> {
    section: &'s str,
    key: &'s str,
    node: &'s Node,
}

/// A string and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) at: At,
    pub(crate) text: String,
}

/// The longest time that a key may say; keeps sums of times far from any overflow.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

impl<'t> Section<'t> {
    /// Opens `[name]` of the root.
    pub(crate) fn open(root: &'t Table, name: &'static str, keys: &[&str], book: &mut Book<'_>) -> Self {
        let written = format!("[{name}]");
        let Some(entry) = root.get(name) else {
            return Self { name: written, at: At::File(0), table: None };
        };
        let (at, node) = (entry.at.clone(), &entry.node);
        Self::of(node, written.clone(), name, keys, book).unwrap_or(Self { name: written, at, table: None })
    }

    /// Opens a table that is a value. `shape` is the name under which its keys are listed.
    /// None, and a problem: it is no table.
    pub(crate) fn of(
        node: &'t Node,
        name: String,
        shape: &str,
        keys: &[&str],
        book: &mut Book<'_>,
    ) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            book.refuse(&node.at, format!("{name} must be a table, not {}", node.what()));
            return None;
        };
        check_keys(table, &name, shape, keys, book);
        Some(Self { name, at: node.at.clone(), table: Some(table) })
    }

    /// Opens a table whose other keys are somebody else's to check.
    pub(crate) fn unchecked(node: &'t Node, name: String, book: &mut Book<'_>) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            book.refuse(&node.at, format!("{name} must be a table, not {}", node.what()));
            return None;
        };
        Some(Self { name, at: node.at.clone(), table: Some(table) })
    }

    /// All entries, in the order of the file.
    pub(crate) fn entries(&self) -> &'t [crate::tree::Entry] {
        self.table.map_or(&[], |table| &table.entries)
    }

    /// A value, if it was given.
    pub(crate) fn field<'s>(&'s self, key: &'s str) -> Option<Field<'s>> {
        let entry = self.table?.get(key)?;
        Some(Field { section: &self.name, key, node: &entry.node })
    }
}

/// Each key is known, or not built yet, or unknown with its nearest name.
fn check_keys(table: &Table, name: &str, shape: &str, keys: &[&str], book: &mut Book<'_>) {
    let later = unbuilt::keys(shape);
    for entry in &table.entries {
        let key = entry.key.as_str();
        if keys.contains(&key) {
            continue;
        }
        if later.contains(&key) {
            book.refuse(&entry.at, unbuilt::line(&format!("{name} {key}")));
        } else {
            let message = format!("unknown key `{}` in {name}", key.escape_debug());
            book.refuse_with(&entry.at, message, nearest::help(key, keys, later));
        }
    }
}

impl<'s> Field<'s> {
    /// Where the value is.
    pub(crate) fn at(&self) -> &'s At {
        &self.node.at
    }

    /// The value itself.
    pub(crate) fn node(&self) -> &'s Node {
        self.node
    }

    /// `[server] listen`
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.section, self.key)
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, book: &mut Book<'_>) -> Option<String> {
        match &self.node.value {
            Value::Text(text) | Value::Variable(text) if text.is_empty() => {
                book.refuse(self.at(), format!("{} must not be empty", self.label()));
                None
            }
            Value::Text(text) | Value::Variable(text) => Some(text.clone()),
            _ => self.wrong_type("a string", self.node, book),
        }
    }

    /// A string or a list of strings; empty strings are the caller's to refuse.
    pub(crate) fn text_or_texts(&self, book: &mut Book<'_>) -> Option<Vec<Text>> {
        match &self.node.value {
            Value::Text(text) => Some(vec![Text { at: self.at().clone(), text: text.clone() }]),
            // `[::1]:8080` begins like a list and is none.
            Value::Variable(text) => match self.node.settled() {
                Some(node) if matches!(node.value, Value::List(_)) => self.texts_of(&node, book),
                _ => Some(vec![Text { at: self.at().clone(), text: text.clone() }]),
            },
            Value::List(_) => self.texts_of(self.node, book),
            _ => self.wrong_type("a string or a list of strings", self.node, book),
        }
    }

    /// A list of strings.
    pub(crate) fn texts(&self, book: &mut Book<'_>) -> Option<Vec<Text>> {
        let node = self.settled("a list of strings", book)?;
        self.texts_of(&node, book)
    }

    fn texts_of(&self, node: &Node, book: &mut Book<'_>) -> Option<Vec<Text>> {
        let items = match &node.value {
            Value::List(items) => items,
            Value::Text(_) => {
                let message = format!("{} must be a list of strings, not a string", self.label());
                book.refuse_with(&node.at, message, "put it into brackets: [\"…\"]");
                return None;
            }
            _ => return self.wrong_type("a list of strings", node, book),
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.value {
                Value::Text(text) => texts.push(Text { at: item.at.clone(), text: text.clone() }),
                _ => {
                    book.refuse(
                        &item.at,
                        format!("{} holds strings only, not {}", self.label(), item.what()),
                    );
                }
            }
        }
        Some(texts)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, book: &mut Book<'_>) -> Option<bool> {
        let node = self.settled("true or false", book)?;
        match node.value {
            Value::Boolean(yes) => Some(yes),
            _ => self.wrong_type("true or false", &node, book),
        }
    }

    /// A whole number between 1 and `most`.
    pub(crate) fn count(&self, most: u32, book: &mut Book<'_>) -> Option<u32> {
        let node = self.settled("a whole number", book)?;
        let Value::Integer(number) = node.value else {
            return self.wrong_type("a whole number", &node, book);
        };
        match u32::try_from(number) {
            Ok(number) if (1..=most).contains(&number) => Some(number),
            _ => {
                book.refuse(&node.at, format!("{} must be between 1 and {most}", self.label()));
                None
            }
        }
    }

    /// A time of at least `least`.
    pub(crate) fn duration(&self, least: Duration, book: &mut Book<'_>) -> Option<Duration> {
        let (Value::Text(text) | Value::Variable(text)) = &self.node.value else {
            return self.wrong_type("a duration such as \"30s\"", self.node, book);
        };
        let Some(time) = duration(text) else {
            book.refuse_with(
                self.at(),
                format!("{} is not a duration: \"{}\"", self.label(), text.escape_debug()),
                "write one whole number and a unit: ms, s, m, h or d, as in \"90s\"",
            );
            return None;
        };
        if time < least {
            let least = if least.as_millis() == 1 { "more than nothing" } else { "at least a second" };
            book.refuse(self.at(), format!("{} must be {least}", self.label()));
            return None;
        }
        Some(time)
    }

    /// One of a few words.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&str, T)], book: &mut Book<'_>) -> Option<T> {
        let text = self.text(book)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let help = match nearest::nearest(&text, &known) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => format!("write \"{}\"", known.join("\" or \"")),
            };
            let message = format!("{} cannot be \"{}\"", self.label(), text.escape_debug());
            book.refuse_with(self.at(), message, help);
        }
        found
    }

    fn settled(&self, expected: &str, book: &mut Book<'_>) -> Option<Node> {
        let settled = self.node.settled();
        if settled.is_none() {
            book.refuse_with(
                self.at(),
                format!("{} must be {expected}", self.label()),
                "the variable's text is read as TOML here",
            );
        }
        settled
    }

    fn wrong_type<T>(&self, expected: &str, node: &Node, book: &mut Book<'_>) -> Option<T> {
        book.refuse(&node.at, format!("{} must be {expected}, not {}", self.label(), node.what()));
        None
    }
}

/// One integer and a unit.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..unit].parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    let time = match &text[unit..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => None,
    };
    time.filter(|time| *time <= LONGEST)
}

/// The shortest time that is one.
pub(crate) const ANY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn a_duration_is_one_integer_and_one_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Some(Duration::from_secs(3_600)));
        assert_eq!(duration("30d"), Some(Duration::from_secs(30 * 86_400)));
        for wrong in ["", "30", "s", "1h30m", "-1s", "+1s", "1.5h", " 1s", "1 s", "1S", "1w", "99999999999d"]
        {
            assert_eq!(duration(wrong), None, "{wrong:?}");
        }
    }
}
