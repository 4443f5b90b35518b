//! Bodies on their way: large, slow, broken off, answered early (contract section 7;
//! of the attack catalogue).

use crate::tls::Secured;
use portcullis_tests::{
    Gateway, Request, Site, Upstream,
    services::service,
    site::ROUTES,
    until,
    upstream::{answer, read_head},
    wait::PATIENCE,
};
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

const MIB: usize = 1024 * 1024;

/// The memory that a gateway holds now, in bytes.
pub fn resident(gateway: &Gateway) -> usize {
    gateway.memory() * 1024
}

#[test]
fn a_hundred_megabytes_go_up_without_being_held() {
    let upstream = Upstream::scripted(|stream, _| {
        let Some(_) = read_head(stream) else { return };
        let (mut all, mut piece) = (0, vec![0; 64 * 1024]);
        while all < 100 * MIB {
            match stream.read(&mut piece) {
                Ok(n @ 1..) => all += n,
                _ => return,
            }
        }
        let _ = stream.write_all(&answer(200, &[], all.to_string().as_bytes()));
    });
    let site = Site::before(upstream, "", ROUTES);
    let before = resident(&site.gateway);
    let mut most = before;
    let mut connection = site.gateway.connect();
    let length = 100 * MIB;
    connection.write(
        format!("PUT /public HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
    );
    for _ in 0..100 {
        connection.write(&vec![7; MIB]);
        most = most.max(resident(&site.gateway));
    }
    assert_eq!(connection.response().expect(200, "").text(), length.to_string());
    assert!(most - before < 4 * MIB, "{} bytes more", most - before);
}

//
#[test]
fn a_client_that_does_not_read_costs_little_and_not_for_long() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let (tell, released) = mpsc::channel();
    let tell = Mutex::new(tell);
    let upstream = Upstream::scripted(move |stream, _| {
        let Some(_) = read_head(stream) else { return };
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n");
        let piece = vec![7; 64 * 1024];
        while stream.write_all(&piece).is_ok() {
            counted.fetch_add(piece.len(), Ordering::SeqCst);
        }
        tell.lock().unwrap().send(()).unwrap();
    });
    let site = Site::before(upstream, "", &format!("{ROUTES}\n[limits]\nbody_stall = \"1s\"\n"));
    let before = resident(&site.gateway);
    let mut most = before;
    let mut connection = site.gateway.connect();
    connection.start(&Request::get("/public"));
    assert_eq!(connection.head().unwrap().0, 200);
    until("the upstream is let go", || {
        most = most.max(resident(&site.gateway));
        released.try_recv().ok()
    });
    // What the system's own buffers hold is not the gateway's.
    let sent = sent.load(Ordering::SeqCst);
    assert!(most - before < MIB, "{} bytes more, of {sent} sent", most - before);
}

#[test]
fn an_answer_before_the_upload_is_through_is_passed_on_and_the_connection_ends() {
    let upstream = Upstream::scripted(|stream, _| {
        if read_head(stream).is_some() {
            let _ = stream.write_all(&answer(413, &[], b"too much"));
            // Not before the answer has been read: a reset could overtake it.
            let _ = stream.read(&mut [0; 16]);
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    connection.write(b"POST /public HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\nbegun");
    let early = connection.response();
    assert_eq!((early.status, early.text().as_str()), (413, "too much"));
    assert!(connection.ends(), "the rest of the upload is nobody's request");
}

#[test]
fn a_body_is_asked_for_only_when_it_is_let_in() {
    let site = Site::own();
    let request = |target: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
    };
    let mut connection = site.gateway.connect();
    connection.write(request("/app").as_bytes());
    let first = connection.try_response_to("POST").unwrap();
    assert_eq!((first.status, first.code().as_str()), (401, "login_required"), "no 100 before it");
    let mut connection = site.gateway.connect();
    connection.write(request("/public").as_bytes());
    assert_eq!(connection.try_response_to("POST").unwrap().status, 100);
    assert_eq!(site.upstream.requests().len(), 0);
    connection.write(b"body");
    connection.response().expect(200, "");
    let seen = site.upstream.last();
    assert_eq!((seen.body.as_slice(), seen.header("expect")), (b"body".as_slice(), None));
}

#[test]
fn ranges_pass_both_ways() {
    let upstream = Upstream::answering(|request| {
        assert_eq!((request.header("range"), request.header("if-range")), (Some("bytes=2-4"), Some("\"x\"")));
        answer(
            206,
            &[("Content-Range", "bytes 2-4/9"), ("Accept-Ranges", "bytes"), ("ETag", "\"x\"")],
            b"cde",
        )
    });
    let site = Site::before(upstream, "", ROUTES);
    let part = site.send(&Request::get("/public").with("Range", "bytes=2-4").with("If-Range", "\"x\""));
    assert_eq!((part.status, part.text().as_str()), (206, "cde"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/9"));
}

#[test]
fn trailers_of_an_answer_are_dropped() {
    let upstream = Upstream::scripted(|stream, _| {
        while read_head(stream).is_some() {
            let whole =
                b"HTTP/1.1 200 OK\r\nTrailer: X-Sum, Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n\
                          2\r\nok\r\n0\r\nX-Sum: 1\r\nSet-Cookie: portcullis=evil\r\n\r\n";
            let _ = stream.write_all(whole);
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    for _ in 0..2 {
        connection.start(&Request::get("/public"));
        let (status, fields) = connection.head().unwrap();
        assert_eq!(status, 200);
        assert!(!fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("trailer")), "{fields:?}");
        assert_eq!(connection.chunk().unwrap(), b"ok");
        assert_eq!(connection.exactly(5).unwrap(), b"0\r\n\r\n");
    }
    assert_eq!(site.upstream.connections(), 1, "and both connections are kept");
}

/// An upstream that dies within its answer, whose status is the path's last segment.
fn dying() -> Upstream {
    Upstream::scripted(|stream, _| {
        let Some(head) = read_head(stream) else { return };
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let status = path.rsplit('/').next().unwrap_or_default();
        let begun = format!("HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        let _ = stream.write_all(begun.as_bytes());
    })
}

// R-17, N-15, S-14
#[test]
fn an_answer_that_breaks_off_where_closing_is_the_end_ends_in_an_error() {
    let site = Site::before(dying(), "", ROUTES);
    for (n, status) in ["200", "404", "500"].into_iter().enumerate() {
        // HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
        let mut stream = TcpStream::connect(site.gateway.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET /public/{status} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        let ended = stream.read_to_end(&mut all).map_err(|e| e.kind());
        assert_eq!(ended, Err(ErrorKind::ConnectionReset), "{:?}", String::from_utf8_lossy(&all));
        until("the upstream's end", || (site.upstream.ended() == n + 1).then_some(()));
    }
}

// R-17, N-15: TLS has an end of its own, which says that nothing was cut off.
#[test]
fn nor_does_it_end_well_over_tls() {
    let Some(_) = service("openssl") else { return };
    let site = Secured::before(dying());
    for status in ["200", "404", "500"] {
        for version in ["-tls1_2", "-tls1_3"] {
            let request = format!("GET /public/{status} HTTP/1.0\r\nHost: gw.test\r\n\r\n");
            let said = site.openssl(&[version, "-servername", "gw.test", "-ign_eof"], &request);
            assert!(!said.lines().any(|line| line.ends_with("closed")), "it ended well: {said}");
            assert!(said.contains("errno=104") || said.contains("unexpected eof"), "{said}");
        }
    }
}
