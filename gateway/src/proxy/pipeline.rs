//! One request, every phase by name, in order. This is the page to read first.
//!
//! 1. `understand`   host and path in their one normal form, or 400 and 421
//! 2. `is_endpoint`  our own login, logout and auth paths go to the control plane
//! 3. `select`       host, longest path, method: the route, or 404 and 405
//!    (a CORS preflight that the route lets through goes to 7 at once, as nobody)
//! 4. `identify`     token or cookie: who, or nobody, or 401
//! 5. `check_origin` another site may not act with a person's cookie: 403
//! 6. `permit`       the route's policy: a `Permit`, or login, or 403
//! 7. `exchange`     with the permit in hand the request goes upstream
//!
//! All of it is decided before an upstream hears of the request.

use super::{
    authenticate::{Credentials, identify},
    cors::{Preflight, Readers},
    forwarded::Provenance,
    http1::head::{Head, Known},
    policy::{self, Circumstances, Permit},
    refuse::Refusal,
    route::RouteTable,
    target::{Authority, Target, is_loopback_name, normal_path},
    worker::Worker,
};
use crate::{
    clock::UnixMillis,
    origin::{self, Source},
    problem::{Code, Problem, is_navigation},
    snapshot::{Route, Snapshot},
    tls::ServerTls,
};
use std::{cell::RefCell, net::IpAddr, sync::Arc};

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
pub struct Peer<'a> {
    /// Its address.
    pub address: IpAddr,
    /// The same as text.
    pub text: &'a str,
    /// By TLS; none: plain.
    pub secured: Option<&'a Secured>,
    /// It came to a listener on loopback, so that loopback names are ours.
    pub on_loopback: bool,
}

/// What the handshake of a connection has settled.
#[derive(Clone)]
pub struct Secured {
    /// The certificates that there were.
    pub tls: Arc<ServerTls>,
    /// Which of them the client got.
    pub chosen: usize,
}

/// A request that has been understood.
pub struct Request<'a> {
    /// Its head.
    pub head: &'a Head,
    /// The bytes that the head's ranges refer to.
    pub bytes: &'a [u8],
    /// As it was sent.
    pub method: &'a str,
    /// In normal form.
    pub path: String,
    /// Holds `%2F`.
    pub encoded_slash: bool,
    /// As it was sent, without `?`.
    pub query: Option<&'a [u8]>,
    /// Host name in lower case, and port.
    pub host: Authority<'a>,
    /// Where it comes from.
    pub origin: Provenance,
    /// The peer, as text.
    pub peer_text: &'a str,
    /// Its id.
    pub id: String,
    /// When it came.
    pub now: UnixMillis,
    /// Which other pages may read what we answer; the route may add to them.
    pub readers: RefCell<Readers>,
}

/// What becomes of a request.
pub enum Decision {
    /// It goes upstream.
    Forward {
        /// Which way.
        route: Arc<Route>,
        /// By whose leave.
        permit: Permit,
        /// Its cookie opens nothing any more and is taken back.
        stale_cookie: bool,
    },
    /// It is one of our own endpoints.
    Endpoint,
}

impl<'a> Request<'a> {
    /// Whether it is a browser navigation (contract, section 1).
    pub fn is_navigation(&self) -> bool {
        let head = self.head;
        is_navigation(head.value(Known::SecFetchMode, self.bytes), head.value(Known::Accept, self.bytes))
    }

    /// Phase 1.
    pub fn understand(
        head: &'a Head,
        bytes: &'a [u8],
        peer: Peer<'a>,
        worker: &Worker,
        snapshot: &Snapshot,
    ) -> Result<Self, Problem> {
        let bad = |why: &'static str| Problem::from(Code::BadRequest).detail(why);
        let method =
            std::str::from_utf8(head.method.of_buffer(bytes)).map_err(|_| bad("the method is not ASCII"))?;
        let host = Authority::parse(head.host.of_buffer(bytes)).ok_or_else(|| bad("Host is not a host"))?;
        if !snapshot.routes.knows_method(method) {
            return Err(RouteTable::refuse_method());
        }
        let target = Target::parse(head.target.of_buffer(bytes), peer.secured.is_some())
            .ok_or_else(|| bad("the target is neither a path nor a URL of this scheme"))?;
        if let Some(authority) = target.authority
            && Authority::parse(authority).as_ref() != Some(&host)
        {
            return Err(bad("the target and Host name two hosts"));
        }
        let path = normal_path(target.path).map_err(|why| Problem::from(Code::BadPath).detail(why.0))?;
        let elsewhere = peer.secured.is_some_and(|s| !s.tls.serves(s.chosen, &host.host));
        if elsewhere || !snapshot.answers_to(&host.host, peer.on_loopback) {
            return Err(Code::Misdirected.into());
        }
        let encoded_slash = path.encoded_slash;
        let path = path.text.into_owned();
        let query = target.query;
        if query.is_some_and(|q| q.contains(&b'#')) {
            return Err(Problem::from(Code::BadPath).detail("the target holds a raw #"));
        }
        let socket = (peer.address, peer.secured.is_some());
        let mut origin = Provenance::of(head, bytes, socket, &snapshot.trusted_proxies);
        let id = origin.request_id.take().unwrap_or_else(|| worker.next_request_id());
        let now = worker.clock.now();
        let readers = Readers::of(head, bytes, None, snapshot).into();
        Ok(Self {
            head,
            bytes,
            method,
            path,
            encoded_slash,
            query,
            host,
            origin,
            peer_text: peer.text,
            id,
            now,
            readers,
        })
    }
}

/// Phases 2 to 6.
pub async fn decide(
    request: &Request<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
) -> Result<Decision, Refusal> {
    if snapshot.is_endpoint(&request.host.host, request.method, &request.path) {
        if request.encoded_slash {
            return Err(Problem::from(Code::BadPath).detail("the path holds %2F").into());
        }
        return Ok(Decision::Endpoint);
    }
    let preflight = Preflight::of(request.method, request.head, request.bytes);
    let route = select(request, snapshot, preflight.as_ref()).map_err(Refusal::from)?.clone();
    request.readers.replace(Readers::of(request.head, request.bytes, Some(&route), snapshot));
    let around = Circumstances { client: request.origin.client, method: request.method };
    if let Some(permit) = preflight.and_then(|p| policy::permit_preflight(&p, &route, around)) {
        return Ok(Decision::Forward { route, permit, stale_cookie: false });
    }
    let client = request.origin.client;
    let identified =
        identify(worker, snapshot, &route, request.head, request.bytes, client, request.now).await;
    let Credentials { identity, stale_cookie } = identified.map_err(Refusal::from)?;
    if identity.as_ref().is_some_and(|i| i.by_cookie) {
        check_origin(request, &route, snapshot).map_err(Refusal::from)?;
    }
    match route.policy.permit(identity, around) {
        Ok(permit) => Ok(Decision::Forward { route, permit, stale_cookie }),
        Err(Code::LoginRequired) => Err(login(request, snapshot, stale_cookie)),
        Err(code) => Err(Refusal { stale_cookie, ..Problem::from(code).into() }),
    }
}

/// Phase 3. A preflight of a route that takes the announced method but no OPTIONS, and
/// lets preflights through, takes that route.
fn select<'s>(
    request: &Request<'_>,
    snapshot: &'s Snapshot,
    preflight: Option<&Preflight<'_>>,
) -> Result<&'s Arc<Route>, Problem> {
    let select =
        |method| snapshot.routes.select(&request.host.host, &request.path, request.encoded_slash, method);
    let (problem, preflight) = match (select(request.method), preflight) {
        (Err(problem), Some(preflight)) if problem.code == Code::MethodNotAllowed => (problem, preflight),
        (selected, _) => return selected,
    };
    let announced = std::str::from_utf8(preflight.method).ok().and_then(|method| select(method).ok());
    announced.filter(|route| preflight.passes(route)).ok_or(problem)
}

/// Phase 5: what changes something must come from our own pages, or from listed ones.
fn check_origin(request: &Request<'_>, route: &Route, snapshot: &Snapshot) -> Result<(), Code> {
    let upgrades = request.head.value(Known::Upgrade, request.bytes).is_some();
    if !upgrades && matches!(request.method, "GET" | "HEAD" | "OPTIONS") {
        return Ok(());
    }
    let host = request.host.to_text();
    let source = Source {
        sec_fetch_site: origin::single(request.head.values(Known::SecFetchSite, request.bytes)),
        origin: origin::single(request.head.values(Known::Origin, request.bytes)),
        host: &host,
    };
    if origin::is_own(source, &snapshot.public, &[&snapshot.origins, &route.origins]) {
        Ok(())
    } else {
        Err(Code::ForeignOrigin)
    }
}

/// Nobody is signed in: a browser is sent to the login and comes back here, anything
/// else is told where it is.
fn login(request: &Request<'_>, snapshot: &Snapshot, stale_cookie: bool) -> Refusal {
    let login = &snapshot.endpoints.login;
    if request.is_navigation() && matches!(request.method, "GET" | "HEAD") {
        let mut back = request.path.clone();
        if let Some(query) = request.query.and_then(|q| std::str::from_utf8(q).ok()) {
            back.push('?');
            back.push_str(query);
        }
        let back: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
        return Refusal {
            location: Some(format!("{login}?return_to={back}")),
            stale_cookie,
            ..Code::LoginRequired.into()
        };
    }
    let login_url = Some(format!("{}{login}", snapshot.public.origin));
    let problem = Problem { login_url, ..Code::LoginRequired.into() };
    Refusal { stale_cookie, ..problem.into() }
}

impl Snapshot {
    /// Whether this gateway answers to a host name at all. Ports take no part.
    fn answers_to(&self, host: &str, on_loopback: bool) -> bool {
        self.hosts.contains(host) || (on_loopback && is_loopback_name(host))
    }

    /// Phase 2: paths of ours, which no route hides, and well-known ones, which an exact
    /// route does.
    fn is_endpoint(&self, host: &str, method: &str, path: &str) -> bool {
        let ours = [&self.endpoints.login, &self.endpoints.logout, &self.endpoints.auth];
        let inside = |root: &&String| {
            path.strip_prefix(root.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        if ours.iter().any(inside) || self.aliases.iter().any(|alias| alias.leads(method, path).is_some()) {
            return true;
        }
        let well_known = matches!(path, "/.well-known/jwks.json" | "/.well-known/change-password");
        well_known && !self.routes.has_exact(host, path)
    }
}
