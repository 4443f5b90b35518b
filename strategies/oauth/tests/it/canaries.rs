//! Planted secrets come out nowhere: not in an answer's `Debug`, not in an error.

use crate::provider::{Op, call, refreshed};
use portcullis_plugin_api::Diagnose;
use serde_json::json;

#[tokio::test]
async fn no_secret_and_no_answer_of_a_provider_is_shown() {
    let json = "Content-Type: application/json\r\n".to_owned();
    for (path, body) in [
        ("", ""),
        ("/token", r#"{"CANARY":"#),
        ("/token", r#"{"access_token":"CANARY-1","refresh_token":"CANARY-2","token_type":"CANARY-3"}"#),
        ("/token", r#"{"access_token":"CANARY-1","token_type":"Bearer","id_token":"CANARY.CANARY.CANARY"}"#),
        ("/token", r#"{"error":"CANARY\u0001"}"#),
        ("/token", r#"{"error":"invalid_grant","error_description":"CANARY"}"#),
        ("/userinfo", r#"{"sub":"CANARY"}"#),
        ("/userinfo", "CANARY"),
        ("/keys", r#"{"keys":"CANARY"}"#),
        ("/.well-known/openid-configuration", r#"{"issuer":"CANARY"}"#),
    ] {
        let op = Op::new();
        let strategy = op.strategy(json!({})).await;
        if !path.is_empty() {
            op.world().instead.insert(path.into(), (200, json.clone(), body.into()));
        }
        let outcome = op.login(&strategy).await;
        let shown = format!("{outcome:?}");
        assert!(!shown.contains("CANARY"), "{path} {body}: {shown}");
        if let Err(error) = &outcome {
            assert!(!error.to_string().contains("CANARY"), "{path} {body}: {error}");
        }
        if let Ok(portcullis_plugin_api::Outcome::Authenticated(ann)) = &outcome {
            op.world().instead.insert("/token".into(), (400, json.clone(), "CANARY".into()));
            let again = format!("{:?}", refreshed(&strategy, ann).await);
            assert!(!again.contains("CANARY"), "{again}");
        }
        let steps = format!("{:?}", strategy.diagnose(&call(), Diagnose::default()).await);
        assert!(!steps.contains("CANARY"), "{steps}");
    }
}

#[tokio::test]
async fn a_diagnosis_says_what_works_step_by_step() {
    let op = Op::new();
    let strategy = op.strategy(json!({})).await;
    let found = |steps: Vec<portcullis_plugin_api::Step>| {
        steps.into_iter().map(|step| (step.name, step.ok)).collect::<Vec<_>>()
    };
    let json = "Content-Type: application/json\r\n".to_owned();
    op.world().instead.insert("/token".into(), (400, json.clone(), r#"{"error":"invalid_grant"}"#.into()));
    let good = found(strategy.diagnose(&call(), Diagnose::default()).await.unwrap());
    let named = |name: &str, ok| (name.to_owned(), ok);
    assert_eq!(
        good,
        [
            named("discovery", Some(true)),
            named("keys", Some(true)),
            named("client", Some(true)),
            named("registration", None)
        ]
    );
    op.world().instead.insert("/token".into(), (401, json, r#"{"error":"invalid_client"}"#.into()));
    let wrong = found(strategy.diagnose(&call(), Diagnose::default()).await.unwrap());
    assert_eq!(wrong[2], named("client", Some(false)));
    // What may come before anybody looks at who asks says neither.
    for body in [
        r#"{"error":"invalid_request"}"#,
        r#"{"error":"unsupported_grant_type"}"#,
        r#"{"error":"redirect_uri_mismatch"}"#,
        r#"{"error":{"message":"Error validating client secret.","code":1}}"#,
    ] {
        op.world()
            .instead
            .insert("/token".into(), (400, "Content-Type: application/json\r\n".into(), body.into()));
        let unclear = found(strategy.diagnose(&call(), Diagnose::default()).await.unwrap());
        assert_eq!(unclear[2], named("client", None), "{body}");
    }
    let down = Op::new();
    down.world().metadata = json!({ "issuer": "https://other.test" });
    let strategy = down.strategy(json!({})).await;
    let nothing = found(strategy.diagnose(&call(), Diagnose::default()).await.unwrap());
    assert_eq!(nothing[..3], [named("discovery", Some(false)), named("keys", None), named("client", None)]);
}
