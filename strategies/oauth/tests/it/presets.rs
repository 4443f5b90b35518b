//! Presets: a login at a provider that answers in the shape of each one's documents, written
//! down from what they publish. None of it was recorded at the real service.

use crate::provider::{Op, begin, call, code, invalid, notice, signed_in};
use portcullis_openid::Jws;
use portcullis_plugin_api::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const JSON: &str = "Content-Type: application/json; charset=utf-8\r\n";

/// A provider's documents, and what a login there is to come to.
struct Shape {
    preset: &'static str,
    /// Beside `client_id` and `client_secret`.
    settings: Value,
    /// Of the token answer and of the ID token; null takes what the scripted one has away.
    tokens: Value,
    claims: Value,
    /// None: the provider has no userinfo.
    userinfo: Option<Value>,
    /// What a request for a login carries.
    sent: &'static [(&'static str, &'static str)],
    subject: &'static str,
    name: Option<&'static str>,
    display_name: Option<&'static str>,
    email: Option<&'static str>,
    /// None: the provider does not say.
    verified: Option<bool>,
    groups: Option<Value>,
}

/// What most of them have in common.
fn openid() -> Shape {
    Shape {
        preset: "generic",
        settings: json!({}),
        tokens: json!({}),
        claims: json!({ "name": null, "email": null, "email_verified": null, "sid": null }),
        userinfo: None,
        sent: &[("scope", "openid profile email")],
        subject: "ann",
        name: None,
        display_name: Some("Ann Example"),
        email: Some("ann@example.com"),
        verified: Some(true),
        groups: None,
    }
}

/// Of those with discovery.
fn openid_shapes() -> Vec<Shape> {
    vec![
        Shape {
            preset: "google",
            tokens: json!({ "expires_in": 3599, "scope": "openid https://www.googleapis.com/auth/userinfo.email" }),
            claims: json!({
                "azp": "gw", "sub": "110248495921238986420", "hd": "example.com", "email": "ann@example.com",
                "email_verified": true, "sid": null, "name": null,
            }),
            userinfo: Some(json!({
                "sub": "110248495921238986420", "name": "Ann Example", "given_name": "Ann", "family_name": "Example",
                "picture": "https://lh3.example/a", "email": "ann@example.com", "email_verified": true, "hd": "example.com",
            })),
            sent: &[("scope", "openid profile email"), ("access_type", "offline")],
            subject: "110248495921238986420",
            ..openid()
        },
        Shape {
            preset: "gitlab",
            claims: json!({ "sub": "4711", "sub_legacy": "90a5", "groups_direct": ["acme"], "name": null, "email": null, "email_verified": null, "sid": null }),
            userinfo: Some(json!({
                "sub": "4711", "sub_legacy": "90a5", "name": "Ann Example", "nickname": "ann", "preferred_username": "ann",
                "email": "ann@example.com", "email_verified": true, "profile": "https://gitlab.com/ann",
                "groups": ["acme", "acme/ops"], "https://gitlab.org/claims/groups/owner": ["acme/ops"],
            })),
            subject: "4711",
            name: Some("ann"),
            groups: Some(json!(["acme", "acme/ops"])),
            ..openid()
        },
        Shape {
            preset: "keycloak",
            tokens: json!({ "expires_in": 300, "refresh_expires_in": 1800, "not-before-policy": 0, "session_state": "6c2e", "scope": "openid profile email" }),
            claims: json!({
                "typ": "ID", "azp": "gw", "sub": "f3a1c2d4-0001-4f5e-9a7b-1234567890ab", "sid": "6c2e", "acr": "1", "auth_time": 1_700_000_000,
                "preferred_username": "ann", "given_name": "Ann", "family_name": "Example", "name": "Ann Example",
                "email": "ann@example.com", "email_verified": true, "groups": ["/staff", "/staff/ops"],
            }),
            userinfo: Some(json!({
                "sub": "f3a1c2d4-0001-4f5e-9a7b-1234567890ab", "email_verified": true, "name": "Ann Example", "groups": ["/staff", "/staff/ops"],
                "preferred_username": "ann", "given_name": "Ann", "family_name": "Example", "email": "ann@example.com",
            })),
            subject: "f3a1c2d4-0001-4f5e-9a7b-1234567890ab",
            groups: Some(json!(["/staff", "/staff/ops"])),
            ..openid()
        },
    ]
}

/// And more of them; `key` is Apple's.
fn more_openid_shapes(key: &str) -> Vec<Shape> {
    vec![
        Shape {
            preset: "auth0",
            settings: json!({ "claims": { "groups": "https://example.com/roles" } }),
            tokens: json!({ "expires_in": 86_400, "scope": "openid profile email" }),
            claims: json!({
                "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "nickname": "ann", "name": "Ann Example", "updated_at": "2026-01-02T03:04:05.678Z",
                "picture": "https://s.example/a.png", "email": "ann@example.com", "email_verified": true,
                "https://example.com/roles": ["staff"], "sid": "x1",
            }),
            userinfo: Some(json!({
                "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "nickname": "ann", "name": "Ann Example", "updated_at": "2026-01-02T03:04:05.678Z",
                "email": "ann@example.com", "email_verified": true, "https://example.com/roles": ["staff"],
            })),
            subject: "auth0|5f7c8ec7c33c6c004bbafe82",
            groups: Some(json!(["staff"])),
            ..openid()
        },
        Shape {
            preset: "okta",
            claims: json!({
                "ver": 1, "sub": "00u1a2b3c4D5E6F7g8h9", "jti": "ID.abc", "amr": ["pwd", "mfa"], "idp": "00o1", "auth_time": 1_700_000_000,
                "preferred_username": "ann@example.com", "name": "Ann Example", "email": "ann@example.com", "email_verified": null,
                "groups": ["Everyone", "ops"], "sid": null,
            }),
            userinfo: Some(json!({
                "sub": "00u1a2b3c4D5E6F7g8h9", "name": "Ann Example", "locale": "en-US", "email": "ann@example.com", "email_verified": true,
                "preferred_username": "ann@example.com", "zoneinfo": "Europe/Berlin", "updated_at": 1_699_000_000, "groups": ["Everyone", "ops"],
            })),
            sent: &[("scope", "openid profile email groups")],
            subject: "00u1a2b3c4D5E6F7g8h9",
            groups: Some(json!(["Everyone", "ops"])),
            ..openid()
        },
        // The name comes once, in the browser's form, and is not in the token.
        Shape {
            preset: "apple",
            settings: json!({ "client_secret": null, "client_key": key, "client_key_id": "ABC123DEFG", "team_id": "DEF123GHIJ" }),
            claims: json!({
                "sub": "001122.3344556677889900.0123", "email": "ann@example.com", "email_verified": true, "is_private_email": false,
                "nonce_supported": true, "auth_time": 1_700_000_000, "name": null, "sid": null,
            }),
            sent: &[("scope", "openid name email"), ("response_mode", "form_post")],
            subject: "001122.3344556677889900.0123",
            display_name: None,
            ..openid()
        },
    ]
}

/// Of plain OAuth 2.
fn plain_shapes() -> Vec<Shape> {
    let plain = |preset| Shape {
        preset,
        settings: json!({}),
        tokens: json!({ "id_token": null, "refresh_token": null }),
        claims: json!({}),
        userinfo: None,
        sent: &[],
        subject: "",
        name: None,
        display_name: Some("Ann Example"),
        email: Some("ann@example.com"),
        verified: None,
        groups: None,
    };
    vec![
        Shape {
            tokens: json!({ "expires_in": 604_800, "refresh_token": "r", "scope": "identify email", "id_token": null }),
            userinfo: Some(json!({
                "id": "80351110224678912", "username": "ann", "discriminator": "0", "global_name": "Ann Example", "avatar": null,
                "verified": true, "email": "ann@example.com", "flags": 64, "mfa_enabled": true, "premium_type": 0,
            })),
            sent: &[("scope", "identify email")],
            subject: "80351110224678912",
            name: Some("ann"),
            ..plain("discord")
        },
        Shape {
            tokens: json!({ "token_type": "bearer", "expires_in": 5_183_944, "id_token": null, "refresh_token": null }),
            userinfo: Some(json!({ "id": "10215544", "name": "Ann Example", "email": "ann@example.com" })),
            sent: &[("scope", "public_profile email")],
            subject: "10215544",
            ..plain("facebook")
        },
        // It gives an ID token too, which has no nonce and is not looked at.
        Shape {
            tokens: json!({ "expires_in": 5_184_000, "scope": "email,openid,profile", "id_token": "a.b.c", "refresh_token": null }),
            userinfo: Some(json!({
                "sub": "782bbtaQ", "name": "Ann Example", "given_name": "Ann", "family_name": "Example", "picture": "https://media.example/a",
                "locale": { "country": "US", "language": "en" }, "email": "ann@example.com", "email_verified": true,
            })),
            sent: &[("scope", "openid profile email")],
            subject: "782bbtaQ",
            ..plain("linkedin")
        },
        Shape {
            tokens: json!({ "token_type": "bearer", "scope": "read:org,read:user,user:email", "id_token": null, "refresh_token": null, "expires_in": null }),
            userinfo: Some(json!({
                "login": "ann", "id": 583_231, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "type": "User", "name": "Ann Example", "email": null,
                "company": "@acme", "two_factor_authentication": true,
            })),
            sent: &[("scope", "read:user user:email read:org")],
            subject: "583231",
            name: Some("ann"),
            groups: Some(json!(["acme", "other", "acme/ops"])),
            ..plain("github")
        },
    ]
}

/// Sets the provider up; answers with the settings that lead to it.
fn set_up(op: &Op, shape: &Shape) -> Value {
    let mut world = op.world();
    (world.tokens, world.claims) = (shape.tokens.clone(), shape.claims.clone());
    match &shape.userinfo {
        Some(userinfo) => world.userinfo = userinfo.clone(),
        None => world.metadata = json!({ "userinfo_endpoint": null }),
    }
    let mut settings = json!({ "provider": shape.preset });
    let openid = !["github", "discord", "facebook", "linkedin"].contains(&shape.preset);
    if !openid {
        settings["issuer"] = Value::Null;
        for name in ["authorize", "token", "userinfo"] {
            settings[format!("{name}_url")] = format!("{}/{name}", op.issuer).into();
        }
    }
    if shape.preset == "github" {
        settings["api_url"] = format!("{}/", op.issuer).into();
        for (path, answer) in [
            (
                "/user/emails",
                json!([
                    { "email": "old@example.com", "primary": false, "verified": true, "visibility": null },
                    { "email": "ann@example.com", "primary": true, "verified": true, "visibility": "private" },
                ]),
            ),
            (
                "/user/orgs",
                json!([{ "login": "acme", "id": 1, "description": "" }, { "login": "other", "id": 2 }]),
            ),
            (
                "/user/teams",
                json!([{ "id": 1, "name": "Operations", "slug": "ops", "organization": { "login": "acme", "id": 1 } }]),
            ),
        ] {
            world.instead.insert(path.into(), (200, JSON.into(), answer.to_string()));
        }
    }
    for (name, value) in shape.settings.as_object().unwrap() {
        settings[name.as_str()] = value.clone();
    }
    settings
}

#[tokio::test]
async fn every_preset_reads_what_its_provider_documents() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    for shape in openid_shapes().into_iter().chain(more_openid_shapes(&key)).chain(plain_shapes()) {
        let (op, preset) = (Op::new(), shape.preset);
        let settings = set_up(&op, &shape);
        let strategy = op.strategy(settings).await;
        let Ok(Outcome::Redirect(away)) = strategy.begin(&call(), begin()).await else {
            panic!("{preset}: no redirect")
        };
        let url = url::Url::parse(&away.url).unwrap();
        let sent: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        for (name, value) in shape.sent {
            assert_eq!(sent.get(*name).map(String::as_str), Some(*value), "{preset}: {name}");
        }
        let ann = signed_in(op.login(&strategy).await);
        assert_eq!(
            (ann.subject.as_str(), ann.realm.as_str()),
            (shape.subject, op.issuer.as_str()),
            "{preset}"
        );
        let text = |name: &str| ann.claims.get(name).and_then(Value::as_str);
        assert_eq!(text("name"), shape.name, "{preset}");
        assert_eq!(text("display_name"), shape.display_name, "{preset}");
        assert_eq!(text("email"), shape.email, "{preset}");
        assert_eq!(ann.claims.get("email_verified").and_then(Value::as_bool), shape.verified, "{preset}");
        assert_eq!(ann.claims.get("groups"), shape.groups.as_ref(), "{preset}");
    }
}

/// Apple's secret is a token that the team's key signs; and its word `"true"` in an older
/// document is no boolean, so that it proves no address.
#[tokio::test]
async fn apples_secret_is_signed_and_its_text_proves_nothing() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let mut all = more_openid_shapes(&key);
    let mut apple = all.pop().unwrap();
    apple.claims["email_verified"] = json!("true");
    let op = Op::new();
    let strategy = op.strategy(set_up(&op, &apple)).await;
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!(ann.claims["email_verified"], false);
    let secret = op.last("/token").form["client_secret"].clone();
    let token = Jws::parse(&secret).unwrap();
    assert_eq!(token.kid.as_deref(), Some("ABC123DEFG"));
    let claims = token.unproven().unwrap();
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("DEF123GHIJ"), Some("gw")));
    assert!(claims["exp"].as_u64().unwrap() > claims["iat"].as_u64().unwrap());
    // Apple answers about somebody once a day, and more often maybe not.
    assert_eq!(ann.refresh_after.map(|d| d.as_secs()), Some(86_400));
}

/// More than one page, and addresses that are not both first and proven.
#[tokio::test]
async fn githubs_lists_are_read_to_their_end_and_only_a_proven_first_address_counts() {
    let op = Op::new();
    let shape = plain_shapes().pop().unwrap();
    let strategy = op.strategy(set_up(&op, &shape)).await;
    let page = |from: usize, to: usize| {
        let all: Vec<_> = (from..to).map(|n| json!({ "login": format!("org-{n}"), "id": n })).collect();
        (200, JSON.to_owned(), Value::from(all).to_string())
    };
    op.world().instead.insert("/user/orgs?per_page=100&page=1".into(), page(0, 100));
    op.world().instead.insert("/user/orgs?per_page=100&page=2".into(), page(100, 130));
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!(ann.claims["groups"].as_array().unwrap().len(), 131, "130 organisations and a team");
    assert_eq!(op.count("/user/orgs"), 2);
    for n in 1..=10 {
        let target = format!("/user/orgs?per_page=100&page={n}");
        op.world().instead.insert(target, page(n * 100, n * 100 + 100));
    }
    op.world().instead.insert("/user/orgs".into(), page(0, 1));
    assert!(invalid(op.login(&strategy).await).contains("more than 10 pages"), "half of them is none");
    op.world().instead.insert("/user/orgs".into(), page(0, 0));
    assert_eq!(signed_in(op.login(&strategy).await).claims["groups"].as_array().unwrap().len(), 1001);
    for emails in [
        json!([{ "email": "ann@example.com", "primary": true, "verified": false }]),
        json!([{ "email": "ann@example.com", "primary": false, "verified": true }]),
        json!([]),
    ] {
        op.world().userinfo["email"] = "public@example.com".into();
        op.world().instead.insert("/user/emails".into(), (200, JSON.into(), emails.to_string()));
        assert_eq!(signed_in(op.login(&strategy).await).claims.get("email"), None, "{emails}");
    }
    // GitHub says no with 200 and an error.
    let no = r#"{"error":"bad_verification_code","error_description":"The code is incorrect.","error_uri":"https://docs.example"}"#;
    op.world().instead.insert("/token".into(), (200, JSON.into(), no.into()));
    assert_eq!(code(op.login(&strategy).await), "bad_verification_code");
}

/// Facebook's errors are objects; what it writes in them is not repeated.
#[tokio::test]
async fn an_error_that_is_an_object_is_a_no_without_its_words() {
    let op = Op::new();
    let shape = plain_shapes().into_iter().find(|shape| shape.preset == "facebook").unwrap();
    let strategy = op.strategy(set_up(&op, &shape)).await;
    let no = r#"{"error":{"message":"CANARY","type":"OAuthException","code":100,"fbtrace_id":"x"}}"#;
    op.world().instead.insert("/token".into(), (400, JSON.into(), no.into()));
    assert_eq!(code(op.login(&strategy).await), "unreadable_error");
}

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const OTHER: &str = "99999999-2222-3333-4444-555555555555";

/// Microsoft's shared issuer, at this provider's address.
async fn microsoft(op: &Op, more: Value) -> std::sync::Arc<dyn portcullis_plugin_api::DynStrategy> {
    let issuer = format!("{}/{{tenantid}}/v2.0", op.issuer);
    let at = |path: &str| format!("{}/{path}", op.issuer);
    let metadata = json!({
        "issuer": issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"), "jwks_uri": at("keys"),
        "userinfo_endpoint": at("userinfo"), "end_session_endpoint": at("end"), "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "tenant_region_scope": null, "cloud_instance_name": "microsoftonline.com",
    });
    let place = "/%7Btenantid%7D/v2.0/.well-known/openid-configuration";
    op.world().instead.insert(place.into(), (200, JSON.into(), metadata.to_string()));
    op.world().userinfo = json!({ "sub": "AAAA-pairwise", "name": "Ann Example", "email": "ann@example.com", "picture": at("photo") });
    from_tenant(op, TENANT);
    let mut settings = json!({ "provider": "microsoft", "issuer": issuer, "tenants": [TENANT] });
    for (name, value) in more.as_object().unwrap() {
        settings[name.as_str()] = value.clone();
    }
    op.strategy(settings).await
}

fn from_tenant(op: &Op, tenant: &str) {
    let issuer = format!("{}/{tenant}/v2.0", op.issuer);
    op.world().claims = json!({
        "ver": "2.0", "iss": issuer, "tid": tenant, "oid": "00000000-0000-0000-66f3-3332eca7ea81", "sub": "AAAA-pairwise", "aio": "x",
        "nbf": 1_699_999_700, "name": "Ann Example", "preferred_username": "ann@example.com", "email": "ann@example.com",
        "email_verified": null, "groups": ["4a1b2c3d-0000-4000-8000-000000000001"], "sid": null,
    });
}

#[tokio::test]
async fn a_shared_issuer_of_microsofts_is_believed_for_the_tenants_that_are_listed() {
    let op = Op::new();
    let strategy = microsoft(&op, json!({})).await;
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!((ann.subject.as_str(), ann.realm), ("AAAA-pairwise", format!("{}/{TENANT}/v2.0", op.issuer)));
    assert_eq!(
        (&ann.claims["display_name"], &ann.claims["email"]),
        (&json!("Ann Example"), &json!("ann@example.com"))
    );
    let proven = ann.claims.get("email_verified");
    assert_eq!(proven, None, "any tenant's administrator writes what they like");
    assert_eq!(ann.claims["groups"], json!(["4a1b2c3d-0000-4000-8000-000000000001"]));
    from_tenant(&op, OTHER);
    assert_eq!(code(op.login(&strategy).await), "tenant_not_listed");
    // The issuer and the tenant have to be of one piece.
    from_tenant(&op, TENANT);
    op.world().claims["tid"] = OTHER.into();
    assert_eq!(invalid(op.login(&strategy).await), "its ID token is refused: iss");
    op.world().claims["tid"] = "../evil".into();
    assert_eq!(invalid(op.login(&strategy).await), "its ID token is refused: tid");
    // The tenant is named beside the answer, too (RFC 9207), and it is the one that signed.
    from_tenant(&op, TENANT);
    let named = |tenant: &str| format!("{}/{tenant}/v2.0", op.issuer);
    signed_in(op.login_with(&strategy, &[("iss", &named(TENANT))]).await);
    for iss in [named(OTHER), named("x"), named("{tenantid}"), op.issuer.clone()] {
        assert!(invalid(op.login_with(&strategy, &[("iss", &iss)]).await).contains("RFC 9207"), "{iss}");
    }
    let told =
        strategy.notice(&call(), notice(true, &[("iss", &named(TENANT)), ("sid", "s")])).await.unwrap();
    assert_eq!((told.realm, told.provider_session.as_deref()), (named(TENANT), Some("s")));
    for iss in [named("x"), named("{tenantid}"), format!("{}/{TENANT}/v2.0/", op.issuer)] {
        assert!(
            strategy.notice(&call(), notice(true, &[("iss", &iss), ("sid", "s")])).await.is_err(),
            "{iss}"
        );
    }
    from_tenant(&op, OTHER);
    let open = microsoft(&op, json!({ "tenants": [] })).await;
    from_tenant(&op, OTHER);
    signed_in(op.login(&open).await);
}

#[tokio::test]
async fn groups_that_are_too_many_for_a_token_are_asked_of_graph_page_by_page() {
    let op = Op::new();
    let graph = format!("{}/graph/", op.issuer);
    let strategy = microsoft(&op, json!({ "api_url": graph })).await;
    op.world().claims["groups"] = Value::Null;
    op.world().claims["_claim_names"] = json!({ "groups": "src1" });
    // An address of a service that is gone; it is not asked.
    op.world().claims["_claim_sources"] =
        json!({ "src1": { "endpoint": "https://graph.windows.net/x/users/y/getMemberObjects" } });
    let group = |n: usize| json!({ "@odata.type": "#microsoft.graph.group", "id": format!("4a1b2c3d-0000-4000-8000-{n:012}") });
    op.world().member_of = (0..2048).map(group).collect();
    let role = json!({ "@odata.type": "#microsoft.graph.directoryRole", "id": "a-role" });
    op.world().member_of.push(role);
    let ann = signed_in(op.login(&strategy).await);
    assert_eq!(ann.claims["groups"].as_array().unwrap().len(), 2048);
    let path = "/graph/me/transitiveMemberOf/microsoft.graph.group";
    assert_eq!(op.count(path), 3);
    assert_eq!(op.last(path).headers["authorization"], "Bearer CANARY-access");
    // What cannot be read to its end is not made with what was read.
    op.world().member_of = (0..999 * 10 + 1).map(group).collect();
    assert!(invalid(op.login(&strategy).await).contains("more than 9,990"));
    // Nobody else gets the token.
    let elsewhere = json!({ "value": [], "@odata.nextLink": "https://evil.test/next" });
    op.world().instead.insert(path.into(), (200, JSON.into(), elsewhere.to_string()));
    assert!(invalid(op.login(&strategy).await).contains("somewhere else"));
    // Elsewhere nobody knows where to ask: a login with half of the groups is none.
    let other = Op::new();
    other.world().claims = json!({ "_claim_names": { "groups": "src1" } });
    let generic = other.strategy(json!({})).await;
    assert!(invalid(other.login(&generic).await).contains("too many"));
}
