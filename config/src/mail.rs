//! `[mail]`: how mail leaves, and in whose name. What may not come in: what is written in
//! one, and a message that repeats a password of the address.

use crate::{
    load::Surroundings,
    problem::Book,
    secret::{self, Secret},
    section::{Field, Section},
    tree::{Table, Value},
    upstream_tls::CaFile,
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

/// `[mail]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `url`: where it goes.
    pub route: MailRoute,
    /// The display part of `from`.
    pub from_name: Option<String>,
    /// The address of `from`: ASCII, a dot-atom and a host name.
    pub from_address: String,
}

/// `[mail] url`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailRoute {
    /// A server that takes mail.
    Smtp(Smtp),
    /// A folder: each message is a file of it.
    Folder(PathBuf),
}

/// A server that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// When TLS begins.
    pub security: MailSecurity,
    /// Who we are there.
    pub login: Option<(String, Secret)>,
    /// `tls.ca`: whom its certificate may come from, in place of the system's.
    pub ca: Option<CaFile>,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// After STARTTLS; without it nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
    /// Never: a server on this machine.
    Plain,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["url", "from", "tls"];

const HOW: &str = "write \"smtp://user:password@mail.example.com\", \"smtps://…\" or \"file:DIR\"";

/// Reads the table; none when it is not there.
pub(crate) fn read(root: &Table, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<Mail> {
    root.get("mail")?;
    let table = Section::open(root, "mail", KEYS, book);
    let ca = table.field("tls").and_then(|field| ca(field, around, book));
    let route = match table.field("url") {
        Some(field) => route(field, ca, around, book),
        None => missing(&table, "url", HOW, book),
    };
    let from = match table.field("from") {
        Some(field) => from(field, book),
        None => missing(&table, "from", "write from = \"Example <no-reply@example.com>\"", book),
    };
    let (route, (from_name, from_address)) = (route?, from?);
    Some(Mail { route, from_name, from_address })
}

fn missing<T>(table: &Section<'_>, key: &str, help: &str, book: &mut Book<'_>) -> Option<T> {
    book.refuse_with(&table.at, format!("{} has no {key}", table.name), help);
    None
}

fn ca(field: Field<'_>, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<CaFile> {
    let settled = field.node().settled();
    let table = Section::of(settled.as_ref().unwrap_or(field.node()), field.label(), "ca", &["ca"], book)?;
    let Some(ca) = table.field("ca") else {
        book.refuse_with(field.at(), format!("{} has no ca", field.label()), "write { ca = \"ca.pem\" }");
        return None;
    };
    let path = around.folder_at(ca.at()).join(ca.text(book)?);
    if !path.is_file() {
        book.refuse(ca.at(), format!("{}: {} is no file", ca.label(), path.display()));
        return None;
    }
    Some(CaFile { file: path, place: book.place(ca.at()) })
}

fn route(
    field: Field<'_>,
    ca: Option<CaFile>,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Option<MailRoute> {
    // Where nobody is named there is no secret, and nothing to warn of.
    let holds_secret = match &field.node().value {
        Value::Text(text) => text.contains('@'),
        Value::Variable(text) => text.contains(['@', '{']),
        _ => true,
    };
    let text = match holds_secret {
        true => secret::read(field, around, book)?.reveal().to_owned(),
        false => field.text(book)?,
    };
    if let Some(folder) = text.strip_prefix("file:") {
        return match folder {
            "" => wrong(field, "names no folder", book),
            _ => Some(MailRoute::Folder(around.folder_at(field.at()).join(Path::new(folder)))),
        };
    }
    let (tls, rest) = match (text.strip_prefix("smtp://"), text.strip_prefix("smtps://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return wrong(field, "must begin with smtp://, smtps:// or file:", book),
    };
    match server(rest, tls, ca) {
        Ok(smtp) => Some(MailRoute::Smtp(smtp)),
        Err(fault) => wrong(field, fault, book),
    }
}

fn wrong<T>(field: Field<'_>, fault: &str, book: &mut Book<'_>) -> Option<T> {
    book.refuse_with(field.at(), format!("{} {fault}", field.label()), HOW);
    None
}

/// `[user:password@]host[:port]`
fn server(text: &str, tls: bool, ca: Option<CaFile>) -> Result<Smtp, &'static str> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains(['/', '?', '#']) {
        return Err("takes no path and no parameters; write %2F, %3F and %23 inside a password");
    }
    let (login, place) = match text.rsplit_once('@') {
        Some((who, place)) => (Some(credentials(who)?), place),
        None => (None, text),
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => {
            (host, Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or("has no valid port")?))
        }
        _ => (place, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = bare.parse::<IpAddr>().ok();
    if address.is_none() && !is_host(host) {
        return Err("has no valid host");
    }
    let is_loopback = address.map_or(host == "localhost", |address| address.is_loopback());
    let (security, usual) = match (tls, is_loopback && ca.is_none()) {
        (true, _) => (MailSecurity::Tls, 465),
        (false, true) => (MailSecurity::Plain, 25),
        (false, false) => (MailSecurity::StartTls, 587),
    };
    Ok(Smtp { host: bare.to_owned(), port: port.unwrap_or(usual), security, login, ca })
}

fn credentials(who: &str) -> Result<(String, Secret), &'static str> {
    let (user, password) = who.split_once(':').ok_or("names a user without a password")?;
    let decode = |text| decoded(text).ok_or("has a broken escape before the @");
    let (user, password) = (decode(user)?, decode(password)?);
    if user.is_empty() || password.is_empty() {
        return Err("names a user without a password");
    }
    Ok((user, Secret::new(password)))
}

/// Percent-decoded.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// `no-reply@example.com` or `Example <no-reply@example.com>`
fn from(field: Field<'_>, book: &mut Book<'_>) -> Option<(Option<String>, String)> {
    let text = field.text(book)?;
    let (name, address) = match text.trim().strip_suffix('>').and_then(|inner| inner.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", text.trim()),
    };
    let (local, host) = address.rsplit_once('@').unwrap_or_default();
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    let fits = local.len() <= 64
        && address.len() <= 254
        && local.split('.').all(is_atom)
        && is_host(host)
        && !name.contains(|c: char| c.is_control() || "<>@\"".contains(c));
    if !fits {
        let message = format!("{} is not an address that mail can come from", field.label());
        book.refuse_with(field.at(), message, "write \"Example <no-reply@example.com>\"");
        return None;
    }
    Some(((!name.is_empty()).then(|| name.to_owned()), address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_read_from_its_address() {
        let read = |text, tls| server(text, tls, None);
        let plain =
            |host: &str, port, security| Smtp { host: host.into(), port, security, login: None, ca: None };
        assert_eq!(read("mail.x.io", false), Ok(plain("mail.x.io", 587, MailSecurity::StartTls)));
        assert_eq!(read("mail.x.io/", true), Ok(plain("mail.x.io", 465, MailSecurity::Tls)));
        assert_eq!(read("localhost", false), Ok(plain("localhost", 25, MailSecurity::Plain)));
        assert_eq!(read("127.0.0.1:2525", false), Ok(plain("127.0.0.1", 2525, MailSecurity::Plain)));
        assert_eq!(read("[::1]:2525", false), Ok(plain("::1", 2525, MailSecurity::Plain)));
        assert_eq!(read("[::1]", true), Ok(plain("::1", 465, MailSecurity::Tls)));
        // A private authority is named because TLS is meant, also on this machine.
        let ca = CaFile { file: "/ca".into(), place: String::new() };
        let with_ca = server("127.0.0.1:2525", false, Some(ca)).unwrap();
        assert_eq!(with_ca.security, MailSecurity::StartTls);
        let named = read("ann%40x.io:p%2Fw%3A%40@mail.x.io:2587", false).unwrap();
        assert_eq!(named.login, Some(("ann@x.io".into(), Secret::new("p/w:@".into()))));
        assert_eq!((named.host.as_str(), named.port), ("mail.x.io", 2587));
    }
}
