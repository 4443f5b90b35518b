//! The tools of these tests are strict themselves: what they let through would prove
//! nothing.

use portcullis_tests::{
    Broken, Connection, Recorded, Request, Upstream, readers::folding, upstream::read_head,
};
use std::io::Write;

fn answered_with(bytes: &'static [u8]) -> Result<portcullis_tests::Response, Broken> {
    let server = Upstream::scripted(move |stream, _| {
        if read_head(stream).is_some() {
            let _ = stream.write_all(bytes);
        }
    });
    Connection::open(server.address).start(&Request::get("/")).try_response_to("GET")
}

#[test]
fn the_client_takes_no_answer_that_is_not_one() {
    for bad in [
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n".as_slice(),
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let answer = answered_with(bad);
        assert!(answer.is_err(), "{:?}: {answer:?}", String::from_utf8_lossy(bad));
    }
    let good =
        answered_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n").unwrap();
    assert_eq!((good.status, good.body.as_slice()), (200, b"x".as_slice()));
}

#[test]
fn the_recorder_takes_requests_apart_and_counts_each() {
    let mut bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nX_A: 1\r\nX-A: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                      3\r\nabc\r\n0\r\nX.a: 3\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c"
        .to_vec();
    let first = Recorded::take(&mut bytes, 0).unwrap();
    assert_eq!((first.target.as_str(), first.body.as_slice()), ("/a", b"abc".as_slice()));
    assert_eq!(folding(&first)["X_A"], "1, 2, 3");
    assert_eq!(Recorded::take(&mut bytes, 0).unwrap().target, "/b");
    assert!(Recorded::take(&mut bytes, 0).is_none() && bytes == b"GET /c");
}
