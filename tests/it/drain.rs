//! A gateway that is told to stop lets finish what is in flight (contract section 2).

use portcullis_tests::{
    Broken, Connection, Request, Site, Upstream,
    load::{IN_TIME, Load},
    site::ROUTES,
    until,
    upstream::{ok, read_head},
};
use std::{
    io::Write,
    net::TcpStream,
    sync::{Mutex, mpsc},
    time::Instant,
};

/// A site whose upstream answers when it is told to.
fn slow(server: &str) -> (Site, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::scripted(move |stream, _| {
        if read_head(stream).is_some() && wait.lock().unwrap().recv().is_ok() {
            let _ = stream.write_all(&ok("finished"));
        }
    });
    (Site::before(upstream, server, ROUTES), go)
}

/// A request that has reached the upstream and waits for its answer.
fn in_flight(site: &Site) -> Connection {
    let mut connection = site.gateway.connect();
    connection.start(&Request::get("/public"));
    until("the request upstream", || (site.upstream.connections() > 0).then_some(()));
    connection
}

#[test]
fn what_is_in_flight_finishes_after_sigterm_and_nothing_new_begins() {
    let (mut site, go) = slow("");
    let mut busy = in_flight(&site);
    let mut idle = site.gateway.connect();
    idle.send(&Request::get("/auth/current")).expect(200, "");
    site.gateway.signal("TERM");
    until("no new connections", || TcpStream::connect(site.gateway.address).is_err().then_some(()));
    assert!(idle.ends(), "an idle connection ends");
    assert!(site.gateway.is_running());
    go.send(()).unwrap();
    let answer = busy.response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "finished"));
    assert!(site.gateway.wait().success());
}

#[test]
fn an_idle_gateway_leaves_at_once_with_0() {
    for signal in ["TERM", "INT"] {
        let mut site = Site::own();
        site.gateway.signal(signal);
        assert_eq!(site.gateway.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn draining_has_an_end_and_a_second_signal_is_one() {
    let (mut site, _go) = slow("drain = \"300ms\"");
    let mut busy = in_flight(&site);
    site.gateway.signal("TERM");
    site.gateway.wait();
    assert!(matches!(busy.try_response_to("GET"), Err(Broken::Closed(_)) | Ok(_)));

    let (mut site, _go) = slow("drain = \"1h\"");
    let _busy = in_flight(&site);
    site.gateway.signal("TERM");
    until("no new connections", || TcpStream::connect(site.gateway.address).is_err().then_some(()));
    site.gateway.signal("TERM");
    site.gateway.wait();
}

#[test]
fn a_kept_connection_gets_one_more_answer_that_says_close() {
    // It has half a second to ask: a test that came too late has shown nothing, and tries again.
    until("a request in time", || {
        let mut site = Site::own();
        let mut kept = site.gateway.connect();
        kept.send(&Request::get("/public")).expect(200, "");
        let start = Instant::now();
        site.gateway.signal("TERM");
        until("no new connections", || TcpStream::connect(site.gateway.address).is_err().then_some(()));
        kept.start(&Request::get("/public"));
        let late = start.elapsed() > IN_TIME;
        match kept.try_response_to("GET") {
            Ok(last) => assert_eq!((last.status, last.header("connection")), (200, Some("close"))),
            Err(broken) => return assert_late(late, &broken),
        }
        assert!(kept.ends());
        assert!(site.gateway.wait().success());
        Some(())
    });
}

fn assert_late(late: bool, broken: &Broken) -> Option<()> {
    assert!(late && *broken == Broken::Closed(Vec::new()), "{broken:?}");
    None
}

///
#[test]
fn under_load_a_drain_fails_no_request_that_was_accepted() {
    let mut site = Site::own();
    let load = Load::start(site.gateway.address, &site.as_alice("/public/x"), 500);
    until("the load", || (load.answered() > 300).then_some(()));
    load.may_refuse();
    site.gateway.signal("TERM");
    let outcome = load.end();
    assert!(outcome.failed.is_empty(), "{outcome:#?}");
    assert!(site.gateway.wait().success());
}
