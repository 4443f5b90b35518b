//! A gateway with a recording upstream and alice, who has the role `staff`.

use crate::{
    gateway::Gateway,
    login::{self, Login},
    request::Request,
    response::Response,
    upstream::Upstream,
};
use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// The password of every account that the fixtures make.
pub const PASSWORD: &str = "correct horse battery staple 7";

/// Routes of the standard site. `pub.test` and `adm.test` are its virtual hosts.
pub const ROUTES: &str = r#"
[[routes]]
path = "/*"
upstream = "api"

[[routes]]
path = "/public/*"
upstream = "api"
policy = "public"

[[routes]]
path = "/admin/*"
upstream = "api"
policy = { roles = ["admin"] }

[[routes]]
path = "/staff/*"
upstream = "api"
policy = { roles = ["staff"] }

[[routes]]
host = "pub.test"
path = "/*"
upstream = "api"
policy = "public"

[[routes]]
host = "adm.test"
path = "/*"
upstream = "api"
policy = { roles = ["admin"] }
"#;

/// A gateway, what is behind it, and alice.
pub struct Site {
    /// The gateway.
    pub gateway: Gateway,
    /// What is behind it.
    pub upstream: Upstream,
    /// alice's login.
    pub alice: Login,
}

/// The configuration before an upstream at this origin, with more lines behind it.
/// `[server]` comes first: lines for it are given in `server`.
pub fn config(upstream: &str, server: &str, more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n\n[strategies.local]\nkind = \"local\"\n\n\
         [upstreams.api]\nurls = [\"{upstream}\"]\n{more}\n"
    )
}

impl Site {
    /// The standard site, for this test alone.
    #[track_caller]
    pub fn own() -> Self {
        Self::before(Upstream::start(), "", ROUTES)
    }

    /// Before this upstream, with lines for `[server]` and behind `[upstreams.api]`.
    #[track_caller]
    pub fn before(upstream: Upstream, server: &str, more: &str) -> Self {
        let gateway = Gateway::start(&config(&upstream.url(), server, more));
        gateway.add_user("alice", PASSWORD, &["--email", "alice@example.org", "--role", "staff"]);
        let alice = login::login(&gateway, "alice", PASSWORD);
        Self { gateway, upstream, alice }
    }

    /// The standard site, shared by all tests that change nothing in it.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Site> = OnceLock::new();
        SHARED.get_or_init(Self::own)
    }

    /// Sends on a connection of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        self.gateway.send(request)
    }

    /// A GET by alice's cookie.
    pub fn as_alice(&self, target: &str) -> Request {
        Request::get(target).cookie(&self.alice.cookie)
    }
}

/// A word that no other request carries, to find it again at a shared upstream.
pub fn mark() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("mark-{}-end", NEXT.fetch_add(1, Ordering::Relaxed))
}
