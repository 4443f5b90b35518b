//! Variables over the file, secrets, and the places of a strategy's settings.

use portcullis_config::{Config, Problem, StoreKey, Url, load, parse};
use portcullis_plugin_api::SettingsProblem;
use std::{os::unix::fs::PermissionsExt, path::Path};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn with(text: &str, pairs: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    parse(text, Path::new("p"), &env(pairs))
}

fn said(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    with(text, pairs).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn a_variable_overrides_the_file_as_text_where_a_string_fits_and_as_toml_elsewhere() {
    let file =
        "[server]\nlisten = \"127.0.0.1:1\"\ndrain = \"1s\"\n[strategies.my-staff]\nkind = \"local\"\n";
    let config = with(
        file,
        &[
            ("PORTCULLIS_SERVER__LISTEN", "[::1]:8081"),
            ("PORTCULLIS_SERVER__THREADS", "3"),
            ("PORTCULLIS_SERVER__HOSTS", "[\"a.example\", \"b.example\"]"),
            ("PORTCULLIS_LOGIN__TITLE", "true"),
            ("PORTCULLIS_LOG__ACCESS", "false"),
            ("PORTCULLIS_STRATEGIES__MY_STAFF__TITLE", "Staff"),
            ("PORTCULLIS_STRATEGIES__MY_STAFF__MIN_LENGTH", "12"),
            ("PORTCULLIS_STRATEGIES__MY_STAFF__CLAIMS__NAME", "nick"),
            ("PORTCULLIS_UPSTREAMS__API_2__URLS", "[\"http://[::1]:3000\"]"),
            ("PORTCULLIS_IDENTITY_HEADERS__X_USER", "name"),
            ("PORTCULLIS_CONFIG", "elsewhere.toml"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen, ["[::1]:8081".parse().unwrap()]);
    assert_eq!(config.server.public_url.origin, "http://[::1]:8081");
    assert_eq!((config.server.threads, config.server.drain.as_secs()), (3, 1));
    assert_eq!(config.server.hosts, ["a.example", "b.example"]);
    assert_eq!((config.login.title.as_str(), config.log.access), ("true", false));
    let staff = &config.strategies[0];
    assert_eq!([&staff.id, &staff.title], ["my-staff", "Staff"]);
    assert_eq!(
        serde_json::to_string(&staff.settings).unwrap(),
        r#"{"claims":{"name":"nick"},"min_length":12}"#
    );
    assert_eq!(config.upstreams[0].id, "api-2");
    assert_eq!(config.upstreams[0].urls, [Url { https: false, host: "::1".into(), port: 3000 }]);
    assert_eq!(config.identity_headers.len(), 1);

    let list = with("", &[("PORTCULLIS_SERVER__LISTEN", "[\"127.0.0.1:1\", \"127.0.0.1:2\"]")]).unwrap();
    assert_eq!(list.server.listen.len(), 2);
    let same = with(
        "[identity_headers]\nRemote-User = \"name\"",
        &[("PORTCULLIS_IDENTITY_HEADERS__REMOTE_USER", "email")],
    );
    assert_eq!(same.unwrap().identity_headers["Remote-User"], "email");
}

#[test]
fn a_problem_of_a_variable_is_reported_under_its_name() {
    let cases = [
        (
            "PORTCULLIS_SERVER__LISEN",
            "x",
            "no key of the configuration is called PORTCULLIS_SERVER__LISEN\n    help: did you mean PORTCULLIS_SERVER__LISTEN?",
        ),
        (
            "PORTCULLIS_SERVER_LISTEN",
            "x",
            "no key of the configuration is called PORTCULLIS_SERVER_LISTEN\n    help: did you mean PORTCULLIS_SERVER__LISTEN?",
        ),
        (
            "PORTCULLIS_CONFIGG",
            "x",
            "no key of the configuration is called PORTCULLIS_CONFIGG\n    help: did you mean PORTCULLIS_CONFIG?",
        ),
        (
            "PORTCULLIS_server__listen",
            "x",
            "no key of the configuration is called PORTCULLIS_server__listen\n    help: did you mean PORTCULLIS_SERVER__LISTEN?",
        ),
        (
            "PORTCULLIS_NONSENSE",
            "x",
            "no key of the configuration is called PORTCULLIS_NONSENSE\n    help: write PORTCULLIS_TABLE__KEY, with two underscores between table and key",
        ),
        (
            "PORTCULLIS_ROUTES__PATH",
            "x",
            "routes is an array of tables, which a variable cannot hold\n    help: write [[routes]] in the file",
        ),
        (
            "PORTCULLIS_SERVER__THREADS",
            "many",
            "[server] threads must be a whole number\n    help: the variable's text is read as TOML here",
        ),
        ("PORTCULLIS_SERVER__THREADS", "\"1\"", "[server] threads must be a whole number, not a string"),
        (
            "PORTCULLIS_SERVER__DRAIN",
            "5",
            "[server] drain is not a duration: \"5\"\n    help: write one whole number and a unit: ms, s, m, h or d, as in \"90s\"",
        ),
        (
            "PORTCULLIS_INCLUDE",
            "x",
            "include is read from the file alone\n    help: write include = [\"conf.d/*.toml\"] in the file",
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(said("", &[(name, text)]), [format!("{name}: {expected}")]);
    }
    let clash = said("[strategies]\nx = 1", &[("PORTCULLIS_STRATEGIES__X__KIND", "local")]);
    assert!(
        clash.contains(&"PORTCULLIS_STRATEGIES__X__KIND: `x` is no table at p:2:5".to_owned()),
        "{clash:?}"
    );
}

#[test]
fn a_variable_that_the_file_reads_a_secret_from_may_have_any_name() {
    let text = "[store]\nkey = { env = \"PORTCULLIS_SEAL\" }";
    let config = with(text, &[("PORTCULLIS_SEAL", "0123456789abcdef")]).unwrap();
    assert!(matches!(&config.store.key, StoreKey::Given(key) if key.reveal() == "0123456789abcdef"));
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

/// A secret file with this text and mode, read as `[store] key`.
fn key_of(text: &str, mode: u32) -> Result<Config, Vec<Problem>> {
    let folder = tempfile::tempdir().expect("it can be prepared");
    let secret = folder.path().join("seal");
    std::fs::write(&secret, text).expect("it can be prepared");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).expect("it can be prepared");
    std::os::unix::fs::symlink(&secret, folder.path().join("link")).expect("it can be prepared");
    let file = folder.path().join("p.toml");
    std::fs::write(&file, "[store]\nkey = { file = \"link\" }").expect("it can be prepared");
    load(&file, &[])
}

fn revealed(config: &Config) -> &str {
    match &config.store.key {
        StoreKey::Given(key) => key.reveal(),
        StoreKey::File(_) => panic!("a key was given"),
    }
}

#[test]
fn a_secret_file_loses_one_newline_and_is_found_beside_the_configuration() {
    assert_eq!(revealed(&key_of("0123456789abcdef\n\n", 0o600).unwrap()), "0123456789abcdef\n");
    assert_eq!(revealed(&key_of("0123456789abcdef", 0o600).unwrap()), "0123456789abcdef");
}

#[test]
fn a_secret_file_that_others_can_write_is_refused_and_one_that_all_can_read_is_a_warning() {
    for mode in [0o620, 0o602, 0o666] {
        let found = key_of("0123456789abcdef", mode).unwrap_err();
        assert!(found[0].message.ends_with("can be written by its group or by everybody"), "{found:?}");
        assert!(found[0].place.ends_with("p.toml:2:16"), "{found:?}");
    }
    let said = |mode| {
        key_of("0123456789abcdef", mode)
            .unwrap()
            .warnings
            .iter()
            .any(|w| w.message.contains("read by everybody"))
    };
    assert!(said(0o604) && !said(0o640) && !said(0o600));
    assert!(key_of("\n", 0o600).unwrap_err()[0].message.ends_with("is empty"));
}

#[test]
fn a_variable_replaces_a_secret_of_the_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("seal");
    std::fs::write(&secret, "0123456789abcdef").unwrap();
    let path = secret.display().to_string();
    for text in ["[store]\nkey = { env = \"NOT_SET\" }", "[store]\nkey = \"x\"", ""] {
        let config = with(text, &[("PORTCULLIS_STORE__KEY__FILE", &path)]).unwrap();
        assert_eq!(revealed(&config), "0123456789abcdef", "{text}");
    }
    let direct =
        with("[store]\nkey = { env = \"NOT_SET\" }", &[("PORTCULLIS_STORE__KEY", "{ not a table }!!")]);
    assert_eq!(revealed(&direct.unwrap()), "{ not a table }!!");
}

#[test]
fn a_secret_by_variable_is_the_text_itself_unless_it_names_another_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("elsewhere");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef").unwrap();
    let table = format!("{{ file = {:?} }}", path.display().to_string());
    let corp = "[strategies.corp]\nkind = \"ldap\"\nbind_password = \"x\"\n";
    for (text, meant) in [
        ("12345678", "12345678"),
        ("1_000", "1_000"),
        ("true", "true"),
        ("\"quoted\"", "\"quoted\""),
        ("'x'", "'x'"),
        ("[1]", "[1]"),
        ("{ a = 1 }", "{ a = 1 }"),
        (&table, "0123456789abcdef0123456789abcdef"),
    ] {
        let config = with(corp, &[("PORTCULLIS_STRATEGIES__CORP__BIND_PASSWORD", text)]).unwrap();
        assert_eq!(config.strategies[0].settings["bind_password"], meant, "{text}");
    }
    let key = with("", &[("PORTCULLIS_STORE__KEY", &table)]).unwrap();
    assert_eq!(revealed(&key), "0123456789abcdef0123456789abcdef");
    let token = "[token]\nalgorithm = \"HS256\"\n";
    let path = path.display().to_string();
    for (name, text) in [("PORTCULLIS_TOKEN__SECRET", &table), ("PORTCULLIS_TOKEN__SECRET__FILE", &path)] {
        let config = with(token, &[(name, text)]).unwrap();
        assert_eq!(config.token.secret.unwrap().reveal(), "0123456789abcdef0123456789abcdef", "{name}");
    }
    std::fs::write(&path, "smtps://ann:pw@mail.example\n").unwrap();
    let mail = "[mail]\nfrom = \"a@x.io\"\n";
    assert!(with(mail, &[("PORTCULLIS_MAIL__URL__FILE", &path)]).unwrap().mail.is_some());
    assert!(with(mail, &[("PORTCULLIS_MAIL__URL", &table)]).unwrap().mail.is_some());
}

#[test]
fn what_a_strategy_finds_wrong_is_mapped_to_its_place() {
    let text = "[strategies.local]\nkind = \"local\"\nmin_length = 3\nrequire = [\"lower\", \"uper\"]\n\
                groups = { a = { b = 1 } }\n";
    let config = with(text, &[("PORTCULLIS_STRATEGIES__LOCAL__STRENGTH", "9")]).unwrap();
    let place = |path: &[&str]| {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        let problem =
            SettingsProblem { path, message: "is wrong".to_owned(), expected: Some("right".to_owned()) };
        config.strategy_problem("local", &problem).to_string()
    };
    let expected =
        |at: &str, what: &str| format!("{at}: [strategies.local]{what}: is wrong\n    help: right");
    assert_eq!(place(&["min_length"]), expected("p:3:14", " min_length"));
    assert_eq!(place(&["require", "1"]), expected("p:4:21", " require 1"));
    assert_eq!(place(&["groups", "a", "b"]), expected("p:5:22", " groups a b"));
    assert_eq!(place(&["groups", "a", "x"]), expected("p:5:16", " groups a x"));
    assert_eq!(place(&["missing"]), expected("p:1:13", " missing"));
    assert_eq!(place(&["strength"]), expected("PORTCULLIS_STRATEGIES__LOCAL__STRENGTH", " strength"));
    assert_eq!(place(&[]), expected("p:1:13", ""));
}

/// Names of groups have capitals, spaces and slashes, which no variable's name has.
#[test]
fn roles_of_groups_can_be_a_variable() {
    let file = "[strategies.op]\nkind = \"oauth\"\nadmit = \"anyone\"\nprovider = \"google\"\nclient_id = \"x\"\nclient_secret = \"y\"\n";
    let roles = |text: &str| with(file, &[("PORTCULLIS_STRATEGIES__OP__ROLES", text)]);
    let config = roles("{ \"/Staff team\" = \"ops\", Dev = [\"a\", \"b\"] }").unwrap();
    assert_eq!(config.strategies[0].admission.as_ref().unwrap().roles.len(), 2);
    let wrong = roles("ops").unwrap_err();
    assert!(wrong[0].to_string().contains("roles must be a table"), "{wrong:?}");
}
