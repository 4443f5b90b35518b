//! Requests as raw bytes against the shared site. The word `MARK` in them is replaced by
//! one that no other request carries, so that what reached the upstream can be told.

use crate::{
    connection::{Broken, Connection},
    recorded::Recorded,
    response::Response,
    site::{Site, mark},
};

/// Bytes that were sent, and the connection they were sent on.
pub struct Raw {
    /// What stood for `MARK`.
    pub mark: String,
    /// Where the answers come.
    pub connection: Connection,
    site: &'static Site,
    what: String,
}

/// Sends bytes on a new connection.
#[track_caller]
pub fn send(bytes: impl AsRef<[u8]>) -> Raw {
    let site = Site::shared();
    let mark = mark();
    let bytes = replace(bytes.as_ref(), b"MARK", mark.as_bytes());
    let mut connection = site.gateway.connect();
    connection.write(&bytes);
    Raw { mark, connection, site, what: String::from_utf8_lossy(&bytes).into_owned() }
}

/// A GET of `/public/MARK` with more lines, each with its end.
pub fn get_with(lines: &str) -> Vec<u8> {
    format!("GET /public/MARK HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n").into_bytes()
}

/// A POST to `/public/MARK` with framing lines and a body.
pub fn post_with(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /public/MARK HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n{body}").into_bytes()
}

impl Raw {
    /// The outcome `400x`: 400, the connection closed, and the upstream heard nothing.
    #[track_caller]
    pub fn refused(self) {
        self.refused_with(400, "bad_request");
    }

    /// Another status and code, the connection closed, and the upstream heard nothing.
    #[track_caller]
    pub fn refused_with(mut self, status: u16, code: &str) {
        self.answered_alone(status, code);
        let rest = self.connection.rest();
        assert_eq!(rest, Ok(Vec::new()), "not closed after the answer to\n{:?}", self.what);
        self.unheard();
    }

    /// A refusal that reached no upstream; the connection may live on.
    #[track_caller]
    pub fn answered_alone(&mut self, status: u16, code: &str) -> Response {
        let answer = self.answer();
        assert_eq!(answer.status, status, "{:?}\n{answer:?}\n{}", self.what, answer.text());
        if !code.is_empty() {
            assert_eq!(answer.code(), code, "{:?}", self.what);
        }
        self.unheard();
        answer
    }

    /// The next answer.
    #[track_caller]
    pub fn answer(&mut self) -> Response {
        let answer = self.try_answer();
        answer.unwrap_or_else(|broken| panic!("{broken:?} instead of an answer to\n{:?}", self.what))
    }

    /// The next answer or why there is none.
    pub fn try_answer(&mut self) -> Result<Response, Broken> {
        let method = self.what.split(' ').next().unwrap_or_default().to_owned();
        self.connection.try_response_to(&method)
    }

    /// What reached the upstream of it, which answered 200.
    #[track_caller]
    pub fn forwarded(&mut self) -> Recorded {
        let answer = self.answer();
        assert_eq!(answer.status, 200, "{:?}\n{answer:?}\n{}", self.what, answer.text());
        self.site.upstream.marked(&self.mark)
    }

    /// Panics if a byte of it reached the upstream.
    #[track_caller]
    pub fn unheard(&self) {
        let all = self.site.upstream.everything();
        let found = all.windows(self.mark.len()).any(|w| w == self.mark.as_bytes());
        assert!(!found, "the upstream heard of\n{:?}", self.what);
    }

    /// How many whole requests with the mark reached the upstream.
    pub fn count(&self) -> usize {
        self.site.upstream.all_marked(&self.mark).len()
    }
}

fn replace(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(what) {
            out.extend(with);
            at += what.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}
