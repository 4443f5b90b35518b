//! How tokens are signed: the algorithms of `[token]` and `[assertion]`. What may not come
//! in: keys.

use crate::{
    load::Surroundings,
    problem::Book,
    secret::{self, Secret},
    section::{Field, Section},
};

/// An algorithm of RFC 7518 §3.1 or RFC 8037 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// HMAC with SHA-256: whoever can verify can sign as well.
    Hs256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Rs256, Self::Hs256];

    /// Its name in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm of this exact name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// As long as the hash's output (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

const WORDS: [(&str, Algorithm); 4] = [
    ("ES256", Algorithm::Es256),
    ("EdDSA", Algorithm::EdDsa),
    ("RS256", Algorithm::Rs256),
    ("HS256", Algorithm::Hs256),
];

/// Reads `[assertion] algorithm`, which upstreams verify by published keys.
pub(crate) fn of_pairs(field: Field<'_>, book: &mut Book<'_>) -> Option<Algorithm> {
    let pairs = &WORDS[..3];
    let text = field.text(book)?;
    if text == Algorithm::Hs256.name() {
        book.refuse_with(
            field.at(),
            format!(
                "{} cannot be \"HS256\": whoever verifies with a shared secret can also sign",
                field.label()
            ),
            "write \"ES256\", \"EdDSA\" or \"RS256\"",
        );
        return None;
    }
    field.one_of(pairs, book)
}

/// Reads `[token] algorithm` and the secret that HS256, and it alone, has.
pub(crate) fn with_secret(
    table: &Section<'_>,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> (Algorithm, Option<Secret>) {
    let before = book.count();
    let given = table.field("algorithm").and_then(|field| field.one_of(&WORDS, book));
    let algorithm = given.unwrap_or(Algorithm::Es256);
    let unclear = book.count() > before;
    match table.field("secret") {
        None if algorithm == Algorithm::Hs256 => {
            let at = table.field("algorithm").map_or(&table.at, |field| field.at());
            book.refuse_with(
                at,
                format!("{} algorithm = \"HS256\" needs a secret", table.name),
                "write secret = { file = \"…\" }, with what `openssl rand -hex 32` prints",
            );
            (algorithm, None)
        }
        None => (algorithm, None),
        Some(field) => {
            let read = secret::read(field, around, book);
            if algorithm != Algorithm::Hs256 && !unclear {
                book.refuse_with(
                    field.at(),
                    format!("{} is for algorithm = \"HS256\" alone", field.label()),
                    format!("leave it out: the keys of {} are made by the gateway", algorithm.name()),
                );
            } else if read.as_ref().is_some_and(|secret| secret.reveal().len() < SHORTEST_SECRET) {
                book.refuse_with(
                    field.at(),
                    format!("{} is shorter than {SHORTEST_SECRET} bytes", field.label()),
                    "make one: openssl rand -hex 32",
                );
            }
            (algorithm, read)
        }
    }
}
