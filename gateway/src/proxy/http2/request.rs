//! A stream's head, written as the strict reader of HTTP/1.1 takes it: so each rule about
//! heads holds here too and stands in one place. What HTTP/2 alone forbids is refused
//! here (RFC 9113 §8.2, §8.3).

use http::{HeaderMap, HeaderName, header, request::Parts};

/// The stream is malformed and is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Fields of a connection (RFC 9113 §8.2.2).
const CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// A head for the strict reader, and what is known of its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The head.
    pub bytes: Vec<u8>,
    /// A body of unknown length.
    pub chunked: bool,
    /// It says that it has no body, and its stream has not ended.
    pub empty: bool,
}

/// Writes the head. `ends`: no body follows.
pub fn write(parts: &Parts, ends: bool) -> Result<Written, Malformed> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    target(&mut out, parts);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(host) = host(parts)? {
        line(&mut out, header::HOST.as_str(), host);
    }
    for (name, value) in &parts.headers {
        check(name, value.as_bytes())?;
        if name != header::HOST && name != header::COOKIE {
            line(&mut out, name.as_str(), value.as_bytes());
        }
    }
    cookies(&mut out, &parts.headers);
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let chunked = !ends && length.is_none();
    let empty = !ends && length.is_some_and(|length| length == "0");
    if chunked {
        line(&mut out, "transfer-encoding", b"chunked");
    }
    out.extend_from_slice(b"\r\n");
    Ok(Written { bytes: out, chunked, empty })
}

/// As it was sent. Another scheme than this connection's is written out, so that the
/// reader refuses it.
fn target(out: &mut Vec<u8>, parts: &Parts) {
    let uri = &parts.uri;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match (uri.scheme_str(), uri.path_and_query()) {
        (Some("https"), Some(path)) => out.extend_from_slice(path.as_str().as_bytes()),
        (Some(scheme), Some(path)) => {
            out.extend_from_slice(format!("{scheme}://{authority}{path}").as_bytes());
        }
        // CONNECT, which the pipeline refuses.
        _ => out.extend_from_slice(authority.as_bytes()),
    }
}

/// `:authority`, or `host`, or both if they are the same (RFC 9113 §8.3.1).
fn host(parts: &Parts) -> Result<Option<&[u8]>, Malformed> {
    let mut fields = parts.headers.get_all(header::HOST).iter().map(|value| value.as_bytes());
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Malformed("there are two host fields"));
    }
    match (parts.uri.authority(), field) {
        (Some(authority), Some(field)) if !authority.as_str().as_bytes().eq_ignore_ascii_case(field) => {
            Err(Malformed("host and :authority name two hosts"))
        }
        (Some(authority), _) => Ok(Some(authority.as_str().as_bytes())),
        (None, field) => Ok(field),
    }
}

fn check(name: &HeaderName, value: &[u8]) -> Result<(), Malformed> {
    if CONNECTION.contains(&name.as_str()) || (name == header::TE && value != b"trailers") {
        return Err(Malformed("a field of the connection"));
    }
    if value.trim_ascii().len() != value.len() {
        return Err(Malformed("a value begins or ends with a space"));
    }
    Ok(())
}

/// One field again of what was split for compression (RFC 9113 §8.2.3).
fn cookies(out: &mut Vec<u8>, fields: &HeaderMap) {
    let crumbs: Vec<&[u8]> = fields.get_all(header::COOKIE).iter().map(|value| value.as_bytes()).collect();
    if !crumbs.is_empty() {
        line(out, header::COOKIE.as_str(), &crumbs.join(&b"; "[..]));
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn written(uri: &str, fields: &[(&str, &str)], ends: bool) -> Result<String, Malformed> {
        let mut request = Request::post(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        write(&parts, ends).map(|w| String::from_utf8(w.bytes).expect("ASCII"))
    }

    #[test]
    fn a_stream_reads_like_a_request_of_http_1() {
        let head = written("https://gw.test/a?b", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], false);
        let expected = "POST /a?b HTTP/1.1\r\nhost: gw.test\r\nx: y\r\ncookie: a=1; b=2\r\n\
                        transfer-encoding: chunked\r\n\r\n";
        assert_eq!(head.as_deref(), Ok(expected));
        let head = written("https://gw.test/", &[("content-length", "3"), ("host", "GW.test")], false);
        assert_eq!(head.as_deref(), Ok("POST / HTTP/1.1\r\nhost: gw.test\r\ncontent-length: 3\r\n\r\n"));
    }

    //
    #[test]
    fn another_scheme_is_written_out_to_be_refused() {
        let head = written("http://gw.test/a", &[], true).expect("well-formed");
        assert!(head.starts_with("POST http://gw.test/a HTTP/1.1\r\n"), "{head}");
    }

    //
    #[test]
    fn what_http_2_forbids_is_malformed() {
        for fields in [
            &[("host", "adm.test")][..],
            &[("host", "gw.test"), ("host", "gw.test")],
            &[("connection", "close")],
            &[("transfer-encoding", "chunked")],
            &[("upgrade", "h2c")],
            &[("te", "gzip")],
            &[("x", "\t1")],
            &[("x", "1 ")],
        ] {
            assert!(written("https://gw.test/", fields, true).is_err(), "{fields:?}");
        }
    }
}
