//! A login: what is sent, what is believed, what is refused.

use crate::provider::{Op, begin, call, code, denied, invalid, signed_in};
use portcullis_plugin_api::{Denial, Outcome, StrategyError};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

async fn sent(op: &Op, settings: Value) -> BTreeMap<String, String> {
    let strategy = op.strategy(settings).await;
    let Ok(Outcome::Redirect(away)) = strategy.begin(&call(), begin()).await else { panic!("no redirect") };
    url::Url::parse(&away.url).unwrap().query_pairs().into_owned().collect()
}

/// Rows O-03 and O-20 of the attack list, N-55 to N-57.
#[tokio::test]
async fn every_login_has_its_own_challenge_and_nonce_and_nothing_of_the_request() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let mut request = begin();
        for name in ["scope", "prompt", "redirect_uri", "client_id", "username"] {
            request.form.insert(name.into(), "evil".into());
        }
        let Ok(Outcome::Redirect(away)) = strategy.begin(&call(), request).await else {
            panic!("no redirect")
        };
        assert!(away.flow.len() <= 4096);
        let url = url::Url::parse(&away.url).unwrap();
        assert!(away.url.starts_with(&format!("{}/authorize?", op.issuer)) && !away.url.contains("evil"));
        let sent: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(sent["code_challenge_method"], "S256");
        assert_eq!(
            (sent["redirect_uri"].as_str(), sent["state"].as_str()),
            ("https://gw.test/login/corp/callback", "s")
        );
        assert_eq!(
            (sent["response_type"].as_str(), sent["scope"].as_str()),
            ("code", "openid profile email")
        );
        for name in ["code_challenge", "nonce"] {
            assert_eq!(sent[name].len(), 43);
            assert!(seen.insert(sent[name].clone()), "{name} comes twice");
        }
        let flow: Value = serde_json::from_slice(&away.flow).unwrap();
        assert!(!away.url.contains(flow["verifier"].as_str().unwrap()), "the verifier stays here");
    }
}

#[tokio::test]
async fn what_is_configured_is_asked_for() {
    let op = Op::new();
    let sent = sent(
        &op,
        json!({
            "prompt": "login", "max_age": "10m", "acr_values": ["gold", "silver"], "domain_hint": "example.com",
            "login_hint": "ann@example.com", "response_mode": "form_post", "parameters": { "audience": "api" }, "scopes": ["openid", "groups"],
        }),
    )
    .await;
    for (name, value) in [
        ("prompt", "login"),
        ("max_age", "600"),
        ("acr_values", "gold silver"),
        ("domain_hint", "example.com"),
        ("login_hint", "ann@example.com"),
        ("response_mode", "form_post"),
        ("audience", "api"),
        ("scope", "openid groups"),
    ] {
        assert_eq!(sent[name], value, "{name}");
    }
}

/// Row O-20: what a request says is passed on only where the operator wants that.
#[tokio::test]
async fn who_is_expected_is_passed_on_only_where_that_is_configured() {
    let op = Op::new();
    for (settings, sent) in [
        (json!({}), None),
        (json!({ "login_hint": false }), None),
        (json!({ "login_hint": true }), Some("ann & bob")),
        (json!({ "login_hint": "own@example.com" }), Some("own@example.com")),
    ] {
        let strategy = op.strategy(settings.clone()).await;
        let request = portcullis_plugin_api::Begin { login_hint: Some("ann & bob".into()), ..begin() };
        let Ok(Outcome::Redirect(away)) = strategy.begin(&call(), request).await else {
            panic!("no redirect")
        };
        let asked = url::Url::parse(&away.url).unwrap();
        let found: Vec<_> = asked.query_pairs().filter(|(name, _)| name == "login_hint").collect();
        assert_eq!(
            found.iter().map(|(_, v)| v.as_ref()).collect::<Vec<_>>(),
            Vec::from_iter(sent),
            "{settings}"
        );
    }
}

#[tokio::test]
async fn a_good_login_says_who_and_what_else() {
    let op = Op::new();
    op.world().userinfo = json!({ "sub": "ann", "realm": { "roles": ["staff", "admin", "staff", 7] }, "preferred_username": "ann" });
    let strategy = op.strategy(json!({ "claims": { "groups": "realm.roles" } })).await;
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!((ann.subject.as_str(), ann.realm.as_str()), ("ann", op.issuer.as_str()));
    assert_eq!(ann.provider_session.as_deref(), Some("op-session"));
    assert_eq!(ann.refresh_after.map(|d| d.as_secs()), Some(450));
    assert!(ann.state.len() < 16 * 1024);
    let expected = json!({
        "sub": "ann", "display_name": "Ann Example", "email": "CANARY-ann@example.com", "email_verified": true,
        "preferred_username": "ann", "groups": ["staff", "admin"], "realm": { "roles": ["staff", "admin", "staff", 7] },
        "iat": 1_700_000_000,
    });
    assert_eq!(Value::Object(ann.claims), expected);
    let token = op.last("/token");
    assert_eq!(token.form["grant_type"], "authorization_code");
    assert_eq!(token.form["code_verifier"].len(), 43);
    assert_eq!(token.headers["authorization"], portcullis_openid::basic("gw", "CANARY-client-secret"));
    assert!(!token.form.contains_key("client_secret"));
    assert_eq!(op.last("/userinfo").headers["authorization"], "Bearer CANARY-access");
}

/// Row O-13: only a boolean says that an address is proven, and of that address.
#[tokio::test]
async fn an_address_is_proven_only_by_the_boolean_beside_it() {
    for (claims, userinfo, verified) in [
        (json!({ "email_verified": "true" }), json!({}), Some(false)),
        (json!({ "email_verified": 1 }), json!({}), Some(false)),
        // Silence is no "no": the operator may still trust the address.
        (json!({ "email_verified": null }), json!({}), None),
        (json!({ "email_verified": false }), json!({}), Some(false)),
        (json!({}), json!({ "email": "other@example.com" }), None),
        (json!({}), json!({ "email": "other@example.com", "email_verified": true }), Some(true)),
        (json!({ "email": null }), json!({}), None),
        (json!({}), json!({}), Some(true)),
    ] {
        let op = Op::new();
        op.world().claims = claims.clone();
        for (name, value) in userinfo.as_object().unwrap() {
            op.world().userinfo[name.as_str()] = value.clone();
        }
        let strategy = op.strategy(json!({})).await;
        let ann = signed_in(op.login(&strategy).await);
        assert_eq!(ann.claims.get("email_verified").map(|v| v == true), verified, "{claims} {userinfo}");
    }
}

/// An address of the ID token is not proven by userinfo that names none; and somebody with
/// more groups than can be kept is told so, without the provider being out of order.
#[tokio::test]
async fn what_cannot_be_said_of_somebody_is_said_of_nobody() {
    let op = Op::new();
    op.world().claims = json!({ "email_verified": null });
    op.world().userinfo["email_verified"] = json!(true);
    let strategy = op.strategy(json!({})).await;
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!(ann.claims.get("email_verified"), None);
    let groups: Vec<_> = (0..2000).map(|n| format!("{n:060}")).collect();
    op.world().userinfo["groups"] = json!(groups);
    assert!(invalid(op.login(&strategy).await).contains("96 KiB"));
    op.world().userinfo["groups"] = json!(["one"]);
    op.world().userinfo["picture"] = json!("x".repeat(20_000));
    let ann = signed_in(op.login(&strategy).await);
    assert!(!ann.claims.contains_key("picture") && ann.claims["groups"] == json!(["one"]));
}

/// Rows O-04, O-12 and J-09: the whole table of rules is in the crate `openid`; here one
/// row of each kind shows that they are asked at all.
#[tokio::test]
async fn a_wrong_id_token_signs_nobody_in() {
    for (claims, typ, why) in [
        (json!({ "nonce": "other" }), "JWT", "nonce"),
        (json!({ "nonce": null }), "JWT", "nonce"),
        (json!({ "iss": "https://evil.test" }), "JWT", "iss"),
        (json!({ "aud": "other" }), "JWT", "aud"),
        (json!({ "aud": ["gw", "other"] }), "JWT", "azp"),
        (json!({ "exp": 1_699_999_940u64 }), "JWT", "expired"),
        (json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }), "JWT", "at_hash"),
        (json!({}), "logout+jwt", "typ"),
    ] {
        let op = Op::new();
        (op.world().claims, op.world().typ) = (claims.clone(), typ.into());
        let strategy = op.strategy(json!({})).await;
        assert_eq!(invalid(op.login(&strategy).await), format!("its ID token is refused: {why}"), "{claims}");
        assert_eq!(op.count("/userinfo"), 0, "{claims}");
    }
}

/// Row O-05, N-59.
#[tokio::test]
async fn an_answer_of_another_issuer_is_refused_before_any_token_is_asked_for() {
    let op = Op::new();
    op.world().metadata = json!({ "authorization_response_iss_parameter_supported": true });
    let strategy = op.strategy(json!({})).await;
    for iss in ["", "https://evil.test", &format!("{}/", op.issuer)] {
        let why = invalid(op.login_with(&strategy, &[("iss", iss)]).await);
        assert!(why.contains("RFC 9207"), "{why}");
        let why = invalid(op.login_with(&strategy, &[("iss", iss), ("error", "access_denied")]).await);
        assert!(why.contains("RFC 9207"), "{why}");
    }
    assert_eq!(op.count("/token"), 0);
    let issuer = op.issuer.clone();
    signed_in(op.login_with(&strategy, &[("iss", &issuer)]).await);
}

/// Row O-22: the code is repeated, and only if it is one.
#[tokio::test]
async fn the_providers_no_is_a_no_with_its_code() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    for (error, said) in [
        ("access_denied", "access_denied"),
        ("<script>", "<script>"),
        ("a\"b", "unreadable_error (for whoever runs this gateway: the provider's own log says why)"),
        (
            "invalid_scope",
            "invalid_scope (for whoever runs this gateway: set `scopes` to what the provider allows this client)",
        ),
    ] {
        let no = denied(op.login_with(&strategy, &[("error", error), ("error_description", "CANARY")]).await);
        assert_eq!((no.reason, no.message.as_deref()), (Denial::ProviderRefused, Some(said)));
    }
    assert_eq!(op.count("/token"), 0);
    let json = "Content-Type: application/json\r\n".to_owned();
    for status in [400, 401, 200] {
        op.world()
            .instead
            .insert("/token".into(), (status, json.clone(), r#"{"error":"invalid_grant"}"#.into()));
        assert_eq!(code(op.login(&strategy).await), "invalid_grant");
    }
}

/// Rows O-11, O-15 and O-16: whatever comes instead of the right answer.
#[tokio::test]
async fn answers_that_are_none_sign_nobody_in() {
    let json = |more: &str| format!("Content-Type: application/json\r\n{more}");
    let long = "x".repeat(1024 * 1024 + 1);
    for (path, answer, unreachable) in [
        ("/token", (200, json(""), "[]".to_owned()), false),
        ("/token", (200, json(""), "{}".to_owned()), false),
        (
            "/token",
            (200, json(""), r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#.into()),
            false,
        ),
        (
            "/token",
            (200, json(""), r#"{"access_token":"a","token_type":"mac","id_token":"x"}"#.into()),
            false,
        ),
        ("/token", (200, json(""), r#"{"access_token":["a"],"token_type":"Bearer"}"#.into()), false),
        ("/token", (200, json(""), r#"{"access_token":"a","token_type":"Bearer"}"#.into()), false),
        ("/token", (200, "Content-Type: text/html\r\n".into(), "{}".into()), false),
        ("/token", (200, json("Content-Encoding: gzip\r\n"), "{}".into()), false),
        ("/token", (302, "Location: http://127.0.0.1:1/\r\n".into(), String::new()), false),
        ("/token", (200, json(""), format!("{{\"x\":\"{long}\"}}")), false),
        ("/token", (503, json(""), "{}".into()), true),
        ("/token", (429, json(""), "{}".into()), true),
        ("/token", (200, json("Content-Length: 999\r\n"), "{}".into()), true),
        ("/userinfo", (200, json(""), "[]".into()), false),
        ("/userinfo", (200, json(""), r#"{"sub":"bob"}"#.into()), false),
        ("/userinfo", (200, json(""), "{}".into()), false),
        (
            "/userinfo",
            (
                200,
                "Content-Type: application/jwt\r\n".into(),
                "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.".into(),
            ),
            false,
        ),
        ("/keys", (200, json(""), "{}".into()), false),
        ("/keys", (404, json(""), "{}".into()), false),
        (
            "/.well-known/openid-configuration",
            (200, json(""), r#"{"issuer":"https://evil.test"}"#.into()),
            false,
        ),
        ("/.well-known/openid-configuration", (302, "Location: /x\r\n".into(), String::new()), false),
    ] {
        let op = Op::new();
        let strategy = op.strategy(json!({})).await;
        op.world().instead.insert(path.into(), answer.clone());
        let shown = format!("{path} {} {} {}", answer.0, answer.1, &answer.2[..answer.2.len().min(60)]);
        match op.login(&strategy).await {
            Err(StrategyError::ProviderInvalid(_)) => assert!(!unreachable, "{shown}"),
            Err(StrategyError::Failed(_)) => assert!(unreachable, "{shown}"),
            other => panic!("{shown}: {other:?}"),
        }
    }
}

/// Section 6 of the attack catalogue: 1 MiB of an answer.
#[tokio::test]
async fn an_answer_of_a_mebibyte_is_read_and_a_longer_one_is_not() {
    for (size, fine) in [(1024 * 1024 - 1, true), (1024 * 1024, true), (1024 * 1024 + 1, false)] {
        let op = Op::new();
        let strategy = op.strategy(json!({})).await;
        let begin = r#"{"sub":"ann"}"#;
        let answer = begin.to_owned() + &" ".repeat(size - begin.len());
        op.world()
            .instead
            .insert("/userinfo".into(), (200, "Content-Type: application/json\r\n".into(), answer));
        match op.login(&strategy).await {
            Ok(_) => assert!(fine, "{size}"),
            Err(StrategyError::ProviderInvalid(_)) => assert!(!fine, "{size}"),
            other => panic!("{size}: {other:?}"),
        }
    }
}

/// Row O-10: what the metadata names is https, and no address of this machine's that the
/// operator did not write.
#[tokio::test]
async fn addresses_out_of_metadata_are_not_followed_anywhere() {
    let op = Op::new();
    let other = Op::new();
    for (name, url) in [
        ("jwks_uri", "file:///etc/passwd".to_owned()),
        ("jwks_uri", "http://169.254.169.254/latest".to_owned()),
        ("jwks_uri", format!("{}/keys", other.issuer)),
        ("token_endpoint", format!("{}/token", other.issuer)),
        ("token_endpoint", other.issuer.replace("127.0.0.1", "[::ffff:127.0.0.1]")),
        ("userinfo_endpoint", format!("{}/userinfo", other.issuer)),
        ("token_endpoint", "ftp://x/".to_owned()),
        ("token_endpoint", "https://a:b@x/".to_owned()),
    ] {
        op.world().metadata = json!({ name: url });
        let strategy = op.strategy(json!({})).await;
        invalid(op.login(&strategy).await);
    }
    assert_eq!(other.world().asked.len(), 0);
}

/// Rows O-19 and R-23.
#[tokio::test]
async fn a_new_key_is_fetched_once_and_unknown_ones_do_not_make_us_busy() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    signed_in(op.login(&strategy).await);
    assert_eq!(op.count("/keys"), 1);
    op.world().rotate("k2");
    signed_in(op.login(&strategy).await);
    assert_eq!(op.count("/keys"), 2, "a new name is asked for at once");
    op.world().rotate("k3");
    for _ in 0..50 {
        assert_eq!(invalid(op.login(&strategy).await), "its ID token is refused: unknown key");
    }
    assert_eq!(op.count("/keys"), 2, "and then once a minute");
    op.wait(60_000);
    signed_in(op.login(&strategy).await);
    assert_eq!(op.count("/keys"), 3);
}

/// Row R-23: thirty new keys, each in use at once: nobody is refused, each is fetched once.
#[tokio::test]
async fn through_thirty_new_keys_every_login_succeeds() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    for n in 0..30 {
        op.world().rotate(&format!("r{n}"));
        for _ in 0..3 {
            signed_in(op.login(&strategy).await);
        }
        op.wait(60_000);
    }
    assert_eq!(op.count("/keys"), 30);
}

/// Row R-24.
#[tokio::test]
async fn with_the_keys_out_of_reach_known_ones_are_still_good() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    signed_in(op.login(&strategy).await);
    for path in ["/keys", "/.well-known/openid-configuration"] {
        op.world().instead.insert(path.into(), (503, String::new(), String::new()));
    }
    op.wait(12 * 60 * 60 * 1000);
    signed_in(op.login(&strategy).await);
    op.world().rotate("k2");
    assert_eq!(invalid(op.login(&strategy).await), "its ID token is refused: unknown key");
}

#[tokio::test]
async fn ways_to_say_who_we_are() {
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let op = Op::new();
    let post = op.strategy(json!({ "client_auth": "post" })).await;
    signed_in(op.login(&post).await);
    let token = op.last("/token");
    assert_eq!(
        (token.form["client_id"].as_str(), token.form["client_secret"].as_str()),
        ("gw", "CANARY-client-secret")
    );
    let public = op.strategy(json!({ "client_auth": "none", "client_secret": null })).await;
    signed_in(op.login(&public).await);
    assert!(
        !op.last("/token").form.contains_key("client_secret")
            && !op.last("/token").headers.contains_key("authorization")
    );
    let key = json!({ "client_auth": "private_key_jwt", "client_secret": null, "client_key": pem, "client_key_id": "c1" });
    let signed = op.strategy(key).await;
    signed_in(op.login(&signed).await);
    let assertion = op.last("/token").form["client_assertion"].clone();
    let claims = portcullis_openid::Jws::parse(&assertion).unwrap().unproven().unwrap();
    // Row O-06: the issuer, not the endpoint, which metadata could name as it likes.
    assert_eq!(
        (claims["aud"].as_str().unwrap(), claims["sub"].as_str().unwrap()),
        (op.issuer.as_str(), "gw")
    );
}

#[tokio::test]
async fn requests_are_left_beforehand_and_signed_where_that_is_wanted() {
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let op = Op::new();
    let asked = sent(&op, json!({ "par": true })).await;
    assert_eq!(
        asked,
        BTreeMap::from([("client_id".into(), "gw".into()), ("request_uri".into(), "urn:par:1".into())])
    );
    assert_eq!(op.last("/par").form["code_challenge_method"], "S256");
    op.world().metadata = json!({ "require_pushed_authorization_requests": true });
    assert!(sent(&op, json!({})).await.contains_key("request_uri"));
    op.world().metadata = json!({ "require_signed_request_object": true });
    let asked = sent(&op, json!({ "client_key": pem, "max_age": "5m" })).await;
    let names: Vec<&str> = asked.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "request", "response_type", "scope"]);
    let claims = portcullis_openid::Jws::parse(&asked["request"]).unwrap().unproven().unwrap();
    assert_eq!(
        (&claims["max_age"], &claims["code_challenge_method"], &claims["state"]),
        (&json!(300), &json!("S256"), &json!("s"))
    );
}

#[tokio::test]
async fn a_context_that_was_asked_for_and_not_given_is_a_no() {
    let op = Op::new();
    let strategy = op.strategy(json!({ "acr_values": ["gold"] })).await;
    assert_eq!(code(op.login(&strategy).await), "unmet_authentication_requirements");
    op.world().claims = json!({ "acr": "gold" });
    signed_in(op.login(&strategy).await);
}

#[tokio::test]
async fn plain_oauth_is_known_by_the_origin_of_its_token_endpoint_and_vouches_for_no_address() {
    let op = Op::new();
    let at = |path: &str| format!("{}{path}", op.issuer);
    op.world().userinfo =
        json!({ "id": 7, "login": "ann", "email": "ann@example.com", "email_verified": true });
    let settings = json!({
        "issuer": null, "authorize_url": at("/authorize"), "token_url": at("/token"), "userinfo_url": at("/userinfo"),
        "claims": { "subject": "id", "name": "login" },
    });
    let strategy = op.strategy(settings).await;
    op.world().tokens = json!({ "id_token": null });
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!((ann.subject.as_str(), ann.realm.as_str()), ("7", op.issuer.as_str()));
    assert_eq!((&ann.claims["name"], ann.claims.get("email_verified")), (&json!("ann"), None));
    op.world().userinfo = json!({ "login": "ann" });
    assert!(invalid(op.login(&strategy).await).contains("`id`"));
}
