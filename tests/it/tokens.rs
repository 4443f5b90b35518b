//! Access tokens and assertions: who reads them, and what is no token (contract sections
//! 6 and 7; rows J of the attack catalogue as far as they are built).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode, jwk::JwkSet,
};
use portcullis_tests::{
    Request, Site,
    login::try_login,
    site::{PASSWORD, mark},
    until,
};
use serde_json::{Value, json};

fn jwks(site: &Site) -> JwkSet {
    let answer = site.send(&Request::get("/auth/jwks.json")).expect(200, "");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let set = answer.json();
    for key in set["keys"].as_array().unwrap() {
        assert!(key.get("d").is_none() && key.get("k").is_none(), "a private member: {key}");
    }
    let other = site.send(&Request::get("/.well-known/jwks.json")).expect(200, "");
    assert_eq!(other.json(), set);
    serde_json::from_value(set).unwrap()
}

/// Verifies as a stranger would, from the JWKS alone.
#[track_caller]
fn verify(site: &Site, token: &str, audience: &str) -> (Header, Value) {
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    let set = jwks(site);
    let key = set.find(header.kid.as_deref().expect("a kid")).expect("it is published");
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[site.gateway.url()]);
    let data = decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &rules).unwrap();
    (data.header, data.claims)
}

#[test]
fn an_access_token_verifies_from_the_published_keys_and_has_the_claims() {
    let site = Site::shared();
    let (header, claims) = verify(site, &site.alice.token, &site.gateway.url());
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(claims["sub"], site.alice.body["authenticated"]["uuid"]);
    assert_eq!((&claims["name"], &claims["strategy"]), (&json!("alice"), &json!("local")));
    assert_eq!((&claims["email"], &claims["email_verified"]), (&json!("alice@example.org"), &json!(true)));
    assert_eq!(claims["roles"], json!(["staff"]));
    for name in ["iat", "exp", "jti", "sid", "iss", "aud", "metadata", "app"] {
        assert!(claims.get(name).is_some(), "{name}: {claims}");
    }
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);
}

#[test]
fn an_assertion_verifies_from_the_published_keys_and_names_its_upstream() {
    let site = Site::shared();
    let mark = mark();
    site.send(&site.as_alice(&format!("/app/{mark}"))).expect(200, "");
    let seen = site.upstream.marked(&mark);
    let assertion = seen.header("x-portcullis-assertion").expect("an assertion");
    let (header, claims) = verify(site, assertion, "api");
    assert_eq!(header.typ.as_deref(), Some("portcullis-assertion+jwt"));
    assert_eq!(claims["sub"], site.alice.body["authenticated"]["uuid"]);
    for name in ["jti", "name", "email", "roles", "strategy", "sid"] {
        assert!(claims.get(name).is_some(), "{name}: {claims}");
    }
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(life <= 60, "{life}");
    // No endpoint of ours and no route takes it.
    for target in ["/app", "/auth/current", "/public"] {
        site.send(&Request::get(target).bearer(assertion)).expect(401, "invalid_token");
    }
    assert_ne!(header.kid, decode_header(&site.alice.token).unwrap().kid, "a key of its own");
}

#[test]
fn both_schemes_carry_a_token_in_any_case() {
    let site = Site::shared();
    for scheme in ["Bearer", "Token", "bearer", "TOKEN", "BeArEr"] {
        let mark = mark();
        let request = Request::get(&format!("/app/{mark}"));
        let request = request.with("Authorization", &format!("{scheme} {}", site.alice.token));
        site.send(&request).expect(200, "");
        let seen = site.upstream.marked(&mark);
        assert_eq!(seen.header("remote-user"), Some("alice"));
        assert!(seen.header("authorization").is_none(), "{}", seen.text());
    }
    for scheme in ["Basic", "Digest", "Tokens", "JWT"] {
        let request = Request::get("/app").with("Authorization", &format!("{scheme} {}", site.alice.token));
        site.send(&request).expect(401, "login_required");
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Variants of a good token, none of which the gateway has signed.
fn forgeries(site: &Site) -> Vec<String> {
    let good = &site.alice.token;
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("a JWT has three parts") };
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
    let with = |base: &Value, name: &str, value: Value| {
        let mut changed = base.clone();
        changed[name] = value;
        part(&changed)
    };
    let mut all = Vec::new();
    for alg in ["none", "None", "HS256", "ES384", "RS256", "EdDSA", ""] {
        all.push(format!("{}.{body}.{signature}", with(&header, "alg", alg.into())));
        all.push(format!("{}.{body}.", with(&header, "alg", alg.into())));
    }
    for (name, value) in
        [("typ", json!("JWT")), ("crit", json!(["exp"])), ("kid", json!("unknown")), ("jwk", json!({}))]
    {
        all.push(format!("{}.{body}.{signature}", with(&header, name, value)));
    }
    for (name, value) in [
        ("sub", json!("x")),
        ("roles", json!(["admin"])),
        ("exp", json!(9_999_999_999u64)),
        ("exp", json!(1e300)),
    ] {
        all.push(format!("{head}.{}.{signature}", with(&claims, name, value)));
    }
    let mut raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for at in [0, 31, 32, 63] {
        raw[at] ^= 1;
        all.push(format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(&raw)));
        raw[at] ^= 1;
    }
    all.push(format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode([0; 64])));
    all.push(format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(&raw[..63])));
    all.extend([
        format!("{head}.{body}"),
        format!("{good}."),
        format!("{good}.x"),
        format!("{good}="),
        format!("{head}..{signature}"),
    ]);
    all.extend([
        "x".into(),
        "a.b.c".into(),
        "..".into(),
        "pcr_x".into(),
        "eyJ.eyJ.x".into(),
        "x".repeat(9000),
    ]);
    // The published key as a shared secret (the old confusion of RS256 and HS256).
    let mut hmac = Header::new(Algorithm::HS256);
    hmac.kid = header["kid"].as_str().map(str::to_owned);
    hmac.typ = Some("at+jwt".into());
    let public = site.send(&Request::get("/auth/jwks.json")).body;
    all.push(encode(&hmac, &claims, &EncodingKey::from_secret(&public)).unwrap());
    all
}

#[test]
fn a_forged_token_is_401_on_every_route_and_never_anonymous() {
    let site = Site::shared();
    for token in forgeries(site) {
        for target in ["/app", "/public", "/auth/current"] {
            let mark = mark();
            let target = if target.starts_with("/auth") { target.into() } else { format!("{target}/{mark}") };
            let answer = site.send(&Request::get(&target).bearer(&token));
            assert_eq!(answer.status, 401, "{token} at {target}: {}", answer.text());
            assert_eq!(answer.code(), "invalid_token", "{token}");
            assert!(site.upstream.all_marked(&mark).is_empty());
        }
    }
}

#[test]
fn a_refused_token_is_told_so_by_the_challenge() {
    let answer = Site::shared().send(&Request::get("/app").bearer("x.y.z")).expect(401, "invalid_token");
    assert!(answer.header("www-authenticate").is_some_and(|c| c.starts_with("Bearer")), "{answer:?}");
}

#[test]
fn a_token_ends_at_its_time_also_when_it_was_verified_before() {
    let site = Site::shared();
    let body = json!({ "username": "alice", "password": PASSWORD, "expires_in": 2 });
    let answer = site.send(&Request::post("/login/local").json(&body)).expect(200, "").json();
    let token = answer["token"].as_str().unwrap();
    assert_eq!(site.send(&Request::get("/app").bearer(token)).status, 200);
    let last = until("the end of the token", || {
        let answer = site.send(&Request::get("/app").bearer(token));
        (answer.status != 200).then_some(answer)
    });
    last.expect(401, "invalid_token");
}

#[test]
fn a_token_of_another_gateway_is_a_strangers() {
    let other = Site::own();
    let site = Site::shared();
    site.send(&Request::get("/app").bearer(&other.alice.token)).expect(401, "invalid_token");
    let _ = try_login(&site.gateway, "alice", PASSWORD).expect(200, "");
}
