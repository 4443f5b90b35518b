//! Path and method to operation. What is not here is 404: endpoints of later issues, and
//! the names kept for later (contract section 5).

use crate::accounts::admin::path::{self, Which};
use http::Method;
use portcullis_config::Endpoints;

/// What an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    /// `{login}`
    Login,
    /// `{login}/:strategy`
    LoginAt(&'a str),
    /// `{login}/:strategy/callback`
    Callback(&'a str),
    /// `{login}/:strategy/backchannel-logout`
    BackChannel(&'a str),
    /// `{login}/:strategy/frontchannel-logout`
    FrontChannel(&'a str),
    /// `{logout}`
    Logout,
    /// `{auth}/current`
    Current,
    /// `{auth}/refresh`
    Refresh,
    /// `{auth}/sessions`
    Sessions,
    /// `{auth}/sessions/:sid`
    SessionAt(&'a str),
    /// `{auth}/sessions/:sid/end`
    SessionEnd(&'a str),
    /// `{auth}/token/check`
    TokenCheck,
    /// `{auth}/register`
    Register,
    /// `{auth}/recovery`
    Recovery,
    /// `{auth}/reset`
    Reset,
    /// `{auth}/verify-email`
    VerifyEmail,
    /// `{auth}/me`
    Me,
    /// `{auth}/password`
    Password,
    /// `{auth}/credentials`
    Credentials,
    /// `{auth}/credentials/:strategy`
    Credential(&'a str),
    /// `{auth}/credentials/:strategy/remove`
    CredentialRemove(&'a str),
    /// `/.well-known/change-password`
    ChangePassword,
    /// `{auth}/admin/users` and below
    Admin(Which<'a>),
    /// `{auth}/strategies`
    Strategies,
    /// `{auth}/jwks.json`, `/.well-known/jwks.json`
    Jwks,
}

impl Operation<'_> {
    /// `GET` stands for `HEAD` too.
    pub(super) fn methods(self) -> &'static [Method] {
        match self {
            Self::Login | Self::LoginAt(_) | Self::Callback(_) | Self::Logout => &[Method::GET, Method::POST],
            Self::Refresh => &[Method::POST, Method::DELETE],
            Self::Admin(which) => which.methods(),
            Self::SessionAt(_) => &[Method::DELETE],
            Self::SessionEnd(_) | Self::TokenCheck | Self::BackChannel(_) => &[Method::POST],
            Self::FrontChannel(_) | Self::Sessions | Self::Current | Self::Strategies | Self::Jwks => {
                &[Method::GET]
            }
            Self::Register | Self::Recovery | Self::Reset | Self::VerifyEmail => &[Method::GET, Method::POST],
            Self::Me => &[Method::GET, Method::PATCH, Method::POST],
            Self::Password => &[Method::PATCH, Method::POST],
            Self::Credential(_) => &[Method::DELETE],
            Self::CredentialRemove(_) => &[Method::POST],
            Self::Credentials | Self::ChangePassword => &[Method::GET],
        }
    }

    /// The value of `Allow`.
    pub(super) fn allow(self) -> String {
        let names = self.methods().iter().map(|method| match method.as_str() {
            "GET" => "GET, HEAD",
            name => name,
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// `path` is in normal form. `{login}` and `{logout}` come first: they may lie inside `{auth}`.
pub(super) fn find<'a>(path: &'a str, endpoints: &Endpoints) -> Option<Operation<'a>> {
    if let Some(rest) = below(path, &endpoints.login) {
        return match rest {
            "" => Some(Operation::Login),
            rest => at(&rest[1..]),
        };
    }
    if let Some(rest) = below(path, &endpoints.logout) {
        return rest.is_empty().then_some(Operation::Logout);
    }
    if path == "/.well-known/jwks.json" {
        return Some(Operation::Jwks);
    }
    if path == "/.well-known/change-password" {
        return Some(Operation::ChangePassword);
    }
    let rest = below(path, &endpoints.auth)?;
    if let Some(rest) = rest.strip_prefix("/credentials/") {
        return match rest.split_once('/') {
            None if !rest.is_empty() => Some(Operation::Credential(rest)),
            Some((id, "remove")) if !id.is_empty() => Some(Operation::CredentialRemove(id)),
            _ => None,
        };
    }
    match rest {
        "/register" => Some(Operation::Register),
        "/recovery" => Some(Operation::Recovery),
        "/reset" => Some(Operation::Reset),
        "/verify-email" => Some(Operation::VerifyEmail),
        "/me" => Some(Operation::Me),
        "/password" => Some(Operation::Password),
        "/credentials" => Some(Operation::Credentials),
        "/current" => Some(Operation::Current),
        "/refresh" => Some(Operation::Refresh),
        "/strategies" => Some(Operation::Strategies),
        "/jwks.json" => Some(Operation::Jwks),
        "/sessions" => Some(Operation::Sessions),
        "/token/check" => Some(Operation::TokenCheck),
        other => match other.strip_prefix("/admin") {
            Some(rest) => path::find(rest).map(Operation::Admin),
            None => session(other.strip_prefix("/sessions/")?),
        },
    }
}

/// What is at one session and below.
fn session(rest: &str) -> Option<Operation<'_>> {
    match rest.split_once('/') {
        None => Some(Operation::SessionAt(rest)),
        Some((sid, "end")) => Some(Operation::SessionEnd(sid)),
        Some(_) => None,
    }
}

/// What is at `:strategy` and below.
fn at(rest: &str) -> Option<Operation<'_>> {
    match rest.split_once('/') {
        None => Some(Operation::LoginAt(rest)),
        Some((id, "callback")) => Some(Operation::Callback(id)),
        Some((id, "backchannel-logout")) => Some(Operation::BackChannel(id)),
        Some((id, "frontchannel-logout")) => Some(Operation::FrontChannel(id)),
        Some(_) => None,
    }
}

/// What of `path` is left below `endpoint`: nothing, or text with a leading slash.
fn below<'a>(path: &'a str, endpoint: &str) -> Option<&'a str> {
    path.strip_prefix(endpoint).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_operations_and_everything_else_is_nothing() {
        let endpoints =
            Endpoints { login: "/api/auth/login".into(), logout: "/bye".into(), auth: "/api/auth".into() };
        let found = |path| find(path, &endpoints);
        assert_eq!(found("/api/auth/login"), Some(Operation::Login));
        assert_eq!(found("/api/auth/login/local"), Some(Operation::LoginAt("local")));
        assert_eq!(found("/api/auth/login/LOCAL"), Some(Operation::LoginAt("LOCAL")));
        assert_eq!(found("/api/auth/login/hub/callback"), Some(Operation::Callback("hub")));
        assert_eq!(found("/bye"), Some(Operation::Logout));
        assert_eq!(found("/api/auth/current"), Some(Operation::Current));
        assert_eq!(found("/api/auth/refresh"), Some(Operation::Refresh));
        assert_eq!(found("/api/auth/sessions"), Some(Operation::Sessions));
        assert_eq!(found("/api/auth/sessions/s-1"), Some(Operation::SessionAt("s-1")));
        assert_eq!(found("/api/auth/sessions/s-1/end"), Some(Operation::SessionEnd("s-1")));
        assert_eq!(found("/api/auth/token/check"), Some(Operation::TokenCheck));
        assert_eq!(found("/api/auth/strategies"), Some(Operation::Strategies));
        assert_eq!(found("/api/auth/jwks.json"), Some(Operation::Jwks));
        assert_eq!(found("/.well-known/jwks.json"), Some(Operation::Jwks));
        for nothing in [
            "/api/auth",
            "/api/auth/check",
            "/api/auth/sessions/s-1/x",
            "/api/auth/token",
            "/api/auth/credentials/",
            "/api/auth/credentials/local/x",
            "/api/auth/credentials//remove",
            "/api/auth/current/",
            "/api/auth/login/local/callback/x",
            "/api/auth/login/local/callbacks",
            "/api/auth/loginx",
            "/bye/now",
            "/login",
            "/",
        ] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
    }
}
