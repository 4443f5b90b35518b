//! What holds when a key is not given, as contract section 3 states it, and the examples.

use portcullis_config::{
    Algorithm, AssertionMode, Config, Level, Policy, RoutePath, SameSite, StoreKey, Url, load, parse,
};
use std::{path::Path, time::Duration};

fn example(name: &str) -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    load(&file, &[]).unwrap_or_else(|problems| panic!("{name}: {problems:?}"))
}

/// Whatever is in the folder: an example that does not load is worse than none.
#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut loaded = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        // Whatever it takes out of the environment is there.
        let text = std::fs::read_to_string(&file).unwrap();
        let named = text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
        let env: Vec<_> =
            named.map(|name| (name.to_owned(), "a-value-of-the-environment".to_owned())).collect();
        let config = load(&file, &env).unwrap_or_else(|problems| panic!("{}: {problems:?}", file.display()));
        assert!(!config.strategies.is_empty() && !config.routes.is_empty(), "{}", file.display());
        loaded += 1;
    }
    assert!(loaded > 5, "{loaded}");
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn seven_lines_are_enough_and_everything_else_has_the_default_of_the_contract() {
    let config = example("quickstart.toml");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);

    let server = &config.server;
    assert_eq!(server.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(server.public_url.origin, "http://127.0.0.1:8080");
    assert_eq!((server.public_url.https, server.public_url.host.as_str()), (false, "127.0.0.1"));
    assert_eq!(server.public_url.port, 8080);
    assert!(server.hosts.is_empty() && server.trusted_proxies.is_empty() && !server.danger_plaintext);
    assert_eq!(server.threads, std::thread::available_parallelism().unwrap().get());
    assert_eq!(server.drain, seconds(30));

    let endpoints = &config.endpoints;
    assert_eq!([&endpoints.login, &endpoints.logout, &endpoints.auth], ["/login", "/logout", "/auth"]);
    assert_eq!(config.login.default.as_deref(), Some("local"));

    let session = &config.session;
    assert_eq!(session.cookie, "portcullis");
    assert_eq!((session.idle, session.lifetime), (seconds(3_600), seconds(12 * 3_600)));
    assert_eq!(session.same_site, SameSite::Lax);

    let token = &config.token;
    assert_eq!([&token.issuer, &token.audience], ["http://127.0.0.1:8080"; 2]);
    assert_eq!((token.lifetime, token.max_lifetime), (seconds(900), seconds(24 * 3_600)));
    assert_eq!((token.refresh_lifetime, token.refresh_idle), (seconds(30 * 86_400), seconds(14 * 86_400)));
    assert_eq!(token.refresh_grace, seconds(10));
    assert_eq!(token.schemes, ["Bearer", "Token"]);
    assert_eq!((token.algorithm, token.secret.is_none()), (Algorithm::Es256, true));
    assert_eq!((token.rotate, config.assertion.algorithm), (seconds(90 * 86_400), Algorithm::Es256));

    assert_eq!(config.accounts.identifiers, ["username", "email", "login"]);
    assert_eq!(config.accounts.bare_names.as_deref(), Some("local"));
    let accounts = &config.accounts;
    assert!(!accounts.registration && !accounts.verify_email && accounts.reveal_taken);
    assert_eq!((accounts.recovery_lifetime, config.mail.is_none()), (seconds(900), true));

    assert_eq!(config.admin.api, portcullis_config::AdminApi::Public);

    let lockout = &config.lockout;
    assert_eq!((lockout.failures, lockout.account_failures, lockout.per_address), (5, 100, 60));
    assert_eq!((lockout.window, lockout.duration), (seconds(120), seconds(900)));

    assert_eq!(config.strategies.len(), 1);
    let local = &config.strategies[0];
    assert_eq!([&local.id, &local.kind, &local.title], ["local", "local", "Local"]);
    assert!(!local.required && local.settings.is_empty());
}

#[test]
fn upstreams_routes_headers_and_limits_have_the_defaults_of_the_contract() {
    let config = example("quickstart.toml");
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.urls, [Url { https: false, host: "127.0.0.1".into(), port: 3000 }]);
    assert_eq!((upstream.connect_timeout, upstream.response_timeout), (seconds(5), seconds(60)));
    assert_eq!((upstream.idle_timeout, upstream.preserve_host), (seconds(300), true));
    assert_eq!((&upstream.health, &upstream.tls), (&None, &Default::default()));

    let route = &config.routes[0];
    assert_eq!((route.id.as_str(), &route.path), ("/*", &RoutePath::Prefix(String::new())));
    assert_eq!((&route.host, &route.methods, &route.strip_prefix), (&None, &None, &None));
    assert_eq!((&route.policy, route.assertion), (&Policy::SignedIn, AssertionMode::Header));
    assert!(route.identity_headers.is_none() && !route.keep_encoded_slash);
    assert!(!route.forward_authorization && !route.shared_cache);

    let headers: Vec<(&str, &str)> =
        config.identity_headers.iter().map(|(header, path)| (header.as_str(), path.as_str())).collect();
    let expected = [
        ("Remote-Email", "email"),
        ("Remote-Groups", "roles"),
        ("Remote-Id", "uuid"),
        ("Remote-Name", "display_name"),
        ("Remote-User", "name"),
    ];
    assert_eq!(headers, expected);
    assert!(config.strip_headers.is_empty());
    assert_eq!(config.assertion.header, "X-Portcullis-Assertion");
    assert_eq!(config.assertion.lifetime, seconds(60));

    let limits = &config.limits;
    assert_eq!((limits.header_bytes, limits.headers), (32 * 1024, 100));
    assert_eq!((limits.request_line, limits.login_body), (16 * 1024, 64 * 1024));
    assert_eq!((limits.h2_streams, limits.h2_header_list), (100, 32 * 1024));
    assert_eq!((limits.json_depth, limits.json_fields), (16, 64));
    assert_eq!((limits.connections, limits.per_address_connections), (None, None));
    assert_eq!((limits.header_timeout, limits.idle_timeout), (seconds(10), seconds(60)));
    assert_eq!(limits.body_stall, seconds(30));
    assert_eq!((config.log.format, config.log.level, config.log.access), (None, Level::Info, true));
}

#[test]
fn the_example_with_every_key_says_what_holds_without_them() {
    let short = example("quickstart.toml");
    let long = example("everything.toml");
    let values = |c: &Config| {
        [
            format!("{:?}", c.server),
            format!("{:?}", c.store),
            format!("{:?}", c.endpoints),
            format!("{:?}", c.login),
            format!("{:?}", c.session),
            format!("{:?}", c.token),
            format!("{:?}", c.accounts),
            format!("{:?}", c.lockout),
            format!("{:?}", c.strategies),
            format!("{:?}", c.upstreams),
            format!("{:?}", c.routes),
            format!("{:?} {:?}", c.identity_headers, c.strip_headers),
            format!("{:?}", c.assertion),
            format!("{:?}", c.limits),
            format!("{:?}", c.log),
        ]
    };
    assert_eq!(values(&short), values(&long));
}

#[test]
fn the_store_lies_beside_the_file_or_where_the_system_keeps_state() {
    let at = |file: &str, text: &str| {
        let store = parse(text, Path::new(file), &[]).expect("it is valid").store;
        match store.key {
            StoreKey::File(key) => (store.path.display().to_string(), key.display().to_string()),
            StoreKey::Given(_) => panic!("no key was given"),
        }
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(at("/srv/gw/p.toml", ""), pair("/srv/gw/portcullis.db", "/srv/gw/portcullis.key"));
    assert_eq!(
        at("/etc/portcullis/portcullis.toml", ""),
        pair("/var/lib/portcullis/portcullis.db", "/var/lib/portcullis/portcullis.key")
    );
    assert_eq!(
        at("/srv/p.toml", "[store]\nurl = \"sqlite:data/a.db\""),
        pair("/srv/data/a.db", "/srv/data/portcullis.key")
    );
    assert_eq!(
        at("/etc/portcullis/p.toml", "[store]\nurl = \"sqlite:/data/a.db\""),
        pair("/data/a.db", "/data/portcullis.key")
    );
}
