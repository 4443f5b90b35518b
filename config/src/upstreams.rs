//! `[upstreams.ID]`: where requests go.

use crate::{
    address::Origin,
    load::Surroundings,
    names::{ID_SHAPE, is_id},
    problem::Book,
    section::{ANY, Field, Section},
    tree::{Entry, Table},
    unwise,
    upstream_tls::{self, UpstreamTls},
};
use std::time::Duration;

/// `[upstreams.ID]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name.
    pub id: String,
    /// Where it is. At least one.
    pub urls: Vec<Url>,
    /// How certificates of those that are https are checked.
    pub tls: UpstreamTls,
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// To the first byte of the answer.
    pub response_timeout: Duration,
    /// Between bytes of an answer.
    pub idle_timeout: Duration,
    /// Whether the client's `Host` goes upstream.
    pub preserve_host: bool,
    /// How each of its servers is asked whether it is well.
    pub health: Option<Health>,
}

/// Where one server of an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is reached over TLS.
    pub https: bool,
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Given, or the scheme's own.
    pub port: u16,
}

/// `health = { path, interval }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked for, with its query.
    pub path: String,
    /// How often.
    pub interval: Duration,
}

/// Servers of one upstream.
const MOST: usize = 64;

/// The keys of the table.
pub(crate) const KEYS: &[&str] =
    &["urls", "tls", "connect_timeout", "response_timeout", "idle_timeout", "preserve_host", "health"];

/// Reads all upstreams, in the order of the file.
pub(crate) fn read(root: &Table, around: &Surroundings<'_>, book: &mut Book<'_>) -> Vec<Upstream> {
    let all = root.get("upstreams").and_then(|e| Section::unchecked(&e.node, "[upstreams]".into(), book));
    let entries = all.map_or(&[][..], |all| all.entries());
    entries.iter().filter_map(|entry| upstream(entry, around, book)).collect()
}

fn upstream(entry: &Entry, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<Upstream> {
    let name = format!("[upstreams.{}]", entry.key.escape_debug());
    if !is_id(&entry.key) {
        book.refuse_with(&entry.at, format!("{name} has no valid id"), ID_SHAPE);
    }
    let table = Section::of(&entry.node, name.clone(), "upstreams", KEYS, book)?;
    let urls = match table.field("urls") {
        Some(field) => urls(field, &name, book).unwrap_or_default(),
        None => {
            book.refuse_with(
                &entry.at,
                format!("{name} has no urls"),
                "write urls = [\"http://127.0.0.1:3000\"]",
            );
            Vec::new()
        }
    };
    let any_https = urls.iter().any(|url| url.https);
    let tls = table.field("tls").and_then(|field| upstream_tls::read(field, any_https, around, book));
    let health = table.field("health").and_then(|field| health(field, book));
    let mut time = |key, seconds| {
        let given = table.field(key).and_then(|field| field.duration(ANY, book));
        given.unwrap_or(Duration::from_secs(seconds))
    };
    Some(Upstream {
        id: entry.key.clone(),
        urls,
        tls: tls.unwrap_or_default(),
        connect_timeout: time("connect_timeout", 5),
        response_timeout: time("response_timeout", 60),
        idle_timeout: time("idle_timeout", 300),
        preserve_host: table.field("preserve_host").and_then(|field| field.boolean(book)).unwrap_or(true),
        health,
    })
}

fn health(field: Field<'_>, book: &mut Book<'_>) -> Option<Health> {
    let node = field.node().settled().unwrap_or_else(|| field.node().clone());
    let table = Section::of(&node, field.label(), "health", &["path", "interval"], book)?;
    let given = table.field("interval").and_then(|field| field.duration(Duration::from_secs(1), book));
    let interval = given.unwrap_or(Duration::from_secs(10));
    let Some(path) = table.field("path") else {
        let message = format!("{} has no path", field.label());
        book.refuse_with(field.at(), message, "write { path = \"/healthz\" }");
        return None;
    };
    let text = path.text(book)?;
    // It goes into a request line as it is (RFC 9112 §3.2.1).
    if !text.starts_with('/') || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        let message = format!("{} \"{}\" is no path", path.label(), text.escape_debug());
        book.refuse_with(path.at(), message, "write it from its first / on, with %XX for what is not ASCII");
        return None;
    }
    Some(Health { path: text, interval })
}

fn urls(field: Field<'_>, name: &str, book: &mut Book<'_>) -> Option<Vec<Url>> {
    let given = field.texts(book)?;
    if given.is_empty() {
        let message = format!("{} must name at least one origin", field.label());
        book.refuse_with(field.at(), message, "write [\"http://127.0.0.1:3000\"]");
    }
    if let Some(one_too_many) = given.get(MOST) {
        book.refuse(&one_too_many.at, format!("{name} has more than {MOST} urls"));
    }
    let mut urls = Vec::new();
    for entry in given {
        match Origin::read(&entry.text) {
            Ok(origin) => {
                unwise::upstream(&field.label(), &origin, &entry.at, book);
                let host = origin.host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let url = Url { https: origin.https, host, port: origin.port };
                if urls.contains(&url) {
                    let message = format!("{} names \"{}\" twice", field.label(), shown(&entry.text));
                    book.refuse(&entry.at, message);
                }
                urls.push(url);
            }
            Err((fault, help)) => {
                let help =
                    help.unwrap_or_else(|| "write an origin, as in \"http://127.0.0.1:3000\"".to_owned());
                let message = format!("{}: \"{}\" {fault}", field.label(), shown(&entry.text));
                book.refuse_with(&entry.at, message, help);
            }
        }
    }
    Some(urls)
}

/// A url for a message, without the password that somebody may have put into it.
fn shown(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        (None, Some(at)) => format!("…{}", &url[at..]),
        _ => url.to_owned(),
    }
    .escape_debug()
    .to_string()
}
