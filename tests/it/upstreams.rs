//! Several servers of one upstream: taken in turn, left out while they are down (contract
//! sections 3 and 8)., N-14.

use portcullis_tests::{
    Gateway, Request, Upstream,
    ports::nobody,
    site::config,
    until,
    upstream::{answer, ok, read_head},
};
use std::{
    io::Read,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// A gateway with one thread before these servers, everything public.
fn before(urls: &[String], more: &str) -> Gateway {
    let urls: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    Gateway::start(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[strategies.local]\nkind = \"local\"\n\
         [upstreams.api]\nurls = [{}]\n{more}\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\npolicy = \"public\"\n",
        urls.join(", ")
    ))
}

#[test]
fn servers_are_taken_in_turn() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let gateway = before(&[one.url(), two.url()], "");
    let mut connection = gateway.connect();
    for _ in 0..8 {
        connection.send(&Request::get("/")).expect(200, "");
    }
    assert_eq!((one.requests().len(), two.requests().len()), (4, 4));
    assert_eq!((one.connections(), two.connections()), (1, 1), "connections are kept for each");
}

#[test]
fn where_a_connection_cannot_be_made_the_next_server_is_asked() {
    let (dead, alive) = (nobody(), Upstream::start());
    let gateway = before(&[format!("http://{dead}"), alive.url()], "preserve_host = false");
    let mut connection = gateway.connect();
    for _ in 0..5 {
        connection.send(&Request::get("/")).expect(200, "");
        connection.send(&Request::post("/").form("a=b")).expect(200, "");
    }
    let seen = alive.requests();
    assert_eq!(seen.len(), 10, "each is asked once");
    let host = alive.address.to_string();
    assert!(
        seen.iter().all(|request| request.header("host") == Some(&host)),
        "its own name, not the other's"
    );
    // It is left out for a growing time: it was not tried for each of the ten.
    assert!(gateway.output().matches("cannot connect").count() < 5, "{}", gateway.output());
}

#[test]
fn with_all_of_them_down_the_first_is_told_502_the_next_503_and_one_that_returns_is_found() {
    let (one, two) = (nobody(), nobody());
    let gateway = before(&[format!("http://{one}"), format!("http://{two}")], "");
    let mut connection = gateway.connect();
    connection.send(&Request::get("/")).expect(502, "upstream_unreachable");
    // Left out for a fifth of a second, then for longer each time: whoever asks in time is told.
    let refused = until("one that is told at once", || {
        let answer = connection.send(&Request::get("/"));
        (answer.status != 502).then_some(answer)
    });
    let refused = refused.expect(503, "upstream_unavailable");
    assert!(refused.header("retry-after").is_some());
    let _back = Upstream::answering_on(TcpListener::bind(two).unwrap(), |_| ok("back"));
    until("the one that is back", || (connection.send(&Request::get("/")).status == 200).then_some(()));
}

#[test]
fn the_only_server_that_refuses_is_asked_each_time() {
    let address = nobody();
    let gateway = before(&[format!("http://{address}")], "");
    let mut connection = gateway.connect();
    for _ in 0..3 {
        connection.send(&Request::get("/")).expect(502, "upstream_unreachable");
    }
    let _back = Upstream::answering_on(TcpListener::bind(address).unwrap(), |_| ok("back"));
    connection.send(&Request::get("/")).expect(200, "");
}

/// Reads a request and closes without a word.
fn rude() -> Upstream {
    Upstream::scripted(|stream, _| drop(read_head(stream)))
}

#[test]
fn what_ends_before_an_answer_is_asked_once_more_if_it_may_be_and_a_post_never() {
    let server = rude();
    let gateway = before(&[server.url()], "");
    gateway.send(&Request::get("/")).expect(502, "upstream_invalid");
    assert_eq!(server.connections(), 2, "GET is tried twice");
    gateway.send(&Request::post("/")).expect(502, "upstream_invalid");
    gateway.send(&Request::post("/").form("a=b")).expect(502, "upstream_invalid");
    assert_eq!(server.connections(), 4, "POST is seen once");
}

#[test]
fn what_ends_before_an_answer_is_asked_of_another_server() {
    let (rude, polite) = (rude(), Upstream::start());
    let gateway = before(&[rude.url(), polite.url()], "");
    let mut connection = gateway.connect();
    for _ in 0..4 {
        connection.send(&Request::get("/")).expect(200, "");
    }
    assert_eq!((polite.requests().len(), rude.connections()), (4, 2));
}

#[test]
fn a_server_whose_health_check_fails_gets_nothing_until_it_succeeds() {
    let well = Arc::new(AtomicBool::new(true));
    let told = well.clone();
    let server = Upstream::answering(move |request| match request.target.as_str() {
        "/healthz?deep" if !told.load(Ordering::SeqCst) => answer(503, &[], b""),
        _ => ok("ok"),
    });
    let gateway = before(&[server.url()], "health = { path = \"/healthz?deep\", interval = \"1s\" }");
    let mut connection = gateway.connect();
    connection.send(&Request::get("/x")).expect(200, "");
    well.store(false, Ordering::SeqCst);
    let refused = until("the check to fail", || {
        let answer = connection.send(&Request::get("/x"));
        (answer.status != 200).then_some(answer)
    });
    refused.expect(503, "upstream_unavailable");
    until("the line of the log", || gateway.output().contains("it answers 503").then_some(()));
    well.store(true, Ordering::SeqCst);
    until("the check to succeed", || (connection.send(&Request::get("/x")).status == 200).then_some(()));
    let check = server.requests().into_iter().find(|r| r.target == "/healthz?deep").unwrap();
    assert_eq!(check.method, "GET");
    assert_eq!(check.header("host"), Some(server.address.to_string().as_str()));
}

//
#[test]
fn an_upstream_that_hangs_slows_down_no_other_route() {
    let held = Upstream::scripted(|stream, _| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let quick = Upstream::start();
    let more = format!(
        "[[routes]]\npath = \"/*\"\nupstream = \"quick\"\npolicy = \"public\"\n\
        [upstreams.quick]\nurls = [\"{}\"]\n[[routes]]\npath = \"/held/*\"\nupstream = \"api\"\npolicy = \"public\"\n",
        quick.url()
    );
    let gateway = Gateway::start(&config(&held.url(), "", &more));
    let mut waiting: Vec<_> = (0..200).map(|_| gateway.connect()).collect();
    for connection in &mut waiting {
        connection.start(&Request::get("/held/x"));
    }
    until("all of them upstream", || (held.connections() == waiting.len()).then_some(()));
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let start = Instant::now();
        gateway.send(&Request::get("/x")).expect(200, "");
        slowest = slowest.max(start.elapsed());
    }
    // A bound for a machine that does much else; those that hang do so for a minute.
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
}
