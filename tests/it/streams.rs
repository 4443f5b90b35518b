//! What is open in the name of a session ends with it, and nobody else's does (contract
//! section 7): upgraded connections, answers that stream, uploads.

use portcullis_tests::{
    Broken, Connection, Login, Request, Site, Upstream,
    login::login,
    site::{PASSWORD, ROUTES},
    until,
    upstream::read_head,
    websocket::{echo, handshake},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Echoes frames, streams events for ever, takes uploads, or never answers.
pub fn any_stream(stream: &mut TcpStream) {
    let mut start = [0; 16];
    let Ok(read) = stream.peek(&mut start) else { return };
    if start[..read].starts_with(b"GET /app/ws") {
        return echo(stream);
    }
    let Some(head) = read_head(stream) else { return };
    let head = String::from_utf8(head).unwrap();
    if head.starts_with("GET /app/events") {
        let begun = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: begun\n\n";
        let _ = stream.write_all(begun);
    }
    // Until the gateway ends it.
    let mut piece = [0; 4096];
    while matches!(stream.read(&mut piece), Ok(1..)) {}
}

fn site(more: &str) -> (Site, Login) {
    let site =
        Site::before(Upstream::scripted(|stream, _| any_stream(stream)), "", &format!("{ROUTES}{more}"));
    site.gateway.add_user("bob", PASSWORD, &[]);
    let bob = login(&site.gateway, "bob", PASSWORD);
    (site, bob)
}

/// One of each kind, open in one person's name.
struct Open {
    socket: Connection,
    events: Connection,
    upload: Connection,
    waiting: Connection,
}

fn open(site: &Site, login: &Login) -> Open {
    let before = site.upstream.connections();
    let [mut socket, mut events, mut upload, mut waiting] = [(); 4].map(|()| site.gateway.connect());
    socket.upgrade(&handshake("/app/ws").cookie(&login.cookie));
    assert_eq!(socket.echoes(b"open").unwrap(), b"open");
    events.start(&Request::get("/app/events").cookie(&login.cookie));
    assert_eq!(events.head().unwrap().0, 200);
    assert_eq!(events.chunk().unwrap(), b"data: begun\n\n");
    upload.write(
        format!(
            "PUT /app/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {}\r\nContent-Length: 1000000\r\n\r\nbegun",
            login.cookie
        )
        .as_bytes(),
    );
    waiting.start(&Request::get("/app/waiting").cookie(&login.cookie));
    until("all four upstream", || (site.upstream.connections() == before + 4).then_some(()));
    Open { socket, events, upload, waiting }
}

impl Open {
    #[track_caller]
    fn has_ended(mut self) {
        assert!(self.socket.ends(), "the upgraded connection ends");
        assert!(matches!(self.events.chunk(), Err(Broken::Closed(_))), "events end, and do not look whole");
        // What had no answer yet gets one, and what was half sent goes no further.
        self.waiting.response().expect(401, "login_required");
        self.upload.response().expect(401, "login_required");
        assert!(self.upload.ends());
    }

    #[track_caller]
    fn goes_on(&mut self, site: &Site, ended: usize) {
        assert_eq!(self.socket.echoes(b"on").unwrap(), b"on");
        until("the ends upstream", || (site.upstream.ended() >= ended).then_some(()));
        assert_eq!(site.upstream.ended(), ended, "nobody else's stream ends");
    }
}

/// Ends alice's session in some way; only what was open in its name ends.
#[track_caller]
fn ends_with(end: impl FnOnce(&Site)) {
    let (site, bob) = site("");
    let mut others = open(&site, &bob);
    let ended = site.upstream.ended();
    let of_alice = open(&site, &site.alice);
    end(&site);
    of_alice.has_ended();
    others.goes_on(&site, ended + 4);
}

#[test]
fn a_logout_ends_what_is_open_and_nothing_of_anybody_else() {
    ends_with(|site| {
        site.send(&Request::post("/logout").cookie(&site.alice.cookie)).expect(200, "");
    });
}

#[test]
fn a_disabled_account_has_nothing_open() {
    ends_with(|site| {
        site.gateway.verb(&["user", "disable", "alice"], "").with_code(0);
    });
}

#[test]
fn a_new_password_ends_what_is_open() {
    ends_with(|site| {
        let input = "another phrase of length 9\n";
        site.gateway.verb(&["user", "passwd", "alice", "--password-stdin"], input).with_code(0);
    });
}

#[test]
fn an_account_that_is_deleted_leaves_nothing_open() {
    ends_with(|site| {
        site.gateway.verb(&["user", "delete", "alice"], "").with_code(0);
    });
}

#[test]
fn another_session_of_the_same_person_goes_on() {
    let (site, _bob) = site("");
    let other = login(&site.gateway, "alice", PASSWORD);
    let mut of_other = open(&site, &other);
    let ended = site.upstream.ended();
    let of_alice = open(&site, &site.alice);
    site.send(&Request::post("/logout").bearer(&site.alice.token)).expect(200, "");
    of_alice.has_ended();
    of_other.goes_on(&site, ended + 4);
}

#[test]
fn time_ends_what_is_open_too() {
    let (site, _bob) = site("\n[token]\nrefresh_lifetime = \"10s\"\n");
    let fresh = login(&site.gateway, "alice", PASSWORD);
    open(&site, &fresh).has_ended();
}

#[test]
fn what_nobody_is_signed_in_for_depends_on_no_session() {
    let public = "\n[[routes]]\npath = \"/app/ws\"\nupstream = \"api\"\npolicy = \"public\"\n";
    let (site, _bob) = site(public);
    let (mut nobodys, mut alices) = (site.gateway.connect(), site.gateway.connect());
    nobodys.upgrade(&handshake("/app/ws"));
    alices.upgrade(&handshake("/app/ws").cookie(&site.alice.cookie));
    site.send(&Request::post("/logout").cookie(&site.alice.cookie)).expect(200, "");
    assert!(alices.ends(), "it carried her identity");
    assert_eq!(nobodys.echoes(b"on").unwrap(), b"on");
}

//
#[test]
fn at_a_drain_streams_go_on_until_its_time_is_over() {
    let upstream = Upstream::scripted(|stream, _| any_stream(stream));
    let mut site = Site::before(upstream, "drain = \"8s\"", ROUTES);
    let Open { mut socket, mut events, upload, waiting } = open(&site, &site.alice);
    site.gateway.signal("TERM");
    until("no new connections", || TcpStream::connect(site.gateway.address).is_err().then_some(()));
    assert_eq!(socket.echoes(b"during the drain").unwrap(), b"during the drain");
    assert_eq!(site.upstream.ended(), 0, "nothing is cut");
    site.gateway.wait();
    assert!(socket.ends());
    assert!(matches!(events.chunk(), Err(Broken::Closed(_))), "events do not look whole");
    for mut cut in [upload, waiting] {
        assert!(cut.ends());
    }
}

#[test]
fn a_drain_does_not_wait_when_the_streams_have_ended() {
    let upstream = Upstream::scripted(|stream, _| any_stream(stream));
    let mut site = Site::before(upstream, "drain = \"1h\"", ROUTES);
    let mut socket = site.gateway.connect();
    socket.upgrade(&handshake("/app/ws").cookie(&site.alice.cookie));
    site.gateway.signal("TERM");
    until("no new connections", || TcpStream::connect(site.gateway.address).is_err().then_some(()));
    socket.finish_writing();
    assert!(socket.ends());
    assert!(site.gateway.wait().success());
}
