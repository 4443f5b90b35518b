//! The file as a tree that knows where each value was written: what `toml` read, made
//! owned, in the order of the file. Environment variables are laid over it. What may
//! not come in: what any key means.

use crate::problem::At;
use portcullis_plugin_api::Object;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A value and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Date(String),
    List(Vec<Node>),
    Table(Table),
    /// The text of an environment variable: itself where a string fits, else TOML.
    Variable(String),
}

/// A table in the order in which its keys were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// A key, where it is, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: At,
    pub(crate) node: Node,
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }
}

impl Node {
    /// What it is, with its article, for a message.
    pub(crate) fn what(&self) -> &'static str {
        match self.value {
            Value::Text(_) | Value::Variable(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The same, with a variable's text as a string, whatever it reads as.
    pub(crate) fn as_text(&self) -> Node {
        match &self.value {
            Value::Variable(text) => Node { at: self.at.clone(), value: Value::Text(text.clone()) },
            _ => self.clone(),
        }
    }

    /// The value as TOML has it: a variable's text is read, a value of the file is as it is.
    /// None: the text is no TOML value.
    pub(crate) fn settled(&self) -> Option<Node> {
        match &self.value {
            Value::Variable(text) => read_value(text, &self.at),
            _ => Some(self.clone()),
        }
    }
}

/// Reads a whole file. Every syntax error has its byte offset.
pub(crate) fn read(text: &str) -> Result<Table, Vec<(usize, String)>> {
    read_from(text, 0)
}

/// The same for a file whose text begins at `start` of the text of all files.
pub(crate) fn read_from(text: &str, start: usize) -> Result<Table, Vec<(usize, String)>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table_of(table.get_ref(), &|offset| At::File(start + offset)));
    }
    let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    Err(errors.iter().map(|error| (at(error), error.message().to_owned())).collect())
}

/// Reads one value out of a variable.
fn read_value(text: &str, at: &At) -> Option<Node> {
    let value = DeValue::parse(text.trim()).ok()?;
    Some(node_of(&value, &|_| at.clone()))
}

fn table_of(table: &DeTable<'_>, place: &dyn Fn(usize) -> At) -> Table {
    let mut entries: Vec<(usize, Entry)> = table
        .iter()
        .map(|(key, value)| {
            let start = key.span().start;
            let key = key.get_ref().to_string();
            (start, Entry { key, at: place(start), node: node_of(value, place) })
        })
        .collect();
    entries.sort_by_key(|(start, _)| *start);
    Table { entries: entries.into_iter().map(|(_, entry)| entry).collect() }
}

fn node_of(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> At) -> Node {
    let value_at = place(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            // What overflows 128 bits overflows every limit that a key has.
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node_of(item, place)).collect()),
        DeValue::Table(table) => Value::Table(table_of(table, place)),
    };
    Node { at: value_at, value }
}

/// A value as JSON, for a strategy. `places` gets where each part of it is, by its path.
pub(crate) fn json(node: &Node, path: &[String], places: &mut BTreeMap<Vec<String>, At>) -> Json {
    places.insert(path.to_vec(), node.at.clone());
    let below = |key: String| path.iter().cloned().chain([key]).collect::<Vec<_>>();
    match &node.value {
        Value::Text(text) | Value::Date(text) => Json::from(text.clone()),
        Value::Boolean(yes) => Json::from(*yes),
        Value::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
            (Ok(number), _) => Json::from(number),
            (_, Ok(number)) => Json::from(number),
            _ => Json::from(number.to_string()),
        },
        Value::Float(number) => {
            serde_json::Number::from_f64(*number).map_or_else(|| Json::from(number.to_string()), Json::Number)
        }
        Value::List(items) => {
            items.iter().enumerate().map(|(i, item)| json(item, &below(i.to_string()), places)).collect()
        }
        Value::Table(table) => Json::Object(
            table
                .entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.node, &below(entry.key.clone()), places)))
                .collect::<Object>(),
        ),
        // Nobody here knows the type that the strategy expects: what reads as TOML is
        // that, and everything else is the text itself.
        Value::Variable(text) => match node.settled() {
            Some(settled) => json(&settled, path, places),
            None => Json::from(text.clone()),
        },
    }
}
