//! `url` and `urls`: where the servers are, and how their connections are made safe.

use super::table::Table;
use portcullis_plugin_api::SettingsProblem;

/// How a connection is made safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// TLS from the first byte.
    Tls,
    /// TLS by StartTLS, or no login.
    StartTls,
    /// Not at all: `danger_plaintext`.
    Plain,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAt {
    /// For messages, in one spelling.
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) safety: Safety,
}

/// Reads both keys.
pub(super) fn read(table: &mut Table<'_>, start_tls: bool, danger_plaintext: bool) -> Vec<ServerAt> {
    let key = match (table.has("url"), table.has("urls")) {
        (true, true) => {
            table.problem(
                SettingsProblem::at("urls", "`url` and `urls` are both given").expected("one of them"),
            );
            return Vec::new();
        }
        (false, false) => {
            table.missing("url", "\"ldaps://ldap.example.org\"");
            return Vec::new();
        }
        (true, false) => "url",
        (false, true) => "urls",
    };
    let mut servers = Vec::new();
    for text in table.texts(key) {
        match server(&text, start_tls, danger_plaintext) {
            Ok(server) if servers.contains(&server) => {
                table.wrong(key, format!("`{key}` names {} twice", server.url));
            }
            Ok(server) => servers.push(server),
            Err((message, expected)) => {
                table.problem(SettingsProblem::at(key, format!("`{key}`: {message}")).expected(expected));
            }
        }
    }
    servers
}

/// A URL of RFC 4516 that names a server and nothing else.
fn server(text: &str, start_tls: bool, plain: bool) -> Result<ServerAt, (String, &'static str)> {
    const SHAPE: &str = "\"ldaps://host\" or \"ldaps://host:port\"";
    let shown = text.escape_debug();
    let (scheme, rest) = text.split_once("://").ok_or((format!("\"{shown}\" is no URL"), SHAPE))?;
    let scheme = scheme.to_ascii_lowercase();
    let (safety, default) = match (scheme.as_str(), start_tls, plain) {
        ("ldaps", false, _) => (Safety::Tls, 636),
        ("ldaps", true, _) => {
            return Err(("ldaps:// is TLS already".to_owned(), "no `start_tls`, or ldap://"));
        }
        ("ldap", true, _) => (Safety::StartTls, 389),
        ("ldap", false, true) => (Safety::Plain, 389),
        ("ldap", false, false) => {
            return Err((
                "ldap:// would send passwords that anybody on the way can read".to_owned(),
                "\"ldaps://…\", or `start_tls = true`, or `danger_plaintext = true`",
            ));
        }
        _ => return Err((format!("\"{shown}\" is neither ldaps:// nor ldap://"), SHAPE)),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) || authority.chars().any(char::is_whitespace) {
        return Err((format!("\"{shown}\" says more than where the server is"), SHAPE));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or_default())),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None => Some(default),
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
    };
    let port = port.ok_or((format!("\"{shown}\" has no valid port"), SHAPE))?;
    if rustls::pki_types::ServerName::try_from(host).is_err() {
        return Err((format!("\"{shown}\" has no valid host"), SHAPE));
    }
    let host = host.to_ascii_lowercase();
    let url = match host.contains(':') {
        true => format!("{scheme}://[{host}]:{port}"),
        false => format!("{scheme}://{host}:{port}"),
    };
    Ok(ServerAt { url, host, port, safety })
}
