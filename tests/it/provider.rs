//! What goes on after a login with a real OpenID provider: its refresh tokens, its keys,
//! its opaque tokens, and what is open in the name of one of its bearers.

use crate::{
    openid::gateway,
    slow_provider::{count, p99},
    streams::any_stream,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_tests::{
    Broken, Gateway, Request, Upstream,
    load::Load,
    login::try_login,
    provider::{Person, Provider, SECRET},
    services::service,
    site::PASSWORD,
    until,
    wait::PATIENCE,
    websocket::handshake,
};
use serde_json::json;
use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Every session of a provider's people is due to be looked at, as if the time had come.
fn all_are_due(gateway: &Gateway) {
    let program = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1], timeout=10)\n\
                   d.execute('UPDATE external_sessions SET refresh_at = 1')\nd.commit()";
    let store = gateway.file("portcullis.db");
    let done = Command::new("python3").args(["-c", program]).arg(store).status().unwrap();
    assert!(done.success());
}

/// `[[token.trusted]]` `idp` is that provider.
fn trusting(provider: &Provider, upstream: &Upstream, audience: &str, more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[strategies.local]\nkind = \"local\"\n\
         [[token.trusted]]\nid = \"idp\"\nissuer = \"{}\"\naudience = \"{audience}\"\ntls = {{ ca = \"{}\" }}\n\
         roles = {{ \"staff\" = \"ops\" }}\n{more}\n[upstreams.api]\nurls = [\"{}\"]\n\
         [[routes]]\npath = \"/*\"\nupstream = \"api\"\n",
        provider.issuer,
        provider.ca,
        upstream.url(),
    )
}

fn bearer(token: &str) -> Request {
    Request::get("/x").bearer(token)
}

/// Row R-42: one call for a session however many requests come meanwhile.
#[test]
fn each_refresh_token_is_used_once_and_what_the_provider_says_then_counts() {
    let Some(provider) = Provider::shared() else { return };
    if service("python3").is_none() {
        return;
    }
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "refresh", "prompt = \"consent\"", &json!({}));
    let carol = Person::new(provider);
    assert_eq!(carol.sign_in(&gateway.url(), "carol", "/").status, 200);
    let roles = || carol.current(&gateway.url())["authenticated"]["roles"].to_string();
    assert_eq!(roles(), "[\"staff\"]");
    let times = || provider.fixture("asked?what=refresh_token%20refresh").as_u64().unwrap();
    all_are_due(&gateway);
    until("the first look", || (times() == 1).then_some(()));
    // With the token that came in place of the first; shown twice, that one would end it all.
    provider.fixture("user?name=carol&groups=staff,gw-admins");
    all_are_due(&gateway);
    until("her new group", || roles().contains("admin").then_some(()));
    assert_eq!(times(), 2);
    let cookie = format!("portcullis={}", carol.cookie("portcullis"));
    all_are_due(&gateway);
    thread::scope(|scope| {
        let ask = || gateway.send(&Request::get("/x").cookie(&cookie)).status;
        let all: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        assert!(all.into_iter().all(|one| one.join().unwrap() == 200));
    });
    until("the third look", || (times() == 3).then_some(()));
    provider.fixture("user?name=carol&gone=1");
    all_are_due(&gateway);
    carol.signed_out(&gateway.url());
    assert_eq!(gateway.send(&Request::get("/x").cookie(&cookie)).status, 401);
    assert_eq!(times(), 3, "no other call was answered with tokens");
    gateway.says("refused_by_strategy");
}

/// Rows and O-19 with a provider of its own: logins and bearers go on while its
/// keys change, and while it is gone what is known does.
#[test]
fn new_keys_are_fetched_once_a_minute_and_known_ones_are_good_meanwhile() {
    let Some(mut provider) = Provider::own() else { return };
    if service("python3").is_none() {
        return;
    }
    let upstream = Upstream::start();
    let trusted = format!(
        "[[token.trusted]]\nid = \"idp\"\nissuer = \"{}\"\naudience = \"api\"\ntls = {{ ca = \"{}\" }}\n\
         [strategies.local]\nkind = \"local\"\n",
        provider.issuer, provider.ca
    );
    let gateway =
        gateway(&provider, &upstream, "keys", &format!("prompt = \"consent\"\n{trusted}"), &json!({}));
    gateway.add_user("ann", PASSWORD, &[]);
    let token = || provider.access_token("keys", "alice", 600, Some("api"));
    let fetched = || provider.fixture("asked?what=/jwks").as_u64().unwrap();
    let first = token();
    assert_eq!(gateway.send(&bearer(&first)).status, 200, "{}", gateway.output());
    let alice = Person::new(&provider);
    assert_eq!(alice.sign_in(&gateway.url(), "alice", "/").status, 200);
    assert_eq!(fetched(), 2, "the strategy and the trusted issuer, once each");
    let load = Load::start(gateway.address, &bearer(&first), 50);
    provider.fixture("rotate?kid=two");
    let second = token();
    assert_eq!(gateway.send(&bearer(&second)).status, 200);
    let again = Person::new(&provider);
    assert_eq!(again.sign_in(&gateway.url(), "alice", "/").status, 200);
    assert_eq!(fetched(), 4, "once more each");
    // Once a minute and not more often, whatever names tokens have.
    provider.fixture("rotate?kid=three");
    let third = token();
    assert_eq!(gateway.send(&bearer(&third)).status, 401);
    for n in 0..50 {
        assert_eq!(gateway.send(&bearer(&unknown_key(&provider.issuer, n))).status, 401);
    }
    let late = Person::new(&provider);
    assert_eq!(late.sign_in(&gateway.url(), "alice", "/").status, 502);
    assert_eq!(fetched(), 4);
    for known in [&first, &second] {
        assert_eq!(gateway.send(&bearer(known)).status, 200);
    }
    until("some load", || (load.answered() > 50).then_some(()));
    let came = load.end();
    assert!(came.failed.is_empty(), "{:?}", came.failed);
    // It goes away. Who is known goes on, also when it is time to look again.
    let unseen = provider.access_token("keys", "alice", 600, Some("api"));
    let config = std::fs::read_to_string(gateway.file("portcullis.toml")).unwrap();
    provider.stop();
    all_are_due(&gateway);
    until("a look that came to nothing", || failing(&gateway).then_some(()));
    assert_eq!(alice.current(&gateway.url())["authenticated"]["email"], "alice@example.org");
    assert_eq!(gateway.send(&bearer(&first)).status, 200);
    // Which libraries stand in for what is linked in is added again.
    let fresh = Gateway::start(config.split("\n[plugins.").next().unwrap());
    fresh.add_user("ann", PASSWORD, &[]);
    let answer = fresh.send(&Request::get("/login/op").navigation()).expect(503, "");
    assert!(answer.header("retry-after").is_some() && !answer.text().contains(&unseen));
    assert_eq!(
        fresh.send(&bearer(&unseen)).expect(503, "strategy_unavailable").headers("retry-after").len(),
        1
    );
    for gateway in [&gateway, &fresh] {
        assert_eq!(try_login(gateway, "ann", PASSWORD).status, 200, "another strategy is as before");
    }
}

/// Whether some look at somebody has failed and is to be tried again.
fn failing(gateway: &Gateway) -> bool {
    let program = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1], timeout=10)\n\
                   print(d.execute('SELECT count(failing_since) FROM external_sessions').fetchone()[0])";
    let output =
        Command::new("python3").args(["-c", program]).arg(gateway.file("portcullis.db")).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim() != "0"
}

/// Row O-19: a thousand a second, a minute long in `--long`.
#[test]
fn names_of_keys_that_nobody_has_cost_one_fetch_a_minute_and_slow_nobody_down() {
    let Some(provider) = Provider::own() else { return };
    let upstream = Upstream::start();
    let gateway = Gateway::start(&trusting(&provider, &upstream, "api", ""));
    provider.register("kids", &gateway.url(), &json!({}));
    let known = bearer(&provider.access_token("kids", "alice", 3600, Some("api")));
    let (seconds, long) = count("PORTCULLIS_KIDS_SECONDS", 1);
    let quiet = p99(&gateway, &known, 1000);
    let fetched = || provider.fixture("asked?what=/jwks").as_u64().unwrap();
    assert_eq!(fetched(), 1);
    let stop = Instant::now() + Duration::from_secs(seconds as u64);
    let asking = &|first: usize| {
        let (mut connection, mut due, mut n) = (gateway.connect(), Instant::now(), first);
        while Instant::now() < stop {
            // A rate, and no condition that could be waited for.
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due += Duration::from_millis(4);
            n += 4;
            assert_eq!(connection.send(&bearer(&unknown_key(&provider.issuer, n))).status, 401);
        }
        (n - first) / 4
    };
    let (asked, under) = thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|first| scope.spawn(move || asking(first))).collect();
        let mut windows = Vec::new();
        while Instant::now() < stop {
            windows.push(p99(&gateway, &known, 1000));
        }
        windows.sort();
        let under = windows[windows.len() / 2];
        (all.into_iter().map(|one| one.join().unwrap()).sum::<usize>(), under)
    });
    let fetched = fetched();
    println!(
        "O-19: {asked} unknown keys in {seconds} s, {fetched} fetches; p99 {quiet:?} quiet, {under:?} under"
    );
    assert!(fetched <= 2 + seconds as u64 / 60, "{fetched}");
    assert!(!long || under <= 3 * quiet.max(Duration::from_millis(1)), "{quiet:?} {under:?}");
}

/// A token that names a key which nobody has.
fn unknown_key(issuer: &str, n: usize) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({ "alg": "RS256", "typ": "at+jwt", "kid": format!("nobodys-{n}") }));
    let claims = part(json!({ "iss": issuer, "aud": "api", "sub": "alice", "exp": 4_000_000_000_u32 }));
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode([7; 256]))
}

/// Row O-17, N-69: opaque tokens are asked of who made them, once in a while.
#[test]
fn an_opaque_token_is_asked_about_once_and_only_an_active_one_passes() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let introspection = format!(
        "introspection = {{ url = \"{}/token/introspection\", client_id = \"intro\", client_secret = \"{SECRET}\" }}",
        provider.issuer
    );
    let gateway = Gateway::start(&trusting(provider, &upstream, "intro", &introspection));
    provider.register("intro", &gateway.url(), &json!({}));
    provider.register("another", &gateway.url(), &json!({}));
    let asked = || provider.fixture("asked?what=/token/introspection").as_u64().unwrap();
    let token = provider.access_token("intro", "alice", 600, None);
    let before = asked();
    for _ in 0..20 {
        assert_eq!(gateway.send(&bearer(&token)).status, 200, "{}", gateway.output());
    }
    assert_eq!(asked(), before + 1);
    let seen = upstream.last();
    assert_eq!((seen.header("remote-user"), seen.header("remote-groups")), (Some("alice@idp"), Some("ops")));
    assert_eq!((seen.header("remote-id"), seen.header("authorization")), (None, None));
    let revoked = provider.access_token("intro", "alice", 600, None);
    provider.fixture(&format!("revoke?token={revoked}"));
    let foreign = provider.access_token("another", "alice", 600, None);
    for wrong in [revoked.as_str(), &foreign, "made-up", &token[1..]] {
        let before = asked();
        for _ in 0..3 {
            assert_eq!(gateway.send(&bearer(wrong)).expect(401, "invalid_token").status, 401);
        }
        assert_eq!(asked(), before + 1, "a no is remembered too: {wrong}");
    }
    assert_eq!(upstream.requests().len(), 20);
    let output = gateway.output();
    assert!(!output.contains(SECRET) && !output.contains(&token), "{output}");
}

/// What is open in the name of a bearer ends with the token, and nobody else's does.
#[test]
fn streams_of_a_foreign_bearer_end_with_its_token() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::scripted(|stream, _| any_stream(stream));
    let gateway = Gateway::start(&trusting(provider, &upstream, "api", ""));
    provider.register("streams", &gateway.url(), &json!({}));
    let begun = Instant::now();
    let (short, long) =
        [10, 600].map(|time| provider.access_token("streams", "alice", time, Some("api"))).into();
    let socket = |token: &str| {
        let mut connection = gateway.connect();
        connection.upgrade(&handshake("/app/ws").bearer(token));
        assert_eq!(connection.echoes(b"open").unwrap(), b"open");
        connection
    };
    let events = |token: &str| {
        let mut connection = gateway.connect();
        connection.start(&Request::get("/app/events").bearer(token));
        assert_eq!(connection.head().unwrap().0, 200);
        assert_eq!(connection.chunk().unwrap(), b"data: begun\n\n");
        connection
    };
    let (mut one, mut two) = (socket(&short), events(&short));
    let (mut other, _events) = (socket(&long), events(&long));
    assert!(one.ends(), "the tunnel is closed");
    // Whole seconds: it was good for nine at least.
    let lasted = begun.elapsed();
    assert!((Duration::from_secs(9)..PATIENCE).contains(&lasted), "{lasted:?}");
    assert!(matches!(two.chunk(), Err(Broken::Closed(_))), "broken off, and not ended as if it were whole");
    assert_eq!(other.echoes(b"still").unwrap(), b"still");
    assert_eq!(gateway.send(&bearer(&short)).status, 401);
}
