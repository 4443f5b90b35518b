//! What the contract names and this version does not have yet: the one list that later
//! issues shorten. Each entry is refused with one line, `[plugins] is not built yet`. What
//! may not come in: names that the contract does not have.

/// Whole tables, by their name at the root, as they are written in a file.
const TABLES: &[(&str, &str)] = &[];

/// Keys of tables that do exist. The root has no name; `policy` is the table of a route.
const KEYS: &[(&str, &[&str])] = &[("upstreams", &["http2"])];

/// How a whole table that is not built yet is written, `[mail]`.
pub(crate) fn table(name: &str) -> Option<&'static str> {
    TABLES.iter().find(|(known, _)| *known == name).map(|(_, written)| *written)
}

/// The names of all tables that are not built yet.
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name)
}

/// The keys of a table that are not built yet.
pub(crate) fn keys(table: &str) -> &'static [&'static str] {
    KEYS.iter().find(|(known, _)| *known == table).map_or(&[], |(_, keys)| keys)
}

/// The one line.
pub(crate) fn line(what: &str) -> String {
    format!("{what} is not built yet")
}
