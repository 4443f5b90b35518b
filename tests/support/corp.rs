//! A gateway whose `corp` is an OpenLDAP directory, beside `local`.

use crate::{
    directory::{Directory, SERVICE},
    gateway::Gateway,
    request::Request,
    response::Response,
    upstream::Upstream,
};
use serde_json::{Value, json};

/// The gateway and what is behind it.
pub struct Corp {
    /// The gateway.
    pub gateway: Gateway,
    /// What is behind it; `/operators/*` asks for the role `operator`.
    pub upstream: Upstream,
}

impl Corp {
    /// `more` are lines of `[strategies.corp]`.
    #[track_caller]
    pub fn before(directory: &Directory, url: &str, more: &str) -> Self {
        Self::at(directory, &[url], more, "")
    }

    /// With several servers; `plugins` is behind all of it.
    #[track_caller]
    pub fn at(directory: &Directory, urls: &[&str], more: &str, plugins: &str) -> Self {
        let upstream = Upstream::start();
        let ca = directory.file("ca.pem");
        let config = Self::config(&upstream, urls, &ca, SERVICE.1, more) + plugins;
        Self { gateway: Gateway::start(&config), upstream }
    }

    /// The configuration.
    pub fn config(upstream: &Upstream, urls: &[&str], ca: &str, password: &str, more: &str) -> String {
        format!(
            r#"
[server]
listen = "127.0.0.1:0"

[strategies.local]
kind = "local"

[strategies.corp]
kind = "ldap"
title = "Example Corp"
preset = "openldap"
urls = {urls:?}
bind_dn = "{service}"
bind_password = "{password}"
base = "dc=example,dc=org"
tls = {{ ca = "{ca}" }}
{more}

[upstreams.api]
urls = ["{upstream}"]

[[routes]]
path = "/*"
upstream = "api"

[[routes]]
path = "/operators/*"
upstream = "api"
policy = {{ roles = ["operator"] }}
"#,
            service = SERVICE.0,
            upstream = upstream.url(),
        )
    }

    /// A login by JSON.
    #[track_caller]
    pub fn try_login(&self, name: &str, password: &str) -> Response {
        let body = json!({ "username": name, "password": password });
        self.gateway.send(&Request::post("/login/corp").json(&body))
    }

    /// The session's cookie, and what the login said.
    #[track_caller]
    pub fn login(&self, name: &str) -> (String, Value) {
        let answer = self.try_login(name, &format!("{name}-pass")).expect(200, "");
        (format!("portcullis={}", answer.cookie("portcullis").expect("a login sets it")), answer.json())
    }

    /// A request with a session.
    #[track_caller]
    pub fn get(&self, target: &str, cookie: &str) -> Response {
        self.gateway.send(&Request::get(target).cookie(cookie))
    }
}
