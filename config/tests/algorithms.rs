//! How tokens are signed: which algorithm stands where, and the secret of HS256.

use portcullis_config::{Algorithm, Config, Problem, parse};
use std::path::Path;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    parse(text, Path::new("p"), &[("TOKEN_SECRET".into(), SECRET.into())])
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let problems = read(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
    for (found, part) in found.iter().zip(expected) {
        assert!(found.contains(part), "{text}: {found}");
        assert!(!found.contains("0123456789"), "a secret is told: {found}");
    }
}

#[test]
fn access_tokens_are_signed_by_any_of_four_algorithms_and_assertions_by_a_key_pair() {
    for (name, algorithm) in
        [("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa), ("RS256", Algorithm::Rs256)]
    {
        let config = read(&format!("[token]\nalgorithm = \"{name}\"\n[assertion]\nalgorithm = \"{name}\"\n"));
        let config = config.unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!((config.token.algorithm, config.assertion.algorithm), (algorithm, algorithm));
        assert!(config.token.secret.is_none());
    }
    for secret in [format!("\"{SECRET}\""), "{ env = \"TOKEN_SECRET\" }".into()] {
        let token = read(&format!("[token]\nalgorithm = \"HS256\"\nsecret = {secret}\n")).unwrap().token;
        assert_eq!(token.algorithm, Algorithm::Hs256);
        assert_eq!(token.secret.as_ref().unwrap().reveal(), SECRET);
        assert!(!format!("{token:?}").contains(SECRET));
    }
}

#[test]
fn a_secret_belongs_to_hs256_and_is_32_bytes_long() {
    refused("[token]\nalgorithm = \"HS256\"\n", &["[token] algorithm = \"HS256\" needs a secret"]);
    let short = format!("[token]\nalgorithm = \"HS256\"\nsecret = \"{}\"\n", &SECRET[1..]);
    refused(&short, &["[token] secret is shorter than 32 bytes"]);
    for algorithm in ["", "algorithm = \"EdDSA\"\n"] {
        let text = format!("[token]\n{algorithm}secret = \"{SECRET}\"\n");
        refused(&text, &["[token] secret is for algorithm = \"HS256\" alone"]);
    }
    refused("[token]\nalgorithm = \"HS256\"\nsecret = { env = \"NONE\" }\n", &["NONE is not set"]);
}

#[test]
fn an_assertion_is_never_signed_by_a_shared_secret() {
    let help = "[assertion] algorithm cannot be \"HS256\": whoever verifies";
    refused("[assertion]\nalgorithm = \"HS256\"\n", &[help]);
    refused("[assertion]\nsecret = \"x\"\n", &["unknown key `secret` in [assertion]"]);
}

#[test]
fn another_algorithm_is_named_with_the_nearest_one() {
    refused("[token]\nalgorithm = \"es256\"\n", &["did you mean \"ES256\"?"]);
    refused("[assertion]\nalgorithm = \"Eddsa\"\n", &["did you mean \"EdDSA\"?"]);
    for wrong in ["none", "ES384", "PS256", "HS512"] {
        refused(&format!("[token]\nalgorithm = \"{wrong}\"\n"), &["[token] algorithm cannot be"]);
    }
    // One mistake is one problem: whether the secret belongs here is not known.
    refused(&format!("[token]\nalgorithm = \"HS265\"\nsecret = \"{SECRET}\"\n"), &["HS256"]);
}

#[test]
fn keys_that_are_replaced_before_their_tokens_end_deserve_a_look() {
    let config = read("[token]\nrotate = \"10m\"\n").unwrap();
    assert_eq!(config.token.rotate.as_secs(), 600);
    assert!(config.warnings.iter().any(|w| w.message.starts_with("[token] rotate is shorter")));
    refused("[token]\nrotate = \"0s\"\n", &["[token] rotate must be at least a second"]);
}
