//! `[plugins.NAME]`: strategy libraries. What may not come in: files. Whether a library is
//! what its table says is the gateway's to find out.

use crate::{
    load::Surroundings,
    names::{ID_SHAPE, is_id},
    problem::{At, Book},
    section::{ANY, Field, Section},
    tree::{Entry, Table},
};
use std::{path::PathBuf, time::Duration};

/// `[plugins.NAME]`
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// The library.
    pub path: PathBuf,
    /// What its bytes must hash to, in small letters; none: `danger_unpinned = true`.
    pub sha256: Option<String>,
    /// Whether its kinds may replace built-in ones.
    pub override_builtin: bool,
    /// Whether it runs in a process of its own.
    pub apart: bool,
    /// How long one call may take.
    pub timeout: Duration,
    /// How many calls of one instance may be in flight; none: as many as its kind of
    /// library takes by itself.
    pub max_in_flight: Option<usize>,
    /// The hosts that it may send a browser to.
    pub redirect_hosts: Vec<String>,
    /// The claims that it may say; none: all.
    pub claims: Option<Vec<String>>,
    /// Where its table begins, for messages.
    pub place: String,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &[
    "path",
    "sha256",
    "danger_unpinned",
    "override_builtin",
    "isolation",
    "timeout",
    "max_in_flight",
    "redirect_hosts",
    "claims",
];

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
const USUAL: Duration = Duration::from_secs(10);

/// Reads all of them, in the order of the file.
pub(crate) fn read(root: &Table, around: &Surroundings<'_>, book: &mut Book<'_>) -> Vec<Plugin> {
    let all = root.get("plugins").and_then(|e| Section::unchecked(&e.node, "[plugins]".into(), book));
    let entries = all.map_or(&[][..], |all| all.entries());
    let plugins: Vec<_> = entries.iter().filter_map(|entry| plugin(entry, around, book)).collect();
    let inside = plugins.iter().filter(|plugin| !plugin.apart);
    let names: Vec<_> = inside.map(|plugin| format!("[plugins.{}]", plugin.name)).collect();
    if let (Some(first), false) = (entries.first(), names.is_empty()) {
        let (verb, each) = if names.len() == 1 { ("runs", "is") } else { ("run", "are each") };
        let message = format!(
            "{} {verb} inside the gateway and {each} trusted as the gateway itself, with its keys and its memory",
            names.join(", ")
        );
        book.warn(&first.at, message, "load what you would also compile into it, and pin it by its sha256");
    }
    plugins
}

/// Whether the file names any, whose kinds only the gateway can find out.
pub(crate) fn any(root: &Table) -> bool {
    root.get("plugins").is_some()
}

fn plugin(entry: &Entry, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<Plugin> {
    let name = format!("[plugins.{}]", entry.key.escape_debug());
    if !is_id(&entry.key) {
        book.refuse_with(&entry.at, format!("{name} has no valid name"), ID_SHAPE);
    }
    let table = Section::of(&entry.node, name.clone(), "plugins", KEYS, book)?;
    let path = match table.field("path") {
        Some(field) => field.text(book).map(|text| around.folder_at(field.at()).join(text)),
        None => {
            book.refuse_with(
                &entry.at,
                format!("{name} has no path"),
                "write path = \"plugins/strategy.so\"",
            );
            None
        }
    };
    let flag =
        |key, book: &mut Book<'_>| table.field(key).and_then(|field| field.boolean(book)).unwrap_or(false);
    let unpinned = flag("danger_unpinned", book);
    let sha256 = pin(&table, &entry.at, unpinned, book);
    let isolation = &[("in-process", false), ("process", true)];
    let apart = table.field("isolation").and_then(|field| field.one_of(isolation, book)).unwrap_or(false);
    let timeout = table.field("timeout").and_then(|field| time(field, book)).unwrap_or(USUAL);
    let max_in_flight = table.field("max_in_flight").and_then(|field| field.count(65_536, book));
    let redirect_hosts = table.field("redirect_hosts").and_then(|field| hosts(field, book));
    let claims = table.field("claims").and_then(|field| field.texts(book));
    Some(Plugin {
        name: entry.key.clone(),
        path: path.unwrap_or_default(),
        sha256,
        override_builtin: flag("override_builtin", book),
        apart,
        timeout,
        max_in_flight: max_in_flight.and_then(|count| usize::try_from(count).ok()),
        redirect_hosts: redirect_hosts.unwrap_or_default(),
        claims: claims.map(|claims| claims.into_iter().map(|claim| claim.text).collect()),
        place: book.place(&entry.at),
    })
}

fn pin(table: &Section<'_>, at: &At, unpinned: bool, book: &mut Book<'_>) -> Option<String> {
    let name = &table.name;
    let Some(field) = table.field("sha256") else {
        if unpinned {
            let message =
                format!("{name} danger_unpinned = true: whoever can write the file becomes the gateway");
            book.warn(at, message, "pin it: `portcullis plugin pin FILE` prints the line");
        } else {
            let help =
                "`portcullis plugin pin FILE` prints the line; read the file's source before you pin it";
            book.refuse_with(at, format!("{name} has no sha256"), help);
        }
        return None;
    };
    let text = field.text(book)?;
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let help = "write 64 hexadecimal digits, as `portcullis plugin pin FILE` prints them";
        book.refuse_with(field.at(), format!("{} is no SHA-256", field.label()), help);
        return None;
    }
    if unpinned {
        let message = format!("{name} has both sha256 and danger_unpinned = true");
        book.refuse_with(at, message, "remove danger_unpinned");
    }
    Some(text.to_ascii_lowercase())
}

fn time(field: Field<'_>, book: &mut Book<'_>) -> Option<Duration> {
    let time = field.duration(ANY, book)?;
    if (SHORTEST..=LONGEST).contains(&time) {
        return Some(time);
    }
    book.refuse(field.at(), format!("{} must be between 100ms and 60s", field.label()));
    None
}

/// Names and addresses as they stand in a URL, without scheme, port or path.
fn hosts(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for host in field.texts(book)? {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let bracketed = host.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_host = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.text.is_empty() && host.text.bytes().all(plain),
        };
        if is_host {
            hosts.push(host.text.to_ascii_lowercase());
        } else {
            let message = format!("{}: \"{}\" is no host name", field.label(), host.text.escape_debug());
            book.refuse_with(&host.at, message, "write \"idp.example.com\", without scheme, port or path");
        }
    }
    Some(hosts)
}
