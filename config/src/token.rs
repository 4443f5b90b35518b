//! `[token]`: access tokens.

use crate::{
    algorithm::{self, Algorithm},
    load::Surroundings,
    names::is_token,
    problem::Book,
    secret::Secret,
    section::{Field, Section},
    server::PublicUrl,
    tree::Table,
};
use std::time::Duration;

/// `[token]`
#[derive(Clone, Debug)]
pub struct Token {
    /// How access tokens are signed.
    pub algorithm: Algorithm,
    /// The key of HS256; no other algorithm has one here.
    pub secret: Option<Secret>,
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// How long an access token lives when the login does not ask otherwise.
    pub lifetime: Duration,
    /// The most that a login may ask for.
    pub max_lifetime: Duration,
    /// How old a signing key of ours becomes.
    pub rotate: Duration,
    /// `Authorization` schemes that carry our tokens, compared without case.
    pub schemes: Vec<String>,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] =
    &["algorithm", "secret", "issuer", "audience", "lifetime", "max_lifetime", "rotate", "schemes"];

/// `exp` is in whole seconds.
pub(crate) const A_SECOND: Duration = Duration::from_secs(1);

/// Reads the table.
pub(crate) fn read(
    root: &Table,
    public_url: &PublicUrl,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Token {
    let table = Section::open(root, "token", KEYS, book);
    let (algorithm, secret) = algorithm::with_secret(&table, around, book);
    let mut text = |key| table.field(key).and_then(|field| field.text(book));
    let issuer = text("issuer").unwrap_or_else(|| public_url.origin.clone());
    let audience = text("audience").unwrap_or_else(|| public_url.origin.clone());
    let lifetime = table
        .field("lifetime")
        .and_then(|field| field.duration(A_SECOND, book))
        .unwrap_or(Duration::from_secs(15 * 60));
    let max_lifetime = table
        .field("max_lifetime")
        .and_then(|field| field.duration(A_SECOND, book))
        .unwrap_or(Duration::from_secs(24 * 3_600));
    if lifetime > max_lifetime {
        let field = table.field("lifetime").or(table.field("max_lifetime"));
        let at = field.map_or(&table.at, |field| field.at());
        book.refuse_with(at, "[token] lifetime is longer than [token] max_lifetime", "raise max_lifetime");
    }
    let rotate = table.field("rotate").and_then(|field| rotate(field, lifetime, book));
    let rotate = rotate.unwrap_or(Duration::from_secs(90 * 86_400));
    let schemes = table.field("schemes").and_then(|field| schemes(field, book));
    let schemes = schemes.unwrap_or_else(|| vec!["Bearer".to_owned(), "Token".to_owned()]);
    Token { algorithm, secret, issuer, audience, lifetime, max_lifetime, rotate, schemes }
}

fn rotate(field: Field<'_>, lifetime: Duration, book: &mut Book<'_>) -> Option<Duration> {
    let time = field.duration(A_SECOND, book)?;
    if time < lifetime {
        let message = format!("{} is shorter than the lifetime of a token", field.label());
        book.warn(
            field.at(),
            message,
            "many keys verify at the same time: \"90d\" is the default".to_owned(),
        );
    }
    Some(time)
}

fn schemes(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<String>> {
    let mut schemes: Vec<String> = Vec::new();
    let given = field.texts(book)?;
    if given.is_empty() {
        book.refuse_with(field.at(), format!("{} must not be empty", field.label()), "write [\"Bearer\"]");
    }
    for entry in given {
        let shown = entry.text.escape_debug();
        if !is_token(&entry.text) {
            book.refuse(&entry.at, format!("{} is not a scheme: \"{shown}\"", field.label()));
        } else if schemes.iter().any(|known| known.eq_ignore_ascii_case(&entry.text)) {
            book.refuse(&entry.at, format!("{} names \"{shown}\" twice", field.label()));
        } else {
            schemes.push(entry.text);
        }
    }
    Some(schemes)
}
