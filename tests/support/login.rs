//! Signing in, and what comes of it.

use crate::{gateway::Gateway, request::Request, response::Response, wait::until};
use serde_json::{Value, json};

/// A login that worked.
#[derive(Clone, Debug)]
pub struct Login {
    /// The `Cookie` header that carries the session.
    pub cookie: String,
    /// The access token.
    pub token: String,
    /// The superset answer.
    pub body: Value,
}

/// The request of a JSON login.
pub fn login_request(name: &str, password: &str) -> Request {
    Request::post("/login/local").json(&json!({ "username": name, "password": password }))
}

/// Tries.
#[track_caller]
pub fn try_login(gateway: &Gateway, name: &str, password: &str) -> Response {
    gateway.send(&login_request(name, password))
}

/// Signs in; panics when it does not work.
#[track_caller]
pub fn login(gateway: &Gateway, name: &str, password: &str) -> Login {
    // Hashes are made at the lowest priority and take ten seconds at most. On a machine that does
    // much else it can come to that; then nobody was refused.
    let answer = until("a login that is decided", || {
        let answer = try_login(gateway, name, password);
        (answer.status != 503 || answer.code() != "strategy_unavailable").then_some(answer)
    });
    let answer = answer.expect(200, "");
    let body = answer.json();
    let cookie = answer.cookie("portcullis").unwrap_or_else(|| panic!("no session cookie: {answer:?}"));
    let token = body["token"].as_str().unwrap_or_else(|| panic!("no token: {body}")).to_owned();
    Login { cookie: format!("portcullis={cookie}"), token, body }
}
