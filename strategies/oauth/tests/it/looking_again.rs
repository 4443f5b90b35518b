//! Refresh: the provider's no ends a session, its silence does not, for a while.

use crate::provider::{Op, denied, invalid, refreshed, signed_in};
use portcullis_plugin_api::StrategyError;
use serde_json::json;

fn json_answer(status: u16, body: &str) -> (u16, String, String) {
    (status, "Content-Type: application/json\r\n".into(), body.into())
}

#[tokio::test]
async fn fresh_claims_come_with_a_new_token_and_the_old_one_is_not_used_again() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    let first = signed_in(op.login(&strategy).await);
    assert_eq!(first.claims.get("groups"), None);
    op.world().tokens = json!({ "refresh_token": "second", "access_token": "a2" });
    op.world().userinfo["groups"] = json!(["staff"]);
    let second = signed_in(refreshed(&strategy, &first).await);
    assert_eq!(second.claims["groups"], json!(["staff"]));
    assert_eq!(op.last("/token").form["refresh_token"], "CANARY-refresh");
    assert_eq!(second.provider_session.as_deref(), Some("op-session"));
    // Without a new ID token and a new refresh token the old ones stay.
    op.world().tokens = json!({ "refresh_token": null, "id_token": null });
    let third = signed_in(refreshed(&strategy, &second).await);
    assert_eq!(op.last("/token").form["refresh_token"], "second");
    assert_eq!((third.realm, third.provider_session), (first.realm, first.provider_session));
    assert_eq!(third.claims["email"], "CANARY-ann@example.com");
}

/// N-65.
#[tokio::test]
async fn a_refresh_is_about_the_same_person() {
    for (claims, userinfo) in [
        (json!({ "sub": "bob" }), json!({ "sub": "bob" })),
        (json!({ "aud": "other" }), json!({ "sub": "ann" })),
        (json!({ "iss": "https://evil.test" }), json!({ "sub": "ann" })),
        (json!({}), json!({ "sub": "bob" })),
    ] {
        let op = Op::new();
        let strategy = op.strategy(json!({})).await;
        let ann = signed_in(op.login(&strategy).await);
        (op.world().claims, op.world().userinfo) = (claims, userinfo);
        invalid(refreshed(&strategy, &ann).await);
    }
}

/// Row R-21.
#[tokio::test]
async fn invalid_grant_ends_the_session_and_silence_does_not() {
    let op = Op::new();
    let strategy = op.strategy(json!({ "refresh_grace": "2h" })).await;
    let ann = signed_in(op.login(&strategy).await);
    for answer in [
        json_answer(503, ""),
        json_answer(429, "{}"),
        json_answer(401, r#"{"error":"invalid_client"}"#),
        json_answer(400, r#"{"error":"temporarily_unavailable"}"#),
    ] {
        op.world().instead.insert("/token".into(), answer.clone());
        let error = refreshed(&strategy, &ann).await.unwrap_err();
        assert!(matches!(error, StrategyError::Failed(_)), "{answer:?}: {error:?}");
    }
    // Due after three quarters of the token's ten minutes, and then two hours of patience.
    op.wait(450 * 1000 + 2 * 60 * 60 * 1000);
    assert!(matches!(refreshed(&strategy, &ann).await, Err(StrategyError::Failed(_))), "not yet");
    op.wait(1);
    assert_eq!(denied(refreshed(&strategy, &ann).await).message.as_deref(), Some("temporarily_unavailable"));
    op.world().instead.insert("/token".into(), json_answer(400, r#"{"error":"invalid_grant"}"#));
    assert_eq!(denied(refreshed(&strategy, &ann).await).message.as_deref(), Some("invalid_grant"));
}

/// Patience begins when the provider did not answer, not when it might have been asked at the
/// latest: Keycloak's tokens of five minutes and five minutes of grace are under ten.
#[tokio::test]
async fn patience_begins_when_the_look_was_due() {
    let op = Op::new();
    op.world().tokens = json!({ "expires_in": 300 });
    let strategy = op.strategy(json!({ "refresh_grace": "5m" })).await;
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!(ann.refresh_after.map(|d| d.as_secs()), Some(225));
    op.world().instead.insert("/token".into(), json_answer(503, ""));
    op.wait((225 + 300) * 1000);
    assert!(matches!(refreshed(&strategy, &ann).await, Err(StrategyError::Failed(_))));
    op.wait(1);
    assert_eq!(denied(refreshed(&strategy, &ann).await).message.as_deref(), Some("temporarily_unavailable"));
}

/// A token that was replaced is not shown again because what came after it failed: providers
/// take that for a thief, and end everything.
#[tokio::test]
async fn what_came_for_a_used_token_is_kept_until_the_rest_succeeds_too() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    let ann = signed_in(op.login(&strategy).await);
    op.world().tokens = json!({ "refresh_token": "second" });
    op.world().instead.insert("/userinfo".into(), json_answer(503, ""));
    let before = op.count("/token");
    for _ in 0..3 {
        assert!(matches!(refreshed(&strategy, &ann).await, Err(StrategyError::Failed(_))));
    }
    assert_eq!(op.count("/token"), before + 1);
    op.world().instead.clear();
    let again = signed_in(refreshed(&strategy, &ann).await);
    assert_eq!(op.count("/token"), before + 1);
    signed_in(refreshed(&strategy, &again).await);
    assert_eq!(op.last("/token").form["refresh_token"], "second");
}

/// Also a provider that answers nonsense is out of order and not the person's end, for a while.
#[tokio::test]
async fn what_is_about_the_person_ends_the_session_and_nothing_else_does() {
    let op = Op::new();
    let strategy = op.strategy(json!({ "refresh_grace": "1h" })).await;
    let ann = signed_in(op.login(&strategy).await);
    for code in ["login_required", "interaction_required", "bad_refresh_token"] {
        op.world().instead.insert("/token".into(), json_answer(400, &format!(r#"{{"error":"{code}"}}"#)));
        assert_eq!(denied(refreshed(&strategy, &ann).await).message.as_deref(), Some(code));
    }
    let page = (404, "Content-Type: text/html\r\n".to_owned(), "<p>moved</p>".to_owned());
    op.world().instead.insert("/token".into(), page);
    invalid(refreshed(&strategy, &ann).await);
    op.wait(2 * 60 * 60 * 1000 + 1);
    assert_eq!(denied(refreshed(&strategy, &ann).await).message.as_deref(), Some("temporarily_unavailable"));
}

#[tokio::test]
async fn without_a_refresh_token_nobody_looks_again() {
    let op = Op::new();
    op.world().tokens = json!({ "refresh_token": null });
    let strategy = op.strategy(json!({})).await;
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!(ann.refresh_after, None);
    assert_eq!(denied(refreshed(&strategy, &ann).await).message.as_deref(), Some("invalid_grant"));
    op.world().tokens = json!({});
    let never = op.strategy(json!({ "refresh": "never" })).await;
    assert_eq!(signed_in(op.login(&never).await).refresh_after, None);
}

#[tokio::test]
async fn plain_oauth_looks_again_with_its_token() {
    let op = Op::new();
    let at = |path: &str| format!("{}{path}", op.issuer);
    op.world().tokens = json!({ "refresh_token": null, "id_token": null, "expires_in": null });
    let strategy = op
        .strategy(json!({
            "issuer": null, "authorize_url": at("/authorize"), "token_url": at("/token"), "userinfo_url": at("/userinfo"),
        }))
        .await;
    let ann = signed_in(op.login(&strategy).await);
    assert!(ann.refresh_after.is_some());
    let again = signed_in(refreshed(&strategy, &ann).await);
    assert_eq!((again.realm, op.count("/token")), (ann.realm.clone(), 1));
    op.world().instead.insert("/userinfo".into(), json_answer(401, "{}"));
    assert_eq!(denied(refreshed(&strategy, &ann).await).message.as_deref(), Some("invalid_token"));
}

/// The end of a token that nobody can renew is no word of the provider's about the person.
#[tokio::test]
async fn a_token_that_only_ends_is_not_shown_after_its_end() {
    let op = Op::new();
    let at = |path: &str| format!("{}{path}", op.issuer);
    op.world().tokens = json!({ "refresh_token": null, "id_token": null, "expires_in": 3600 });
    let plain = json!({
        "issuer": null, "authorize_url": at("/authorize"), "token_url": at("/token"), "userinfo_url": at("/userinfo"),
    });
    let strategy = op.strategy(plain).await;
    let mut ann = signed_in(op.login(&strategy).await);
    let (first, mut left) = (ann.clone(), 3600);
    while let Some(wait) = ann.refresh_after {
        op.wait(wait.as_secs() * 1000);
        assert!(wait.as_secs() < left, "{wait:?} of {left}");
        left -= wait.as_secs();
        ann = signed_in(refreshed(&strategy, &ann).await);
    }
    assert!(left < 120, "{left}");
    op.wait(left * 1000);
    op.world().instead.insert("/userinfo".into(), json_answer(401, "{}"));
    let before = op.count("/userinfo");
    assert!(matches!(refreshed(&strategy, &first).await, Err(StrategyError::Failed(_))), "it says nothing");
    assert_eq!(op.count("/userinfo"), before);
}

/// A token that is good only with a proof of the key that came with the login.
#[tokio::test]
async fn a_bound_token_is_shown_with_a_proof_and_the_nonce_that_the_server_wants() {
    let op = Op::new();
    op.world().tokens = json!({ "token_type": "DPoP" });
    let strategy = op.strategy(json!({ "dpop": true })).await;
    let ann = signed_in(op.login(&strategy).await);
    let proof = |path: &str| {
        let asked = op.last(path);
        let text = asked.headers["dpop"].clone();
        (asked, portcullis_openid::Jws::parse(&text).unwrap().unproven().unwrap())
    };
    let (asked, claims) = proof("/userinfo");
    assert_eq!(asked.headers["authorization"], "DPoP CANARY-access");
    assert_eq!(
        (claims["htm"].as_str(), claims["htu"].as_str()),
        (Some("GET"), Some(format!("{}/userinfo", op.issuer).as_str()))
    );
    assert!(claims.contains_key("ath"));
    let (_, first) = proof("/token");
    signed_in(refreshed(&strategy, &ann).await);
    let (_, second) = proof("/token");
    assert_ne!(first["jti"], second["jti"]);
    // RFC 9449 §8: asked once more, with the nonce; not for ever.
    let wants = (
        400,
        "Content-Type: application/json\r\nDPoP-Nonce: n1\r\n".to_owned(),
        r#"{"error":"use_dpop_nonce"}"#.to_owned(),
    );
    op.world().instead.insert("/token".into(), wants);
    let before = op.count("/token");
    assert!(refreshed(&strategy, &ann).await.is_err());
    assert_eq!(op.count("/token"), before + 2);
    assert_eq!(proof("/token").1["nonce"], "n1");
    // A bound token without having asked for one is not what was asked for.
    op.world().instead.clear();
    let plain = op.strategy(json!({})).await;
    invalid(op.login(&plain).await);
}
