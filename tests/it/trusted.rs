//! `[[token.trusted]]`: bearers that somebody else signed. The foreign issuer is another
//! gateway, over HTTPS with a private authority.

use crate::reload::{DONE, reload};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_tests::{Gateway, Request, Upstream, certificates::Authority, services::curl, site::PASSWORD};
use serde_json::Value;
use std::{fs, sync::Arc};

/// The issuer, with ann and bob in it.
fn issuer(authority: &Authority) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    authority.issue(folder.path(), "b", &["127.0.0.1"]);
    let text = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://b.test\"\ntls = { certificate = \"b.pem\", key = \"b.key\" }\n\
                [token]\nissuer = \"https://b.test\"\naudience = \"api\"\n[strategies.local]\nkind = \"local\"\n";
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let gateway = Gateway::start_in(Arc::new(folder), &[]);
    gateway.add_user("ann", PASSWORD, &["--role", "staff", "--role", "admin"]);
    gateway
}

fn token(issuer: &Gateway, ca: &str) -> Option<String> {
    let url = format!("https://{}/login", issuer.address);
    let body = format!("{{\"username\":\"ann\",\"password\":\"{PASSWORD}\"}}");
    let answer = curl(&["--cacert", ca, "-H", "content-type: application/json", "-d", &body, &url])?;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    Some(answer["token"].as_str().unwrap().to_owned())
}

fn gateway(issuer: &Gateway, ca: &str, upstream: &Upstream, audience: &str) -> Gateway {
    Gateway::start(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[strategies.local]\nkind = \"local\"\n\
         [[token.trusted]]\nid = \"b\"\nissuer = \"https://b.test\"\naudience = \"{audience}\"\n\
         jwks_uri = \"https://{}/auth/jwks.json\"\ntls = {{ ca = \"{ca}\" }}\nroles = {{ \"staff\" = \"ops\" }}\n\
         [upstreams.api]\nurls = [\"{}\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n\
         [[routes]]\npath = \"/b/*\"\nupstream = \"api\"\npolicy = {{ any = [{{ strategy = \"b\" }}] }}\n\
         [[routes]]\npath = \"/own/*\"\nupstream = \"api\"\npolicy = {{ any = [{{ strategy = \"local\" }}] }}\n\
         [[routes]]\npath = \"/ops/*\"\nupstream = \"api\"\npolicy = {{ roles = [\"ops\"] }}\n\
         [[routes]]\npath = \"/admin/*\"\nupstream = \"api\"\npolicy = {{ roles = [\"admin\"] }}\n",
        issuer.address,
        upstream.url(),
    ))
}

fn bearer(path: &str, token: &str) -> Request {
    Request::get(path).bearer(token)
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[test]
fn a_foreign_bearer_reaches_upstreams_under_a_name_of_its_issuer_and_nothing_of_ours() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let issuer = issuer(&authority);
    let ca = authority.write(issuer.folder());
    let Some(token) = token(&issuer, &ca) else { return };
    let gateway = gateway(&issuer, &ca, &upstream, "api");
    let name = format!("{}@b", claims(&token)["sub"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(gateway.send(&bearer("/x", &token)).status, 200, "{}", gateway.output());
    }
    let seen = upstream.last();
    assert_eq!(seen.header("remote-user"), Some(name.as_str()));
    assert_eq!((seen.header("remote-id"), seen.header("remote-groups")), (None, Some("ops")));
    assert_eq!(seen.header("authorization"), None);
    let assertion = claims(seen.header("x-portcullis-assertion").unwrap());
    assert_eq!((assertion.get("sid"), assertion["sub"].as_str()), (None, Some(name.as_str())));
    for (path, status) in [("/ops/x", 200), ("/b/x", 200), ("/own/x", 403)] {
        assert_eq!(gateway.send(&bearer(path, &token)).status, status, "{path}");
    }
    assert_eq!(
        gateway.send(&bearer("/admin/x", &token)).status,
        403,
        "no foreign issuer makes an administrator"
    );
    for path in ["/auth/current", "/auth/me", "/auth/sessions", "/auth/admin/users"] {
        assert_eq!(gateway.send(&bearer(path, &token)).status, 403, "{path}");
    }
    // Not its token any more.
    let (rest, _) = token.rsplit_once('.').unwrap();
    for wrong in [format!("{rest}.AAAA"), format!("{token}x"), "opaque".to_owned(), "a.b.c".to_owned()] {
        assert_eq!(gateway.send(&bearer("/x", &wrong)).status, 401, "{wrong}");
    }
}

/// A certificate that was renewed is a reload, and no reason to forget the keys of an issuer.
#[test]
fn a_reload_forgets_nothing_of_an_issuer_that_is_what_it_was_and_all_of_one_that_changed() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let issuer = issuer(&authority);
    let ca = authority.write(issuer.folder());
    let (Some(proven), Some(fresh)) = (token(&issuer, &ca), token(&issuer, &ca)) else { return };
    let gateway = gateway(&issuer, &ca, &upstream, "api");
    assert_eq!(gateway.send(&bearer("/x", &proven)).status, 200);
    // Kept, for what becomes of its files is part of the test.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::copy(&ca, &file).unwrap();
    let text = fs::read_to_string(gateway.folder().join("portcullis.toml")).unwrap();
    let moved = text.replace(&ca, file.to_str().unwrap());
    reload(&gateway, &format!("# Another line.\n{moved}"), DONE);
    drop(issuer);
    for (what, token) in [("proven", &proven), ("of the same key", &fresh)] {
        assert_eq!(gateway.send(&bearer("/x", token)).status, 200, "{what}: {}", gateway.output());
    }
    reload(&gateway, &moved.replace("\"ops\" }", "\"dev\" }"), DONE);
    assert_eq!(gateway.send(&bearer("/x", &proven)).status, 503, "it gives other roles now");
}

/// The same settings, but another authority in the file.
#[test]
fn a_reload_forgets_an_issuer_whose_authority_is_another_in_the_same_file() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let issuer = issuer(&authority);
    let ca = authority.write(issuer.folder());
    let Some(token) = token(&issuer, &ca) else { return };
    let gateway = gateway(&issuer, &ca, &upstream, "api");
    assert_eq!(gateway.send(&bearer("/x", &token)).status, 200);
    Authority::new().write(issuer.folder());
    let text = fs::read_to_string(gateway.folder().join("portcullis.toml")).unwrap();
    reload(&gateway, &text, DONE);
    assert_eq!(gateway.send(&bearer("/x", &token)).status, 503, "{}", gateway.output());
}

/// Row O-12 of the attack list, and an issuer that is away.
#[test]
fn a_token_for_another_api_is_refused_and_an_issuer_out_of_reach_is_503() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let issuer = issuer(&authority);
    let ca = authority.write(issuer.folder());
    let Some(token) = token(&issuer, &ca) else { return };
    let other = gateway(&issuer, &ca, &upstream, "another-api");
    assert_eq!(other.send(&bearer("/x", &token)).status, 401);
    let known = gateway(&issuer, &ca, &upstream, "api");
    assert_eq!(known.send(&bearer("/x", &token)).status, 200);
    let fresh = gateway(&issuer, &ca, &upstream, "api");
    drop(issuer);
    assert_eq!(known.send(&bearer("/x", &token)).status, 200, "what was proven goes on");
    assert_eq!(fresh.send(&bearer("/x", &token)).status, 503);
    assert_eq!(upstream.requests().len(), 2);
}
