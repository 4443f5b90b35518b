//! A request as bytes. Nothing is added but what is asked for and the line that says
//! how long the body is.

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target as it goes on the wire.
    pub target: String,
    /// Field lines in order.
    pub fields: Vec<(String, String)>,
    /// The body; its `Content-Length` is written when it is there.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// Of any method.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), fields: Vec::new(), body: None }
    }

    /// GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// POST without a body so far.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// One more field line.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// A `Cookie` line.
    pub fn cookie(self, value: &str) -> Self {
        self.with("Cookie", value)
    }

    /// An `Authorization: Bearer` line.
    pub fn bearer(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// What a browser sends when a person follows a link.
    pub fn navigation(self) -> Self {
        self.with("Sec-Fetch-Mode", "navigate")
            .with("Sec-Fetch-Site", "none")
            .with("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
    }

    /// A body as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// A JSON body.
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.with("Content-Type", "application/json").body(value.to_string())
    }

    /// A form body, already encoded.
    pub fn form(self, encoded: &str) -> Self {
        self.with("Content-Type", "application/x-www-form-urlencoded").body(encoded)
    }

    /// The bytes. `host` is used unless a `Host` line was given.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self.fields.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
            out.extend(format!("Host: {host}\r\n").bytes());
        }
        for (name, value) in &self.fields {
            out.extend(format!("{name}: {value}\r\n").bytes());
        }
        if let Some(body) = &self.body {
            out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            out.extend(body);
        } else {
            out.extend(b"\r\n");
        }
        out
    }
}
