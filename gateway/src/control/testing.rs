//! The control plane with a real store, the real local strategy and a clock that stands
//! still, for tests of endpoints.

use super::{Control, handler};
use crate::{
    clock::{Clock, UnixMillis},
    pages::Pages,
    proxy::endpoint::{Departure, EndpointHandler, EndpointRequest},
    random::Random,
    registry::Registry,
    sessions::{Idle, Sessions},
    store::{NewAccount, NewCredential, Store},
    tokens::Tokens,
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response,
    header::{CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use portcullis_plugin_api::{Call, CredentialOp, Host};
use serde_json::Value;
use std::{net::IpAddr, sync::Arc, time::Duration};
use uuid::Uuid;

/// What every password in these tests is.
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Gateway {
    pub(crate) control: Arc<Control>,
    handler: EndpointHandler,
}

/// A request in the making.
pub(crate) struct Ask<'a> {
    gateway: &'a Gateway,
    request: EndpointRequest,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Gateway {
    /// With the strategy `local` and the account `ann`.
    pub(crate) async fn start(more: &str) -> Self {
        let gateway = Self::bare(&format!("{more}\n[strategies.local]\nkind = \"local\"\n")).await;
        gateway.add("ann", "local").await;
        gateway
    }

    /// With what `text` says and no account.
    pub(crate) async fn bare(text: &str) -> Self {
        let upstream = "[upstreams.api]\nurls = [\"http://127.0.0.1:1\"]";
        let route = "[[routes]]\npath = \"/*\"\nupstream = \"api\"";
        let text = format!("{text}\n{upstream}\n{route}\n");
        let config =
            portcullis_config::parse(&text, std::path::Path::new("/t/portcullis.toml"), &[]).unwrap();
        let config = Arc::new(config);
        let (clock, random) = (Clock::manual(UnixMillis(1_700_000_000_000)), Random::system());
        let store = Store::open_temporary(random.clone(), clock.clone());
        let host = Host { random: random.shared(), now: clock.shared(), cores: 2 };
        let sealer = store.sealer().unwrap();
        let tokens =
            Tokens::load(&store, &sealer, &config.token, &config.assertion, random.clone(), &clock).await;
        let sessions = Sessions::new(store.clone(), Idle::of(&config), tokio::runtime::Handle::current());
        let control = Arc::new(Control {
            registry: Registry::start_scripted(&config, host).await.unwrap(),
            tokens: Arc::new(tokens.unwrap()),
            sessions: Arc::new(sessions),
            pages: Arc::new(Pages::new(&config).unwrap()),
            config,
            store,
            clock,
            random,
            metrics: Arc::default(),
            outbox: Arc::default(),
        });
        Self { handler: handler(Arc::new(ArcSwap::new(control.clone()))), control }
    }

    /// An account with an address, a display name, a role and a password.
    pub(crate) async fn add(&self, name: &str, strategy: &str) -> Uuid {
        let form = [("password".to_owned(), PASSWORD.to_owned())].into();
        let op = CredentialOp::Create { form, about: vec![] };
        let call = Call::new("r", strategy, [127, 0, 0, 1].into());
        let secret = self.control.registry.get(strategy).unwrap().credentials(call, op).await.unwrap().secret;
        let uuid = self.control.random.uuid();
        let account = NewAccount {
            active: true,
            uuid,
            name: name.into(),
            name_proved: true,
            email: Some(format!("{}@x.test", name.replace('@', "-"))),
            email_verified: true,
            display_name: Some(format!("{name} Example")),
            roles: vec!["staff".into()],
            metadata: Default::default(),
            app: Default::default(),
        };
        let credential = NewCredential {
            strategy: strategy.into(),
            realm: "local".into(),
            subject: uuid.to_string(),
            secret: Some(secret),
        };
        let made = self.control.store.create_account(account, vec![credential], self.control.clock.now());
        made.await.unwrap().unwrap().uuid
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.control.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn ask(&self, method: Method, target: &str) -> Ask<'_> {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q.to_owned())));
        let request = EndpointRequest {
            method,
            path: path.to_owned(),
            query,
            host: "127.0.0.1:8080".into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            client: [192, 0, 2, 1].into(),
            request_id: self.control.random.uuid().to_string(),
            departure: Departure::default(),
        };
        Ask { gateway: self, request }
    }

    /// A request without anything, for parts of endpoints.
    pub(crate) fn request(&self) -> EndpointRequest {
        self.get("/").request
    }

    /// That request as endpoints see it.
    pub(crate) fn real_ask<'a>(&'a self, request: &'a EndpointRequest) -> super::Ask<'a> {
        super::Ask::new(&self.control, request)
    }

    pub(crate) fn get(&self, target: &str) -> Ask<'_> {
        self.ask(Method::GET, target)
    }

    pub(crate) fn post(&self, target: &str) -> Ask<'_> {
        self.ask(Method::POST, target)
    }

    /// A login at `/login/local` as `name` with the right password.
    pub(crate) async fn login(&self, name: &str) -> Answer {
        self.try_login(name, PASSWORD).await
    }

    pub(crate) async fn try_login(&self, name: &str, password: &str) -> Answer {
        let body = serde_json::json!({ "username": name, "password": password });
        self.post("/login/local").json(&body.to_string()).send().await
    }

    /// Who `{auth}/current` says that a cookie is.
    pub(crate) async fn who(&self, cookie: &str) -> Value {
        self.get("/auth/current").cookie(cookie).send().await.json()["authenticated"].clone()
    }
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    fn body(mut self, kind: &'static str, body: &str) -> Self {
        self.request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.request.body = Bytes::copy_from_slice(body.as_bytes());
        self
    }

    pub(crate) fn json(self, body: &str) -> Self {
        self.body("application/json", body)
    }

    pub(crate) fn form(self, body: &str) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    pub(crate) fn cookie(self, pair: &str) -> Self {
        self.header("cookie", pair)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// As a browser that changes pages.
    pub(crate) fn navigating(self) -> Self {
        self.header("sec-fetch-mode", "navigate").header("sec-fetch-site", "same-origin")
    }

    /// As a browser that another site's page sends here.
    pub(crate) fn navigating_from_elsewhere(self) -> Self {
        self.header("sec-fetch-mode", "navigate").header("origin", "https://idp.test")
    }

    /// To this host.
    pub(crate) fn at(mut self, host: &str) -> Self {
        self.request.host = host.to_owned();
        self
    }

    pub(crate) fn from(mut self, client: &str) -> Self {
        self.request.client = client.parse::<IpAddr>().unwrap();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let response: Response<Bytes> = (self.gateway.handler)(self.request).await;
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `code` of a refusal.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.field("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(self.json()["status"], self.status);
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// The body without what differs between any two answers.
    pub(crate) fn without_id(&self) -> Value {
        let mut body = self.json();
        body.as_object_mut().unwrap().remove("request_id");
        body
    }

    /// `name=value` of the session cookie that it sets.
    pub(crate) fn cookie(&self) -> String {
        self.cookie_of("portcullis")
    }

    /// The same of any cookie; without the prefix of https.
    pub(crate) fn cookie_of(&self, name: &str) -> String {
        let all = self.headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap());
        let pairs: Vec<_> = all.map(|line| line.split(';').next().unwrap()).collect();
        let is_it =
            |pair: &&&str| pair.strip_prefix("__Host-").unwrap_or(pair).split('=').next() == Some(name);
        let found: Vec<_> = pairs.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{name} in {pairs:?}");
        found[0].to_string()
    }

    pub(crate) fn location(&self) -> &str {
        self.field(LOCATION.as_str())
    }

    pub(crate) fn token(&self) -> String {
        self.json()["token"].as_str().unwrap().to_owned()
    }
}
