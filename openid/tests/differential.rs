//! The rules of ID tokens beside those of another implementation, the crate `openidconnect`
//! as its documentation says to use it: thousands of tokens, valid ones and such with one or
//! two things wrong, and both verdicts. Wherever they differ, ours is the stricter but for
//! the minute that clocks may differ, and the table says why.

#![allow(clippy::unwrap_used)] // tests: a panic is the report

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    AccessToken, AccessTokenHash, ClientId, IssuerUrl, Nonce,
    core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet},
};
use portcullis_openid::{IdTokenRules, Issuer, Jws, KeySet, Signer};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, str::FromStr};

const ISSUER: &str = "https://idp.test/realm";
const CLIENT: &str = "gw";
const NONCE: &str = "n-1";
const ACCESS: &str = "access-token";
const NOW: u64 = 1_700_000_000;

/// Where the two differ although each is used as it is meant to be: the name of what is
/// wrong, whether we believe such a token, and why.
const DIFFERENCES: &[(&str, bool, &str)] = &[
    ("exp 59 s ago", true, "we give clocks a minute (R-32); the crate none"),
    ("iat 61 s ahead", false, "contract section 5: at most 60 s; the crate looks at `iat` only if told to"),
    ("iat far ahead", false, "as above"),
    ("nbf ahead", false, "RFC 7519 §4.1.5; the crate does not look at `nbf`"),
    ("nbf no number", false, "a claim of the wrong type is refused; the crate does not look at `nbf`"),
    ("azp another", false, "OpenID Connect Core §3.1.3.7 (5); the crate leaves `azp` to its user"),
    ("azp no text", false, "as above"),
    (
        "aud ours twice",
        false,
        "several readers and no `azp` (§3.1.3.7 (4)); the crate counts what is not ours",
    ),
    (
        "aud and azp",
        true,
        "§3.1.3.7 (4): `azp` is us; the crate refuses every further reader unless told to trust it",
    ),
    ("aud and no azp", true, "together with an `azp` that is us: as above"),
    ("sub empty", false, "contract section 5: 1 to 255 characters; the crate takes any text"),
    ("sub long", false, "as above"),
    ("sub control", false, "as above: no control characters"),
    ("events", false, "a token of an event is no ID token (RFC 8725 §3.11)"),
    ("exp huge", false, "a date after the year 9999 is none"),
];

struct World {
    signer: Signer,
    other: Signer,
    ours: KeySet,
    theirs: CoreJsonWebKeySet,
}

impl World {
    fn new() -> Self {
        let (signer, other) = (Signer::generate().0, Signer::generate().0);
        let mut jwk = signer.jwk().unwrap();
        jwk["kid"] = "k".into();
        let set = json!({ "keys": [jwk] });
        Self {
            signer,
            other,
            ours: KeySet::read(set.to_string().as_bytes()).unwrap(),
            theirs: serde_json::from_value(set).unwrap(),
        }
    }

    fn we_believe(&self, text: &str) -> bool {
        let rules = IdTokenRules {
            issuer: Issuer::Exact(ISSUER),
            client_id: CLIENT,
            nonce: Some(NONCE),
            access_token: Some(ACCESS),
            max_age: None,
            now: NOW * 1000,
        };
        let judged = || {
            let token = Jws::parse(text)?;
            let claims = token.open(self.ours.of(&token)?)?;
            rules.judge(&token, &claims)
        };
        judged().is_ok()
    }

    fn they_believe(&self, text: &str) -> bool {
        let (client, issuer) = (ClientId::new(CLIENT.into()), IssuerUrl::new(ISSUER.into()).unwrap());
        let now = || std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(NOW);
        let verifier = CoreIdTokenVerifier::new_public_client(client, issuer, self.theirs.clone())
            .set_allowed_algs([openidconnect::core::CoreJwsSigningAlgorithm::EcdsaP256Sha256])
            .set_time_fn(move || now().into());
        let Ok(token) = CoreIdToken::from_str(text) else { return false };
        let Ok(claims) = token.claims(&verifier, &Nonce::new(NONCE.into())) else { return false };
        let Some(expected) = claims.access_token_hash() else { return true };
        let (Ok(algorithm), Ok(key)) = (token.signing_alg(), token.signing_key(&verifier)) else {
            return false;
        };
        let found = AccessTokenHash::from_token(&AccessToken::new(ACCESS.into()), algorithm, key);
        found.is_ok_and(|found| found == *expected)
    }
}

fn valid() -> Map<String, Value> {
    let claims =
        json!({ "iss": ISSUER, "sub": "ann", "aud": CLIENT, "nonce": NONCE, "iat": NOW, "exp": NOW + 300 });
    claims.as_object().unwrap().clone()
}

fn half_hash(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

/// One thing that a token may have otherwise: a name, and claims; null takes one away.
fn changes() -> Vec<(&'static str, Value)> {
    vec![
        ("nothing", json!({})),
        ("aud a list", json!({ "aud": [CLIENT] })),
        ("azp us", json!({ "azp": CLIENT })),
        ("at_hash", json!({ "at_hash": half_hash(ACCESS) })),
        ("auth_time", json!({ "auth_time": NOW - 10 })),
        (
            "more claims",
            json!({ "email": "ann@example.com", "email_verified": true, "name": "Ann", "groups": ["a"] }),
        ),
        ("exp in a second", json!({ "exp": NOW + 1 })),
        ("iat long ago", json!({ "iat": NOW - 100_000 })),
        ("nbf passed", json!({ "nbf": NOW - 1 })),
        ("iss another", json!({ "iss": "https://evil.test" })),
        ("iss with a slash", json!({ "iss": format!("{ISSUER}/") })),
        ("iss a part", json!({ "iss": "https://idp.test" })),
        ("iss in capitals", json!({ "iss": "https://IDP.test/realm" })),
        ("iss missing", json!({ "iss": null })),
        ("iss no text", json!({ "iss": 7 })),
        ("aud another", json!({ "aud": "other" })),
        ("aud and no azp", json!({ "aud": [CLIENT, "other"] })),
        ("aud and azp", json!({ "aud": [CLIENT, "other"], "azp": CLIENT })),
        ("aud ours twice", json!({ "aud": [CLIENT, CLIENT] })),
        ("aud empty", json!({ "aud": [] })),
        ("aud missing", json!({ "aud": null })),
        ("aud no text", json!({ "aud": [7] })),
        ("azp another", json!({ "azp": "other" })),
        ("azp no text", json!({ "azp": 7 })),
        ("sub missing", json!({ "sub": null })),
        ("sub empty", json!({ "sub": "" })),
        ("sub long", json!({ "sub": "s".repeat(256) })),
        ("sub control", json!({ "sub": "a\nb" })),
        ("sub no text", json!({ "sub": 7 })),
        ("exp 61 s ago", json!({ "exp": NOW - 61 })),
        ("exp 59 s ago", json!({ "exp": NOW - 59 })),
        ("exp long ago", json!({ "exp": NOW - 10_000 })),
        ("exp missing", json!({ "exp": null })),
        ("exp text", json!({ "exp": "1700000300" })),
        ("exp a list", json!({ "exp": [NOW + 300] })),
        ("exp huge", json!({ "exp": 300_000_000_000_u64 })),
        ("iat missing", json!({ "iat": null })),
        ("iat text", json!({ "iat": "soon" })),
        ("iat 61 s ahead", json!({ "iat": NOW + 61 })),
        ("iat far ahead", json!({ "iat": NOW + 100_000 })),
        ("nbf ahead", json!({ "nbf": NOW + 100 })),
        ("nbf no number", json!({ "nbf": "now" })),
        ("nonce another", json!({ "nonce": "n-2" })),
        ("nonce missing", json!({ "nonce": null })),
        ("nonce empty", json!({ "nonce": "" })),
        ("nonce no text", json!({ "nonce": 1 })),
        ("at_hash another", json!({ "at_hash": half_hash("another") })),
        ("at_hash empty", json!({ "at_hash": "" })),
        ("at_hash no text", json!({ "at_hash": 1 })),
        ("auth_time text", json!({ "auth_time": "now" })),
        ("events", json!({ "events": {} })),
    ]
}

fn changed(claims: &mut Map<String, Value>, change: &Value) {
    for (name, value) in change.as_object().unwrap() {
        match value.is_null() {
            true => drop(claims.remove(name)),
            false => drop(claims.insert(name.clone(), value.clone())),
        }
    }
}

/// A token whose head we write ourselves, signed all the same.
fn headed(world: &World, head: &Value, claims: &Map<String, Value>) -> String {
    // The signer signs what it heads; a head of our own keeps none of its signature, so this
    // is only for heads that must be refused before any signature is looked at.
    let signed = world.signer.sign("JWT", &Value::Object(claims.clone()));
    let mut parts: Vec<&str> = signed.split('.').collect();
    let head = URL_SAFE_NO_PAD.encode(head.to_string());
    parts[0] = &head;
    parts.join(".")
}

/// Every token of the test, by what is wrong with it.
fn tokens(world: &World) -> Vec<(Vec<&'static str>, String)> {
    let mut all = Vec::new();
    let changes = changes();
    for (one, first) in &changes {
        for (two, second) in &changes {
            let mut claims = valid();
            changed(&mut claims, first);
            changed(&mut claims, second);
            all.push((vec![*one, *two], world.signer.sign("JWT", &Value::Object(claims))));
        }
    }
    let claims = valid();
    let whole = Value::Object(claims.clone());
    let good = world.signer.sign("JWT", &whole);
    for (name, head) in [
        ("alg none", json!({ "alg": "none" })),
        ("alg HS256", json!({ "alg": "HS256", "typ": "JWT" })),
        ("alg RS256", json!({ "alg": "RS256", "typ": "JWT" })),
        ("crit", json!({ "alg": "ES256", "typ": "JWT", "crit": ["x"], "x": 1 })),
        ("jwk", json!({ "alg": "ES256", "typ": "JWT", "jwk": world.other.jwk().unwrap() })),
        ("no alg", json!({ "typ": "JWT" })),
        ("kid no text", json!({ "alg": "ES256", "kid": 7 })),
    ] {
        all.push((vec![name], headed(world, &head, &claims)));
    }
    let unsigned = good.rsplit_once('.').unwrap().0;
    all.extend([
        (vec!["another key"], world.other.sign("JWT", &whole)),
        (vec!["no signature"], format!("{unsigned}.")),
        (vec!["two parts"], unsigned.to_owned()),
        (vec!["four parts"], format!("{good}.")),
        (vec!["padded"], format!("{good}=")),
        (vec!["a zero signature"], format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        (vec!["typ at+jwt"], world.signer.sign("at+jwt", &whole)),
        (vec!["typ missing"], world.signer.sign("", &whole)),
    ]);
    all
}

#[test]
fn two_implementations_say_the_same_but_for_what_the_table_explains() {
    let world = World::new();
    let (mut compared, mut believed) = (0, 0);
    let mut unexplained: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    let mut seen: Vec<&str> = Vec::new();
    for (wrong, token) in tokens(&world) {
        let (ours, theirs) = (world.we_believe(&token), world.they_believe(&token));
        compared += 1;
        believed += usize::from(ours && theirs);
        if ours == theirs {
            continue;
        }
        let known = DIFFERENCES.iter().filter(|(name, believe, _)| wrong.contains(name) && *believe == ours);
        let before = seen.len();
        seen.extend(known.map(|(name, _, _)| *name));
        if seen.len() == before {
            unexplained.insert(wrong.join(" + "), (ours, theirs));
        }
    }
    assert!(unexplained.is_empty(), "(we believe, they believe): {unexplained:#?}");
    for (name, _, why) in DIFFERENCES {
        assert!(seen.contains(name), "no difference any more: {name} ({why})");
    }
    assert!(compared > 2500 && believed > 60, "{compared} compared, {believed} believed by both");
}
