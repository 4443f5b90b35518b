//! What we speak to servers behind us: TLS 1.2 and 1.3 with certificates that are always
//! checked, by the system's authorities or by those of one file alone, and who we are
//! where a server asks. The certificate of a server is checked by rustls and webpki; there
//! is no way past that, and no code here decides about one.

use super::{
    certificate::{Chain, read_chain},
    provider,
};
use crate::clock::Clock;
use portcullis_config::{CaFile, Problem, Upstream};
use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{ServerName, UnixTime},
    sign::SingleCertAndKey,
    time_provider::TimeProvider,
};
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How the servers of one upstream are spoken to.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// For the handshake.
    pub config: Arc<ClientConfig>,
    /// Tells this from every other setting, also from the same one before a reload: a
    /// connection belongs to the one that it was made under.
    pub setting: u64,
    name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// The name that the certificate of a server at `host` must be made for. None: no
    /// certificate can be made for it.
    pub fn name_for(&self, host: &str) -> Option<ServerName<'static>> {
        self.name.clone().or_else(|| ServerName::try_from(host.to_owned()).ok())
    }
}

/// Makes them all, reading what the system believes once, and not before it is needed.
pub struct ClientMaker<'c> {
    clock: &'c Clock,
    system: Option<Arc<dyn ServerCertVerifier>>,
}

impl<'c> ClientMaker<'c> {
    /// Certificates are judged by this clock.
    pub fn new(clock: &'c Clock) -> Self {
        Self { clock, system: None }
    }

    /// Reads the files of an upstream. None: none of its urls is https.
    pub fn make(
        &mut self,
        upstream: &Upstream,
        file: &Path,
        warnings: &mut Vec<Problem>,
    ) -> Result<Option<ClientTls>, Problem> {
        if !upstream.urls.iter().any(|url| url.https) {
            return Ok(None);
        }
        let verifier = match &upstream.tls.ca {
            Some(ca) => only(ca)?,
            None => self.system(file)?,
        };
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(Wall(self.clock.clone())))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider has suites of both versions")
            // What rustls calls dangerous is to bring a verifier; these are its own.
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &upstream.tls.client {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let chain = Chain::load(files, &provider(), self.clock.now(), warnings)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(chain.key)))
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let named = |name: &str| {
            let none = |_| {
                problem(
                    file,
                    format!("[upstreams.{}]: no certificate can be made for \"{name}\"", upstream.id),
                )
            };
            ServerName::try_from(name.to_owned()).map_err(none)
        };
        let name = upstream.tls.server_name.as_deref().map(named).transpose()?;
        for url in upstream.urls.iter().filter(|url| url.https && name.is_none()) {
            named(&url.host)?;
        }
        static SETTINGS: AtomicU64 = AtomicU64::new(1);
        let setting = SETTINGS.fetch_add(1, Ordering::Relaxed);
        Ok(Some(ClientTls { config: Arc::new(config), setting, name }))
    }

    fn system(&mut self, file: &Path) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
        if let Some(known) = &self.system {
            return Ok(known.clone());
        }
        let verifier = rustls_platform_verifier::Verifier::new(provider()).map_err(|_| Problem {
            help: Some(
                "install them (on Debian: ca-certificates), or name a file: tls = { ca = \"ca.pem\" }".into(),
            ),
            ..problem(
                file,
                "this system has no certificate authorities to check https:// upstreams by".into(),
            )
        })?;
        Ok(self.system.insert(Arc::new(verifier)).clone())
    }
}

fn problem(file: &Path, message: String) -> Problem {
    Problem { place: file.display().to_string(), message, help: None, excerpt: None }
}

/// A verifier that believes the authorities of this file and no others.
pub(super) fn only(ca: &CaFile) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
    let wrong = |what: &str, help: Option<&str>| Problem {
        place: ca.place.clone(),
        message: format!("{}: {what}", ca.file.display()),
        help: help.map(str::to_owned),
        excerpt: None,
    };
    let chain = read_chain(&ca.file).map_err(|what| wrong(&what, None))?;
    if chain.is_empty() {
        let help = "it must hold PEM: -----BEGIN CERTIFICATE-----";
        return Err(wrong("holds no certificate", Some(help)));
    }
    let mut roots = RootCertStore::empty();
    for authority in chain {
        // One that is left out would be missed when it is needed, and nobody would know why.
        roots.add(authority).map_err(|_| wrong("one of its certificates is malformed", None))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier.build().map_err(|_| wrong("its certificates cannot be used", None))?;
    Ok(verifier)
}

/// The time by which certificates are judged.
#[derive(Debug)]
struct Wall(Clock);

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().0)))
    }
}

/// Why a connection could not be made or did not last, for the log.
pub fn reason(error: &io::Error) -> String {
    match tls_error(error) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is of no authority that is believed here".into()
        }
        Some(error @ Error::InvalidCertificate(_)) => match error.to_string() {
            text if text.contains("CaUsedAsEndEntity") => {
                "its certificate is an authority's own: the server needs one that the authority issued".into()
            }
            text => text.replace("invalid peer certificate", "its certificate does not hold"),
        },
        Some(Error::AlertReceived(alert)) => format!("it refused our side of TLS: {alert:?}"),
        Some(Error::InvalidMessage(_)) => "it does not speak TLS".into(),
        _ => error.to_string(),
    }
}

/// Whether the peer said after the handshake that it does not want us: in TLS 1.3 a
/// server judges our certificate when we have long begun to send (RFC 8446 §4.4.2.4).
pub fn is_refused(error: &io::Error) -> bool {
    matches!(tls_error(error), Some(Error::AlertReceived(_)))
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
