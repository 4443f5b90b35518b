//! Strategies in libraries, through the front door: a plugin in plain C logs a person in, a
//! broken one is answered 503 while the rest serves, and what the commands say.

use portcullis_tests::{
    Gateway, Request, Upstream, libraries,
    login::login,
    program,
    site::{PASSWORD, ROUTES, config},
};
use std::{fs, path::Path, sync::Arc};

/// `[plugins.NAME]` as `plugin pin` prints it.
fn pinned(name: &str, path: &Path) -> String {
    let said = program::run(Path::new("/"), &["plugin", "pin", &path.display().to_string()], "").with_code(0);
    let (_, lines) = said.stdout.split_once('\n').unwrap();
    format!("\n[plugins.{name}]\n{lines}\n")
}

pub fn stamp() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("stamp.so");
    libraries::compile("stamp.c", &library, &[]);
    let table = pinned("stamp", &library);
    (folder, format!("{ROUTES}{table}\n[strategies.stamp]\nkind = \"stamp\"\nadmit = \"anyone\"\n"))
}

#[test]
fn a_library_in_plain_c_logs_a_person_in() {
    let upstream = Upstream::start();
    let (_folder, more) = stamp();
    let gateway = Gateway::start(&config(&upstream.url(), "", &more));
    gateway.add_user("ada", "penny black", &["--strategy", "stamp"]);
    let body = serde_json::json!({ "username": "ada", "password": "penny black" });
    let answer = gateway.send(&Request::post("/login/stamp").json(&body)).expect(200, "");
    assert_eq!(answer.json()["authenticated"]["name"], "ada@stamp");
    let cookie = answer.cookie("portcullis").unwrap();
    gateway.send(&Request::get("/x").cookie(&format!("portcullis={cookie}"))).expect(200, "");
    let wrong = serde_json::json!({ "username": "ada", "password": "penny red" });
    gateway.send(&Request::post("/login/stamp").json(&wrong)).expect(401, "bad_credentials");
    // Case 34: no password is in what it says.
    assert!(!gateway.output().contains("penny"), "{}", gateway.output());
    gateway.says("trusted as the gateway itself");
}

#[test]
fn a_library_that_cannot_be_loaded_leaves_its_strategy_at_503_and_the_gateway_serving() {
    let upstream = Upstream::start();
    let bad = "\n[plugins.bad]\npath = \"/nowhere/bad.so\"\ndanger_unpinned = true\n\n\
        [strategies.bad]\nkind = \"gone\"\nadmit = \"anyone\"\n";
    let gateway = Gateway::start(&config(&upstream.url(), "", &format!("{ROUTES}{bad}")));
    gateway.add_user("alice", PASSWORD, &["--strategy", "local"]);
    login(&gateway, "alice", PASSWORD);
    let body = serde_json::json!({ "username": "alice", "password": PASSWORD });
    gateway.send(&Request::post("/login/bad").json(&body)).expect(503, "strategy_unavailable");
    let said = gateway.verb(&["check"], "").with_code(1);
    assert!(said.stderr.contains("[plugins.bad] is not loaded: /nowhere"), "{}", said.stderr);
    assert!(said.stderr.contains("portcullis.toml:"), "{}", said.stderr);

    let folder = tempfile::tempdir().unwrap();
    let text = config(&upstream.url(), "", &format!("{ROUTES}{bad}required = true\n"));
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let said = program::run(folder.path(), &["serve", "-c", "portcullis.toml"], "").with_code(1);
    assert!(said.stderr.contains("is required and did not start"), "{}", said.stderr);
}

/// An operator who put a stricter library in the place of `local` is not left with `local`.
#[test]
fn a_built_in_kind_does_not_step_in_for_a_refused_library_that_replaces_it() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("strict.so");
    fs::copy(libraries::local(), &library).unwrap();
    let table = pinned("strict", &library) + "override_builtin = true\n";
    let text = config(&upstream.url(), "", &format!("{ROUTES}{table}"));
    let gateway = Gateway::start(&text);
    gateway.add_user("alice", PASSWORD, &[]);
    login(&gateway, "alice", PASSWORD);
    fs::remove_file(&library).unwrap();
    let gateway = gateway.restart();
    for name in ["alice", "nobody"] {
        let body = serde_json::json!({ "username": name, "password": PASSWORD });
        gateway.send(&Request::post("/login/local").json(&body)).expect(503, "strategy_unavailable");
    }
    let required = text.replace("kind = \"local\"", "kind = \"local\"\nrequired = true");
    fs::write(folder.path().join("portcullis.toml"), required).unwrap();
    let said = program::run(folder.path(), &["serve", "-c", "portcullis.toml"], "").with_code(1);
    assert!(said.stderr.contains("was to come out of a library instead"), "{}", said.stderr);
}

/// A provider that was told "no such end" would not repeat its logout.
#[test]
fn the_ends_of_a_strategy_whose_library_was_refused_are_unavailable_and_not_absent() {
    let bad = "\n[plugins.bad]\npath = \"/nowhere/bad.so\"\ndanger_unpinned = true\n\n\
        [strategies.bad]\nkind = \"gone\"\nadmit = \"anyone\"\n";
    let gateway = Gateway::start(&config("http://127.0.0.1:1", "", &format!("{ROUTES}{bad}")));
    let notice = Request::post("/login/bad/backchannel-logout").form("logout_token=a.b.c");
    gateway.send(&notice).expect(503, "");
}

#[test]
fn check_shows_the_problems_of_a_librarys_settings_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let table = pinned("local", libraries::local()) + "override_builtin = true\n";
    let text = config("http://127.0.0.1:1", "", &format!("{ROUTES}{table}"))
        .replace("kind = \"local\"", "kind = \"local\"\nmin_lenght = 9");
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let said = program::run(folder.path(), &["check", "-c", "portcullis.toml"], "").with_code(1);
    assert!(
        said.stderr.contains("portcullis.toml:7:14: [strategies.local] min_lenght: unknown key"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("did you mean `min_length`?"), "{}", said.stderr);
}

/// A strategy with many settings, some of them tables, says the same of them in both forms.
#[test]
fn the_problems_of_a_directorys_settings_are_the_same_out_of_a_library() {
    let directory = "\n[strategies.corp]\nkind = \"ldap\"\nadmit = \"anyone\"\nurl = \"ldap:/x\"\n\
        bind_dm = \"cn=svc\"\ntls = { ca = 3, minimum = \"1.0\" }\n";
    let forms = [String::new(), libraries::replacing("ldap", libraries::ldap())];
    let said = forms.map(|plugins| {
        let folder = tempfile::tempdir().unwrap();
        let text = config("http://127.0.0.1:1", "", &format!("{ROUTES}{directory}{plugins}"));
        fs::write(folder.path().join("portcullis.toml"), text).unwrap();
        let said = program::run(folder.path(), &["check", "-c", "portcullis.toml"], "").with_code(1).stderr;
        // Each with its line and column. That libraries are trusted is said of one form alone.
        let problems = said.lines().filter(|line| line.starts_with("portcullis.toml:"));
        let corp = problems.filter(|line| line.contains(": [strategies.corp]")).map(str::to_owned);
        corp.collect::<Vec<_>>()
    });
    assert_eq!(said[0], said[1]);
    let bind_dm = "portcullis.toml:46:11: [strategies.corp] bind_dm: unknown key `bind_dm`".to_owned();
    assert!(said[1].len() > 3 && said[1].contains(&bind_dm), "{said:?}");
}

#[test]
fn the_commands_say_what_a_library_is() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let library = libraries::local().display().to_string();
    let run = |arguments: &[&str]| program::run(folder.path(), arguments, "");
    let said = run(&["plugin", "inspect", &library]).with_code(0).stdout;
    assert!(
        said.contains("portcullis-local-plugin 0.") && said.contains("kind    local (begin, credentials"),
        "{said}"
    );
    let said: serde_json::Value =
        serde_json::from_str(&run(&["plugin", "inspect", "--json", &library]).with_code(0).stdout).unwrap();
    assert_eq!((&said["ok"], &said["info"]["abi"]), (&true.into(), &serde_json::json!([1, 0])));
    let said = run(&["plugin", "check", &library]).with_code(0);
    assert_eq!(said.stdout, "local: starts without settings\n", "{}", said.stderr);

    let crashes = folder.path().join("crashes.so");
    libraries::compile("liar.c", &crashes, &["-DCRASH"]);
    let said = run(&["plugin", "check", &crashes.display().to_string()]).with_code(1);
    assert!(
        said.stderr.contains("it crashed the process that had loaded it, with signal 11"),
        "{}",
        said.stderr
    );
    // Inspecting it runs nothing.
    run(&["plugin", "inspect", &crashes.display().to_string()]).with_code(0);
    let said = run(&["plugin", "inspect", "/bin/sh"]).with_code(1).stderr;
    assert!(said.contains("PLG-0"), "{said}");

    let table = pinned("one", libraries::local())
        + "override_builtin = true\n"
        + "[plugins.two]\npath = \"/nowhere\"\ndanger_unpinned = true\n";
    fs::write(
        folder.path().join("portcullis.toml"),
        config("http://127.0.0.1:1", "", &format!("{ROUTES}{table}")),
    )
    .unwrap();
    let said = run(&["plugin", "list", "--json", "-c", "portcullis.toml"]).with_code(0).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said[0]["state"], &said[0]["kinds"]), (&"loaded".into(), &serde_json::json!(["local"])));
    assert_eq!((&said[1]["state"], &said[1]["code"]), (&"failed".into(), &"PLG-01".into()));
    let said = run(&["plugin", "list", "-c", "portcullis.toml"]).with_code(0).stdout;
    assert!(said.contains("(PLG-01)") && said.contains("loaded"), "{said}");
}

#[test]
fn a_library_that_was_exchanged_is_refused_at_the_next_reload_and_the_one_before_goes_on() {
    let upstream = Upstream::start();
    let (folder, more) = stamp();
    let gateway = Gateway::start(&config(&upstream.url(), "", &more));
    gateway.add_user("ada", "penny black", &["--strategy", "stamp"]);
    // Other bytes at the same path are not what was pinned.
    fs::remove_file(folder.path().join("stamp.so")).unwrap();
    libraries::compile("stamp.c", &folder.path().join("stamp.so"), &["-DANOTHER", "-O1"]);
    let body = serde_json::json!({ "username": "ada", "password": "penny black" });
    gateway.send(&Request::post("/login/stamp").json(&body)).expect(200, "");
    gateway.signal("HUP");
    portcullis_tests::until("the reload", || {
        gateway.output().contains("configuration not reloaded").then_some(())
    });
    gateway.says("PLG-05");
    gateway.send(&Request::post("/login/stamp").json(&body)).expect(200, "");
}

/// Two strategies out of the library that does what it is told.
pub fn odd() -> String {
    format!(
        "{ROUTES}{}redirect_hosts = [\"idp.test\"]\n\n[strategies.one]\nkind = \"odd\"\nadmit = \"anyone\"\n\
         \n[strategies.two]\nkind = \"odd\"\nadmit = \"anyone\"\n",
        pinned("odd", libraries::odd())
    )
}

/// Case 30. That a state ends after ten minutes is shown with a clock of its own in
/// `gateway/src/login/flow_tests.rs`, in front of the same call.
#[test]
fn a_state_that_is_wrong_used_or_of_another_strategy_reaches_no_library() {
    let gateway = Gateway::start(&config("http://127.0.0.1:1", "", &odd()));
    let begin = |strategy: &str| {
        let body =
            serde_json::json!({ "username": "ada", "do": "redirect", "with": "https://idp.test/?state=" });
        let answer = gateway.send(&Request::post(&format!("/login/{strategy}")).json(&body)).expect(200, "");
        let url = answer.json()["redirect"].as_str().unwrap().to_owned();
        let state = url.strip_prefix("https://idp.test/?state=").unwrap().to_owned();
        (state, format!("portcullis-flow={}", answer.cookie("portcullis-flow").unwrap()))
    };
    let back = |strategy: &str, state: &str, cookie: &str| {
        let target = format!("/login/{strategy}/callback?code=c&state={state}");
        gateway.send(&Request::get(&target).navigation().cookie(cookie)).status
    };
    let resumed = |strategy: &str| gateway.output().matches(&format!("resumed {strategy}")).count();
    let (state, cookie) = begin("one");
    let (other, others_cookie) = begin("two");
    assert_eq!(back("one", "never-given", &cookie), 400, "wrong");
    assert_eq!(back("one", "", &cookie), 400, "empty");
    assert_eq!(back("one", &state, &others_cookie), 400, "of another browser");
    assert_eq!(back("one", &other, &others_cookie), 400, "of another strategy");
    let posted = serde_json::json!({ "state": state, "do": "form" });
    gateway.send(&Request::post("/login/one").json(&posted)).expect(400, "stale_login");
    assert_eq!((resumed("one"), resumed("two")), (0, 0), "{}", gateway.output());
    // The right one does, once.
    let (state, cookie) = begin("one");
    back("one", &state, &cookie);
    portcullis_tests::until("the call", || (resumed("one") == 1).then_some(()));
    assert_eq!(back("one", &state, &cookie), 400, "replayed");
    assert_eq!((resumed("one"), resumed("two")), (1, 0), "{}", gateway.output());
}

/// Case 34: not even where a library panics over it, fails, or answers too much.
#[test]
fn a_password_handed_to_a_library_is_in_no_log_no_answer_and_no_report() {
    const SECRET: &str = "penny-black-1840";
    let (_folder, more) = stamp();
    let more = more + odd().strip_prefix(ROUTES).unwrap();
    let gateway = Gateway::start(&config("http://127.0.0.1:1", "", &more));
    gateway.add_user("root", PASSWORD, &["--role", "admin", "--strategy", "local"]);
    gateway.add_user("ada", SECRET, &["--strategy", "stamp"]);
    let mut said = String::new();
    for (strategy, what) in [
        ("stamp", ""),
        ("one", "panic"),
        ("one", "panic any"),
        ("one", "drop"),
        ("one", "fail"),
        ("one", "large"),
    ] {
        let body =
            serde_json::json!({ "username": "ada", "password": SECRET, "do": what, "with": "2000000" });
        let answer = gateway.send(&Request::post(&format!("/login/{strategy}")).json(&body));
        assert_eq!(answer.status, if strategy == "stamp" { 200 } else { 503 }, "{what}");
        said += &answer.text();
    }
    let root = login(&gateway, "root", PASSWORD);
    let ask = |target: &str| gateway.send(&Request::get(target).bearer(&root.token)).expect(200, "");
    let users = ask("/auth/admin/users");
    let ada =
        users.json()["data"].as_array().unwrap().iter().find(|user| user["name"] == "ada@stamp").cloned();
    let uuid = ada.expect("she is listed")["uuid"].as_str().unwrap().to_owned();
    said += &users.text();
    said += &ask(&format!("/auth/admin/users/{uuid}")).text();
    said += &ask(&format!("/auth/admin/users/{uuid}/credentials")).text();
    for verb in [&["plugin", "list", "--json"][..], &["user", "show", "ada@stamp"]] {
        let ended = gateway.verb(verb, "");
        said += &(ended.stdout + &ended.stderr);
    }
    gateway.says("panicked: on purpose: 2000000");
    said += &gateway.output();
    assert!(!said.contains("penny"), "{said}");
}
