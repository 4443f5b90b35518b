//! The parsers of our own, a corpus for each, and what must hold of any input: it is read
//! or refused, never both ways, and what is let through has the form that later code
//! relies on.

use crate::{
    login::{
        body::{self, Limits as BodyLimits},
        return_to,
    },
    proxy::{
        ambiguity,
        forwarded::{self, Provenance},
        http1::{
            body::{BadChunk, Body, Chunks},
            head::{Framing, Head, Known, Limits, Scanner},
            response,
        },
        http2::request,
        target::{Authority, Target as RequestTarget, normal_path},
        upgrade::Asked,
    },
    sessions::{CookieNames, Found},
    tls::validity,
    tokens::{self, looks},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use portcullis_config::Endpoints;
use rustls::pki_types::CertificateDer;
use std::{net::IpAddr, path::Path};

/// A parser and what must hold.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) corpus: &'static [&'static [u8]],
    pub(super) check: fn(&[u8]),
}

const LIMITS: Limits = Limits { bytes: 2048, fields: 20, request_line: 512 };

/// Those of requests, answers, tokens and the configuration.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "head of a request",
        corpus: &[
            b"GET /a?b HTTP/1.1\r\nHost: a.test\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
            b"PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\n\r\n",
            b"GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nX_Y: \t1 \r\n\r\n",
        ],
        check: request_head,
    },
    Target {
        name: "head of an answer",
        corpus: &[
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n\r\n",
        ],
        check: response_head,
    },
    Target {
        name: "chunks",
        corpus: &[
            b"5\r\nhello\r\n0\r\n\r\n",
            b"a;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\nrest",
            b"0001\r\nz\r\n00\r\n\r\n",
        ],
        check: chunks,
    },
    Target {
        name: "target and path",
        corpus: &[
            b"/a/b/../c?d=e", b"http://a.test/x", b"/%2e%2e/%41;b/%2F%5c%23", b"//a//./b%252e", b"/public/..;/admin",
            b"/%E2%80%AE/\x80",
        ],
        check: path,
    },
    Target {
        name: "authority",
        corpus: &[b"a.test", b"A.TEST.:80", b"[::1]:443", b"[::ffff:1.2.3.4]", b"1.2.3.4:5", b"a@b", b"a,b", b"xn--a"],
        check: authority,
    },
    Target {
        name: "cookies",
        corpus: &[
            b"portcullis=abc; b=c", b"a=b;portcullis=x;portcullis=y", b"$Version=1; portcullis=\"x\"", b";;==;=; a; __Host-portcullis",
            b"portcullis-refresh=pcr_x; portcullis-flow=y",
        ],
        check: cookies,
    },
    Target {
        name: "forwarded addresses",
        corpus: &[b"1.2.3.4, 10.0.0.1", b"[2001:db8::1]:443, ::ffff:10.0.0.1", b"unknown, _x, 1.2.3.4:5", b", ,", b"\xff, 1.2.3.4"],
        check: addresses,
    },
    Target {
        name: "bodies of endpoints",
        corpus: &[
            br#"{"username":"a","password":"b","n":[1,{"x":null}]}"#,
            br#"{"data":{"type":"users","attributes":{"email":"a@b.c","password":"\u00e9"}}}"#,
            b"username=a%20b&password=c+d&x=%F0%9F%98%80",
            b"{\"a\":1e300,\"b\":\"\\ud83d\\ude00\",\"c\":{}}",
        ],
        check: bodies,
    },
    Target {
        name: "head of a stream",
        corpus: &[
            b"GET\0https://a.test/x?y\0accept\0*/*\0cookie\0a=b\0cookie\0c=d",
            b"POST\0https://a.test/\0content-length\x005\0te\0trailers",
            b"GET\0http://a@b/\0host\0other\0x\0\t1",
        ],
        check: http2_head,
    },
    Target {
        name: "where a login leads",
        corpus: &[b"/app/x?y=z", b"//evil.test", b"/\\evil.test", b"/a/../login", b"/%2f%2fevil", b"https://evil.test/"],
        check: landing,
    },
    Target {
        name: "tokens by their looks",
        corpus: &[
            b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2d3LnRlc3QifQ.AAAA", b"pcr_abc", b"a.b.c",
            b"e30.eyJpc3MiOiJodHRwczovL2d3LnRlc3QiLCJpc3MiOiJ4In0.",
        ],
        check: looks_of_tokens,
    },
    Target {
        name: "tokens and assertions",
        corpus: &[
            b"{\"typ\":\"at+jwt\",\"alg\":\"HS256\",\"kid\":\"access\"}\n{\"iss\":\"https://gw.test\",\"exp\":1.5e9,\"nbf\":-1}",
            b"{\"typ\":\"application/portcullis-assertion+jwt\",\"alg\":\"HS256\",\"kid\":\"assertion\"}\n{\"exp\":1e300}",
            b"{\"alg\":\"none\"}\n{}",
            b"eyJhbGciOiJub25lIn0.e30.",
        ],
        check: tokens::fuzzing::token,
    },
    Target {
        name: "configuration",
        corpus: &[
            include_bytes!("../../../config/examples/quickstart.toml"),
            b"[server]\nlisten = [\"127.0.0.1:1\"]\ntls = { certificate = \"a\", key = \"b\" }\n[[routes]]\npath = \"/a%2Fb/*\"\npolicy = { any = [{ claim = \"app.x\", is = 3 }] }\n",
            b"include = \"x/*.toml\"\n[limits]\nheaders = 3\n[store]\nkey = { env = \"X\" }\n[identity_headers]\nA = \"app.b\"\n",
        ],
        check: configuration,
    },
    Target {
        name: "variables over the configuration",
        corpus: &[
            b"PORTCULLIS_SERVER__LISTEN=127.0.0.1:1", b"PORTCULLIS_LIMITS__HEADERS=[1]\nPORTCULLIS_STRATEGIES__LOCAL__MIN_LENGTH=9",
            b"PORTCULLIS_UPSTREAMS__API__TLS={ca=\"x\"}", b"PORTCULLIS_ROUTES__0__PATH=/", b"PORTCULLIS_PORT_8080_TCP=tcp://x",
            b"PORTCULLIS___=", b"PORTCULLIS_IDENTITY_HEADERS__X_A=name",
        ],
        check: variables,
    },
    Target {
        name: "dates of a certificate",
        corpus: &[&[
            0x30, 0x30, 0x30, 0x2e, 0xa0, 3, 2, 1, 2, 2, 1, 1, 0x30, 0, 0x30, 0, 0x30, 0x1e, 0x17, 13, b'2', b'6', b'0', b'2', b'2',
            b'8', b'2', b'3', b'5', b'9', b'5', b'9', b'Z', 0x17, 13, b'2', b'6', b'0', b'2', b'2', b'8', b'2', b'3', b'5', b'9',
            b'5', b'9', b'Z', 0, 0,
        ]],
        check: dates,
    },
];

/// A head means the same however it arrives, and what is let through can be written again
/// line by line.
fn request_head(input: &[u8]) {
    let whole = Scanner::default().find_end(input, LIMITS);
    let mut scanner = Scanner::default();
    let mut found = Ok(None);
    for end in 0..=input.len() {
        found = scanner.find_end(&input[..end], LIMITS);
        if !matches!(found, Ok(None)) {
            break;
        }
    }
    // A limit may be noticed before the fault behind it; an end is the same end.
    assert_eq!(found.ok().flatten(), whole.ok().flatten());
    let Ok(Some(end)) = whole else { return };
    let mut head = Head::default();
    if head.read(&input[..end], LIMITS).is_err() {
        return;
    }
    assert_eq!(head.len, end);
    assert!(head.fields.len() <= LIMITS.fields && end <= LIMITS.bytes);
    let spans =
        head.fields.iter().flat_map(|field| [field.name, field.value]).chain([head.method, head.target]);
    for text in spans.map(|span| span.of_buffer(input)) {
        assert!(!text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    assert_eq!(head.values(Known::Host, input).count(), 1);
    assert!(Authority::parse(head.host.of_buffer(input)).is_none_or(|host| !host.host.is_empty()));
    let codings = head.values(Known::TransferEncoding, input).count();
    let lengths = head.values(Known::ContentLength, input).count();
    assert_eq!(head.framing == Framing::Chunked, codings == 1);
    assert!(codings + lengths <= 1);
    if let Some(asked) = Asked::of(&head, input) {
        assert!(!asked.protocols.is_empty());
        let lower = asked.protocols.to_ascii_lowercase();
        // `httptp/1` is a name like any other; `http/2.0` is ours.
        let names = lower.split(|byte| *byte == b',').map(|one| one.split(|byte| *byte == b'/').next());
        for name in names.map(|name| name.unwrap_or_default().trim_ascii()) {
            assert!(name != b"h2c" && name != b"http");
        }
    }
}

fn response_head(input: &[u8]) {
    for head_request in [false, true] {
        let Ok(Some(head)) = response::read(input, &mut Scanner::default(), head_request) else { continue };
        assert!((100..600).contains(&head.status) && head.len <= input.len());
        for (name, value) in &head.fields {
            for text in [&input[name.clone()], &input[value.clone()]] {
                assert!(!text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
        }
        let both = head.values(input, "content-length").count() > 0
            && head.values(input, "transfer-encoding").count() > 0;
        assert!(!both || !head.keep_alive, "an answer with two framings ends its connection");
    }
}

/// All data of a body and where it ends, read in pieces.
fn read_chunks(input: &[u8], piece: usize) -> Result<(Vec<u8>, Option<usize>), BadChunk> {
    let (mut body, mut data, mut at) = (Body::Chunked(Chunks::default()), Vec::new(), 0);
    while at < input.len() && !body.is_done() {
        let end = (at + piece).min(input.len());
        let step = body.step(&input[at..end])?;
        data.extend_from_slice(&input[at + step.data_from..at + step.used]);
        assert!(step.used > 0, "it goes on");
        at += step.used;
    }
    Ok((data, body.is_done().then_some(at)))
}

/// The same body in any pieces, and a whole one written again reads the same.
fn chunks(input: &[u8]) {
    let whole = read_chunks(input, input.len().max(1));
    for piece in [1, 2, 7] {
        assert_eq!(read_chunks(input, piece), whole);
    }
    if let Ok((data, Some(end))) = whole {
        assert!(input[..end].ends_with(b"\r\n\r\n"));
        let again = if data.is_empty() {
            Vec::new()
        } else {
            [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()
        };
        let again = [&again[..], b"0\r\n\r\n"].concat();
        assert_eq!(read_chunks(&again, 3), Ok((data, Some(again.len()))));
    }
}

/// A normal form is its own, has no dots, and no reading of it is judged twice the same way.
fn path(input: &[u8]) {
    for https in [false, true] {
        let Some(target) = RequestTarget::parse(input, https) else { continue };
        let Ok(normal) = normal_path(target.path) else { continue };
        let again = normal_path(normal.text.as_bytes()).expect("a normal form has one");
        assert_eq!(again.text, normal.text);
        // A `%2F` that dots have removed is still one that was sent.
        assert!(normal.encoded_slash || !again.encoded_slash);
        assert!(normal.text.starts_with('/') && normal.text.is_ascii() && !normal.text.contains("//"));
        assert!(!normal.text.split('/').any(|segment| matches!(segment, "." | "..")));
        assert!(!normal.text.bytes().any(|byte| byte <= b' ' || matches!(byte, b'#' | b'\\' | b'?' | 0x7f)));
        if normal.text.len() < 200 {
            ambiguity::any_reading(&normal.text, |reading| {
                assert!(reading.is_none_or(|text| text.starts_with('/')));
                false
            });
        }
    }
}

fn authority(input: &[u8]) {
    let Some(found) = Authority::parse(input) else { return };
    let text = found.to_text();
    let again = Authority::parse(text.as_bytes()).expect("what was read can be read again");
    assert_eq!(again, found);
    assert!(!found.host.bytes().any(|byte| byte.is_ascii_uppercase() || b"@/,\\ %".contains(&byte)));
}

/// What goes upstream holds none of ours, and nothing else is lost.
fn cookies(input: &[u8]) {
    for https in [false, true] {
        let names = CookieNames::new("portcullis", https);
        let rest = names.without_ours(input);
        assert_eq!(names.without_ours(&rest), rest);
        assert!(!matches!(names.session_value([&rest[..]].into_iter()), Found::One(_)));
        assert!(!matches!(names.refresh_value([&rest[..]].into_iter()), Found::One(_)));
        let foreign = |pair: &&[u8]| pair.starts_with(b"b=") || pair.starts_with(b"a=");
        let pairs = |bytes: &[u8]| {
            let all: Vec<Vec<u8>> = bytes
                .split(|b| *b == b';')
                .map(<[u8]>::trim_ascii)
                .filter(foreign)
                .map(<[u8]>::to_vec)
                .collect();
            all
        };
        assert_eq!(pairs(&rest), pairs(input));
        let _ = names.is_ours_set_cookie(input);
    }
}

fn addresses(input: &[u8]) {
    let trusted = ["10.0.0.0/8".parse().expect("a network")];
    let peer: IpAddr = "10.0.0.9".parse().expect("an address");
    let client = forwarded::client_of(input, peer, &trusted);
    assert_eq!(client, client.to_canonical());
    let last = input.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    if forwarded::address_of(last.trim_ascii()).is_none() {
        assert_eq!(client, peer, "nobody vouches for what stands left of it");
    }
    // What a client began the list with changes nothing of what its proxy says of it, in
    // one line or in two, as far as a head may hold it at all.
    for between in [&b", "[..], b"\r\nX-Forwarded-For: "] {
        let line =
            [b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ", input, between, b"203.0.113.5\r\n\r\n"];
        let (bytes, mut head) = (line.concat(), Head::default());
        let limits = Limits { bytes: usize::MAX, fields: 64, request_line: 64 };
        if !input.contains(&b'\n') && head.read(&bytes, limits).is_ok() {
            let origin = Provenance::of(&head, &bytes, (peer, true), &trusted);
            assert_eq!(origin.client.to_string(), "203.0.113.5");
        }
    }
}

fn bodies(input: &[u8]) {
    for kind in
        ["application/json", "application/vnd.api+json", "application/x-www-form-urlencoded", "text/plain"]
    {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let Ok(read) = body::read(&headers, input, BodyLimits { depth: 8, fields: 16 }) else { continue };
        assert!(kind != "text/plain" && read.fields.len() <= 16);
        assert!(
            !read
                .fields
                .keys()
                .any(|name| matches!(name.as_str(), "__proto__" | "constructor" | "prototype"))
        );
        let _ = (read.text("username"), read.positive("n"));
    }
}

/// Whatever h2 lets through: no field of it becomes two, or part of the request line.
fn http2_head(input: &[u8]) {
    let mut parts = input.split(|byte| *byte == 0);
    let request = Request::builder().method(parts.next().unwrap_or_default());
    let mut request = request.uri(parts.next().unwrap_or_default());
    let mut sent = 0;
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
            continue;
        };
        request = request.header(name, value);
        sent += 1;
    }
    let Ok(request) = request.body(()) else { return };
    let Ok(written) = request::write(&request.into_parts().0, true) else { return };
    let lines = written.bytes.windows(2).filter(|two| two == b"\r\n").count();
    // The request line, the empty one, and a host out of `:authority`.
    assert!(lines <= sent + 3, "{}", String::from_utf8_lossy(&written.bytes));
    assert!(written.bytes.ends_with(b"\r\n\r\n"));
    assert_eq!(written.bytes.iter().filter(|byte| **byte == b'\n').count(), lines);
}

fn landing(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let endpoints = Endpoints { login: "/login".into(), logout: "/logout".into(), auth: "/auth".into() };
    let landed = return_to::path(Some(text), &endpoints);
    assert!(landed == "/" || landed == text);
    assert!(landed.starts_with('/') && !landed.starts_with("//") && !landed.starts_with("/\\"));
    let path = landed.split('?').next().unwrap_or_default();
    assert!(landed.bytes().all(|byte| (0x21..0x7f).contains(&byte)) && !path.contains('\\'));
}

fn looks_of_tokens(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let ours = looks::like_ours(text, "https://gw.test");
    assert!(ours || !text.trim().starts_with("pcr_"));
}

/// Every problem has a place, and the same text has the same problems.
fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = || portcullis_config::parse(text, Path::new("nowhere/p.toml"), &[]);
    if let (Err(one), Err(other)) = (read(), read()) {
        assert!(!one.is_empty() && one.len() == other.len());
        assert!(
            one.iter()
                .all(|problem| problem.place.starts_with("nowhere/p.toml") && !problem.message.is_empty())
        );
    }
}

/// Variables over a file that is fine: what is wrong is said under the name of one of them.
fn variables(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let variables: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let file = include_str!("../../../config/examples/quickstart.toml");
    let Err(problems) = portcullis_config::parse(file, Path::new("nowhere/p.toml"), &variables) else {
        return;
    };
    assert!(!problems.is_empty() && variables.iter().any(|(name, _)| name.starts_with("PORTCULLIS_")));
    assert!(problems.iter().all(|problem| !problem.place.is_empty() && !problem.message.is_empty()));
}

fn dates(input: &[u8]) {
    let _ = validity::of(&CertificateDer::from(input.to_vec()));
}
