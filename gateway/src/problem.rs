//! Every status and code that a client can be answered with, and the one place where a
//! refusal or an error becomes an HTTP answer (RFC 9457; contract section 8).
//!
//! What may not come in: a stack, a path of the file system, an upstream's error text.

use crate::{control::reply, pages::Pages};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use std::borrow::Cow;

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal,)*) => {
        /// The stable `code` of an answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = concat!($status, " `", $code, "`: ", $title)] $variant,)*
        }

        impl Code {
            /// All of them, for tests and docs.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The `code` member.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The `title` member: the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    BadRequest 400 "bad_request" "The request is not valid HTTP",
    BadPath 400 "bad_path" "The path is not acceptable",
    AmbiguousPath 400 "ambiguous_path" "The path can be read in more than one way",
    Malformed 400 "malformed" "The body is not acceptable",
    ConflictingCredentials 400 "conflicting_credentials" "Two credentials name two people",
    WeakPassword 400 "weak_password" "The password is too weak",
    StaleLogin 400 "stale_login" "This login is no longer valid",
    Transport 400 "transport" "The transport of a login is fixed when it begins",
    InvalidMailedToken 400 "invalid_token" "This link is no longer valid",
    LoginRequired 401 "login_required" "Please sign in",
    InvalidToken 401 "invalid_token" "The token is not valid",
    BadCredentials 401 "bad_credentials" "Name or password is wrong",
    Forbidden 403 "forbidden" "You may not do this",
    Locked 403 "locked" "Too many failed attempts",
    NotAdmitted 403 "not_admitted" "This account may not sign in here",
    EmailUnverified 403 "email_unverified" "The e-mail address is not verified yet",
    WrongCurrent 403 "bad_credentials" "The current password is wrong",
    ProviderRefused 403 "provider_refused" "The login provider refused",
    FreshLoginRequired 403 "fresh_login_required" "Please sign in again first",
    RegistrationClosed 403 "registration_closed" "Registration is closed",
    ForeignOrigin 403 "foreign_origin" "The request comes from another site",
    NotFound 404 "not_found" "There is nothing here",
    UnknownStrategy 404 "unknown_strategy" "There is no such way to sign in",
    MethodNotAllowed 405 "method_not_allowed" "The method is not allowed here",
    NameTaken 409 "name_taken" "The name is taken",
    EmailTaken 409 "email_taken" "The e-mail address is taken",
    SubjectTaken 409 "subject_taken" "This login belongs to another account",
    LastCredential 409 "last_credential" "The last way to sign in cannot be removed",
    BodyTooLarge 413 "body_too_large" "The body is too large",
    UriTooLong 414 "uri_too_long" "The request line is too long",
    UnsupportedMediaType 415 "unsupported_media_type" "The type of the body is not supported",
    ExpectationFailed 417 "expectation_failed" "The expectation cannot be met",
    Misdirected 421 "misdirected" "This gateway does not answer to that host",
    TooManyRequests 429 "too_many_requests" "Too many requests",
    HeadersTooLarge 431 "headers_too_large" "The header fields are too large",
    Internal 500 "internal" "Something went wrong in the gateway",
    UpstreamUnreachable 502 "upstream_unreachable" "The application cannot be reached",
    UpstreamInvalid 502 "upstream_invalid" "The application gave an answer that is not valid",
    ProviderInvalid 502 "provider_invalid" "The login provider gave an answer that is not valid",
    StrategyUnavailable 503 "strategy_unavailable" "This way to sign in is out of order",
    Busy 503 "busy" "Too many people are signing in at once",
    StoreUnavailable 503 "store_unavailable" "The gateway cannot reach its store",
    MailUnavailable 503 "mail_unavailable" "Mail cannot be sent",
    UpstreamUnavailable 503 "upstream_unavailable" "The application is out of order",
    Draining 503 "draining" "The gateway is shutting down",
    UpstreamTimeout 504 "upstream_timeout" "The application did not answer in time",
}

/// A refusal or an error on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What it is.
    pub code: Code,
    /// A sentence about this occurrence; the title when there is nothing to add.
    pub detail: Option<Cow<'static, str>>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// The value of `Allow` (405).
    pub allow: Option<String>,
    /// Where to sign in (401 `login_required`): the member `login_url`.
    pub login_url: Option<String>,
    /// The value of `WWW-Authenticate` (401).
    pub challenge: Option<&'static str>,
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        let challenge = match code {
            Code::LoginRequired => Some("Bearer"),
            Code::InvalidToken => Some("Bearer error=\"invalid_token\""),
            _ => None,
        };
        let retry_after = (code.status() == 503).then_some(5);
        Self { code, detail: None, retry_after, allow: None, login_url: None, challenge }
    }
}

impl Problem {
    /// With a sentence about this occurrence.
    pub fn detail(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// What a person is told.
    pub fn text(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.code.title())
    }

    /// The RFC 9457 document.
    pub fn json(&self, request_id: &str) -> Vec<u8> {
        let mut body = serde_json::json!({
            "type": "about:blank",
            "title": self.code.title(),
            "status": self.code.status(),
            "code": self.code.as_str(),
            "detail": self.text(),
            "request_id": request_id,
        });
        if let Some(url) = &self.login_url {
            body["login_url"] = url.as_str().into();
        }
        body.to_string().into_bytes()
    }

    /// The whole answer: a page when there are `pages` to show it on, else the document.
    pub fn response(&self, pages: Option<&Pages>, request_id: &str) -> Response<Bytes> {
        let mut response = match pages {
            Some(pages) => reply::page(pages, self.code.status(), pages.problem(self, request_id)),
            None => self.document(request_id),
        };
        for (name, value) in self.fields() {
            // What we say in them is ASCII; a field that is not would be a bug, not a secret.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }

    fn document(&self, request_id: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.json(request_id)));
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).expect("every status of the table is one");
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// The header fields that belong to it beside `Content-Type`.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("retry-after", self.retry_after.map(|s| s.to_string())),
            ("allow", self.allow.clone()),
            ("www-authenticate", self.challenge.map(str::to_owned)),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|v| (name, v)))
    }
}

/// Whether a request is a browser navigation (contract, section 1): it is answered with
/// a page, or sent to the login.
pub fn is_navigation(sec_fetch_mode: Option<&[u8]>, accept: Option<&[u8]>) -> bool {
    match sec_fetch_mode {
        Some(mode) => mode == b"navigate",
        None => accept.is_some_and(|accept| {
            accept.split(|b| *b == b',').any(|item| {
                let kind = item.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
                kind.eq_ignore_ascii_case(b"text/html")
            })
        }),
    }
}
