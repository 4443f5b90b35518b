//! Settings: what is wrong, where, and what to write instead.

use crate::provider::host;
use portcullis_plugin_api::{StartError, start};
use portcullis_strategy_oauth::OAuth;
use serde_json::{Value, json};
use std::sync::{Arc, atomic::AtomicU64};

async fn problems(settings: Value) -> Vec<String> {
    let Value::Object(settings) = settings else { panic!("a table") };
    match start::<OAuth>(settings, host(&Arc::new(AtomicU64::new(0)))).await {
        Ok(_) => Vec::new(),
        Err(StartError::Failed(why)) => vec![why],
        Err(StartError::Settings(problems)) => problems
            .into_iter()
            .map(|p| format!("{}: {} ({})", p.path.join("."), p.message, p.expected.unwrap_or_default()))
            .collect(),
    }
}

fn least(more: Value) -> Value {
    let mut settings = json!({ "issuer": "https://idp.test", "client_id": "gw", "client_secret": "s" });
    for (name, value) in more.as_object().unwrap() {
        match value.is_null() {
            true => drop(settings.as_object_mut().unwrap().remove(name)),
            false => settings[name.as_str()] = value.clone(),
        }
    }
    settings
}

#[tokio::test]
async fn every_preset_starts_with_what_it_asks_for() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    for (provider, more) in [
        ("google", json!({})),
        ("github", json!({})),
        ("gitlab", json!({})),
        ("gitlab", json!({ "issuer": "https://git.example.com" })),
        ("microsoft", json!({ "tenant": "9188040d-6c67-4c5b-b112-36a304b66dad" })),
        ("microsoft", json!({ "tenant": "organizations", "tenants": [] })),
        ("microsoft", json!({ "tenant": "consumers" })),
        ("keycloak", json!({ "issuer": "https://id.example.com/realms/main" })),
        ("auth0", json!({ "issuer": "https://x.auth0.com/" })),
        ("okta", json!({ "issuer": "https://x.okta.com" })),
        ("apple", json!({ "client_secret": null, "client_key": key, "client_key_id": "K", "team_id": "T" })),
        ("discord", json!({})),
        ("facebook", json!({})),
        ("linkedin", json!({})),
        ("generic", json!({ "issuer": "https://idp.test" })),
    ] {
        let mut settings = json!({ "provider": provider, "client_id": "gw", "client_secret": "s" });
        for (name, value) in more.as_object().unwrap() {
            match value.is_null() {
                true => drop(settings.as_object_mut().unwrap().remove(name)),
                false => settings[name.as_str()] = value.clone(),
            }
        }
        assert_eq!(problems(settings).await, Vec::<String>::new(), "{provider}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
    for (more, said) in [
        (json!({ "issuer": null }), "the strategy names no provider"),
        (json!({ "issuer": "http://idp.test" }), "issuer: `issuer` is not https"),
        (json!({ "issuer": "idp.test" }), "issuer: `issuer` cannot be"),
        (json!({ "issuer": "https://idp.test?x" }), "without a query"),
        (json!({ "issuer": "https://a:b@idp.test" }), "issuer: `issuer` cannot be"),
        (json!({ "issuer": null, "provider": "gogle" }), "provider: `provider` cannot be"),
        (json!({ "issuer": null, "provider": "microsoft" }), "which tenant"),
        (json!({ "issuer": null, "provider": "microsoft", "tenant": "common" }), "anybody's tenant"),
        (json!({ "issuer": null, "provider": "microsoft", "tenant": "../x" }), "tenant: `tenant` cannot be"),
        (json!({ "issuer": null, "provider": "auth0" }), "with the slash at its end"),
        (json!({ "issuer": null, "authorize_url": "https://a.test" }), "the strategy has no token_url"),
        (json!({ "token_url": "https://a.test" }), "exclude each other"),
        (json!({ "client_id": null }), "no client_id"),
        (json!({ "client_id": "" }), "client_id: `client_id` cannot be"),
        (json!({ "client_secret": null }), "no client_secret"),
        (json!({ "client_secret": 7 }), "client_secret: `client_secret` cannot be that"),
        (json!({ "client_auth": "none" }), "sends no secret"),
        (json!({ "client_auth": "jwt" }), "one of \"basic\""),
        (json!({ "client_auth": "private_key_jwt" }), "needs a key"),
        (json!({ "client_auth": "tls" }), "needs a certificate"),
        (json!({ "client_key": "x" }), "client_key: `client_key` cannot be used"),
        (json!({ "jar": true }), "jar signs requests"),
        (json!({ "scopes": ["email"] }), "\"openid\" among them"),
        (json!({ "scopes": ["openid email"] }), "one scope in each text"),
        (json!({ "scopes": "openid" }), "a list of texts"),
        (json!({ "claims": { "group": "x" } }), "claims.group: unknown key `group` (did you mean `groups`?)"),
        (json!({ "claims": { "groups": "" } }), "claims.groups: `groups` cannot be"),
        (json!({ "claims": { "subject": "id" } }), "always `sub`"),
        (json!({ "timeout": "0s" }), "timeout: `timeout` cannot be"),
        (json!({ "timeout": 10 }), "timeout: `timeout` cannot be"),
        (json!({ "refresh": "1s" }), "refresh: `refresh` cannot be"),
        (json!({ "algorithms": ["none"] }), "algorithms: `algorithms` cannot be"),
        (json!({ "algorithms": ["HS256"] }), "algorithms: `algorithms` cannot be"),
        (json!({ "parameters": { "code_challenge": "x" } }), "parameters.code_challenge"),
        (json!({ "parameters": { "nonce": "x" } }), "parameters.nonce"),
        (json!({ "login_hint": 7 }), "login_hint: `login_hint` cannot be 7"),
        (json!({ "login_hint": "" }), "or true to pass on"),
        (json!({ "parameters": { "login_hint": "x" } }), "parameters.login_hint"),
        (json!({ "tls": { "ca": "/nowhere.pem" } }), "tls.ca: /nowhere.pem cannot be read"),
        (json!({ "tls": { "server_name": "x" } }), "tls.server_name: unknown key"),
        (json!({ "clientid": "x" }), "clientid: unknown key `clientid` (did you mean `client_id`?)"),
        (json!({ "pkce": false }), "pkce: unknown key"),
        (json!({ "response_mode": "fragment" }), "response_mode: `response_mode` cannot be"),
    ] {
        let found = problems(least(more.clone())).await;
        assert!(found.iter().any(|problem| problem.contains(said)), "{more}: {found:?}");
    }
}

/// Row O-14: silence would look like a rule.
#[tokio::test]
async fn a_key_that_would_do_nothing_is_refused() {
    for (more, said) in [
        (json!({ "tenants": ["x"] }), "tenants: `tenants` does nothing here"),
        (
            json!({ "issuer": null, "provider": "google", "tenants": ["x"] }),
            "tenants: `tenants` does nothing",
        ),
        (
            json!({ "issuer": null, "provider": "microsoft", "tenant": "9188040d-6c67-4c5b-b112-36a304b66dad", "tenants": ["x"] }),
            "tenants: `tenants` does nothing here",
        ),
        (json!({ "issuer": null, "provider": "github", "max_age": "1h" }), "max_age: `max_age` does nothing"),
        (
            json!({ "issuer": null, "provider": "github", "acr_values": ["x"] }),
            "acr_values: `acr_values` does",
        ),
        (
            json!({ "issuer": null, "provider": "discord", "algorithms": ["RS256"] }),
            "algorithms: `algorithms` does",
        ),
        (
            json!({ "issuer": null, "provider": "linkedin", "userinfo": false }),
            "userinfo: `userinfo` does nothing",
        ),
        (json!({ "issuer": null, "provider": "facebook", "par": true }), "par: `par` does nothing here"),
        (
            json!({ "issuer": null, "provider": "facebook", "tenants": ["x"] }),
            "tenants: `tenants` does nothing",
        ),
    ] {
        let found = problems(least(more.clone())).await;
        assert!(found.iter().any(|problem| problem.contains(said)), "{more}: {found:?}");
    }
}

#[tokio::test]
async fn every_problem_is_reported_at_once() {
    let found =
        problems(json!({ "issuer": "http://x", "scopes": 1, "tls": { "c": 1 }, "timeout": "x" })).await;
    assert_eq!(found.len(), 6, "{found:?}");
}
