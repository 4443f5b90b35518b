//! A request to an endpoint, with the questions that several endpoints have about it.

use super::{Control, Reply};
use crate::{
    login::body::Limits,
    origin,
    problem::{Code, Problem, is_navigation},
    proxy::endpoint::EndpointRequest,
    sessions::CookieNames,
    telemetry::{Audit, audit},
};
use http::{
    HeaderName, Method,
    header::{ACCEPT, CONTENT_TYPE},
};

/// A request and what may be used to answer it.
pub struct Ask<'a> {
    /// What an endpoint may use.
    pub control: &'a Control,
    /// The request.
    pub request: &'a EndpointRequest,
    /// The names of our cookies.
    pub cookies: CookieNames,
    /// It came over the admin listener.
    pub on_listener: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn new(control: &'a Control, request: &'a EndpointRequest) -> Self {
        let config = &control.config;
        let cookies = CookieNames::new(&config.session.cookie, config.server.public_url.https);
        Self { control, request, cookies, on_listener: false }
    }

    /// The method, `HEAD` as the `GET` that it stands for.
    pub fn method(&self) -> Method {
        if self.request.method == Method::HEAD { Method::GET } else { self.request.method.clone() }
    }

    /// A header field's first value.
    pub fn header(&self, name: impl AsHeader) -> Option<&'a [u8]> {
        self.request.headers.get(name.name()).map(|value| value.as_bytes())
    }

    /// All values of a field.
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.request.headers.get_all(name).iter().map(|value| value.as_bytes())
    }

    /// A parameter of the query, decoded. Never a credential.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.request.query.as_deref().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into())
    }

    /// A browser that changes pages (contract, section 1).
    pub fn is_navigation(&self) -> bool {
        is_navigation(self.header("sec-fetch-mode"), self.header(ACCEPT))
    }

    /// A form that a browser posted (contract, section 1).
    pub fn is_browser_form(&self) -> bool {
        let kind = self.header(CONTENT_TYPE).unwrap_or_default();
        let essence = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        self.request.method == Method::POST
            && essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
            && self.is_navigation()
    }

    /// Whether the client asks for JSON:API where it sends no body that would say so.
    pub fn takes_json_api(&self) -> bool {
        let accept = self.header(ACCEPT).unwrap_or_default();
        accept.split(|b| *b == b',').any(|item| {
            let kind = item.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
            kind.eq_ignore_ascii_case(b"application/vnd.api+json")
        })
    }

    /// What a body may hold.
    pub(crate) fn body_limits(&self) -> Limits {
        let limits = &self.control.config.limits;
        Limits { depth: limits.json_depth, fields: limits.json_fields }
    }

    /// Whether the client takes whatever comes (curl), and says so.
    pub fn takes_anything(&self) -> bool {
        self.header(ACCEPT).is_some_and(|accept| accept.trim_ascii() == b"*/*")
    }

    /// Whether it comes from our own pages, or from no page at all.
    pub fn is_own(&self) -> bool {
        let source = origin::Source {
            sec_fetch_site: origin::single(self.values("sec-fetch-site")),
            origin: origin::single(self.values("origin")),
            host: &self.request.host,
        };
        let server = &self.control.config.server;
        origin::is_own(source, &server.public_url, &[&server.origins])
    }

    /// A refusal or an error: a page for a browser that changes pages, else a document.
    pub fn refuse(&self, problem: &Problem) -> Reply {
        let page = self.is_navigation().then_some(&*self.control.pages);
        if page.is_none() && problem.code == Code::LoginRequired {
            // As on a proxied route.
            let config = &self.control.config;
            let url = format!("{}{}", config.server.public_url.origin, config.endpoints.login);
            let problem = Problem { login_url: Some(url), ..problem.clone() };
            return problem.response(None, &self.request.request_id);
        }
        problem.response(page, &self.request.request_id)
    }

    /// A page that says what went wrong, with the status and the fields that a machine gets.
    pub fn page_of(&self, problem: &Problem, html: String) -> Reply {
        let mut answer = super::reply::page(&self.control.pages, problem.code.status(), html);
        for (name, value) in problem.fields() {
            if let Ok(value) = http::HeaderValue::from_str(&value) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        answer
    }

    /// Writes a line of the audit trail about this request.
    pub fn audit(&self, line: Audit<'_>) {
        audit(&Audit {
            client: Some(self.request.client),
            request_id: Some(&self.request.request_id),
            ..line
        });
    }
}

/// A field's name, by constant or by text.
pub trait AsHeader {
    /// The name in lower case.
    fn name(&self) -> &str;
}

impl AsHeader for HeaderName {
    fn name(&self) -> &str {
        self.as_str()
    }
}

impl AsHeader for &str {
    fn name(&self) -> &str {
        self
    }
}
