//! `[[token.trusted]]`: issuers whose bearers are believed though nobody signed in here.
//! What may not come in: keys and tokens; they are asked for when one comes.

use crate::{
    load::Surroundings,
    names::{ID_SHAPE, is_admin, is_id, is_role},
    problem::Book,
    secret::{self, Secret},
    section::{Field, Section},
    tree::{Node, Value},
    upstream_tls::CaFile,
};

/// `[[token.trusted]]`
#[derive(Clone, Debug)]
pub struct Trusted {
    /// What stands behind the `@` of its people's names.
    pub id: String,
    /// `iss`, letter for letter.
    pub issuer: String,
    /// `aud`: the API behind us.
    pub audience: String,
    /// Where its keys are; none: by discovery.
    pub jwks_uri: Option<String>,
    /// How its tokens may be signed; empty: as its metadata or its keys say.
    pub algorithms: Vec<String>,
    /// The only authorities that are believed.
    pub ca: Option<CaFile>,
    /// Group to role.
    pub roles: Vec<(String, String)>,
    /// Where opaque tokens are asked about.
    pub introspection: Option<TrustedIntrospection>,
    /// Where it stands in the file, for messages.
    pub place: String,
}

/// `introspection = { url, client_id, client_secret }`
#[derive(Clone, Debug)]
pub struct TrustedIntrospection {
    /// Where.
    pub url: String,
    /// Us.
    pub client_id: String,
    /// Our secret.
    pub client_secret: Secret,
}

const KEYS: &[&str] =
    &["id", "issuer", "audience", "jwks_uri", "algorithms", "tls", "roles", "introspection"];

/// What a token may be signed with; no shared secrets.
const ALGORITHMS: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

const NAME: &str = "[[token.trusted]]";

/// Reads all of them. `ours` is our own issuer; `strategies` the ids that are taken.
pub(crate) fn read(
    field: Field<'_>,
    ours: &str,
    strategies: &[&str],
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Vec<Trusted> {
    let Value::List(items) = &field.node().value else {
        let message = format!("{} must be an array of tables, not {}", field.label(), field.node().what());
        book.refuse_with(field.at(), message, "write [[token.trusted]]");
        return Vec::new();
    };
    let mut all: Vec<Trusted> = Vec::new();
    for item in items {
        let Some(one) = one(item, ours, around, book) else { continue };
        let taken = strategies.contains(&one.id.as_str()) || all.iter().any(|other| other.id == one.id);
        if taken {
            let message = format!("{NAME} id = \"{}\" is already the id of another", one.id);
            book.refuse_with(&item.at, message, "names end in it: every strategy and issuer has its own");
        }
        if all.iter().any(|other| other.issuer == one.issuer) {
            book.refuse(&item.at, format!("{NAME} names the issuer \"{}\" twice", one.issuer.escape_debug()));
        }
        all.push(one);
    }
    all
}

fn one(item: &Node, ours: &str, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<Trusted> {
    let table = Section::of(item, NAME.to_owned(), "trusted", KEYS, book)?;
    let mut required = |key: &'static str| {
        let Some(field) = table.field(key) else {
            book.refuse(&item.at, format!("{NAME} has no {key}"));
            return None;
        };
        field.text(book)
    };
    let (id, issuer, audience) = (required("id"), required("issuer"), required("audience"));
    if let (Some(id), Some(field)) = (&id, table.field("id"))
        && !is_id(id)
    {
        book.refuse_with(field.at(), format!("{} is no id", field.label()), ID_SHAPE);
    }
    if let (Some(issuer), Some(field)) = (&issuer, table.field("issuer")) {
        https(field, issuer, book);
        if issuer == ours {
            book.refuse(field.at(), format!("{} is our own issuer", field.label()));
        }
    }
    let jwks_uri = table.field("jwks_uri").and_then(|field| address(field, book));
    let algorithms = table.field("algorithms").map(|field| algorithms(field, book)).unwrap_or_default();
    let ca = table.field("tls").and_then(|field| ca(field, around, book));
    let roles = table.field("roles").map(|field| roles(field, book)).unwrap_or_default();
    let introspection = table.field("introspection").and_then(|field| introspection(field, around, book));
    let place = book.place(&item.at);
    Some(Trusted {
        id: id?,
        issuer: issuer?,
        audience: audience?,
        jwks_uri,
        algorithms,
        ca,
        roles,
        introspection,
        place,
    })
}

fn https(field: Field<'_>, text: &str, book: &mut Book<'_>) {
    if !text.starts_with("https://") || text.len() <= "https://".len() {
        let message = format!("{} = \"{}\" is not https", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, "whoever listens on the way could sign for everybody");
    }
}

fn address(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let text = field.text(book)?;
    https(field, &text, book);
    Some(text)
}

fn algorithms(field: Field<'_>, book: &mut Book<'_>) -> Vec<String> {
    let texts = field.texts(book).unwrap_or_default();
    for text in texts.iter().filter(|text| !ALGORITHMS.contains(&text.text.as_str())) {
        let message = format!("{} cannot have \"{}\"", field.label(), text.text.escape_debug());
        book.refuse_with(&text.at, message, format!("one of {}", ALGORITHMS.join(", ")));
    }
    texts.into_iter().map(|text| text.text).collect()
}

fn ca(field: Field<'_>, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<CaFile> {
    let table = Section::of(field.node(), field.label(), "trusted-tls", &["ca"], book)?;
    let ca = table.field("ca")?;
    Some(CaFile { file: around.folder_at(ca.at()).join(ca.text(book)?), place: book.place(ca.at()) })
}

fn roles(field: Field<'_>, book: &mut Book<'_>) -> Vec<(String, String)> {
    let Some(table) = Section::unchecked(field.node(), field.label(), book) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in table.entries() {
        let Some(role) = table.field(&entry.key).and_then(|field| field.text(book)) else { continue };
        if entry.key.is_empty() {
            let message = format!("{}: \"\" is no group", field.label());
            book.refuse_with(&entry.at, message, "write a group's name");
        } else if is_admin(&role) {
            let message = format!("{} gives the role admin", field.label());
            book.refuse_with(&entry.at, message, "a foreign issuer makes no administrators");
        } else if !is_role(&role) {
            book.refuse(&entry.at, format!("{}: \"{}\" is no role", field.label(), role.escape_debug()));
        } else {
            all.push((entry.key.clone(), role));
        }
    }
    all
}

fn introspection(
    field: Field<'_>,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Option<TrustedIntrospection> {
    let keys = ["url", "client_id", "client_secret"];
    let table = Section::of(field.node(), field.label(), "trusted-introspection", &keys, book)?;
    for key in keys.iter().filter(|key| table.field(key).is_none()) {
        book.refuse(field.at(), format!("{} has no {key}", field.label()));
    }
    Some(TrustedIntrospection {
        url: table.field("url").and_then(|field| address(field, book))?,
        client_id: table.field("client_id").and_then(|field| field.text(book))?,
        client_secret: table.field("client_secret").and_then(|field| secret::read(field, around, book))?,
    })
}
