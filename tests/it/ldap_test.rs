//! `portcullis strategy test` before a directory, as an operator meets it: what works is said
//! step by step, what fails is said with what to do, and no password is ever shown.

use crate::ldap::ROLES;
use portcullis_tests::{
    Corp, Upstream,
    certificates::Authority,
    directory::{Directory, SERVICE},
    ports::free_port,
    program::{self, Ended},
};

/// Point 8.
#[test]
fn strategy_test_walks_through_a_login_and_shows_no_secret() {
    let Some(directory) = Directory::shared() else { return };
    let corp = Corp::before(directory, &directory.url(), ROLES);
    let good = corp.gateway.verb(&["strategy", "test", "corp", "--user", "alice"], "").with_code(0);
    for part in
        ["service bind", "uid=alice,ou=people,dc=example,dc=org", "cn=ops,ou=groups,dc=example,dc=org"]
    {
        assert!(good.stdout.contains(part), "{part}: {good:#?}");
    }
    // What the gateway makes of it, as a login of theirs would show.
    let roles = good.stdout.lines().find(|line| line.contains(" roles: ")).unwrap_or_default();
    assert!(roles.contains("operator") && roles.contains("unix"), "{good:#?}");
    assert!(good.stdout.contains("✓ admit: lets in everybody"), "{good:#?}");
    let rules = format!("{ROLES}\nadmit = {{ roles = [\"operator\"] }}");
    let strict = Corp::before(directory, &directory.url(), &rules);
    strict.gateway.verb(&["strategy", "test", "corp", "--user", "alice"], "").with_code(0);
    let out = strict.gateway.verb(&["strategy", "test", "corp", "--user", "bob"], "").with_code(1);
    assert!(out.stdout.contains("✗ admit: keeps them out"), "{out:#?}");
    strict.try_login("bob", "bob-pass").expect(403, "not_admitted");
    let bad = corp.gateway.verb(&["strategy", "test", "corp", "--user", "nobody"], "").with_code(1);
    assert!(format!("{}{}", bad.stdout, bad.stderr).contains("check `base` and `filter`"), "{bad:#?}");
    for said in [&good.stdout, &good.stderr, &bad.stdout, &bad.stderr] {
        assert!(!said.contains(SERVICE.1), "{said}");
    }
}

/// The verb over a file, without a gateway that runs.
fn test(config: &str, user: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.toml"), config).unwrap();
    program::run(folder.path(), &["strategy", "test", "corp", "--user", user], "")
}

/// Something that an operator got wrong.
struct Mistake {
    what: &'static str,
    config: String,
    user: &'static str,
    /// The step that fails, what it says and what to do.
    said: [String; 3],
}

fn mistake(what: &'static str, config: String, user: &'static str, said: [&str; 3]) -> Mistake {
    Mistake { what, config, user, said: said.map(str::to_owned) }
}

/// On the way to the server.
fn on_the_way(directory: &Directory, config: impl Fn(&str, &str) -> String) -> Vec<Mistake> {
    let (url, ca, port) = (directory.url(), directory.file("ca.pem"), directory.tls);
    let other = format!("ldaps://127.0.0.2:{port}");
    let down = format!("ldaps://127.0.0.1:{}", free_port());
    let plain = format!("ldaps://127.0.0.1:{}", directory.plain);
    let renamed = config(&url, &ca).replace("tls = {", "tls = { server_name = \"dc9.example.org\",");
    let authority = |folder: &str, authority: Authority| {
        let folder = directory.file(folder);
        std::fs::create_dir_all(&folder).unwrap();
        authority.write(folder.as_ref())
    };
    // Of the same name, and with another key.
    let anew = authority("anew", Authority::new());
    let stranger = authority("stranger", Authority::named("A stranger"));
    let listens = "nobody listens there: is the server running, and is the port right";
    vec![
        mistake("another host", config(&other, &ca), "alice", ["connect", &other, listens]),
        mistake("a server that is down", config(&down, &ca), "alice", ["connect", "refused", listens]),
        mistake(
            "another authority",
            config(&url, &stranger),
            "alice",
            ["tls", "UnknownIssuer", "from another authority than that of tls.ca"],
        ),
        mistake(
            "an authority that was made anew",
            config(&url, &anew),
            "alice",
            ["tls", "BadSignature", "Then copy its certificate again"],
        ),
        mistake(
            "another name in the certificate",
            renamed,
            "alice",
            ["tls", "dc9.example.org", "set tls.server_name"],
        ),
        mistake("TLS at a plain port", config(&plain, &ca), "alice", ["tls", "", "start_tls = true"]),
    ]
}

/// What operators get wrong: each is one line that failed, with what was found and what to do.
#[test]
fn what_an_operator_got_wrong_is_named_with_its_remedy_and_without_a_secret() {
    let Some(directory) = Directory::shared() else { return };
    let upstream = Upstream::start();
    let config = |url: &str, ca: &str| Corp::config(&upstream, &[url], ca, SERVICE.1, "");
    let good = config(&directory.url(), &directory.file("ca.pem"));
    let base = good.replace("base = \"dc=example,dc=org\"", "base = \"dc=example,dc=com\"");
    let twins = "uid=twin,ou=people,dc=example,dc=org and uid=twin,ou=others,dc=example,dc=org";
    let mut mistakes = on_the_way(directory, config);
    mistakes.extend([
        mistake(
            "another password of the service account",
            good.replace(SERVICE.1, "an-old-secret"),
            "alice",
            ["service bind", SERVICE.0, "check bind_dn and bind_password"],
        ),
        mistake(
            "another base",
            base,
            "alice",
            ["base", "dc=example,dc=com", "the server holds dc=example,dc=org"],
        ),
        mistake(
            "nobody of that name",
            good.clone(),
            "alcie",
            ["person", "alcie is not found below dc=example,dc=org", "check `base` and `filter`"],
        ),
        mistake("two of one name", good, "twin", ["person", twins, "make `filter` or `base` narrower"]),
    ]);
    for Mistake { what, config, user, said: [step, detail, advice] } in mistakes {
        let said = test(&config, user).with_code(1);
        let first = said.stdout.lines().find(|line| line.starts_with('✗')).unwrap_or_default();
        assert!(first.starts_with(&format!("✗ {step}: ")) && first.contains(&detail), "{what}: {said:#?}");
        assert!(said.stdout.contains(&advice), "{what}: {said:#?}");
        for secret in [SERVICE.1, "an-old-secret", "alice-pass"] {
            assert!(!format!("{}{}", said.stdout, said.stderr).contains(secret), "{what}: {said:#?}");
        }
    }
}

/// Whoever can sign in is found, by the name that they sign in with.
#[test]
fn whoever_can_sign_in_is_found_by_the_test_too() {
    let Some(directory) = Directory::own() else { return };
    directory.modify(
        "dn: cn=dora,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: person\ncn: dora\nsn: D\n\
         userPassword: dora-pass\n",
    );
    let by_uid = "user_dn = \"uid={username},ou=people,dc=example,dc=org\"";
    let by_cn = "user_dn = \"cn={username},ou=people,dc=example,dc=org\"";
    for (more, name, whom, ends) in [
        ("", "alice@corp", "uid=alice,ou=people,dc=example,dc=org", 0),
        (by_uid, "alice", "uid=alice,ou=people,dc=example,dc=org", 0),
        // The preset's filter asks for a `uid`, which this entry has not.
        (by_cn, "dora", "cn=dora,ou=people,dc=example,dc=org", 0),
        (by_cn, "alice", "cn=alice,ou=people,dc=example,dc=org, which is not found", 1),
    ] {
        let corp = Corp::before(&directory, &directory.url(), more);
        let password = format!("{}-pass", name.trim_end_matches("@corp"));
        let status = corp.try_login(name, &password).status;
        assert_eq!(status, if ends == 0 { 200 } else { 401 }, "{more} {name}");
        let said = corp.gateway.verb(&["strategy", "test", "corp", "--user", name], "").with_code(ends);
        assert!(said.stdout.contains(whom), "{more} {name}: {said:#?}");
    }
    let upstream = Upstream::start();
    let config = Corp::config(&upstream, &[&directory.url()], &directory.file("ca.pem"), SERVICE.1, by_uid);
    let alone: Vec<&str> = config.lines().filter(|line| !line.starts_with("bind_")).collect();
    let said = test(&alone.join("\n"), "alice").with_code(0);
    assert!(said.stdout.contains("– person: not tried, for it takes their password"), "{said:#?}");
}

/// Somebody without groups can sign in, so it is no failure; but it may be a mistake.
#[test]
fn somebody_without_groups_is_told_with_what_would_find_some() {
    let Some(directory) = Directory::shared() else { return };
    let upstream = Upstream::start();
    let more = "groups = { base = \"ou=others,dc=example,dc=org\" }\nroles = { ops = \"operator\" }";
    let config = Corp::config(&upstream, &[&directory.url()], &directory.file("ca.pem"), SERVICE.1, more);
    let said = test(&config, "alice").with_code(0);
    assert!(said.stdout.contains("✓ groups: none (by a search)"), "{said:#?}");
    assert!(said.stdout.contains("set groups.base and groups.filter"), "{said:#?}");
}

/// The settings are refused before anything is sent, at their place in the file.
#[test]
fn plain_ldap_without_the_word_danger_is_refused_at_its_line() {
    let Some(directory) = Directory::shared() else { return };
    let upstream = Upstream::start();
    let url = format!("ldap://127.0.0.1:{}", directory.plain);
    let config = Corp::config(&upstream, &[&url], &directory.file("ca.pem"), SERVICE.1, "");
    let said = test(&config, "alice").with_code(1);
    let place = config.lines().position(|line| line.starts_with("urls = [\"ldap://")).unwrap() + 1;
    for part in
        [&format!("portcullis.toml:{place}:"), "start_tls = true", "danger_plaintext = true", "ldaps://"]
    {
        assert!(said.stderr.contains(part), "{part}: {said:#?}");
    }
}
