//! SIGHUP puts the next configuration in force whole, or keeps the one before and says
//! why (contract section 3)..

use portcullis_tests::{
    Gateway, Request, Site, Upstream,
    load::Load,
    site::{PASSWORD, ROUTES, config},
    until,
    wait::within,
};
use serde_json::json;
use std::{fs, time::Duration};

/// Writes the file anew and waits for the line of the log that says what came of it.
pub fn reload(gateway: &Gateway, text: &str, says: &str) {
    let before = gateway.output().matches(says).count();
    fs::write(gateway.file("portcullis.toml"), text).unwrap();
    gateway.signal("HUP");
    within(Duration::from_secs(30), says, || (gateway.output().matches(says).count() > before).then_some(()));
}

pub const DONE: &str = "configuration reloaded";
pub const KEPT: &str = "configuration not reloaded";

#[test]
fn a_reload_changes_routes_pages_and_upstreams_and_ends_no_session() {
    let site = Site::own();
    site.send(&Request::get("/new/x")).expect(401, "login_required");
    let other = Upstream::answering(|_| portcullis_tests::upstream::ok("other"));
    let more = format!(
        "[login]\ntitle = \"Turnstile\"\n[upstreams.other]\nurls = [\"{}\"]\n{ROUTES}\n\
         [[routes]]\npath = \"/new/*\"\nupstream = \"other\"\npolicy = \"public\"\n",
        other.url()
    );
    let mut kept = site.gateway.connect();
    kept.send(&site.as_alice("/x")).expect(200, "");
    reload(&site.gateway, &config(&site.upstream.url(), "", &more), DONE);
    assert_eq!(kept.send(&Request::get("/new/x")).expect(200, "").text(), "other");
    kept.send(&site.as_alice("/x")).expect(200, "");
    assert!(site.send(&Request::get("/login").navigation()).text().contains("Turnstile"));
    site.gateway.says("\"generation\":2");
    assert!(!site.gateway.output().contains("needs a restart"), "{}", site.gateway.output());
}

#[test]
fn what_is_wrong_keeps_the_configuration_in_force_and_is_named_at_its_place() {
    let site = Site::own();
    for (text, says) in [
        ("[server\n".to_owned(), "portcullis.toml:1:8"),
        (config("http://127.0.0.1:1", "lisen = 1", ROUTES), "portcullis.toml:3:1"),
        (
            config("http://127.0.0.1:1", "", "[strategies.staff]\nkind = \"local\"\nmin_lenth = 3"),
            "min_lenth",
        ),
    ] {
        reload(&site.gateway, &text, KEPT);
        site.gateway.says(says);
        site.send(&site.as_alice("/x")).expect(200, "");
    }
    fs::remove_file(site.gateway.file("portcullis.toml")).unwrap();
    site.gateway.signal("HUP");
    until("the line of the log", || site.gateway.output().contains("cannot be read").then_some(()));
    site.send(&site.as_alice("/x")).expect(200, "");
    assert!(!site.gateway.output().contains(DONE));
}

#[test]
fn what_needs_a_restart_stays_and_is_named() {
    let site = Site::own();
    let text = config(&site.upstream.url(), "threads = 7", ROUTES).replace("127.0.0.1:0", "127.0.0.1:9")
        + "[store]\nurl = \"sqlite:other.db\"\n";
    reload(&site.gateway, &text, DONE);
    site.send(&site.as_alice("/x")).expect(200, "");
    let said = site.gateway.output();
    for what in ["[server] listen", "[server] threads", "[store]"] {
        assert!(said.contains(&format!("{what} has changed in the file and needs a restart")), "{said}");
    }
    assert!(!site.gateway.file("other.db").exists());
}

#[test]
fn the_settings_of_a_strategy_follow_a_reload() {
    let site = Site::own();
    let mut text = config(&site.upstream.url(), "", ROUTES);
    let good = Request::post("/login").json(&json!({"username": "alice", "password": PASSWORD}));
    site.send(&good).expect(200, "");
    text.push_str("[accounts]\nidentifiers = [\"who\"]\n");
    reload(&site.gateway, &text, DONE);
    site.send(&good).expect(400, "malformed");
}

/// The number of descriptors and of threads of a process.
fn held(gateway: &Gateway) -> (usize, usize) {
    let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", gateway.pid())).unwrap().count();
    (count("fd"), count("task"))
}

#[test]
fn many_reloads_leave_no_descriptor_and_no_thread_behind() {
    let site = Site::own();
    let text = config(&site.upstream.url(), "", ROUTES);
    reload(&site.gateway, &text, DONE);
    let before = held(&site.gateway);
    for _ in 0..20 {
        reload(&site.gateway, &text, DONE);
    }
    until("descriptors and threads as before", || {
        let now = held(&site.gateway);
        (now.0 <= before.0 + 1 && now.1 <= before.1).then_some(())
    });
}

/// `PORTCULLIS_RELOADS` makes it long: 1,000 (`tests/run --long`).
#[test]
fn a_storm_of_reloads_is_taken_one_after_the_other_and_leaves_no_memory_behind() {
    let storm: usize = std::env::var("PORTCULLIS_RELOADS").map_or(100, |n| n.parse().unwrap());
    let site = Site::own();
    let text = config(&site.upstream.url(), "", ROUTES);
    let calm = |site: &Site| {
        // Signals that come during a reload become one: the last line of the log says
        // that it is over, when no other follows.
        reload(&site.gateway, &text, DONE);
        let resident = crate::bodies::resident(&site.gateway);
        (resident, held(&site.gateway))
    };
    for _ in 0..20 {
        reload(&site.gateway, &text, DONE);
    }
    let (resident, before) = calm(&site);
    for n in 0..storm {
        site.gateway.signal("HUP");
        if n % 10 == 0 {
            site.send(&site.as_alice("/x")).expect(200, "");
        }
    }
    let (after, _) = calm(&site);
    assert!(after <= resident + resident / 20 + 2 * 1024 * 1024, "{resident} bytes before, {after} after");
    // The threads of the last strategies to go end a moment after their answer.
    until("descriptors and threads as before", || {
        let now = held(&site.gateway);
        (now.0 <= before.0 + 2 && now.1 <= before.1).then_some(())
    });
    assert!(!site.gateway.output().contains(KEPT));
    println!("{storm} reloads: {resident} bytes before, {after} after");
}

/// `PORTCULLIS_RELOAD_SECONDS` makes it long: 20 reloads in 60 seconds (`tests/run --long`).
#[test]
fn under_load_reloads_good_and_bad_fail_no_request() {
    let seconds: u64 = std::env::var("PORTCULLIS_RELOAD_SECONDS").map_or(3, |s| s.parse().unwrap());
    let (rounds, each) = if seconds > 3 { (20, seconds * 1000 / 20) } else { (5, 400) };
    let site = Site::own();
    let good = config(&site.upstream.url(), "", ROUTES);
    let load = Load::start(site.gateway.address, &site.as_alice("/public/x"), 500);
    for round in 1..=rounds {
        let wanted = 500 * each as usize / 1000 * round;
        within(Duration::from_secs(120), "requests between two reloads", || {
            (load.answered() > wanted / 2).then_some(())
        });
        reload(&site.gateway, &format!("{good}[login]\ntitle = \"Round {round}\"\n"), DONE);
        reload(&site.gateway, &format!("{good}[login]\ntitl = \"Round {round}\"\n"), KEPT);
    }
    let outcome = load.end();
    assert!(outcome.failed.is_empty(), "{} answered, failed: {:#?}", outcome.answered, outcome.failed);
    assert!(outcome.answered > 500);
}
