//! For the tests of this crate: settings and entries in one line.

use crate::{settings::Settings, wire::message::Entry};
use serde_json::{Value, json};

/// Valid settings with some keys set.
pub(crate) fn settings(with: Value) -> Settings {
    let mut table = json!({
        "url": "ldaps://127.0.0.1:1",
        "bind_dn": "cn=svc,dc=example,dc=org",
        "bind_password": "secret",
        "base": "dc=example,dc=org",
    });
    if let (Value::Object(table), Value::Object(with)) = (&mut table, with) {
        table.extend(with);
    }
    let Value::Object(table) = table else { panic!("a table") };
    Settings::read(&table).expect("the settings are right")
}

pub(crate) fn entry(attributes: &[(&str, &[&[u8]])]) -> Entry {
    let attribute = |(name, values): &(&str, &[&[u8]])| {
        (name.to_ascii_lowercase(), values.iter().map(|value| value.to_vec()).collect())
    };
    Entry {
        dn: "uid=alice,ou=people,dc=example,dc=org".to_owned(),
        attributes: attributes.iter().map(attribute).collect(),
    }
}
