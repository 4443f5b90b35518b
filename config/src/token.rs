//! `[token]`: access tokens.

use crate::{
    algorithm::{self, Algorithm},
    load::Surroundings,
    names::is_token,
    problem::Book,
    secret::Secret,
    section::{ANY, Field, Section},
    server::PublicUrl,
    session::LONGEST_COOKIE,
    tree::Table,
    trusted::{self, Trusted},
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
    /// The end of a session with a refresh family, which nothing moves.
    pub refresh_lifetime: Duration,
    /// How long such a session lives without use.
    pub refresh_idle: Duration,
    /// How long a replaced refresh token still gives the same successor.
    pub refresh_grace: Duration,
    /// How old a signing key of ours becomes.
    pub rotate: Duration,
    /// `Authorization` schemes that carry our tokens, compared without case.
    pub schemes: Vec<String>,
    /// Issuers whose bearers are believed though nobody signed in here.
    pub trusted: Vec<Trusted>,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &[
    "algorithm",
    "secret",
    "issuer",
    "audience",
    "lifetime",
    "max_lifetime",
    "refresh_lifetime",
    "refresh_idle",
    "refresh_grace",
    "rotate",
    "schemes",
    "trusted",
];

/// `exp` is in whole seconds.
pub(crate) const A_SECOND: Duration = Duration::from_secs(1);

/// Reads the table.
pub(crate) fn read(
    root: &Table,
    public_url: &PublicUrl,
    strategies: &[&str],
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
    let Refresh { refresh_lifetime, refresh_idle, refresh_grace } = refresh(&table, book);
    let rotate = table.field("rotate").and_then(|field| rotate(field, lifetime, book));
    let rotate = rotate.unwrap_or(Duration::from_secs(90 * 86_400));
    let schemes = table.field("schemes").and_then(|field| schemes(field, book));
    let schemes = schemes.unwrap_or_else(|| vec!["Bearer".to_owned(), "Token".to_owned()]);
    let trusted = table.field("trusted");
    let trusted =
        trusted.map(|field| trusted::read(field, &issuer, strategies, around, book)).unwrap_or_default();
    Token {
        algorithm,
        secret,
        issuer,
        audience,
        lifetime,
        max_lifetime,
        refresh_lifetime,
        refresh_idle,
        refresh_grace,
        rotate,
        schemes,
        trusted,
    }
}

/// The times of a refresh family.
struct Refresh {
    refresh_lifetime: Duration,
    refresh_idle: Duration,
    refresh_grace: Duration,
}

fn refresh(table: &Section<'_>, book: &mut Book<'_>) -> Refresh {
    let mut time = |key, default| {
        let given = table.field(key).and_then(|field| field.duration(A_SECOND, book));
        given.unwrap_or(Duration::from_secs(default))
    };
    let refresh_lifetime = time("refresh_lifetime", 30 * 86_400);
    let refresh_idle = time("refresh_idle", 14 * 86_400);
    let grace = table.field("refresh_grace").and_then(|field| field.duration(ANY, book));
    let refresh_grace = grace.unwrap_or(Duration::from_secs(10));
    if let Some(field) = table.field("refresh_lifetime").filter(|_| refresh_lifetime > LONGEST_COOKIE) {
        let message = format!("{} is longer than browsers keep a cookie", field.label());
        book.refuse_with(field.at(), message, "write at most \"400d\"");
    }
    if let Some(field) = table.field("refresh_idle").filter(|_| refresh_idle > refresh_lifetime) {
        let message =
            format!("{} is longer than [token] refresh_lifetime, which ends it first", field.label());
        book.warn(field.at(), message, "shorten it, or write a longer refresh_lifetime");
    }
    // A value that was replaced so long ago is no race of two requests any more: given
    // again, it is most likely stolen, and that must show.
    if let Some(field) = table.field("refresh_grace").filter(|_| refresh_grace > Duration::from_secs(300)) {
        let message = format!("{} hides the theft of a refresh token for that long", field.label());
        book.refuse_with(field.at(), message, "write at most \"5m\"; \"10s\" is the default");
    }
    Refresh { refresh_lifetime, refresh_idle, refresh_grace }
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
