//! The configuration file, as `contract.md` section 3 has it: read from a spanned TOML
//! tree, checked table by table with every problem collected, and resolved into
//! [`Config`], which cannot be wrong.
//!
//! What may not come in: anything that runs. No sockets, no store, no strategies.

use ipnet::IpNet;
use portcullis_plugin_api::Object;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// The checked configuration. Paths are absolute, defaults are filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: Store,
    /// `[endpoints]`
    pub endpoints: Endpoints,
    /// `[login]`
    pub login: Login,
    /// `[session]`
    pub session: Session,
    /// `[token]`
    pub token: Token,
    /// `[accounts]`
    pub accounts: Accounts,
    /// `[lockout]`
    pub lockout: Lockout,
    /// `[strategies.ID]`, in the order of the file
    pub strategies: Vec<Strategy>,
    /// `[upstreams.ID]`
    pub upstreams: Vec<Upstream>,
    /// `[[routes]]`
    pub routes: Vec<Route>,
    /// `[identity_headers]`
    pub identity_headers: HeaderTable,
    /// `[identity_headers] strip`
    pub strip_headers: Vec<String>,
    /// `[assertion]`
    pub assertion: Assertion,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens; at least one.
    pub listen: Vec<SocketAddr>,
    /// One origin without a path and without a trailing slash, lower case: `https://gw.example.com`.
    pub public_url: PublicUrl,
    /// More host names that it answers to, lower case, without ports.
    pub hosts: Vec<String>,
    /// CIDRs whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Data-plane threads.
    pub threads: usize,
    /// How long what is in flight may take after SIGTERM.
    pub drain: Duration,
    /// `public_url` is http on a host that is not loopback, on purpose.
    pub danger_plaintext: bool,
}

/// An origin, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `http://127.0.0.1:8080`
    pub origin: String,
    /// Whether the scheme is https: it alone decides cookie names and `Secure`.
    pub https: bool,
    /// The host without port, lower case (an IPv6 address in brackets).
    pub host: String,
    /// The port, also when it is the scheme's own.
    pub port: u16,
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// The SQLite file.
    pub path: PathBuf,
    /// Where the key that seals is.
    pub key: StoreKey,
}

/// `[store] key`
#[derive(Clone)]
pub enum StoreKey {
    /// The default: a file beside the store, made with it.
    File(PathBuf),
    /// Given in the configuration. Base64 or hex is not interpreted: the text is stretched as it is.
    Given(Secret),
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given(…)"),
        }
    }
}

/// A secret value; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Not for logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// `[endpoints]`: paths in normal form, without a trailing slash.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// `/login`
    pub login: String,
    /// `/logout`
    pub logout: String,
    /// `/auth`
    pub auth: String,
}

/// `[login]`
#[derive(Clone, Debug)]
pub struct Login {
    /// The strategy of `POST {login}`: the one named, else the only one, else `local`.
    pub default: Option<String>,
    /// What the pages call the site.
    pub title: String,
}

/// `[session]`
#[derive(Clone, Debug)]
pub struct Session {
    /// The stem of the cookie names.
    pub cookie: String,
    /// How long a session lives without use.
    pub idle: Duration,
    /// How long it lives at most.
    pub lifetime: Duration,
    /// `SameSite` of the session cookie.
    pub same_site: SameSite,
}

/// `SameSite`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// `Lax`
    Lax,
    /// `Strict`
    Strict,
}

/// `[token]`
#[derive(Clone, Debug)]
pub struct Token {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// How long an access token lives when the login does not ask otherwise.
    pub lifetime: Duration,
    /// The most that a login may ask for.
    pub max_lifetime: Duration,
    /// `Authorization` schemes that carry our tokens, compared without case.
    pub schemes: Vec<String>,
}

/// `[accounts]`
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Names of the field that says who signs in.
    pub identifiers: Vec<String>,
    /// The strategy whose accounts have bare names; default: the default strategy.
    pub bare_names: Option<String>,
}

/// `[lockout]`
#[derive(Clone, Debug)]
pub struct Lockout {
    /// Failures of one account from one client network that lock that pair.
    pub failures: u32,
    /// Within this time.
    pub window: Duration,
    /// For this long.
    pub duration: Duration,
    /// Failures a minute from one address, whatever the account.
    pub per_address: u32,
}

/// `[strategies.ID]`
#[derive(Clone, Debug)]
pub struct Strategy {
    /// The `:strategy` of the URL.
    pub id: String,
    /// Which module implements it.
    pub kind: String,
    /// What its button says; default: the id with a capital.
    pub title: String,
    /// Whether the gateway refuses to start without it.
    pub required: bool,
    /// The kind's own keys.
    pub settings: Object,
}

/// `[upstreams.ID]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name.
    pub id: String,
    /// Where it is: host (name or address, IPv6 without brackets) and port, over plain http. Exactly one for now.
    pub urls: Vec<(String, u16)>,
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// To the first byte of the answer.
    pub response_timeout: Duration,
    /// Between bytes of an answer.
    pub idle_timeout: Duration,
    /// Whether the client's `Host` goes upstream.
    pub preserve_host: bool,
}

/// `[[routes]]`
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in messages.
    pub id: String,
    /// Lower case, without port; none: any.
    pub host: Option<String>,
    /// What it covers.
    pub path: RoutePath,
    /// Upper-case method names, `HEAD` added where `GET` is; none: all.
    pub methods: Option<Vec<String>>,
    /// Which upstream.
    pub upstream: String,
    /// Who may.
    pub policy: Policy,
    /// What is cut off the front of the path before it goes upstream, in normal form.
    pub strip_prefix: Option<String>,
    /// Replaces the common table: `Some(empty)` for `false`.
    pub identity_headers: Option<HeaderTable>,
    /// How the upstream gets its assertion.
    pub assertion: AssertionMode,
    /// `%2F` stays one opaque part of a segment.
    pub keep_encoded_slash: bool,
    /// The client's `Authorization` goes upstream (never a token of ours).
    pub forward_authorization: bool,
    /// Answers to signed-in requests keep `public` and `s-maxage`.
    pub shared_cache: bool,
}

/// The path of a route, in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutePath {
    /// This path alone.
    Exact(String),
    /// `/x/*` is `Prefix("/x")`: `/x` and everything below; `/*` is `Prefix("")`.
    Prefix(String),
}

/// Who may use a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody.
    Public,
    /// Anybody who has signed in.
    SignedIn,
    /// Signed in, and with one of these roles.
    Roles(Vec<String>),
}

/// Where the assertion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionMode {
    /// In the header of `[assertion]`.
    Header,
    /// As `Authorization: Bearer`.
    Authorization,
    /// Nowhere.
    Off,
}

/// Header name as written → account path (`name`, `display_name`, `email`, `roles`, `uuid`, `app.…`, `metadata.…`, `strategy`).
pub type HeaderTable = BTreeMap<String, String>;

/// `[assertion]`
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The header's name.
    pub header: String,
    /// How long one is valid.
    pub lifetime: Duration,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// The header block, with the request line.
    pub header_bytes: usize,
    /// How many header fields.
    pub headers: usize,
    /// The request line.
    pub request_line: usize,
    /// The body of an endpoint request.
    pub login_body: usize,
    /// Nesting of a JSON body.
    pub json_depth: usize,
    /// Fields of a body.
    pub json_fields: usize,
    /// Open client connections; none: from the descriptor limit.
    pub connections: Option<usize>,
    /// Open connections of one client address.
    pub per_address_connections: Option<usize>,
    /// From accept or the first byte to the end of the head.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Without a byte of a body.
    pub body_stall: Duration,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// None: text on a terminal, else JSON.
    pub format: Option<LogFormat>,
    /// The least severe level that is written.
    pub level: Level,
    /// Whether each request is a line.
    pub access: bool,
}

/// `[log] format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// For machines.
    Json,
}

/// `[log] level`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `info`
    Info,
    /// `debug`
    Debug,
    /// `trace`
    Trace,
}

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `portcullis.toml:12:3`, or the name of the environment variable or flag.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Where to look, in this order: `flag`, `$PORTCULLIS_CONFIG`, `./portcullis.toml`,
/// `/etc/portcullis/portcullis.toml`. The error says all places that were tried.
pub fn find(_flag: Option<PathBuf>, _env: &[(String, String)]) -> Result<PathBuf, String> {
    Err("not written".into())
}

/// Reads `file`, lays the `PORTCULLIS_TABLE__KEY` variables of `env` over it, and checks
/// the whole. All problems are reported at once.
pub fn load(_file: &std::path::Path, _env: &[(String, String)]) -> Result<Config, Vec<Problem>> {
    Err(Vec::new())
}

/// The same for text that is not in a file (the demo).
pub fn parse(
    _text: &str,
    _file: &std::path::Path,
    _env: &[(String, String)],
) -> Result<Config, Vec<Problem>> {
    Err(Vec::new())
}
