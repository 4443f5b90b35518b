//! Signing keys: the algorithms, rotation and revocation (contract sections 2 and 3; rows
//! as far as a front door shows them).

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use portcullis_tests::{
    Gateway, Request, Site, Upstream,
    login::login,
    site::{PASSWORD, ROUTES, config, mark},
    until,
};
use serde_json::{Value, json};
use std::fs;

const SECRET: &str = "0123456789abcdef-and-some-more-0123456789";

fn site(more: &str) -> Site {
    Site::before(Upstream::start(), "", &format!("{ROUTES}\n{more}"))
}

fn jwks(gateway: &Gateway) -> Value {
    gateway.send(&Request::get("/auth/jwks.json")).expect(200, "").json()
}

fn kids(gateway: &Gateway) -> Vec<String> {
    let set = jwks(gateway);
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid(token: &str) -> String {
    decode_header(token).unwrap().kid.expect("a kid")
}

fn assertion(site: &Site) -> String {
    let mark = mark();
    site.send(&site.as_alice(&format!("/app/{mark}"))).expect(200, "");
    site.upstream.marked(&mark).header("x-portcullis-assertion").expect("an assertion").to_owned()
}

/// Verifies as a stranger would, from the published keys alone.
#[track_caller]
fn verify(gateway: &Gateway, token: &str, audience: &str, algorithm: Algorithm) {
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, algorithm);
    let set: JwkSet = serde_json::from_value(jwks(gateway)).unwrap();
    let key = set.find(&kid(token)).expect("it is published");
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[gateway.url()]);
    decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &rules).unwrap();
}

fn list(gateway: &Gateway) -> Vec<Value> {
    let listed = gateway.verb(&["keys", "list", "--json"], "").with_code(0);
    serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed:?}"))
}

fn status(gateway: &Gateway, token: &str) -> u16 {
    gateway.send(&Request::get("/app").bearer(token)).status
}

#[test]
fn tokens_and_assertions_of_each_algorithm_verify_from_the_published_keys() {
    for (name, algorithm) in
        [("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA), ("RS256", Algorithm::RS256)]
    {
        let site = site(&format!("[token]\nalgorithm = \"{name}\"\n[assertion]\nalgorithm = \"{name}\"\n"));
        let (gateway, token) = (&site.gateway, &site.alice.token);
        verify(gateway, token, &gateway.url(), algorithm);
        verify(gateway, &assertion(&site), "api", algorithm);
        assert_eq!(status(gateway, token), 200);
        for key in jwks(gateway)["keys"].as_array().unwrap() {
            assert_eq!((&key["alg"], &key["use"]), (&json!(name), &json!("sig")));
            for private in ["d", "k", "p", "q", "dp", "dq", "qi"] {
                assert!(key.get(private).is_none(), "{private}: {key}");
            }
        }
        // Another last letter, and the same token as one of a weaker kind.
        let changed =
            format!("{}{}", &token[..token.len() - 2], if token.ends_with("AA") { "BA" } else { "AA" });
        site.send(&Request::get("/public").bearer(&changed)).expect(401, "invalid_token");
    }
}

#[test]
fn a_shared_secret_signs_tokens_and_is_told_to_nobody() {
    let site = site(&format!("[token]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"));
    let (gateway, token) = (&site.gateway, &site.alice.token);
    assert_eq!(status(gateway, token), 200);
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&[gateway.url()]);
    decode::<Value>(token, &DecodingKey::from_secret(SECRET.as_bytes()), &rules).unwrap();
    let kid = kid(token);
    let published = kids(gateway);
    assert!(published.len() == 1 && !published.contains(&kid), "only the assertion's: {published:?}");
    verify(gateway, &assertion(&site), "api", Algorithm::ES256);
    let told = gateway.verb(&["keys", "list"], "").with_code(0);
    assert!(told.stdout.contains(&kid) && told.stdout.contains("HS256"), "{told:?}");
    for text in [&gateway.output(), &told.stdout, &jwks(gateway).to_string()] {
        assert!(!text.contains(SECRET), "{text}");
    }
    let files = ["portcullis.db", "portcullis.db-wal"].map(|name| fs::read(gateway.file(name)).unwrap());
    assert!(!files.concat().windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    // It is the operator's: a command replaces the other key, and does not revoke this one.
    let rotated = gateway.verb(&["keys", "rotate"], "").with_code(0);
    assert!(rotated.stdout.contains("[token] secret stays"), "{rotated:?}");
    let refused = gateway.verb(&["keys", "revoke", &kid], "").with_code(1);
    assert!(refused.stderr.contains("change the secret"), "{refused:?}");
    assert_eq!(status(gateway, token), 200);
}

#[test]
fn a_rotation_signs_at_once_and_what_was_signed_stays_valid() {
    let site = site("");
    let (gateway, old) = (&site.gateway, &site.alice.token);
    let old_assertion = assertion(&site);
    let before = kids(gateway);
    assert_eq!(before.len(), 2);
    let rotated = gateway.verb(&["keys", "rotate"], "").with_code(0);
    assert!(
        rotated.stdout.contains("access: key ") && rotated.stdout.contains("assertion: key "),
        "{rotated:?}"
    );
    let after = until("the new keys", || {
        let now = kids(gateway);
        (now.len() == 4).then_some(now)
    });
    assert!(before.iter().all(|kid| after.contains(kid)), "{before:?} {after:?}");
    let new = login(gateway, "alice", PASSWORD).token;
    assert!(!before.contains(&kid(&new)) && after.contains(&kid(&new)));
    for token in [old, &new] {
        assert_eq!(status(gateway, token), 200);
        verify(gateway, token, &gateway.url(), Algorithm::ES256);
    }
    verify(gateway, &old_assertion, "api", Algorithm::ES256);
    let assertion = assertion(&site);
    assert!(!before.contains(&kid(&assertion)), "one that was prepared before is not given any more");
    verify(gateway, &assertion, "api", Algorithm::ES256);
    let states: Vec<_> = list(gateway).iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states.iter().filter(|state| *state == "signing").count(), 2);
    assert_eq!(states.iter().filter(|state| *state == "verifying").count(), 2);
    assert!(list(gateway).iter().all(|key| key["until"].is_string() == (key["state"] == "verifying")));
    // All of it survives a restart.
    let gateway = site.gateway.restart();
    assert_eq!(kids(&gateway), after);
}

#[test]
fn a_revoked_keys_tokens_fail_and_sessions_by_cookie_go_on() {
    let site = site("");
    let (gateway, token) = (&site.gateway, &site.alice.token);
    assert_eq!(status(gateway, token), 200, "it is known, and cached");
    let revoked = gateway.verb(&["keys", "revoke", &kid(token)], "").with_code(0);
    assert!(revoked.stdout.contains("signs in its place"), "{revoked:?}");
    until("the token's end", || (status(gateway, token) == 401).then_some(()));
    site.send(&Request::get("/public").bearer(token)).expect(401, "invalid_token");
    site.send(&site.as_alice("/app")).expect(200, "");
    assert!(!kids(gateway).contains(&kid(token)));
    let new = login(gateway, "alice", PASSWORD).token;
    assert_eq!(status(gateway, &new), 200);
    // One that only verifies, and one of assertions.
    gateway.verb(&["keys", "rotate"], "").with_code(0);
    gateway.verb(&["keys", "revoke", &kid(&new)], "").with_code(0);
    until("its end", || (status(gateway, &new) == 401).then_some(()));
    let old = kid(&assertion(&site));
    gateway.verb(&["keys", "revoke", &old], "").with_code(0);
    until("another assertion", || (kid(&assertion(&site)) != old).then_some(()));
    verify(gateway, &assertion(&site), "api", Algorithm::ES256);
    for unknown in ["none", "", "-x"] {
        let refused = gateway.verb(&["keys", "revoke", unknown], "").with_code(1);
        assert!(refused.stderr.contains("there is no key"), "{refused:?}");
    }
}

#[test]
fn another_algorithm_in_the_file_signs_from_the_next_start_on() {
    let site = site("[token]\nalgorithm = \"ES256\"\n[assertion]\nalgorithm = \"ES256\"\n");
    let (upstream, alice) = (site.upstream, site.alice);
    let mut gateway = site.gateway;
    let old = alice.token;
    let address = gateway.address;
    for (name, algorithm) in [("EdDSA", Algorithm::EdDSA), ("RS256", Algorithm::RS256)] {
        let text = config(&upstream.url(), "", ROUTES).replace("127.0.0.1:0", &address.to_string());
        let text = format!("{text}\n[token]\nalgorithm = \"{name}\"\n[assertion]\nalgorithm = \"{name}\"\n");
        fs::write(gateway.file("portcullis.toml"), text).unwrap();
        gateway = gateway.restart();
        assert_eq!(status(&gateway, &old), 200, "{name}");
        let new = login(&gateway, "alice", PASSWORD).token;
        verify(&gateway, &new, &gateway.url(), algorithm);
        verify(&gateway, &old, &gateway.url(), Algorithm::ES256);
    }
}

#[test]
fn a_reload_follows_another_algorithm() {
    let site = site("");
    let (gateway, old) = (&site.gateway, &site.alice.token);
    let path = gateway.file("portcullis.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}\n[token]\nalgorithm = \"EdDSA\"\n")).unwrap();
    gateway.signal("HUP");
    let new = until("a token of the other algorithm", || {
        let token = login(gateway, "alice", PASSWORD).token;
        (decode_header(&token).unwrap().alg == Algorithm::EdDSA).then_some(token)
    });
    assert_eq!((status(gateway, old), status(gateway, &new)), (200, 200));
}

#[test]
fn keys_are_replaced_by_themselves_when_they_are_old_enough() {
    let site = site("[token]\nrotate = \"2s\"\nlifetime = \"1m\"\n");
    let first = kid(&site.alice.token);
    let token = until("another key", || {
        let token = login(&site.gateway, "alice", PASSWORD).token;
        (kid(&token) != first).then_some(token)
    });
    assert!(kids(&site.gateway).contains(&first), "it verifies still");
    verify(&site.gateway, &token, &site.gateway.url(), Algorithm::ES256);
    assert!(list(&site.gateway).iter().any(|key| key["kid"] == json!(first) && key["state"] == "verifying"));
}

#[test]
fn the_verbs_need_a_store_and_what_they_show_is_no_secret() {
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("portcullis.toml"), config("http://127.0.0.1:1", "", ROUTES)).unwrap();
    for verb in [&["keys", "list"][..], &["keys", "rotate"], &["keys", "revoke", "x"]] {
        let ended = portcullis_tests::program::run(empty.path(), verb, "").with_code(1);
        assert!(ended.stderr.contains("portcullis.db"), "{ended:?}");
    }
    for usage in [&["keys"][..], &["keys", "revoke"], &["keys", "rotate", "x"]] {
        portcullis_tests::program::run(empty.path(), usage, "").with_code(2);
    }
    let gateway = Gateway::start(&config("http://127.0.0.1:1", "", ROUTES));
    for key in list(&gateway) {
        let mut names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["algorithm", "created", "kid", "purpose", "state", "until"]);
    }
    let text = gateway.verb(&["keys", "list"], "").with_code(0).stdout;
    assert!(text.starts_with("KID") && text.lines().count() == 3, "{text}");
}
