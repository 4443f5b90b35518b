//! What an operator types beside accounts (contract section 2): sessions listed and ended,
//! the schema, completions, the manual page, the frame around a problem.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_tests::{
    Request, Site, Upstream,
    login::login,
    program::{Ended, command, finish, run},
    site::{PASSWORD, ROUTES, config},
    until,
};
use serde_json::Value;
use std::fs;

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
}

fn check(text: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    run(folder.path(), &["check"], "")
}

#[test]
fn sessions_are_listed_by_account_and_end_by_name_within_a_second() {
    let site = Site::own();
    let gateway = &site.gateway;
    gateway.add_user("bob", PASSWORD, &[]);
    let bob = login(gateway, "bob", PASSWORD);
    let second = login(gateway, "bob", PASSWORD);
    let all = json(&gateway.verb(&["session", "list", "--json"], "").with_code(0));
    assert_eq!(all.as_array().unwrap().len(), 3);
    let of_bob = json(&gateway.verb(&["session", "list", "--account", "bob", "--json"], "").with_code(0));
    let newest = of_bob[0]["sid"].as_str().unwrap().to_owned();
    assert_eq!(of_bob.as_array().unwrap().len(), 2);
    assert!(of_bob[0]["account"] == "bob" && of_bob[0]["strategy"] == "local", "{of_bob}");
    let text = gateway.verb(&["session", "list"], "").with_code(0).stdout;
    assert!(text.contains(&newest) && text.contains("alice") && !text.contains(&bob.cookie), "{text}");

    gateway.verb(&["session", "revoke", &newest], "").with_code(0);
    let status = |cookie: &str| site.send(&Request::get("/app").cookie(cookie)).status;
    until("the end of the one session", || (status(&second.cookie) == 401).then_some(()));
    assert_eq!((status(&bob.cookie), status(&site.alice.cookie)), (200, 200));
    let gone = gateway.verb(&["session", "revoke", &newest], "").with_code(1);
    assert!(gone.stderr.contains("session list"), "{gone:?}");

    let ended = gateway.verb(&["session", "revoke", "--account", "bob"], "").with_code(0);
    assert!(ended.stdout.contains("1 session of account bob"), "{ended:?}");
    until("the end of the other", || (status(&bob.cookie) == 401).then_some(()));
    assert_eq!(status(&site.alice.cookie), 200);
    gateway.verb(&["session", "revoke"], "").with_code(2);
    gateway.verb(&["session", "revoke", "--account", "nobody"], "").with_code(1);
}

#[test]
fn a_session_that_can_be_refreshed_is_listed_as_long_as_it_can() {
    let more = format!("{ROUTES}\n[session]\nidle = \"1s\"\n");
    let site = Site::before(Upstream::start(), "", &more);
    // A login by a page cannot be refreshed, and is over after a second without use.
    let form = format!("username=alice&password={}", PASSWORD.replace(' ', "+"));
    site.send(&Request::post("/login/local").navigation().form(&form)).expect(303, "");
    let list = || json(&site.gateway.verb(&["session", "list", "--json"], "").with_code(0));
    let left = until("the end of the page's session", || {
        let all = list();
        (all.as_array().unwrap().len() < 2).then_some(all)
    });
    let payload = site.alice.token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(left[0]["sid"], claims["sid"], "{left}");
}

#[test]
fn the_schema_is_json_and_knows_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let schema = json(&run(folder.path(), &["schema"], "").with_code(0));
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    for table in ["server", "session", "strategies", "upstreams", "routes", "identity_headers"] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
    assert_eq!(schema["properties"]["session"]["properties"]["idle"]["default"], "1h");
}

#[test]
fn the_endpoints_are_an_openapi_document_with_the_paths_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let usual = json(&run(folder.path(), &["schema", "--openapi"], "").with_code(0));
    assert_eq!(usual["openapi"], "3.1.0");
    assert!(usual["paths"]["/login/{strategy}"]["post"].is_object());
    let text = format!(
        "{}[endpoints]\nlogin = \"/in\"\n[session]\ncookie = \"desk\"\n",
        portcullis_tests::site::config("http://127.0.0.1:9", "public_url = \"https://x.test\"\n", "")
    );
    std::fs::write(folder.path().join("moved.toml"), text).unwrap();
    let moved = json(&run(folder.path(), &["schema", "--openapi", "-c", "moved.toml"], "").with_code(0));
    let cookie = |document: &Value| document["components"]["securitySchemes"]["session"]["name"].clone();
    assert_eq!((cookie(&usual), cookie(&moved)), ("portcullis".into(), "__Host-desk".into()));
    assert!(moved["paths"]["/in"]["post"].is_object() && moved["paths"].get("/login").is_none());
    run(folder.path(), &["schema", "-c", "moved.toml"], "").with_code(2);
}

#[test]
fn shells_and_manuals_know_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(folder.path(), &["completions", shell], "").with_code(0).stdout;
        assert!(script.contains("hash-password") && script.contains("revoke"), "{shell}:\n{script}");
    }
    let page = run(folder.path(), &["man"], "").with_code(0).stdout;
    assert!(
        page.starts_with(".") && page.contains(".TH ") && page.contains("portcullis session revoke"),
        "{page}"
    );
}

#[test]
fn a_made_account_is_told_as_json_where_a_machine_asks() {
    let site = Site::own();
    let arguments = ["user", "add", "carol", "--password-stdin", "--json"];
    let made = json(&site.gateway.verb(&arguments, PASSWORD).with_code(0));
    assert_eq!(made["name"], "carol");
    assert_eq!(made["uuid"].as_str().unwrap().len(), 36);
}

#[test]
fn a_problem_is_shown_in_its_line_with_a_mark_and_what_to_write() {
    let text = config("http://127.0.0.1:3000", "", ROUTES) + "[session]\nidle = \"soon\"\nlifetme = \"1h\"\n";
    let ended = check(&text).with_code(1);
    let number = text.lines().position(|line| line.starts_with("idle")).unwrap() + 1;
    let expected = format!(
        "portcullis.toml:{number}:8: [session] idle is not a duration: \"soon\"\n \
         {number} | idle = \"soon\"\n    |        ^^^^^^\n    help: write one whole number and a unit: ms, s, m, h or d, as in \"90s\"\n\
         ./portcullis.toml:{}:1: unknown key `lifetme` in [session]\n {} | lifetme = …\n    | ^^^^^^^\n    help: did you mean `lifetime`?\n2 problems\n",
        number + 1,
        number + 1,
    );
    assert_eq!(ended.stderr, format!("./{expected}"));
    assert!(ended.stdout.is_empty());
}

#[test]
fn what_is_piped_has_no_colour_and_no_secret() {
    let text = config("http://127.0.0.1:3000", "", ROUTES) + "[store]\nkey = \"hunter2\"\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let ended = finish(command(folder.path()).arg("check").env("TERM", "xterm"), "").with_code(1);
    assert!(ended.stderr.contains("| key = *********"), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains('\x1b'), "{ended:?}");
}
