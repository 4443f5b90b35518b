//! `[upstreams.ID] tls`: by whom a server of an upstream is vouched for, under which name,
//! and who we are. There is no key that switches checking off. What may not come in: what
//! is in the files; that is read where TLS is spoken, at each start and reload.

use crate::{
    address,
    certificate::{self, Certificate},
    load::Surroundings,
    problem::Book,
    section::{Field, Section},
};
use std::path::PathBuf;

/// `tls = { ca, server_name, certificate, key }`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The only authorities that are believed; none: those of the system.
    pub ca: Option<CaFile>,
    /// The name that certificates must be made for; none: the host of the url. An IPv6
    /// address has no brackets.
    pub server_name: Option<String>,
    /// Shown to servers that ask who we are.
    pub client: Option<Certificate>,
}

/// A file of certificates of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile {
    /// The PEM file.
    pub file: PathBuf,
    /// Where the configuration names it, for messages.
    pub place: String,
}

const KEYS: &[&str] = &["ca", "server_name", "certificate", "key"];

/// Reads the table; `any_https`: whether a url of the upstream is https.
pub(crate) fn read(
    field: Field<'_>,
    any_https: bool,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Option<UpstreamTls> {
    let node = field.node().settled().unwrap_or_else(|| field.node().clone());
    let table = Section::of(&node, field.label(), "upstream-tls", KEYS, book)?;
    if !any_https {
        let message = format!("{} is given, and no url is https", field.label());
        book.refuse_with(field.at(), message, "write urls = [\"https://…\"], or remove tls");
    }
    let ca = table.field("ca").and_then(|ca| {
        let file = around.folder_at(ca.at()).join(ca.text(book)?);
        Some(CaFile { file, place: book.place(ca.at()) })
    });
    let client = match (table.field("certificate"), table.field("key")) {
        (None, None) => None,
        _ => certificate::pair(&table, &node.at, "client", around, book),
    };
    let server_name = table.field("server_name").and_then(|name| server_name(name, book));
    Some(UpstreamTls { ca, server_name, client })
}

fn server_name(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let text = field.text(book)?;
    // An address may stand without the brackets that it needs in a url.
    let host = address::host(&text).or_else(|| address::host(&format!("[{text}]")));
    let Some(host) = host else {
        let message = format!("{} is not a host name: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(
            field.at(),
            message,
            "write the name that the certificate was made for, without scheme and port",
        );
        return None;
    };
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}
