//! Signing out, here and there.

use crate::provider::{Op, call, left, notice, signed_in};
use portcullis_plugin_api::{Logout, StrategyError, Subject};
use serde_json::{Value, json};

/// N-70, N-73.
#[tokio::test]
async fn signing_out_here_gives_the_token_back_and_goes_by_the_provider() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    let ann = signed_in(op.login(&strategy).await);
    let url = url::Url::parse(&left(&strategy, &ann).await.unwrap()).unwrap();
    assert!(url.as_str().starts_with(&format!("{}/end?", op.issuer)));
    let sent: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(
        (sent["client_id"].as_str(), sent["post_logout_redirect_uri"].as_str()),
        ("gw", "https://gw.test/login")
    );
    assert_eq!(sent["id_token_hint"].split('.').count(), 3);
    op.asked("/revoke", 1).await;
    let revoked = op.last("/revoke");
    assert_eq!(
        (revoked.form["token"].as_str(), revoked.form["token_type_hint"].as_str()),
        ("CANARY-refresh", "refresh_token")
    );
    // A no stays one, and whatever else is tried again, until it is taken.
    op.world().instead.insert("/revoke".into(), (400, String::new(), String::new()));
    assert!(left(&strategy, &ann).await.is_some());
    op.asked("/revoke", 2).await;
    op.world().instead.insert("/revoke".into(), (503, String::new(), String::new()));
    assert!(left(&strategy, &ann).await.is_some());
    op.asked("/revoke", 3).await;
    op.world().instead.clear();
    op.asked("/revoke", 4).await;
    op.world().metadata = json!({ "end_session_endpoint": null, "revocation_endpoint": null });
    let without = op.strategy(json!({})).await;
    assert_eq!(left(&without, &ann).await, None);
}

/// Sign-out is over while the provider still thinks, be it about the token or about itself.
#[tokio::test]
async fn a_provider_that_hangs_holds_nobody_up_who_leaves() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    let ann = signed_in(op.login(&strategy).await);
    op.world().instead.insert("/revoke".into(), (0, String::new(), String::new()));
    let soon = std::time::Duration::from_secs(5);
    let away = tokio::time::timeout(soon, left(&strategy, &ann)).await.expect("an answer at once");
    assert!(away.unwrap().contains("id_token_hint"));
    op.world().instead.insert("/.well-known/openid-configuration".into(), (0, String::new(), String::new()));
    let fresh = op.strategy(json!({})).await;
    let request = Logout {
        subject: ann.subject.clone(),
        state: ann.state.clone(),
        return_url: "https://gw.test/login".into(),
    };
    let answer = tokio::time::timeout(soon, fresh.logout(&call(), request)).await.expect("an answer soon");
    assert!(matches!(answer, Err(StrategyError::Failed(_))), "{answer:?}");
}

/// A server takes no longer address, and the gateway none to send a browser to.
#[tokio::test]
async fn a_token_too_long_for_an_address_is_left_out_of_it() {
    let op = Op::new();
    op.world().claims = json!({ "groups": vec!["a-group-with-a-long-name"; 300] });
    let strategy = op.strategy(json!({})).await;
    let ann = signed_in(op.login(&strategy).await);
    let url = left(&strategy, &ann).await.unwrap();
    assert!(url.len() < 4096 && url.contains("client_id=gw") && !url.contains("id_token_hint"), "{url}");
}

fn logout_token(op: &Op, more: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": op.issuer, "aud": "gw", "iat": 1_700_000_000, "exp": 1_700_000_120, "jti": "j1", "sub": "ann", "sid": "op-session",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    for (name, value) in more {
        claims[*name] = value.clone();
    }
    op.world().signed("logout+jwt", &claims)
}

/// Row O-18, N-71: the table of wrong ones is in the crate `openid`.
#[tokio::test]
async fn a_logout_token_says_whose_sessions_end() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    let token = logout_token(&op, &[]);
    let told = strategy.notice(&call(), notice(false, &[("logout_token", &token)])).await.unwrap();
    assert_eq!(told.subject, Subject::new("ann"));
    assert_eq!(
        (told.realm.as_str(), told.provider_session.as_deref()),
        (op.issuer.as_str(), Some("op-session"))
    );
    let (jti, remembered) = told.once.unwrap();
    assert!(jti == "j1" && remembered.as_secs() >= 7 * 60, "longer than a token is good");
    let forged = {
        let mut world = op.world();
        let old = std::mem::replace(&mut world.signer, portcullis_openid::Signer::generate().0);
        drop(world);
        let token = logout_token(&op, &[]);
        op.world().signer = old;
        token
    };
    let id_token = op.world().signed(
        "JWT",
        &json!({ "iss": op.issuer, "aud": "gw", "sub": "ann", "iat": 1_700_000_000, "exp": 1_700_000_100 }),
    );
    let nonce = logout_token(&op, &[("nonce", "n".into())]);
    let dots = token.replace('.', "..");
    for wrong in [forged.as_str(), &id_token, &nonce, &dots, ""] {
        let error = strategy.notice(&call(), notice(false, &[("logout_token", wrong)])).await.unwrap_err();
        assert!(matches!(error, StrategyError::BadRequest { .. }), "{error:?}");
    }
    assert!(strategy.notice(&call(), notice(false, &[])).await.is_err());
}

#[tokio::test]
async fn a_front_channel_notice_names_issuer_and_session() {
    let op = Op::new();
    let issuer = op.issuer.clone();
    let strategy = op.strategy(json!({})).await;
    let told = strategy.notice(&call(), notice(true, &[("iss", &issuer), ("sid", "s")])).await.unwrap();
    assert_eq!((told.subject, told.provider_session.as_deref()), (None, Some("s")));
    for wrong in [
        &[("sid", "s")] as &[_],
        &[("iss", issuer.as_str())],
        &[("iss", "https://evil.test"), ("sid", "s")],
        &[],
    ] {
        let error = strategy.notice(&call(), notice(true, wrong)).await.unwrap_err();
        assert!(matches!(error, StrategyError::BadRequest { .. }), "{error:?}");
    }
}
