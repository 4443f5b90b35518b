//! What somebody who guesses passwords can do to those who have one, and to the machine
//! (contract, `[lockout]`; W-03, W-04).

use portcullis_tests::{
    Request, Site, Upstream,
    login::login_request,
    site::{PASSWORD, ROUTES},
};
use serde_json::json;
use std::io::Write;

fn from(client: &str, password: &str) -> Request {
    let body = json!({ "username": "alice", "password": password }).to_string();
    Request::post("/login/local")
        .with("Content-Type", "application/json")
        .with("X-Forwarded-For", client)
        .body(body)
}

// W-03
#[test]
fn whoever_locks_an_account_for_their_network_locks_it_for_no_other() {
    let site = Site::before(Upstream::start(), "trusted_proxies = [\"127.0.0.1\"]", ROUTES);
    for _ in 0..5 {
        site.send(&from("198.51.100.7", "wrong")).expect(401, "bad_credentials");
    }
    site.send(&from("198.51.100.7", PASSWORD)).expect(403, "locked");
    site.send(&from("198.51.100.250", PASSWORD)).expect(403, "locked");
    site.send(&from("203.0.113.7", PASSWORD)).expect(200, "");
}

// N-49, W-03: guessing from everywhere locks out who is new, and not who was there.
#[test]
fn too_many_failures_from_everywhere_leave_the_networks_that_signed_in() {
    let more = format!("{ROUTES}\n[lockout]\naccount_failures = 8\n");
    let site = Site::before(Upstream::start(), "trusted_proxies = [\"127.0.0.1\"]", &more);
    site.send(&from("203.0.113.7", PASSWORD)).expect(200, "");
    let nobody = |client: &str| {
        let body = json!({ "username": "nobody", "password": "wrong" });
        Request::post("/login/local").with("X-Forwarded-For", client).json(&body)
    };
    for n in 0..8 {
        site.send(&from(&format!("198.51.{n}.7"), "wrong")).expect(401, "bad_credentials");
        site.send(&nobody(&format!("198.51.{n}.7"))).expect(401, "bad_credentials");
    }
    let refused = site.send(&from("192.0.2.7", PASSWORD)).expect(403, "locked").json();
    let unknown = site.send(&nobody("192.0.2.7")).expect(403, "locked").json();
    assert_eq!(refused["detail"], unknown["detail"], "it tells nothing of who there is");
    site.send(&from("203.0.113.99", PASSWORD)).expect(200, "");
    site.gateway.verb(&["user", "unlock", "alice"], "").with_code(0);
    site.send(&from("192.0.2.7", PASSWORD)).expect(200, "");
}

/// A browser that is told to reload, an app with a short timeout: nothing is decided for whoever
/// does not wait, so nothing is counted, at whatever moment they leave.
#[test]
fn right_passwords_of_people_who_do_not_wait_lock_nobody_out() {
    let site = Site::before(Upstream::start(), "", ROUTES);
    for moment in 0..12 {
        let mut leaver = std::net::TcpStream::connect(site.gateway.address).unwrap();
        leaver.write_all(b"GET /public HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        leaver.peek(&mut [0]).unwrap();
        leaver.write_all(&from("198.51.100.7", PASSWORD).bytes("localhost")).unwrap();
        // Different moments of a login, whatever they are on this machine.
        std::thread::sleep(std::time::Duration::from_millis(10 * moment));
        // With an answer in it that nobody has read, it closes by a reset.
        drop(leaver);
    }
    site.send(&from("198.51.100.7", PASSWORD)).expect(200, "");
}

// W-04: a hash takes 19 MiB, and only so many are made at once.
#[test]
fn a_flood_of_logins_is_refused_before_it_takes_the_memory() {
    let site = Site::before(Upstream::start(), "threads = 2", ROUTES);
    // Each has come before the first answer is read.
    let mut waiting: Vec<_> = (0..60).map(|_| site.gateway.connect()).collect();
    for (n, connection) in waiting.iter_mut().enumerate() {
        connection.start(&login_request(&format!("nobody-{n}"), "wrong"));
    }
    let answers: Vec<u16> = waiting.iter_mut().map(|connection| connection.response().status).collect();
    assert!(answers.iter().all(|status| matches!(status, 401 | 503 | 429)), "{answers:?}");
    assert!(answers.contains(&503), "more came at once than the queue holds: {answers:?}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.gateway.pid())).expect("it runs");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("Linux says it");
    let peak: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    // Two hashes at once, and room for the program itself in a debug build.
    assert!(peak < (2 * 19 + 120) * 1024, "{peak} KiB at its peak");
}
