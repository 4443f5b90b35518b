//! An answer, read without leniency: whatever RFC 9112 does not allow is an error here.

use serde_json::Value;

/// The field lines of a message, in order.
pub type Fields = Vec<(String, String)>;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Field lines, in order, duplicates and all.
    pub fields: Fields,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The one value of a field; panics when there are two.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers(name);
        assert!(all.len() < 2, "{name} is there {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// Every value of a field.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// The stable `code` of a refusal, with everything RFC 9457 and the contract ask of
    /// its form checked on the way.
    #[track_caller]
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        for member in ["title", "detail", "request_id", "code"] {
            assert!(body[member].as_str().is_some_and(|s| !s.is_empty()), "no {member}: {body}");
        }
        assert_eq!(self.header("x-request-id"), body["request_id"].as_str(), "{self:?}");
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Checks status and code at once; `""` asks for no code.
    #[track_caller]
    pub fn expect(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}\n{}", self.text());
        if !code.is_empty() {
            assert_eq!(self.code(), code);
        }
        self
    }

    /// The value that a `Set-Cookie` gives this cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.set_cookie(name).map(|line| {
            let pair = line.split(';').next().unwrap_or_default();
            pair.split_once('=').map_or("", |(_, v)| v).to_owned()
        })
    }

    /// The whole `Set-Cookie` line of this cookie.
    #[track_caller]
    pub fn set_cookie(&self, name: &str) -> Option<String> {
        let mut lines = self
            .headers("set-cookie")
            .into_iter()
            .filter(|line| line.split_once('=').is_some_and(|(n, _)| n.trim() == name));
        let first = lines.next().map(str::to_owned);
        assert!(lines.next().is_none(), "{name} is set twice: {self:?}");
        first
    }
}

/// Every value of a field, compared without case.
pub fn values<'a>(fields: &'a Fields, name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
}

/// Field lines out of a head, without its first line. Strict: CRLF, token names, no
/// folding, no control characters.
pub fn parse_fields(lines: &str) -> Result<Fields, String> {
    let mut fields = Vec::new();
    for line in lines.split("\r\n").filter(|l| !l.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon: {line:?}"))?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("bad field name: {line:?}"));
        }
        if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7F) {
            return Err(format!("control character: {line:?}"));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(fields)
}

/// How the body of a message with these fields ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked,
    /// Nothing says so: for an answer when the connection closes, for a request at once.
    Unsaid,
}

/// Reads the framing fields; two of them, or a value of another form, is an error.
pub fn framing(fields: &Fields) -> Result<Framing, String> {
    match (values(fields, "content-length").as_slice(), values(fields, "transfer-encoding").as_slice()) {
        ([], []) => Ok(Framing::Unsaid),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|e| e.to_string())
        }
        ([], ["chunked"]) => Ok(Framing::Chunked),
        (lengths, codings) => Err(format!("framing: {lengths:?} {codings:?}")),
    }
}
