//! No answer to a GET of an endpoint holds what opens something (C-12), whichever shape it has:
//! the endpoints are those of the gateway's own OpenAPI document.

use portcullis_tests::{
    Request, Site, Upstream,
    login::login,
    site::{PASSWORD, ROUTES},
};
use serde_json::{Value, json};

// C-12
#[test]
fn no_get_of_an_endpoint_has_a_token_or_a_cookies_value_in_its_body() {
    let more = format!(
        "{ROUTES}\n[accounts]\nregistration = \"open\"\n[mail]\nurl = \"file:mail\"\nfrom = \"us@x.io\"\n"
    );
    let site = Site::before(Upstream::start(), "", &more);
    site.gateway.add_user("root", PASSWORD, &["--role", "admin"]);
    let root = login(&site.gateway, "root", PASSWORD);
    let body = json!({ "username": "root", "password": PASSWORD, "transport": "token" });
    let family = site.send(&Request::post("/login").json(&body)).expect(200, "").json();
    let document = site.gateway.verb(&["schema", "--openapi"], "").with_code(0).stdout;
    let document: Value = serde_json::from_str(&document).unwrap();
    let (uuid, sid) = (root.body["authenticated"]["uuid"].as_str().unwrap(), sid(&root.token));
    let mut paths: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, operations)| operations["get"].is_object())
        .map(|(path, _)| path.replace("{strategy}", "local").replace("{uuid}", uuid).replace("{sid}", &sid))
        .collect();
    assert!(paths.len() > 15 && paths.iter().all(|path| !path.contains('{')), "{paths:?}");
    // What ends the session comes last.
    paths.sort_by_key(|path| path == "/logout");
    let cookie = root.cookie.strip_prefix("portcullis=").unwrap();
    let text = |name: &str| family[name].as_str().unwrap();
    let secrets =
        [root.token.as_str(), cookie, text("token"), text("refresh_token"), "eyJ", "pcr_", "$argon2"];
    let mut told = 0;
    for path in &paths {
        for kind in ["application/json", "application/vnd.api+json", "text/html"] {
            if path == "/logout" && kind != "text/html" {
                continue;
            }
            let ask = Request::get(path).bearer(&root.token).cookie(&root.cookie).with("Accept", kind);
            let answer = site.send(&ask);
            told += usize::from(answer.status == 200);
            for secret in secrets {
                assert!(!answer.text().contains(secret), "GET {path} as {kind} has {secret}: {answer:?}");
            }
        }
    }
    assert!(told > 20, "most of them answered with what they know: {told}");
}

fn sid(token: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    claims["sid"].as_str().unwrap().to_owned()
}
