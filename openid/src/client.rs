//! The one HTTP client for calls to providers: a new connection for each call, HTTP/1.1,
//! no redirects, no proxy from the environment, no compressed bodies, one deadline from
//! the first look-up to the last byte, answers of at most 1 MiB, and no connection to an
//! address that only somebody else named (`address.rs`).
//!
//! A call is one future and drives its own connection: whoever drops it ends the call.

use crate::{Trouble, address};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{fmt, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;
use url::Url;

/// The longest answer.
const LONGEST: usize = 1024 * 1024;

/// The longest head of an answer, and the most fields in it.
const LONGEST_HEAD: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// How calls are made.
#[derive(Clone, Default)]
pub struct ClientSettings {
    /// How long one call may take in all.
    pub timeout: Duration,
    /// The only authorities that are believed, as PEM; none: those of the system.
    pub ca: Option<Vec<u8>>,
    /// Shown to servers that ask who we are.
    pub identity: Option<Identity>,
    /// The addresses that the operator wrote.
    pub written: Vec<Url>,
    /// Whether `http://` is spoken at all.
    pub plaintext: bool,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate and those between it and its authority.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// Which of the settings cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotUsable {
    /// The authorities.
    Ca(String),
    /// Our certificate or its key.
    Identity(String),
    /// There are no authorities on this system.
    System(String),
}

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    timeout: Duration,
    written: Arc<[address::Written]>,
    plaintext: bool,
    shows_itself: bool,
}

/// A call.
pub struct Request {
    method: Method,
    url: Url,
    fields: HeaderMap,
    body: Bytes,
}

/// What was answered.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    fields: HeaderMap,
    /// The body, in full.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET that wants JSON.
    pub fn get(url: &Url) -> Self {
        Self { method: Method::GET, url: url.clone(), fields: HeaderMap::new(), body: Bytes::new() }
            .with(header::ACCEPT, "application/json")
    }

    /// A POST of a form that wants JSON.
    pub fn post<'a>(url: &Url, form: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        Self { method: Method::POST, url: url.clone(), fields: HeaderMap::new(), body: body.into() }
            .with(header::ACCEPT, "application/json")
            .with(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    /// With a field. A value that no field can have is left out: the server will say what
    /// it misses.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(name == header::AUTHORIZATION);
            self.fields.insert(name, value);
        }
        self
    }
}

impl Reply {
    /// A field, if it is plain text.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.to_str().ok()
    }

    /// The media type, in small letters and without parameters.
    pub fn media_type(&self) -> String {
        let value = self.field("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether the body says it is JSON.
    pub fn is_json(&self) -> bool {
        let media = self.media_type();
        media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
    }
}

impl fmt::Debug for Reply {
    // Never the body: tokens are in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares what all calls share.
    pub fn new(settings: ClientSettings) -> Result<Self, NotUsable> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3 are what the provider has");
        let builder = match &settings.ca {
            Some(pem) => builder.with_root_certificates(roots(pem).map_err(NotUsable::Ca)?),
            None => builder.with_platform_verifier().map_err(|error| NotUsable::System(error.to_string()))?,
        };
        let shows_itself = settings.identity.is_some();
        let mut tls = match settings.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => with_identity(builder, &identity).map_err(NotUsable::Identity)?,
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let written: Vec<_> = settings.written.iter().filter_map(address::Written::of).collect();
        Ok(Self {
            tls: Arc::new(tls),
            timeout: settings.timeout,
            written: written.into(),
            plaintext: settings.plaintext,
            shows_itself,
        })
    }

    /// Whether it has a certificate of its own (RFC 8705 §5: such clients have endpoints of their own).
    pub(crate) fn shows_itself(&self) -> bool {
        self.shows_itself
    }

    /// An address out of somebody's metadata: https (http only where that is spoken), a
    /// host, no name and password, no fragment.
    pub fn address(&self, text: &str) -> Result<Url, Trouble> {
        let fits = |url: &Url| {
            (url.scheme() == "https" || (self.plaintext && url.scheme() == "http"))
                && url.host().is_some()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        };
        Url::parse(text)
            .ok()
            .filter(fits)
            .ok_or_else(|| Trouble::Invalid("it names an address that is not https".into()))
    }

    /// Makes a call and reads the whole answer.
    pub async fn call(&self, request: Request) -> Result<Reply, Trouble> {
        within(self.timeout, self.answer(request)).await?
    }

    async fn answer(&self, request: Request) -> Result<Reply, Trouble> {
        let url = self.address(request.url.as_str())?;
        let stream = self.connect(&url).await?;
        if url.scheme() == "http" {
            return exchange(stream, request, &url).await;
        }
        let name = url.host_str().unwrap_or_default();
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|_| Trouble::Invalid("its host has no name".into()))?;
        let connected = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
        exchange(connected.map_err(|error| unreachable("TLS", &error))?, request, &url).await
    }

    /// A connection to the first address that may be asked and accepts one.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Trouble> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().unwrap_or(443);
        let found = lookup_host((host, port)).await.map_err(|error| unreachable("its name", &error))?;
        let (may, refused): (Vec<_>, Vec<_>) =
            found.partition(|address| address::may_ask(url, address.ip(), &self.written));
        match first_open(may, self.timeout, TcpStream::connect).await {
            Some(Ok(stream)) => {
                // Small requests, one at a time: nothing is gained by waiting.
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Some(Err(error)) => Err(unreachable("no connection", &error)),
            None if refused.is_empty() => Err(Trouble::Unreachable("its name has no address".into())),
            None => Err(Trouble::Invalid(
                "it leads to an address of this machine or its network's own services".into(),
            )),
        }
    }
}

/// Waits for work that may be several calls, so long at most. It is boxed, so that whoever
/// waits is not as large as all of it.
pub fn within<T>(limit: Duration, work: impl Future<Output = T>) -> impl Future<Output = Result<T, Trouble>> {
    let work = Box::pin(work);
    let late = |_| Trouble::Unreachable("no whole answer in time".into());
    async move { tokio::time::timeout(limit, work).await.map_err(late) }
}

/// Connects to the first address that accepts. While there are others none gets all the
/// time there is: a network without a way out by IPv6 often swallows what is sent there.
async fn first_open<S, F>(
    addresses: Vec<SocketAddr>,
    timeout: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Option<std::io::Result<S>>
where
    F: Future<Output = std::io::Result<S>>,
{
    let (count, mut last) = (addresses.len(), None);
    let share = timeout / (2 * u32::try_from(count).unwrap_or(u32::MAX / 2).max(1));
    for (at, address) in addresses.into_iter().enumerate() {
        let connected = match at + 1 == count {
            true => connect(address).await,
            false => tokio::time::timeout(share, connect(address))
                .await
                .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())),
        };
        if connected.is_ok() {
            return Some(connected);
        }
        last = Some(connected);
    }
    last
}

fn unreachable(what: &str, error: &dyn fmt::Display) -> Trouble {
    Trouble::Unreachable(format!("{what}: {error}"))
}

/// Sends the request and reads the answer, driving the connection meanwhile.
async fn exchange<S>(stream: S, request: Request, url: &Url) -> Result<Reply, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LONGEST_HEAD).max_headers(MOST_FIELDS);
    let shaken = builder.handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| unreachable("HTTP", &error))?;
    let mut message = http::Request::new(Full::new(request.body));
    *message.method_mut() = request.method;
    *message.uri_mut() = url[url::Position::BeforePath..url::Position::AfterQuery]
        .parse()
        .map_err(|_| Trouble::Invalid("its address cannot be asked".into()))?;
    *message.headers_mut() = request.fields;
    let fields = message.headers_mut();
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    fields.insert(
        header::HOST,
        HeaderValue::from_str(host).map_err(|_| Trouble::Invalid("its host has no name".into()))?,
    );
    fields.insert(header::USER_AGENT, HeaderValue::from_static("portcullis"));
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let answered = async {
        let answer = sender.send_request(message).await.map_err(|error| unreachable("HTTP", &error))?;
        read(answer).await
    };
    drive(connection, answered).await
}

/// Runs both; the answer counts.
async fn drive<T>(connection: impl Future, answered: impl Future<Output = T>) -> T {
    let (connection, answered) = (std::pin::pin!(connection), std::pin::pin!(answered));
    let mut connection = Some(connection);
    let mut answered = answered;
    std::future::poll_fn(move |context| {
        if let Some(open) = connection.as_mut()
            && open.as_mut().poll(context).is_ready()
        {
            connection = None;
        }
        answered.as_mut().poll(context)
    })
    .await
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Result<Reply, Trouble> {
    let (head, body) = answer.into_parts();
    let coded = head.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if coded {
        return Err(Trouble::Invalid("it is compressed, which was not asked for".into()));
    }
    if head.status.is_redirection() {
        return Err(Trouble::Invalid("it is a redirect, which is not followed".into()));
    }
    if head.status.is_server_error() {
        return Err(Trouble::Unreachable(format!("it answers {}", head.status.as_u16())));
    }
    let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Trouble::Invalid("it is longer than 1 MiB".into())
        } else {
            unreachable("HTTP", &error)
        }
    })?;
    Ok(Reply { status: head.status, fields: head.headers, body: body.to_bytes().into() })
}

/// The authorities of this machine, as clients without a `ca` of their own believe them: equal
/// bytes are equal authorities.
pub fn system_authorities() -> Vec<u8> {
    rustls_native_certs::load_native_certs().certs.iter().flat_map(|one| one.to_vec()).collect()
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| format!("a certificate cannot be used: {error}"))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err("there is no certificate in it (PEM: `BEGIN CERTIFICATE`)".into()),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("it is no PEM file: {error}")),
    }
}

fn with_identity(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    identity: &Identity,
) -> Result<ClientConfig, String> {
    let chain = certificates(&identity.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|_| "there is no private key in it (PEM: `BEGIN PRIVATE KEY`)".to_owned())?;
    builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        let dead: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
        let good: SocketAddr = "192.0.2.1:443".parse().unwrap();
        let connect = |address: SocketAddr| async move {
            if address == dead {
                std::future::pending::<()>().await;
            }
            Ok(address)
        };
        let begun = Instant::now();
        let open = first_open(vec![dead, good], Duration::from_secs(8), connect).await;
        assert_eq!(open.unwrap().unwrap(), good);
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        let none = first_open(Vec::new(), Duration::from_secs(8), connect).await;
        assert!(none.is_none());
    }
}
