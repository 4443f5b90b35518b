//! The published vectors of Project Wycheproof for signatures and keys (row J-10 of the
//! attack list): nothing invalid is accepted, and what is valid and refused is listed.

#![allow(clippy::unwrap_used)] // tests: a panic is the report

use portcullis_openid::{Jws, KeySet};
use serde_json::{Value, json};

fn vectors(name: &str) -> Value {
    let file = format!("{}/../tests/data/wycheproof/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// What a provider would publish: the public half, or what stands there for a secret.
fn keys(group: &Value) -> Option<KeySet> {
    let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
    let set = if key["keys"].is_array() { key.clone() } else { json!({ "keys": [key] }) };
    KeySet::read(set.to_string().as_bytes()).ok()
}

/// Whether the token's signature is good under the one key that it can be of.
fn verified(group: &Value, token: &Value) -> bool {
    let (Some(keys), Some(token)) = (keys(group), token.as_str()) else { return false };
    let Ok(jws) = Jws::parse(token) else { return false };
    keys.of(&jws).and_then(|key| jws.verified(key).map(drop)).is_ok()
}

/// Runs a file: how many were valid and accepted; by comment of the group, how many valid
/// ones were refused.
fn run(name: &str) -> (usize, Vec<(String, usize)>) {
    let (mut accepted, mut refused) = (0, Vec::<(String, usize)>::new());
    for group in vectors(name)["testGroups"].as_array().unwrap() {
        let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        let text = |value: &Value| value.as_str().unwrap_or("no alg").to_owned();
        let comment = format!("{} {}", text(&group["comment"]), text(&key["alg"]));
        for test in group["tests"].as_array().unwrap() {
            let (good, valid) = (verified(group, &test["jws"]), test["result"] == "valid");
            assert!(valid || !good, "{name} {}: {} is accepted", test["tcId"], test["comment"]);
            match (valid, good) {
                (true, true) => accepted += 1,
                (true, false) => match refused.iter_mut().find(|(known, _)| *known == comment) {
                    Some((_, count)) => *count += 1,
                    None => refused.push((comment.clone(), 1)),
                },
                _ => {}
            }
        }
    }
    (accepted, refused)
}

#[test]
fn no_invalid_signature_is_accepted_and_valid_ones_are_refused_for_reasons() {
    let (accepted, refused) = run("json_web_signature_test");
    let shown: Vec<_> = refused.iter().map(|(comment, count)| format!("{comment}: {count}")).collect();
    // Shared secrets are no keys here; RFC 7520 signs with PS384 under a key for PS256; and
    // the vectors call ES512 by a name that nobody registered.
    let expected = [
        "hs256 HS256: 1",
        "rfc7520 PS256: 1",
        "rfc7520 ES521: 1",
        "rfc7520 HS256: 2",
        "rfc7520WithKeyOps PS256: 1",
        "rfc7520WithKeyOps ES521: 1",
        "base64 HS256: 7",
    ];
    assert_eq!((accepted, shown), (32, expected.map(str::to_owned).to_vec()));
}

#[test]
fn no_key_that_may_not_be_one_verifies_a_signature() {
    let (accepted, refused) = run("json_web_key_test");
    // All four are shared secrets.
    let secrets = ["jws_keyset", "HS256", "HS384", "HS512"].map(|name| (format!("{name} no alg"), 1));
    assert_eq!((accepted, refused), (1, secrets.to_vec()));
}
