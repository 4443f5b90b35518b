//! The compiled configuration that a request reads: made whole from a checked
//! [`Config`], swapped whole, never changed in place.

use crate::{
    proxy::{
        identity_headers::{HeaderSet, Protected},
        policy::Policy,
        route::RouteTable,
        upstream::{Place, Secure, Server},
    },
    sessions::CookieNames,
    tls::{ClientTls, ServerTls, Tls},
};
use ipnet::IpNet;
use portcullis_config::{self as config, Config};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Everything a request needs to know of the configuration.
pub struct Snapshot {
    /// What listeners speak; none: plain HTTP.
    pub tls: Option<Arc<ServerTls>>,
    /// Our own origin.
    pub public: config::PublicUrl,
    /// Where our endpoints are.
    pub endpoints: config::Endpoints,
    /// Host names that we answer to.
    pub hosts: HashSet<String>,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Names of our cookies.
    pub cookies: CookieNames,
    /// `SameSite` of the session cookie.
    pub same_site: config::SameSite,
    /// `Authorization` schemes that carry our tokens.
    pub schemes: Vec<String>,
    /// Other origins that may use endpoints and cookies.
    pub origins: Vec<String>,
    /// Whether any origin is listed anywhere: then answers depend on it.
    pub any_origins: bool,
    /// Which requests go where.
    pub routes: RouteTable,
    /// By index, as routes refer to them.
    pub upstreams: Vec<Upstream>,
    /// By index, as routes refer to them.
    pub header_sets: Vec<HeaderSet>,
    /// Names that a client may not send.
    pub protected: Protected,
    /// The assertion's header, and how long one is used before the next is made.
    pub assertion: Assertion,
    /// Limits on clients.
    pub limits: config::Limits,
    /// Old clients' names for endpoints.
    pub aliases: Vec<config::Alias>,
}

/// How assertions are sent.
pub struct Assertion {
    /// The header's name.
    pub header: String,
    /// After this much of its lifetime the next one is made.
    pub reuse: Duration,
}

/// Where requests go.
pub struct Upstream {
    /// Its name, the assertion's `aud`.
    pub id: String,
    /// Where it is; at least one.
    pub servers: Vec<Server>,
    /// How they are asked whether they are well.
    pub health: Option<config::Health>,
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// To the first byte of the answer.
    pub response_timeout: Duration,
    /// Between bytes of an answer.
    pub idle_timeout: Duration,
    /// Whether the client's `Host` goes upstream.
    pub preserve_host: bool,
}

/// One route, compiled.
pub struct Route {
    /// Its name in messages and logs.
    pub id: String,
    /// None: all.
    pub methods: Option<Vec<String>>,
    /// Index into [`Snapshot::upstreams`].
    pub upstream: usize,
    /// Who may.
    pub policy: Policy,
    /// Cut off the front of the path.
    pub strip_prefix: Option<String>,
    /// Index into [`Snapshot::header_sets`].
    pub header_set: usize,
    /// How the upstream gets its assertion.
    pub assertion: config::AssertionMode,
    /// Other origins that may use this route.
    pub origins: Vec<String>,
    /// A CORS preflight passes without identity.
    pub preflight: bool,
    /// `%2F` stays one opaque part of a segment.
    pub keep_encoded_slash: bool,
    /// The client's `Authorization` goes upstream.
    pub forward_authorization: bool,
    /// Answers to signed-in requests keep `public` and `s-maxage`.
    pub shared_cache: bool,
}

impl Snapshot {
    /// Compiles a configuration that has been checked.
    pub fn new(config: &Config, tls: &Tls) -> Self {
        let mut hosts: HashSet<String> = config.server.hosts.iter().cloned().collect();
        hosts.insert(config.server.public_url.host.clone());
        hosts.extend(config.routes.iter().filter_map(|r| r.host.clone()));
        let upstreams: Vec<Upstream> =
            config.upstreams.iter().map(|u| upstream(u, tls.upstreams.get(&u.id))).collect();
        let mut header_sets = vec![HeaderSet::new(&config.identity_headers)];
        let routes = config.routes.iter().map(|r| {
            let header_set = match &r.identity_headers {
                None => 0,
                Some(table) => {
                    header_sets.push(HeaderSet::new(table));
                    header_sets.len() - 1
                }
            };
            (r.host.clone(), r.path.clone(), Arc::new(route(r, &upstreams, header_set)))
        });
        let routes = RouteTable::new(routes.collect());
        let protected = Protected::new(header_sets.iter(), &config.strip_headers, &config.assertion.header);
        Self {
            tls: tls.server.clone(),
            public: config.server.public_url.clone(),
            endpoints: config.endpoints.clone(),
            hosts,
            trusted_proxies: config.server.trusted_proxies.clone(),
            cookies: CookieNames::new(&config.session.cookie, config.server.public_url.https),
            same_site: config.session.same_site,
            schemes: config.token.schemes.clone(),
            origins: config.server.origins.clone(),
            any_origins: !config.server.origins.is_empty()
                || config.routes.iter().any(|r| !r.origins.is_empty()),
            routes,
            upstreams,
            header_sets,
            protected,
            assertion: Assertion {
                header: config.assertion.header.clone(),
                reuse: config.assertion.lifetime / 2,
            },
            limits: config.limits.clone(),
            aliases: config.aliases.clone(),
        }
    }

    /// Takes over what is known of servers that were there before, so that a reload sends
    /// no request to one that is down.
    pub fn adopt(&mut self, before: &Self) {
        for upstream in &mut self.upstreams {
            let same = |old: &&Upstream| old.id == upstream.id && old.health == upstream.health;
            let Some(old) = before.upstreams.iter().find(same) else { continue };
            for server in &mut upstream.servers {
                let same = |old: &&Server| {
                    let there = (&old.place.host, old.place.port, old.secure.is_some());
                    there == (&server.place.host, server.place.port, server.secure.is_some())
                };
                if let Some(old) = old.servers.iter().find(same) {
                    server.condition = old.condition.clone();
                }
            }
        }
    }
}

fn server(url: &config::Url, tls: Option<&ClientTls>) -> Server {
    let config::Url { https, host, port } = url;
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let usual = if *https { 443 } else { 80 };
    let tls = https.then(|| tls.expect("TLS is loaded for every upstream with https"));
    let secure = tls.map(|tls| Secure {
        config: tls.config.clone(),
        name: tls.name_for(host).expect("that was looked at when it was loaded"),
    });
    Server {
        host_field: if *port == usual { bracketed } else { format!("{bracketed}:{port}") },
        place: Place { host: host.clone(), port: *port, setting: tls.map_or(0, |tls| tls.setting) },
        secure,
        condition: Arc::default(),
    }
}

fn upstream(upstream: &config::Upstream, tls: Option<&ClientTls>) -> Upstream {
    Upstream {
        id: upstream.id.clone(),
        servers: upstream.urls.iter().map(|url| server(url, tls)).collect(),
        health: upstream.health.clone(),
        connect_timeout: upstream.connect_timeout,
        response_timeout: upstream.response_timeout,
        idle_timeout: upstream.idle_timeout,
        preserve_host: upstream.preserve_host,
    }
}

fn route(route: &config::Route, upstreams: &[Upstream], header_set: usize) -> Route {
    let upstream = upstreams.iter().position(|u| u.id == route.upstream);
    Route {
        id: route.id.clone(),
        methods: route.methods.clone(),
        upstream: upstream.expect("a checked route names an upstream"),
        policy: Policy::new(&route.policy),
        strip_prefix: route.strip_prefix.clone(),
        header_set,
        assertion: route.assertion,
        origins: route.origins.clone(),
        preflight: route.preflight,
        keep_encoded_slash: route.keep_encoded_slash,
        forward_authorization: route.forward_authorization,
        shared_cache: route.shared_cache,
    }
}
