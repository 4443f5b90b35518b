//! The command line (contract sections 2 and 3): exit codes, where the configuration is
//! found, how its problems are told, and what verbs do to a running gateway.

use portcullis_tests::{
    Gateway, Site,
    program::{Ended, command, finish, run},
    site::{PASSWORD, ROUTES, config},
    until,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn check(text: &str) -> Ended {
    run(folder(&[("portcullis.toml", text)]).path(), &["check"], "")
}

fn said(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

fn good() -> String {
    config("http://127.0.0.1:3000", "", ROUTES)
}

const SEVEN: &str = "[strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n\
                     [[routes]]\npath = \"/*\"\nupstream = \"api\"\n";

#[test]
fn the_seven_lines_of_the_contract_are_enough() {
    check(SEVEN).with_code(0);
}

/// Contract, section 2: every problem at once, whichever part of the program finds it.
#[test]
fn what_is_wrong_in_any_part_of_the_file_is_told_in_one_go() {
    let text = "[accounts]\nverify_emial = true\n\
                [strategies.local]\nkind = \"local\"\nstrenght = 1\n\
                [strategies.corp]\nkind = \"ldap\"\nurls = [\"ldap://directory.test\"]\n\
                [login]\ntemplates = \"pages\"\n\
                [[token.trusted]]\nid = \"ci\"\nissuer = \"https://issuer.test\"\naudience = \"us\"\ntls = { ca = \"no-ca.pem\" }\n\
                [upstreams.api]\nurls = [\"https://127.0.0.1:3000\"]\ntls = { ca = \"nope.pem\" }\n\
                [[routes]]\npath = \"/*\"\nupstream = \"api\"\n";
    let files = folder(&[("portcullis.toml", text)]);
    fs::create_dir(files.path().join("pages")).unwrap();
    fs::write(files.path().join("pages/login.html"), "{{ bogus").unwrap();
    let ended = run(files.path(), &["check"], "").with_code(1);
    let told = said(&ended);
    let mut last = 0;
    for part in ["verify_emial", "strenght", "danger_plaintext", "no-ca.pem", "nope.pem"] {
        let at = told.find(part).unwrap_or_else(|| panic!("{part}: {told}"));
        assert!(last < at, "{part} in the order of the file: {told}");
        last = at;
    }
    assert!(told.contains("login.html"), "{told}");
    // Mended one by one, none hides another: what is told is what is there.
    let told =
        said(&run(folder(&[("portcullis.toml", &text.replace("emial", "email"))]).path(), &["check"], ""));
    assert!(
        told.contains("strenght") && told.contains("nope.pem") && !told.contains("verify_emial"),
        "{told}"
    );
}

#[test]
fn usage_is_2_and_help_is_0() {
    let empty = folder(&[]);
    for arguments in [
        vec![],
        vec!["nonsense"],
        vec!["serve", "--nonsense"],
        vec!["user"],
        vec!["user", "add"],
        vec!["user", "nonsense"],
    ] {
        let ended = run(empty.path(), &arguments, "").with_code(2);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{arguments:?}: {ended:?}");
    }
    for arguments in [vec!["--help"], vec!["--version"], vec!["user", "--help"]] {
        assert!(!run(empty.path(), &arguments, "").with_code(0).stdout.is_empty(), "{arguments:?}");
    }
    // A password is never an argument.
    run(empty.path(), &["user", "add", "ann", "--password", "x"], "").with_code(2);
}

#[test]
fn the_file_is_found_by_flag_then_variable_then_folder() {
    let broken = "[server]\nlisten = 5\n";
    let folder = folder(&[("good.toml", &good()), ("bad.toml", broken), ("portcullis.toml", broken)]);
    let try_with = |variable: Option<&str>, arguments: &[&str]| {
        let mut command = command(folder.path());
        command.arg("check").args(arguments);
        if let Some(value) = variable {
            command.env("PORTCULLIS_CONFIG", value);
        }
        finish(&mut command, "")
    };
    try_with(Some("bad.toml"), &["-c", "good.toml"]).with_code(0);
    try_with(Some("good.toml"), &[]).with_code(0);
    assert!(said(&try_with(None, &[]).with_code(1)).contains("portcullis.toml:2:"));
    let missing = try_with(Some("nowhere.toml"), &[]).with_code(1);
    assert!(said(&missing).contains("nowhere.toml"), "{missing:?}");
}

#[test]
fn every_problem_is_told_at_once_with_its_place_and_the_nearest_name() {
    let text = "[server]\nlisten = \"127.0.0.1:0\"\nlistne = 1\ndrain = \"5 parsecs\"\n\n[strategies.local]\nkind = \"locla\"\n\n\
                [upstreams.api]\nurls = [\"http://127.0.0.1:3000/path\"]\n\n[[routes]]\npath = \"/*\"\nupstream = \"apu\"\n";
    let ended = check(text).with_code(1);
    let said = said(&ended);
    for place in [":3:1:", ":4:", ":10:", ":14:"] {
        assert!(said.contains(&format!("portcullis.toml{place}")), "no {place}:\n{said}");
    }
    for nearest in ["listen", "local", "api"] {
        assert!(said.contains(nearest), "{nearest}:\n{said}");
    }
}

#[test]
fn a_key_of_a_later_version_is_refused_with_its_one_line() {
    let (text, name) = ("[upstreams.api]\nhttp2 = true", "[upstreams.api] http2");
    let ended = check(&good().replace("[upstreams.api]", text)).with_code(1);
    let said = said(&ended);
    let lines: Vec<&str> = said.lines().filter(|l| l.contains("is not built yet")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains(&format!("{name} is not built yet")), "{said}");
}

#[test]
fn variables_override_the_file_and_their_problems_bear_their_name() {
    let folder = folder(&[("portcullis.toml", &good())]);
    let mut bad = command(folder.path());
    bad.arg("check").env("PORTCULLIS_SERVER__DRAIN", "soon");
    let ended = finish(&mut bad, "").with_code(1);
    assert!(said(&ended).contains("PORTCULLIS_SERVER__DRAIN"), "{ended:?}");
    let mut unknown = command(folder.path());
    unknown.arg("check").env("PORTCULLIS_SERVER__LISTNE", "127.0.0.1:1");
    assert!(said(&finish(&mut unknown, "").with_code(1)).contains("PORTCULLIS_SERVER__LISTNE"));

    let text = good().replace("127.0.0.1:0", "127.0.0.1:1");
    let other = std::sync::Arc::new(folder_with(&text));
    let gateway = Gateway::start_in(other, &[("PORTCULLIS_SERVER__LISTEN", "127.0.0.1:0")]);
    assert_ne!(gateway.address.port(), 1);
}

fn folder_with(text: &str) -> TempDir {
    folder(&[("portcullis.toml", text)])
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let first = Gateway::start(&good());
    let text = good().replace("127.0.0.1:0", &first.address.to_string());
    let second = folder_with(&text);
    let ended = run(second.path(), &["serve"], "").with_code(1);
    assert!(ended.stderr.contains(&first.address.to_string()), "{ended:?}");
    assert!(!ended.stderr.contains("listening on"));
    first.send(&portcullis_tests::Request::get("/auth/strategies")).expect(200, "");
}

#[test]
fn a_second_serve_on_one_store_is_refused_and_told_the_first_ones_pid() {
    let first = Gateway::start(&good());
    let ended = first.verb(&["serve"], "").with_code(1);
    assert!(ended.stderr.contains(&first.pid().to_string()), "pid {} in {ended:?}", first.pid());
}

#[test]
fn verbs_without_a_store_name_its_path_and_make_none() {
    let folder = folder_with(&good());
    for arguments in
        [vec!["user", "list"], vec!["user", "disable", "ann"], vec!["user", "add", "ann", "--password-stdin"]]
    {
        let ended = run(folder.path(), &arguments, "some password 12\n").with_code(1);
        assert!(ended.stderr.contains("portcullis.db"), "{ended:?}");
    }
    assert!(!folder.path().join("portcullis.db").exists());
}

#[test]
fn the_store_and_its_key_are_their_owners_alone() {
    let gateway = Gateway::start(&good());
    gateway.add_user("ann", PASSWORD, &[]);
    for name in ["portcullis.db", "portcullis.key", "portcullis.db-wal"] {
        let mode =
            fs::metadata(gateway.file(name)).unwrap_or_else(|e| panic!("{name}: {e}")).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn user_verbs_make_show_and_remove_accounts() {
    let site = Site::own();
    let gateway = &site.gateway;
    let list = gateway.verb(&["user", "list"], "").with_code(0);
    assert!(list.stdout.contains("alice") && !list.stdout.contains("argon2"), "{list:?}");
    let json = gateway.verb(&["user", "show", "alice", "--json"], "").with_code(0);
    let account: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(account["name"], "alice");
    assert!(!json.stdout.contains("argon2"), "{json:?}");
    assert!(
        serde_json::from_str::<serde_json::Value>(&gateway.verb(&["user", "list", "--json"], "").stdout)
            .is_ok()
    );

    let taken = gateway.verb(&["user", "add", "alice", "--password-stdin"], PASSWORD).with_code(1);
    assert!(taken.stderr.contains("alice"), "{taken:?}");
    for name in ["a b", "", "a/b", "ünï", "a,b", "x@local"] {
        gateway.verb(&["user", "add", name, "--password-stdin"], PASSWORD).with_code(1);
    }
    gateway.verb(&["user", "add", "weak", "--password-stdin"], "short\n").with_code(1);
    gateway.verb(&["user", "show", "nobody"], "").with_code(1);
    gateway.verb(&["user", "delete", "alice"], "").with_code(0);
    until("the account's end", || (site.send(&site.as_alice("/app")).status == 401).then_some(()));
    gateway.verb(&["user", "show", "alice"], "").with_code(1);
}

#[test]
fn a_ready_hash_can_be_given_and_made() {
    let gateway = Gateway::start(&good());
    let hash = run(gateway.folder(), &["hash-password"], &format!("{PASSWORD}\n")).with_code(0);
    assert!(hash.stdout.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash:?}");
    gateway.verb(&["user", "add", "ann", "--password-hash-stdin"], &hash.stdout).with_code(0);
    portcullis_tests::login::login(&gateway, "ann", PASSWORD);
    // W-05: a hash that would cost too much, or is none
    for bad in [
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2i$v=19$m=19456,t=2,p=1$x$y",
        "nonsense",
    ] {
        gateway.verb(&["user", "add", "bob", "--password-hash-stdin"], bad).with_code(1);
    }
}

// N-50: until it is renewed, the time of a wrong password would tell that the account is there.
#[test]
fn a_hash_that_costs_another_time_than_ours_is_taken_with_a_warning() {
    let gateway = Gateway::start(&good());
    let hash = run(gateway.folder(), &["hash-password"], &format!("{PASSWORD}\n")).with_code(0).stdout;
    let ours = gateway.verb(&["user", "add", "ann", "--password-hash-stdin"], &hash).with_code(0);
    assert!(!ours.stderr.contains("warning"), "{ours:?}");
    let dear = hash.replace("m=19456,t=2", "m=64000,t=3");
    let theirs = gateway.verb(&["user", "add", "bob", "--password-hash-stdin"], &dear).with_code(0);
    assert!(theirs.stderr.contains("warning: this hash"), "{theirs:?}");
}

#[test]
fn what_an_operator_does_on_the_command_line_is_in_the_audit_trail_of_the_gateway() {
    let gateway = Gateway::start(&good());
    gateway.add_user("ann", PASSWORD, &[]);
    let shown = gateway.verb(&["user", "show", "ann", "--json"], "").with_code(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let uuid = shown["uuid"].as_str().unwrap();
    for arguments in [
        &["roles", "ann", "staff"][..],
        &["passwd", "ann", "--password-stdin"],
        &["disable", "ann"],
        &["enable", "ann"],
        &["unlock", "ann"],
        &["delete", "ann"],
    ] {
        gateway.verb(&[&["user"], arguments].concat(), &format!("{PASSWORD} 2\n")).with_code(0);
    }
    for done in [
        "account_made",
        "roles_changed",
        "password_set",
        "account_disabled",
        "account_enabled",
        "account_unlocked",
        "account_deleted",
    ] {
        let is_it =
            |line: &str| line.contains("\"audit\":\"command\"") && line.contains(done) && line.contains(uuid);
        until(done, || gateway.output().lines().any(is_it).then_some(()));
    }
}

#[test]
fn strategies_are_listed_with_kind_and_origin() {
    let gateway = Gateway::start(&good());
    let list = gateway.verb(&["strategy", "list"], "").with_code(0);
    assert!(list.stdout.contains("local") && list.stdout.contains("built in"), "{list:?}");
    let json = gateway.verb(&["strategy", "list", "--json"], "").with_code(0);
    assert!(serde_json::from_str::<serde_json::Value>(&json.stdout).is_ok(), "{json:?}");
}

#[test]
fn a_wrong_or_missing_key_stops_serve_and_says_what_can_be_done() {
    for change in [remove as fn(&Path), spoil] {
        let folder = std::sync::Arc::new(folder_with(&good()));
        drop(Gateway::start_in(folder.clone(), &[]));
        change(&folder.path().join("portcullis.key"));
        let ended = run(folder.path(), &["serve"], "").with_code(1);
        assert!(ended.stderr.contains("portcullis.key"), "{ended:?}");
    }
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn spoil(path: &Path) {
    let length = fs::read(path).unwrap().len();
    fs::write(path, "A".repeat(length)).unwrap();
}
