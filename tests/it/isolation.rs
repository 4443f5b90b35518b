//! Libraries in a process of their own (`isolation = "process"`): same answers, and what a
//! crash there costs. Case 31 of the plugin page.

use crate::plugins::{odd, stamp};
use portcullis_tests::{
    Gateway, Request, Response, Upstream,
    libraries::APART,
    login::login,
    site::{PASSWORD, config},
    until,
};
use serde_json::json;
use std::{collections::BTreeSet, fs, path::Path};

/// The same file with every library in a process of its own.
fn apart(more: &str) -> String {
    more.replace("sha256 = ", &format!("{APART}sha256 = "))
}

/// What is said of each instance that was made again.
const BACK: &str = "the plugin process answers again";

fn ask(gateway: &Gateway, strategy: &str, what: &str) -> Response {
    let body = json!({ "username": "ada", "password": PASSWORD, "do": what, "with": "penny" });
    gateway.send(&Request::post(&format!("/login/{strategy}")).json(&body))
}

/// The processes that this one has started and that still run.
fn children(of: u32) -> BTreeSet<u32> {
    let tasks = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

fn the_one(of: u32) -> u32 {
    let all = children(of);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

#[test]
fn a_library_in_a_process_of_its_own_logs_a_person_in() {
    let upstream = Upstream::start();
    let (_folder, more) = stamp();
    let gateway = Gateway::start(&config(&upstream.url(), "", &apart(&more)));
    gateway.add_user("ada", PASSWORD, &["--strategy", "stamp"]);
    let answer = ask(&gateway, "stamp", "").expect(200, "");
    assert_eq!(answer.json()["authenticated"]["name"], "ada@stamp");
    let wrong = json!({ "username": "ada", "password": "penny red" });
    gateway.send(&Request::post("/login/stamp").json(&wrong)).expect(401, "bad_credentials");
    gateway.says("it runs in a process of its own");
    assert!(!gateway.output().contains("trusted as"), "{}", gateway.output());
    let checked = gateway.verb(&["check"], "").with_code(0);
    assert!(!checked.stderr.contains("trusted as the gateway"), "{}", checked.stderr);
    // No secret of the gateway's environment is in that of the library.
    let environment = fs::read(format!("/proc/{}/environ", the_one(gateway.pid()))).unwrap();
    let names = environment.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    for name in names.map(|line| String::from_utf8_lossy(line).into_owned()) {
        assert!(["LANG=", "TZ=", "SSL_CERT_"].iter().any(|known| name.starts_with(known)), "{name}");
    }
}

#[test]
fn what_ends_the_process_of_a_library_costs_its_calls_and_no_more() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream.url(), "", &apart(&odd())));
    gateway.add_user("alice", PASSWORD, &["--strategy", "local"]);
    let session = login(&gateway, "alice", PASSWORD);
    for (round, (what, how)) in [
        ("abort", "the plugin process ended: signal: 6 (SIGABRT)"),
        ("exit", "the plugin process ended: exit status: 3"),
        ("overflow", "the plugin process ended: signal: "),
    ]
    .into_iter()
    .enumerate()
    {
        let before = the_one(gateway.pid());
        let earlier = gateway.output().matches(how).count();
        ask(&gateway, "one", what).expect(503, "strategy_unavailable");
        until("the report", || (gateway.output().matches(how).count() > earlier).then_some(()));
        // Everybody else goes on meanwhile.
        gateway.send(&Request::get("/x").cookie(&session.cookie)).expect(200, "");
        login(&gateway, "alice", PASSWORD);
        // It is started again, with both of its instances.
        until("its return", || (gateway.output().matches(BACK).count() == 2 * (round + 1)).then_some(()));
        for strategy in ["one", "two"] {
            ask(&gateway, strategy, "deny").expect(403, "");
        }
        assert_ne!(the_one(gateway.pid()), before, "{what}");
    }
    assert!(!gateway.output().contains(PASSWORD), "{}", gateway.output());
}

/// A question that is out when the process is killed is answered at once, not after its
/// deadline of ten seconds.
#[test]
fn a_question_to_a_process_that_is_killed_is_answered_503() {
    let gateway = Gateway::start(&config("http://127.0.0.1:1", "", &apart(&odd())));
    let library = the_one(gateway.pid());
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&gateway, "one", "hang"));
        until("the question", || gateway.output().contains("it hangs").then_some(()));
        kill(library);
        asked.join().unwrap().expect(503, "strategy_unavailable");
    });
    until("the report", || gateway.output().contains("signal: 9 (SIGKILL)").then_some(()));
}

#[test]
fn the_process_of_a_library_ends_with_the_gateway_and_with_its_last_use() {
    let (_library, more) = stamp();
    let mut gateway = Gateway::start(&config("http://127.0.0.1:1", "", &apart(&more)));
    let first = the_one(gateway.pid());
    // A reload has a new one, and the one before ends.
    gateway.signal("HUP");
    until("the exchange", || {
        let now = children(gateway.pid());
        (now.len() == 1 && !now.contains(&first)).then_some(())
    });
    // Without the table there is none.
    let with = fs::read_to_string(gateway.file("portcullis.toml")).unwrap();
    let without = config("http://127.0.0.1:1", "", portcullis_tests::site::ROUTES);
    fs::write(gateway.file("portcullis.toml"), without).unwrap();
    gateway.signal("HUP");
    until("its end", || children(gateway.pid()).is_empty().then_some(()));
    fs::write(gateway.file("portcullis.toml"), with).unwrap();
    gateway.signal("HUP");
    let last = until("its return", || children(gateway.pid()).first().copied());
    // A gateway that is killed can tell nobody.
    gateway.signal("KILL");
    gateway.wait();
    until("the end of the orphan", || (!alive(last)).then_some(()));
}

/// A process that has ended and that nobody has asked about is none either.
fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn kill(pid: u32) {
    let done = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    assert!(done.success());
}
