//! Logins that a directory judges, through the front door: contract sections 1 and 3,
//! kind `ldap`; group L of the attack tables, W-01, R-25 to R-27 where the gateway shows.
//! What the strategy does with servers is proved in `strategies/ldap/tests`.

use portcullis_tests::{
    Corp, Request, Response,
    directory::{Directory, SERVICE},
    libraries,
    ports::free_port,
    site::PASSWORD,
    until,
    wait::PATIENCE,
};
use serde_json::{Value, json};

/// A problem without what differs on each request.
fn same(response: &Response) -> Value {
    let mut body = response.json();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

pub(crate) const ROLES: &str =
    r#"roles = { "ops" = "operator", "cn=unix,ou=groups,dc=example,dc=org" = "unix" }"#;

#[test]
fn a_person_of_the_directory_signs_in_with_their_roles_and_address() {
    let Some(directory) = Directory::shared() else { return };
    let corp = Corp::before(directory, &directory.url(), ROLES);
    let (cookie, body) = corp.login("alice");
    let who = &body["authenticated"];
    assert_eq!(who["name"], "alice@corp");
    assert_eq!(who["email"], "alice@example.org");
    let mut roles: Vec<_> = who["roles"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["operator", "unix"], "by the name of one group and by the DN of another");
    corp.get("/operators/", &cookie).expect(200, "");
    let seen = corp.upstream.last();
    assert_eq!(seen.header("Remote-User"), Some("alice@corp"));
    assert_eq!(seen.header("Remote-Name"), Some("Alice Example"));
    assert_eq!(seen.header("Remote-Email"), Some("alice@example.org"));

    let (cookie, body) = corp.login("bob");
    assert_eq!(body["authenticated"]["roles"], json!([]), "no other group gives a role");
    corp.get("/", &cookie).expect(200, "");
    corp.get("/operators/", &cookie).expect(403, "forbidden");
}

/// The same answers, linked in and out of a library.
#[test]
fn the_directory_as_a_library_gives_the_answers_of_what_is_linked_in() {
    if !libraries::instead_of_built_in().is_empty() {
        return; // both would come out of the library
    }
    let Some(directory) = Directory::shared() else { return };
    let more = format!("{ROLES}\n[lockout]\nfailures = 1000\nper_address = 1000");
    let forms = [String::new(), libraries::replacing("ldap", libraries::ldap())];
    let answers = forms.map(|plugins| {
        let corp = Corp::at(directory, &[&directory.url()], &more, &plugins);
        assert_eq!(corp.gateway.output().contains("trusted as the gateway itself"), !plugins.is_empty());
        let people = ["alice", "bob"].map(|name| {
            let (cookie, body) = corp.login(name);
            let operator = corp.get("/operators/", &cookie).status;
            let who = &body["authenticated"];
            let mut roles: Vec<_> = who["roles"].as_array().unwrap().iter().map(Value::to_string).collect();
            roles.sort_unstable();
            json!([who["name"], who["email"], roles, operator])
        });
        let refused = [
            ("alice", "wrong-pass"),
            ("nobody", "alice-pass"),
            ("twin", "twin-pass"),
            ("closed", "closed-pass"),
            ("alice)(|(uid=*", "alice-pass"),
            ("alice", ""),
        ]
        .map(|(name, password)| {
            let answer = corp.try_login(name, password);
            json!([answer.status, same(&answer)])
        });
        assert!(!corp.gateway.output().contains("-pass"), "{}", corp.gateway.output());
        json!([people, refused])
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0][0][0][3], 200, "{}", answers[0]);
}

/// Rows L-01 to L-05, W-01: one answer for everybody who is not let in.
#[test]
fn nobody_learns_who_is_in_the_directory() {
    let Some(directory) = Directory::shared() else { return };
    let corp = Corp::before(directory, &directory.url(), "[lockout]\nfailures = 1000\nper_address = 1000");
    let wrong = corp.try_login("alice", "wrong-pass").expect(401, "bad_credentials");
    for (name, password) in [
        ("nobody", "alice-pass"),
        ("twin", "twin-pass"),
        ("closed", "closed-pass"),
        ("expired", "wrong-pass"),
        ("*", "alice-pass"),
        ("alice)(|(uid=*", "alice-pass"),
        ("alice,ou=people", "alice-pass"),
    ] {
        let answer = corp.try_login(name, password).expect(401, "bad_credentials");
        assert_eq!(same(&answer), same(&wrong), "{name}");
    }
    for body in [
        json!({"username": "alice", "password": ""}),
        json!({"username": "alice"}),
        json!({"username": "alice", "password": null}),
        json!({"username": "alice", "password": ["alice-pass"]}),
        json!({"username": "alice", "password": "\0"}),
        json!({"username": "", "password": "alice-pass"}),
    ] {
        corp.gateway.send(&Request::post("/login/corp").json(&body)).expect(400, "malformed");
    }
    // However the name is spelt, it is one account.
    let (_, first) = corp.login("alice");
    let again = corp.try_login("ALICE", "alice-pass").expect(200, "").json();
    assert_eq!(again["authenticated"]["uuid"], first["authenticated"]["uuid"]);
}

/// Point 7 of the issue: could not decide is 503, and nobody's failure.
#[test]
fn a_directory_that_is_down_locks_nobody_out_and_ends_no_session() {
    let Some(directory) = Directory::own() else { return };
    let corp = Corp::before(&directory, &directory.url(), "");
    corp.gateway.add_user("ann", PASSWORD, &["--strategy", "local"]);
    let (cookie, _) = corp.login("alice");
    directory.kill();
    for _ in 0..8 {
        let answer = corp.try_login("alice", "alice-pass").expect(503, "strategy_unavailable");
        assert!(answer.header("Retry-After").is_some());
    }
    corp.get("/", &cookie).expect(200, "");
    let body = json!({"username": "ann", "password": PASSWORD});
    corp.gateway.send(&Request::post("/login/local").json(&body)).expect(200, "");
    directory.start();
    portcullis_tests::wait::within(3 * PATIENCE, "the directory is asked again", || {
        let answer = corp.try_login("alice", "alice-pass");
        (answer.status == 200).then_some(()).or_else(|| {
            assert_eq!(answer.code(), "strategy_unavailable", "not locked");
            None
        })
    });
    let log = corp.gateway.output();
    assert!(!log.contains("alice-pass") && !log.contains(SERVICE.1), "{log}");
}

#[test]
fn failures_lock_a_person_of_the_directory_here_too() {
    let Some(directory) = Directory::shared() else { return };
    let corp = Corp::before(directory, &directory.url(), "");
    for _ in 0..5 {
        corp.try_login("bob", "wrong-pass").expect(401, "bad_credentials");
    }
    corp.try_login("bob", "bob-pass").expect(403, "locked");
    corp.login("alice");
}

/// Point 4: a live session follows the directory, and ends with its person.
#[test]
fn a_live_session_loses_its_role_with_the_group_and_ends_with_the_account() {
    let Some(directory) = Directory::own() else { return };
    let corp = Corp::before(&directory, &directory.url(), &format!("refresh = \"1s\"\n{ROLES}"));
    let (cookie, _) = corp.login("mover");
    corp.get("/operators/", &cookie).expect(403, "forbidden");
    let group = "dn: cn=ops,ou=groups,dc=example,dc=org\nchangetype: modify\n";
    let member = "member\nmember: uid=mover,ou=people,dc=example,dc=org\n";
    for (change, status) in [("add", 200), ("delete", 403)] {
        directory.modify(&format!("{group}{change}: {member}"));
        until(change, || (corp.get("/operators/", &cookie).status == status).then_some(()));
    }
    corp.get("/", &cookie).expect(200, "");
    directory.modify(
        "dn: uid=mover,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: pwdAccountLockedTime\n\
         pwdAccountLockedTime: 000001010000Z\n",
    );
    until("the session's end", || (corp.get("/", &cookie).status == 401).then_some(()));
}

/// Point 5: exact words once the password was right, and a page where it can be changed.
#[test]
fn an_expired_password_is_changed_on_the_way_in() {
    let Some(directory) = Directory::own() else { return };
    let strict = Corp::before(&directory, &directory.url(), "");
    let refused = strict.try_login("expired", "expired-pass").expect(403, "not_admitted");
    assert!(refused.json()["detail"].as_str().unwrap().contains("expired"), "{refused:?}");

    let corp = Corp::before(&directory, &directory.url(), "password_change = true");
    let next = corp.try_login("expired", "expired-pass").expect(200, "").json();
    assert_eq!(next["success"], false);
    let fields: Vec<_> = next["next"]["fields"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert_eq!(fields, ["current", "next", "next_confirm"]);
    // What the directory does not take is nobody's failure, however often.
    for _ in 0..6 {
        let state = &next["next"]["state"];
        let body = json!({ "state": state, "current": "expired-pass", "next": "aa", "next_confirm": "aa" });
        let unfit = corp.gateway.send(&Request::post("/login/corp").json(&body)).expect(400, "weak_password");
        assert!(unfit.json()["detail"].as_str().unwrap().contains("too short"), "{unfit:?}");
    }
    assert!(next["next"]["message"].as_str().unwrap().contains("expired"));
    let body = json!({
        "state": next["next"]["state"], "current": "expired-pass", "next": "a new one 1",
        "next_confirm": "a new one 1",
    });
    let cookie = corp.gateway.send(&Request::post("/login/corp").json(&body));
    let done = cookie.expect(200, "").json();
    assert_eq!(done["authenticated"]["name"], "expired@corp");
    corp.try_login("expired", "a new one 1").expect(200, "");
    corp.try_login("expired", "expired-pass").expect(401, "bad_credentials");
    assert!(!corp.gateway.output().contains("a new one 1"));
}

/// Point 5: whoever knew the old one is signed out, as after a change from the profile page.
#[test]
fn a_password_that_is_replaced_on_the_way_in_ends_what_the_old_one_opened() {
    let Some(directory) = Directory::own() else { return };
    let corp = Corp::before(&directory, &directory.url(), "password_change = true");
    let (older, _) = corp.login("alice");
    let dn = "dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\n";
    directory.modify(&format!("{dn}replace: userPassword\nuserPassword: temporary-pass\n"));
    directory.modify(&format!("{dn}replace: pwdReset\npwdReset: TRUE\n"));
    let next = corp.try_login("alice", "temporary-pass").expect(200, "").json();
    let body = json!({
        "state": next["next"]["state"], "current": "temporary-pass", "next": "a new one 1",
        "next_confirm": "a new one 1",
    });
    let done = corp.gateway.send(&Request::post("/login/corp").json(&body)).expect(200, "");
    corp.get("/", &older).expect(401, "login_required");
    corp.get("/", &format!("portcullis={}", done.cookie("portcullis").unwrap())).expect(200, "");
    until("the audit trail", || corp.gateway.output().contains("password_changed").then_some(()));
}

/// Point 5: from the profile page, which shows it only where it can work.
#[test]
fn a_password_of_the_directory_is_changed_from_the_profile_page() {
    let Some(directory) = Directory::own() else { return };
    let page = |corp: &Corp, cookie: &str| {
        corp.gateway.send(&Request::get("/auth/me").cookie(cookie).navigation()).expect(200, "").text()
    };
    let change = |corp: &Corp, cookie: &str, current: &str, next: &str| {
        let body = json!({ "current": current, "next": next, "next_confirm": next });
        corp.gateway.send(&Request::post("/auth/password").cookie(cookie).json(&body))
    };
    let strict = Corp::before(&directory, &directory.url(), "");
    let (cookie, _) = strict.login("alice");
    assert!(!page(&strict, &cookie).contains("/auth/password"), "it is not allowed");
    change(&strict, &cookie, "alice-pass", "a new one 1").expect(403, "forbidden");

    let corp = Corp::before(&directory, &directory.url(), &format!("password_change = true\n{ROLES}"));
    let (cookie, _) = corp.login("alice");
    assert!(page(&corp, &cookie).contains("action=\"/auth/password\""));
    change(&corp, &cookie, "wrong-pass", "a new one 1").expect(403, "bad_credentials");
    corp.get("/", &cookie).expect(200, "");
    let changed = change(&corp, &cookie, "alice-pass", "a new one 1").expect(200, "");
    let new = format!("portcullis={}", changed.cookie("portcullis").unwrap());
    corp.get("/", &cookie).expect(401, "login_required");
    corp.get("/operators/", &new).expect(200, "");
    assert_eq!(corp.upstream.last().header("Remote-User"), Some("alice@corp"));
    corp.try_login("alice", "alice-pass").expect(401, "bad_credentials");
    corp.try_login("alice", "a new one 1").expect(200, "");

    // What the directory does not take is said in its words, and nobody's failure.
    let again = change(&corp, &new, "a new one 1", "short").expect(400, "weak_password");
    assert!(again.json()["detail"].as_str().unwrap().contains("directory finds"), "{again:?}");
    // A directory that is gone has not judged anything.
    directory.kill();
    change(&corp, &new, "a new one 1", "another one 2").expect(503, "strategy_unavailable");
    corp.get("/", &new).expect(200, "");
    for said in [corp.gateway.output(), strict.gateway.output()] {
        assert!(!said.contains("a new one 1") && !said.contains("alice-pass"), "{said}");
    }
}

/// The profile page offers what is not yet an account's way to sign in, and no other.
#[test]
fn a_person_adds_the_directory_to_their_account_from_the_profile_page() {
    let Some(directory) = Directory::shared() else { return };
    let corp = Corp::before(directory, &directory.url(), "");
    corp.gateway.add_user("ann", PASSWORD, &["--strategy", "local"]);
    let body = json!({ "username": "ann", "password": PASSWORD });
    let answer = corp.gateway.send(&Request::post("/login/local").json(&body)).expect(200, "");
    let ann = format!("portcullis={}", answer.cookie("portcullis").unwrap());
    let page = |target: &str, cookie: &str| {
        corp.gateway.send(&Request::get(target).cookie(cookie).navigation()).expect(200, "").text()
    };
    let button = "<a class=\"button\" href=\"/login/corp?link=1\">Add Example Corp</a>";
    let profile = page("/auth/me", &ann);
    assert!(profile.contains(button), "{profile}");
    assert!(!profile.contains("/login/local?link=1"), "{profile}");
    assert!(page("/login/corp?link=1", &ann).contains("name=\"password\""));
    let (alice, _) = corp.login("alice");
    assert!(!page("/auth/me", &alice).contains("?link=1"), "it is there already");
    let link = json!({ "username": "bob", "password": "bob-pass", "link": true });
    corp.gateway.send(&Request::post("/login/corp").cookie(&ann).json(&link)).expect(200, "");
    assert!(!page("/auth/me", &ann).contains("?link=1"));
}

#[test]
fn the_example_passes_check() {
    let folder = tempfile::tempdir().unwrap();
    let example = portcullis_tests::program::root().join("config/examples/ldap.toml");
    std::fs::copy(example, folder.path().join("portcullis.toml")).unwrap();
    let mut command = portcullis_tests::program::command(folder.path());
    let command = command.arg("check").env("LDAP_PASSWORD", "svc-pass");
    portcullis_tests::program::finish(command, "").with_code(0);
}

/// What a reader copies out of the page.
#[test]
fn what_the_page_about_directories_shows_passes_check() {
    let page = std::fs::read_to_string(portcullis_tests::program::root().join("docs/ldap.md")).unwrap();
    let shown: Vec<_> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(shown.len(), 2);
    for shown in shown {
        let folder = tempfile::tempdir().unwrap();
        portcullis_tests::certificates::Authority::new().write(folder.path());
        for name in ["ldap-ca.pem", "corp-ca.pem"] {
            std::fs::copy(folder.path().join("ca.pem"), folder.path().join(name)).unwrap();
        }
        for name in ["ldap.password", "ad.password"] {
            std::fs::write(folder.path().join(name), "svc-pass").unwrap();
        }
        let rest = "[upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n";
        std::fs::write(folder.path().join("portcullis.toml"), format!("{shown}{rest}")).unwrap();
        portcullis_tests::program::run(folder.path(), &["check"], "").with_code(0);
    }
}

#[test]
fn check_warns_of_hosts_at_which_nobody_signs_in_by_a_provider() {
    let check = |server: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = format!(
            "[server]\npublic_url = \"http://127.0.0.1:8080\"\n{server}\n\
             [strategies.hub]\nkind = \"oauth\"\nprovider = \"github\"\nclient_id = \"x\"\n\
             client_secret = \"y\"\nadmit = \"anyone\"\n\
             [upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n"
        );
        std::fs::write(folder.path().join("portcullis.toml"), file).unwrap();
        let ended = portcullis_tests::program::run(folder.path(), &["check"], "").with_code(0);
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let warning = "people sign in by hub only at http://127.0.0.1:8080";
    let said = check("hosts = [\"app.example.org\"]");
    assert!(said.contains(warning) && said.contains("not at app.example.org"), "{said}");
    assert!(!check("").contains(warning));
}

#[test]
fn check_names_what_is_wrong_with_the_settings_of_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "[strategies.corp]\nkind = \"ldap\"\nurl = \"ldap://127.0.0.1:{}\"\nbsae = \"dc=x\"\n\
         bind_dn = \"cn=svc\"\nbind_password = \"x\"\npool = 0\n\
         [upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n",
        free_port()
    );
    std::fs::write(folder.path().join("portcullis.toml"), file).unwrap();
    let ended = portcullis_tests::program::run(folder.path(), &["check"], "").with_code(1);
    for expected in
        ["portcullis.toml:3:7", "start_tls = true", "portcullis.toml:4:8", "`base`", "portcullis.toml:7:8"]
    {
        assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
    }
}
