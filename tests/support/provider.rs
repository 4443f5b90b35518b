//! A real OpenID provider, started once for all tests, and people who go there with curl
//! as their browser: it follows redirects and keeps cookies.

use crate::{
    certificates::Authority,
    gateway::Guard,
    program::root,
    services,
    wait::{PATIENCE, until},
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

/// The secret that every client there has.
pub const SECRET: &str = "gateway-secret-gateway-secret-32";

/// `oidc-provider` from npm, over HTTPS with a private authority.
pub struct Provider {
    /// Its issuer.
    pub issuer: String,
    /// The file with its authority.
    pub ca: String,
    _folder: TempDir,
    guard: Guard,
    child: Child,
}

impl Provider {
    /// The one of this test program; nothing after a loud word when it is not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Provider>> = OnceLock::new();
        SHARED.get_or_init(Self::own).as_ref()
    }

    /// One for a test alone, which does to it what others would suffer from.
    pub fn own() -> Option<Self> {
        let node = services::service("node")?;
        let here = root().join("tests/provider");
        if services::service("curl").is_none()
            || !services::required(&here.join("node_modules/oidc-provider"))
        {
            return None;
        }
        // Now and then Node does not come up on a machine that is busy.
        let started = (0..3).find_map(|_| Self::start(&node, &here));
        Some(started.expect("the provider says where it listens"))
    }

    fn start(node: &Path, here: &Path) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let authority = Authority::new();
        authority.issue(folder.path(), "op", &["127.0.0.1"]);
        let ca = authority.write(folder.path());
        let child = Command::new(node)
            .arg(here.join("provider.mjs"))
            .arg(folder.path())
            .env("NODE_NO_WARNINGS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let mut provider =
            Self { issuer: String::new(), ca, _folder: folder, guard: Guard::over(&child), child };
        let lines = BufReader::new(provider.child.stdout.take().expect("it is piped")).lines();
        let (says, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(issuer) = line.strip_prefix("listening on ") {
                    let _ = says.send(issuer.to_owned());
                }
            }
        });
        // Dropped, it is ended.
        provider.issuer = heard.recv_timeout(PATIENCE).ok()?;
        Some(provider)
    }

    /// It goes away.
    pub fn stop(&mut self) {
        // The guard first: it must not aim at a pid that is no longer ours.
        self.guard.leave();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Has something happen there, or asks what did: `tests/provider/fixture.mjs`.
    #[track_caller]
    pub fn fixture(&self, what: &str) -> Value {
        let answer = services::curl(&["--cacert", &self.ca, &format!("{}/fixture/{what}", self.issuer)]);
        serde_json::from_str(&answer.expect("curl is there")).expect("JSON")
    }

    /// An access token for somebody: for an audience a JWT, else opaque. `lifetime` is in
    /// seconds.
    #[track_caller]
    pub fn access_token(&self, client: &str, user: &str, lifetime: u32, audience: Option<&str>) -> String {
        let audience = audience.map(|audience| format!("&audience={audience}")).unwrap_or_default();
        let asked = format!("token?client={client}&user={user}&lifetime={lifetime}{audience}");
        self.fixture(&asked).as_str().expect("a token").to_owned()
    }

    /// Registers a client of this id for a strategy `op` of the gateway at `origin`.
    pub fn register(&self, id: &str, origin: &str, more: &Value) {
        let mut client = serde_json::json!({
            "client_name": id,
            "redirect_uris": [format!("{origin}/login/op/callback")],
            "post_logout_redirect_uris": [format!("{origin}/login")],
            "backchannel_logout_uri": format!("{origin}/login/op/backchannel-logout"),
            "backchannel_logout_session_required": true,
            "grant_types": ["authorization_code", "refresh_token"],
        });
        for (name, value) in more.as_object().expect("an object") {
            client[name.as_str()] = value.clone();
        }
        let url = format!("{}/reg", self.issuer);
        let body = client.to_string();
        let answer = services::curl(&[
            "--cacert",
            &self.ca,
            "-H",
            "content-type: application/json",
            "-d",
            &body,
            &url,
        ]);
        let answer = answer.expect("curl is there");
        assert!(answer.contains("\"client_id\""), "{answer}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Somebody with a browser of their own.
pub struct Person {
    folder: TempDir,
    ca: String,
}

/// Where they ended up.
#[derive(Debug)]
pub struct Page {
    /// The status of the last answer.
    pub status: u16,
    /// Its address.
    pub url: String,
    /// Its body.
    pub body: String,
}

impl Person {
    /// Somebody who believes this provider's authority.
    pub fn new(provider: &Provider) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made"), ca: provider.ca.clone() }
    }

    /// Goes there, and wherever that leads.
    #[track_caller]
    pub fn get(&self, url: &str) -> Page {
        self.go(url, &["-L"])
    }

    /// Goes there, and no further.
    #[track_caller]
    pub fn look(&self, url: &str) -> Page {
        self.go(url, &[])
    }

    /// Sends a form, and goes wherever that leads.
    #[track_caller]
    pub fn post(&self, url: &str, form: &[(&str, &str)]) -> Page {
        let fields: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut arguments = vec!["-L"];
        for field in &fields {
            arguments.extend(["--data-urlencode", field]);
        }
        self.go(url, &arguments)
    }

    #[track_caller]
    fn go(&self, url: &str, more: &[&str]) -> Page {
        let jar: PathBuf = self.folder.path().join("cookies");
        let jar = jar.display().to_string();
        let mut arguments = vec!["--cacert", &self.ca, "-b", &jar, "-c", &jar, "--max-redirs", "20"];
        // As a browser that a person sits at.
        arguments.extend(["-H", "Accept: text/html", "-H", "Sec-Fetch-Mode: navigate"]);
        arguments.extend(["-w", "\n%{http_code} %{url_effective}"]);
        arguments.extend(more);
        arguments.push(url);
        let all = services::curl(&arguments).expect("curl is there");
        let (body, last) = all.rsplit_once('\n').expect("the last line is ours");
        let (status, url) = last.split_once(' ').expect("status and address");
        Page { status: status.parse().expect("a number"), url: url.to_owned(), body: body.to_owned() }
    }

    /// Starts a login at the gateway and signs in at the provider.
    #[track_caller]
    pub fn sign_in(&self, gateway: &str, user: &str, return_to: &str) -> Page {
        let form = self.get(&format!("{gateway}/login/op?return_to={return_to}"));
        assert!(form.url.contains("/interaction/"), "the provider's own form: {form:?}");
        self.post(&form.url, &[("user", user), ("password", &format!("{user}-pass"))])
    }

    /// What the gateway says of them.
    #[track_caller]
    pub fn current(&self, gateway: &str) -> Value {
        serde_json::from_str(&self.look(&format!("{gateway}/auth/current")).body).expect("JSON")
    }

    /// A cookie that they keep.
    #[track_caller]
    pub fn cookie(&self, name: &str) -> String {
        let jar = std::fs::read_to_string(self.folder.path().join("cookies")).expect("they have cookies");
        let mut lines = jar.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let found = lines.find(|fields| fields.len() == 7 && fields[5] == name);
        found.unwrap_or_else(|| panic!("no cookie {name}: {jar}"))[6].to_owned()
    }

    /// Waits until they are signed out at the gateway.
    #[track_caller]
    pub fn signed_out(&self, gateway: &str) {
        until("the end of the session", || (self.current(gateway)["authenticated"] == false).then_some(()));
    }
}
