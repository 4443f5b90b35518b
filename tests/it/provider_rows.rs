//! What a stranger's headers and query change of a first step to a real OpenID provider: nothing
//! (H-13 and O-20 of the security anchors).

use crate::openid::gateway;
use portcullis_tests::{Connection, Request, Upstream, provider::Provider};
use serde_json::json;

/// Where a first step sends the browser, decoded.
fn sent(connection: &mut Connection, more: &[(&str, &str)]) -> String {
    let asked = more.iter().fold(
        Request::get("/login/op?redirect_uri=https%3A%2F%2Fevil.test%2F&scope=evil"),
        |r, (name, value)| r.with(name, value),
    );
    let answer = connection.send(&asked.navigation());
    assert!(matches!(answer.status, 302 | 303), "{answer:?}");
    let location = answer.header("location").expect("somewhere to go").to_owned();
    let parsed: Vec<(String, String)> = location
        .split_once('?')
        .expect("a query")
        .1
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(n, v)| (n.to_owned(), v.replace("%3A", ":").replace("%2F", "/")))
        .collect();
    assert!(!location.contains("evil"), "{location}");
    parsed.into_iter().find(|(name, _)| name == "redirect_uri").expect("an address to come back to").1
}

// H-13: what a provider sends people back to is the configured origin, whatever a header says
#[test]
fn the_way_back_from_a_provider_is_built_from_no_header() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "rows-back", "", &json!({}));
    let own = format!("{}/login/op/callback", gateway.url());
    let mut connection = gateway.connect();
    for more in [
        &[][..],
        &[("X-Forwarded-Host", "evil.test")],
        &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "1"), ("X-Forwarded-Prefix", "/evil")],
        &[("Forwarded", "proto=https;host=evil.test")],
        &[("X-Original-URL", "https://evil.test/"), ("X-Forwarded-Uri", "/evil")],
    ] {
        assert_eq!(sent(&mut connection, more), own, "{more:?}");
    }
}
