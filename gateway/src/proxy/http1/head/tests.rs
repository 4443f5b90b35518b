//! Which heads are read, and what makes one refused.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits { bytes: 4096, fields: 10, request_line: 256 };

fn read(text: &str) -> Result<Head, BadHead> {
    let bytes = text.as_bytes();
    let end = Scanner::default().find_end(bytes, LIMITS)?.ok_or(BadHead::Bad("partial"))?;
    let mut head = Head::default();
    head.read(&bytes[..end], LIMITS)?;
    Ok(head)
}

fn with(fields: &str) -> Result<Head, BadHead> {
    read(&format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
}

#[test]
fn a_plain_head_is_taken_apart() {
    let text = "GET /a?b HTTP/1.1\r\nHost: example.com\r\nCOOKIE:  a=1 \r\n\r\n";
    let head = read(text).expect("valid");
    let bytes = text.as_bytes();
    assert_eq!(head.method.of_buffer(bytes), b"GET");
    assert_eq!(head.target.of_buffer(bytes), b"/a?b");
    assert_eq!(head.host.of_buffer(bytes), b"example.com");
    assert_eq!(head.value(Known::Cookie, bytes), Some(&b"a=1"[..]));
    assert_eq!((head.framing, head.keep_alive, head.len), (Framing::None, true, text.len()));
}

#[test]
fn framing_is_one_length_or_chunked_alone() {
    assert_eq!(with("Content-Length: 5\r\n").map(|h| h.framing), Ok(Framing::Length(5)));
    assert_eq!(with("Content-Length: 0\r\n").map(|h| h.framing), Ok(Framing::None));
    for value in ["chunked", "CHUNKED", "\tchunked"] {
        assert_eq!(
            with(&format!("Transfer-Encoding: {value}\r\n")).map(|h| h.framing),
            Ok(Framing::Chunked),
            "{value}"
        );
    }
}

// M-02, M-03, M-11, M-13, S-01 to S-03, S-16
#[test]
fn doubtful_framing_is_refused() {
    let lengths = ["", "+1", "-0", "0x1", "1_0", "1, 1", "01", "18446744073709551616", "1 1", "1;", "٣"];
    let codings = [
        "",
        ",chunked",
        "chunked,",
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "xchunked",
        "chunked;q=1",
        "chunked chunked",
        "\"chunked\"",
    ];
    let one = lengths.iter().map(|v| format!("Content-Length: {v}\r\n"));
    let two = codings.iter().map(|v| format!("Transfer-Encoding: {v}\r\n"));
    let more = [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Content.Length: 3\r\n",
    ];
    for fields in one.chain(two).chain(more.map(str::to_owned)) {
        assert!(matches!(with(&fields), Err(BadHead::Bad(_))), "{fields:?}");
    }
    let old = read("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(matches!(old, Err(BadHead::Bad(_))));
}

// M-01, M-10, M-11, S-07, S-08
#[test]
fn heads_that_parsers_read_differently_are_refused() {
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nXnocolon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHöst: a\r\n\r\n",
    ] {
        assert!(matches!(read(text), Err(BadHead::Bad(_))), "{text:?}");
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let line = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(n - 14));
    assert!(read(&line(256)).is_ok());
    assert_eq!(read(&line(257)).err(), Some(BadHead::RequestLineTooLong));
    let fields = |n: usize| with(&"X: y\r\n".repeat(n - 1));
    assert!(fields(10).is_ok());
    assert_eq!(fields(11).err(), Some(BadHead::TooMany));
    let bytes = |n: usize| with(&format!("X: {}\r\n", "a".repeat(n - 34)));
    assert_eq!(bytes(4096).map(|h| h.len), Ok(4096));
    assert_eq!(bytes(4097).err(), Some(BadHead::TooLarge));
    let endless = "a".repeat(259);
    assert_eq!(Scanner::default().find_end(endless.as_bytes(), LIMITS), Err(BadHead::RequestLineTooLong));
}

/// What is found, and what the head is, of bytes that come in pieces.
fn searched(bytes: &[u8], cuts: &[usize]) -> Result<Option<Vec<u8>>, BadHead> {
    let mut cuts: Vec<usize> = cuts.iter().copied().filter(|cut| *cut < bytes.len()).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let (mut search, mut input, mut taken) = (Search::default(), Vec::new(), 0);
    for cut in cuts {
        input.extend_from_slice(&bytes[taken..cut]);
        taken = cut;
        if let Some(end) = search.find_end(&mut input, LIMITS)? {
            Head::default().read(&input[..end], LIMITS)?;
            return Ok(Some(input[..end].to_vec()));
        }
    }
    Ok(None)
}

/// Heads, bits of heads, and what comes between.
fn any_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\r".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        Just("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned()),
        Just("X: y\r\n".to_owned()),
        (0usize..300).prop_map(|n| format!("GET /{}", "a".repeat(n))),
        "[ -~]{0,8}",
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat().into_bytes())
}

#[test]
fn an_empty_line_before_a_head_is_skipped_once_in_one_piece_or_two() {
    let text = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in 0..text.len() {
        assert_eq!(searched(text, &[cut]), Ok(Some(text[2..].to_vec())), "cut at {cut}");
    }
    let two = [b"\r\n", &text[..]].concat();
    for cut in 0..two.len() {
        assert!(searched(&two, &[cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn only_100_continue_may_be_expected() {
    assert!(with("Expect: 100-Continue\r\n").expect("valid").expects_continue);
    for value in ["200-ok", "y 100-continue", "100-continue, x", ""] {
        assert_eq!(with(&format!("Expect: {value}\r\n")).err(), Some(BadHead::Expectation), "{value}");
    }
}

proptest! {
    #[test]
    fn the_end_is_found_however_the_bytes_arrive(cut in 0usize..60) {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\nrest";
        let mut scanner = Scanner::default();
        let first = scanner.find_end(&text[..cut.min(text.len())], LIMITS).expect("valid");
        let end = first.or_else(|| scanner.find_end(text, LIMITS).expect("valid"));
        prop_assert_eq!(end, Some(text.len() - 4));
    }

    // M-10, P-17: of whatever a client sends, a split says nothing. (An empty line before a
    // request line once took a panic with it, when it came in two pieces.)
    #[test]
    fn in_however_many_pieces_a_head_comes_it_says_the_same(
        bytes in any_head(),
        cuts in proptest::collection::vec(0usize..400, 0..6),
    ) {
        let whole = searched(&bytes, &[]);
        prop_assert_eq!(&searched(&bytes, &cuts), &whole);
        let each: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&searched(&bytes, &each), &whole);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(Some(end)) = Scanner::default().find_end(&bytes, LIMITS) {
            let _ = Head::default().read(&bytes[..end], LIMITS);
        }
    }
}
