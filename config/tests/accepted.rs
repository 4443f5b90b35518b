//! What is right and how it is resolved: routes, endpoints, addresses, policies.

use portcullis_config::{Admit, AssertionMode, Config, Link, Policy, RoutePath, Rules, SameSite, Url, parse};
use std::path::Path;

const UPSTREAM: &str = "[upstreams.api]\nurls = [\"http://API.internal\"]\n";

fn config(text: &str) -> Config {
    parse(text, Path::new("p"), &[]).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"))
}

fn route(keys: &str) -> String {
    format!("[[routes]]\nupstream = \"api\"\n{keys}\n")
}

fn with_routes(routes: &[&str]) -> Config {
    config(&format!("{UPSTREAM}{}", routes.iter().map(|keys| route(keys)).collect::<String>()))
}

#[test]
fn routes_that_differ_in_host_or_shape_or_methods_stand_beside_each_other() {
    let config = with_routes(&[
        "path = \"/x/*\"\nmethods = [\"GET\"]",
        "path = \"/x/*\"\nmethods = [\"POST\", \"PURGE\"]",
        "path = \"/x\"",
        "path = \"/x/\"",
        "path = \"/x/*\"\nhost = \"A.Example\"",
        "path = \"/*\"\nid = \"rest\"",
        "path = \"/\"",
    ]);
    let ids: Vec<&str> = config.routes.iter().map(|route| route.id.as_str()).collect();
    assert_eq!(ids, ["/x/*", "/x/*#2", "/x", "/x/", "a.example/x/*", "rest", "/"]);
    let paths: Vec<&RoutePath> = config.routes.iter().map(|route| &route.path).collect();
    let (exact, prefix) = (|p: &str| RoutePath::Exact(p.into()), |p: &str| RoutePath::Prefix(p.into()));
    assert_eq!(paths[..4], [&prefix("/x"), &prefix("/x"), &exact("/x"), &exact("/x/")]);
    assert_eq!(paths[4..], [&prefix("/x"), &prefix(""), &exact("/")]);
    assert_eq!(config.routes[4].host.as_deref(), Some("a.example"));
    let methods = |i: usize| config.routes[i].methods.clone().expect("they were given");
    assert_eq!(
        (methods(0), methods(1)),
        (vec!["GET".into(), "HEAD".into()], vec!["POST".into(), "PURGE".into()])
    );
}

#[test]
fn methods_overlap_when_one_is_common_and_a_get_brings_its_head() {
    for (first, second) in [
        ("methods = [\"GET\", \"PUT\"]", "methods = [\"PUT\", \"POST\"]"),
        ("methods = [\"GET\"]", "methods = [\"HEAD\"]"),
        ("", "methods = [\"POST\"]"),
        ("host = \"a.example\"", "host = \"A.EXAMPLE\""),
    ] {
        let both = format!(
            "{}{}",
            route(&format!("path = \"/x\"\n{first}")),
            route(&format!("path = \"/x\"\n{second}"))
        );
        let found = parse(&format!("{UPSTREAM}{both}"), Path::new("p"), &[]).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.ends_with("is routed already, at p:5:8"), "{}", found[0]);
    }
}

#[test]
fn every_key_of_a_route_is_resolved() {
    let config = with_routes(&[
        "path = \"/api/v1/*\"\nstrip_prefix = \"/api\"\npolicy = { roles = [\"staff\", \"admin\"] }\n\
         identity_headers = false\nassertion = \"authorization\"\nencoded_slash = \"keep\"\nshared_cache = true",
        "path = \"/open\"\nstrip_prefix = \"/open\"\npolicy = \"public\"\nforward_authorization = true\n\
         identity_headers = { X-Team = \"app.team.name\", X-Who = \"strategy\" }\nassertion = \"off\"",
        "path = \"/a%2Fb\"\nencoded_slash = \"keep\"",
    ]);
    let [first, second, third] = &config.routes[..] else { panic!("three routes") };
    assert_eq!(
        first.policy,
        Policy::Rules(Rules { roles: vec!["staff".into(), "admin".into()], ..Rules::default() })
    );
    assert_eq!(first.strip_prefix.as_deref(), Some("/api"));
    assert!(first.identity_headers.as_ref().is_some_and(|table| table.is_empty()));
    assert!(first.keep_encoded_slash && first.shared_cache && !first.forward_authorization);
    assert_eq!((first.assertion, second.assertion), (AssertionMode::Authorization, AssertionMode::Off));
    assert_eq!((&second.policy, second.forward_authorization), (&Policy::Public, true));
    assert_eq!(second.identity_headers.as_ref().unwrap()["X-Team"], "app.team.name");
    assert_eq!(third.path, RoutePath::Exact("/a%2Fb".into()));
    assert_eq!(config.upstreams[0].urls, [Url { https: false, host: "api.internal".into(), port: 80 }]);
}

#[test]
fn login_and_logout_may_lie_inside_auth() {
    let endpoints =
        "[endpoints]\nauth = \"/api/auth\"\nlogin = \"/api/auth/login\"\nlogout = \"/api/auth/logout\"\n";
    let config = config(&format!("{UPSTREAM}{endpoints}{}", route("path = \"/api/*\"")));
    assert_eq!(config.endpoints.login, "/api/auth/login");
    assert!(!config.warnings.iter().any(|warning| warning.message.contains("never used")));
}

#[test]
fn a_server_on_every_interface_has_the_origin_that_it_is_given() {
    let config = config(
        "[server]\nlisten = [\"0.0.0.0:8080\", \"[::1]:8080\"]\npublic_url = \"HTTPS://GW.Example.com:8443\"\n\
         hosts = [\"Other.Example\"]\ntrusted_proxies = [\"10.1.2.3/8\", \"::1\"]\n[session]\nsame_site = \"strict\"\n",
    );
    let url = &config.server.public_url;
    assert_eq!((url.origin.as_str(), url.https, url.port), ("https://gw.example.com:8443", true, 8443));
    assert_eq!([&config.token.issuer, &config.token.audience], ["https://gw.example.com:8443"; 2]);
    assert_eq!(config.server.hosts, ["other.example"]);
    let networks: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.session.same_site, SameSite::Strict);
}

#[test]
fn the_default_strategy_is_the_named_one_or_the_only_one_or_the_one_called_local() {
    let strategies = |ids: &[&str]| {
        ids.iter().map(|id| format!("[strategies.{id}]\nkind = \"local\"\n")).collect::<String>()
    };
    let default = |text: &str| config(text).login.default;
    assert_eq!(default(""), None);
    assert_eq!(default(&strategies(&["staff"])).as_deref(), Some("staff"));
    assert_eq!(default(&strategies(&["staff", "local"])).as_deref(), Some("local"));
    let named = format!("{}[login]\ndefault = \"staff\"\n", strategies(&["staff", "local"]));
    assert_eq!(default(&named).as_deref(), Some("staff"));
    assert_eq!(config(&named).accounts.bare_names.as_deref(), Some("staff"));
    let neither = config(&strategies(&["zoe", "ann"]));
    assert_eq!(neither.login.default, None);
    assert!(
        neither.warnings.iter().any(|warning| warning.message.starts_with("no strategy is the default one"))
    );
    let ids: Vec<&str> = neither.strategies.iter().map(|strategy| strategy.id.as_str()).collect();
    assert_eq!(ids, ["zoe", "ann"], "the order is that of the file");
}

#[test]
fn strip_alone_adds_to_the_default_headers_and_a_table_replaces_them() {
    let strip = config("[identity_headers]\nstrip = [\"X-Legacy-User\"]\n");
    assert_eq!(
        (strip.identity_headers.len(), &strip.strip_headers[..]),
        (5, &["X-Legacy-User".to_owned()][..])
    );
    let table = config("[identity_headers]\nX-User = \"name\"\n");
    assert_eq!(table.identity_headers.len(), 1);
    assert!(config("[identity_headers]\n").identity_headers.is_empty());
}

#[test]
fn a_strategy_that_vouches_from_outside_says_whom_it_lets_in_and_what_groups_bring() {
    let text = r#"
[accounts]
default_roles = ["guest"]
link = "verified-email"
[strategies.corp]
kind = "ldap"
url = "ldaps://ldap.example.com"
roles = { "Domain Admins" = "admin", "team-*" = ["staff", "dev"] }
[strategies.google]
kind = "oauth"
admit = { any = [{ claim = "hd", is = "example.com" }] }
provision = false
link = "never"
trust_email = true
default_roles = []
"#;
    let config = parse(text, Path::new("p"), &[]).unwrap();
    let corp = config.strategies[0].admission.as_ref().unwrap();
    assert_eq!((&corp.admit, corp.provision, corp.link), (&Admit::Anyone, true, Link::VerifiedEmail));
    assert_eq!((corp.trust_email, &corp.default_roles[..]), (Some(true), &["guest".to_owned()][..]));
    assert_eq!(corp.roles[0].roles, ["admin"]);
    let team = &corp.roles[1];
    assert_eq!(
        (team.group.as_str(), team.prefix, &team.roles[..]),
        ("team-", true, &["staff".into(), "dev".into()][..])
    );
    assert_eq!(
        config.strategies[0].settings.keys().collect::<Vec<_>>(),
        ["url"],
        "the rest is the gateway's own"
    );
    let google = config.strategies[1].admission.as_ref().unwrap();
    assert!(matches!(&google.admit, Admit::Rules(rules) if rules.any.len() == 1));
    assert_eq!((google.provision, google.link, google.trust_email), (false, Link::Never, Some(true)));
    assert!(google.default_roles.is_empty());
}

#[test]
fn a_strategy_gets_secrets_from_where_they_are_kept_and_paths_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
    let text = r#"
[strategies.corp]
kind = "oauth"
admit = "anyone"
client_secret = { file = "secret" }
client_key = { env = "KEY" }
claims = { groups = "realm.roles" }
tls = { ca = "ca.pem", certificate = "/etc/c.pem", server_name = "ca" }
"#;
    let env = [("KEY".to_owned(), "pem".to_owned())];
    let config = parse(text, &folder.path().join("p.toml"), &env).unwrap();
    let settings = &config.strategies[0].settings;
    assert_eq!((&settings["client_secret"], &settings["client_key"]), (&"s3cret".into(), &"pem".into()));
    assert_eq!(settings["claims"]["groups"], "realm.roles");
    assert_eq!(settings["tls"]["ca"], folder.path().join("ca.pem").to_string_lossy().into_owned());
    assert_eq!(
        (&settings["tls"]["certificate"], &settings["tls"]["server_name"]),
        (&"/etc/c.pem".into(), &"ca".into())
    );
}

#[test]
fn what_is_accepted_and_can_have_no_effect_is_said() {
    let said = |text: &str| {
        let warnings = config(text).warnings;
        warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let open = "[accounts]\nregistration = \"open\"\n";
    let two = "[strategies.a]\nkind = \"local\"\n[strategies.b]\nkind = \"local\"\n";
    for (text, part) in [
        (format!("[strategies.corp]\nkind = \"ldap\"\n{open}"), "no strategy keeps passwords"),
        (format!("{two}{open}"), "none of them is the default"),
        ("[session]\nidle = \"2h\"\nlifetime = \"1h\"\n".into(), "[session] idle is longer than"),
        ("[token]\nrefresh_idle = \"31d\"\n".into(), "[token] refresh_idle is longer than"),
    ] {
        assert!(said(&text).contains(part), "{text}: {}", said(&text));
    }
    for text in [
        format!("[strategies.local]\nkind = \"local\"\n{open}"),
        format!("{two}[login]\ndefault = \"b\"\n{open}"),
        "[session]\nlifetime = \"10m\"\n".into(),
    ] {
        assert!(
            !said(&text).contains("nobody can register") && !said(&text).contains("longer than"),
            "{text}"
        );
    }
}

#[test]
fn of_aliases_a_word_comes_before_a_name_that_stands_for_any() {
    let text = "[[aliases]]\nfrom = \"GET /user/:x\"\nto = \"strategies\"\n\
                [[aliases]]\nfrom = \"GET /user/me\"\nto = \"current\"\n";
    let config = config(text);
    let lead = config.aliases.iter().find_map(|alias| alias.leads("GET", "/user/me"));
    assert_eq!(lead.as_deref(), Some("/auth/current"));
}
