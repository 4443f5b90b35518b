//! `[upstreams.ID]`: where requests go.

use crate::{
    address::Origin,
    names::{ID_SHAPE, is_id},
    problem::Book,
    section::{ANY, Field, Section},
    tree::{Entry, Table},
    unbuilt, unwise,
};
use std::time::Duration;

/// `[upstreams.ID]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name.
    pub id: String,
    /// Where it is: host (name or address, IPv6 without brackets) and port, over plain http. Exactly one for now.
    pub urls: Vec<(String, u16)>,
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// To the first byte of the answer.
    pub response_timeout: Duration,
    /// Between bytes of an answer.
    pub idle_timeout: Duration,
    /// Whether the client's `Host` goes upstream.
    pub preserve_host: bool,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] =
    &["urls", "connect_timeout", "response_timeout", "idle_timeout", "preserve_host"];

/// Reads all upstreams, in the order of the file.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> Vec<Upstream> {
    let all = root.get("upstreams").and_then(|e| Section::unchecked(&e.node, "[upstreams]".into(), book));
    let entries = all.map_or(&[][..], |all| all.entries());
    entries.iter().filter_map(|entry| upstream(entry, book)).collect()
}

fn upstream(entry: &Entry, book: &mut Book<'_>) -> Option<Upstream> {
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
    let mut time = |key, seconds| {
        let given = table.field(key).and_then(|field| field.duration(ANY, book));
        given.unwrap_or(Duration::from_secs(seconds))
    };
    Some(Upstream {
        id: entry.key.clone(),
        urls,
        connect_timeout: time("connect_timeout", 5),
        response_timeout: time("response_timeout", 60),
        idle_timeout: time("idle_timeout", 300),
        preserve_host: table.field("preserve_host").and_then(|field| field.boolean(book)).unwrap_or(true),
    })
}

fn urls(field: Field<'_>, name: &str, book: &mut Book<'_>) -> Option<Vec<(String, u16)>> {
    let given = field.texts(book)?;
    if given.is_empty() {
        let message = format!("{} must name one origin", field.label());
        book.refuse_with(field.at(), message, "write [\"http://127.0.0.1:3000\"]");
    }
    if let Some(second) = given.get(1) {
        book.refuse(&second.at, unbuilt::line(&format!("{name} more than one url")));
    }
    let mut urls = Vec::new();
    for entry in given {
        match Origin::read(&entry.text) {
            Ok(origin) if origin.https => {
                book.refuse(&entry.at, unbuilt::line(&format!("{} = [\"https://…\"]", field.label())));
            }
            Ok(origin) => {
                unwise::upstream(&field.label(), &origin, &entry.at, book);
                let host = origin.host.trim_start_matches('[').trim_end_matches(']').to_owned();
                urls.push((host, origin.port));
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
