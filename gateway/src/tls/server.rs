//! What a listener speaks: TLS 1.2 and 1.3, no early data, one of several certificates by
//! the name that the client asks for.

use super::{certificate::Chain, provider};
use crate::clock::UnixMillis;
use portcullis_config::{Certificate, Problem};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache},
    sign::CertifiedKey,
};
use std::sync::Arc;

/// Sessions that are remembered for resumption, in memory and by this configuration
/// only: a stolen file opens no recorded connection, and a reload forgets them. rustls
/// resumes a session under the name alone under which it began (RFC 6066 §3).
const RESUMABLE: usize = 4096;

/// What all TLS listeners are given.
pub struct ServerTls {
    /// For the handshake.
    pub config: Arc<ServerConfig>,
    chains: Arc<Chains>,
}

#[derive(Debug)]
struct Chains(Vec<Chain>);

impl ServerTls {
    /// Reads all certificates. All problems are reported at once.
    pub fn load(
        certificates: &[Certificate],
        now: UnixMillis,
        warnings: &mut Vec<Problem>,
    ) -> Result<Self, Vec<Problem>> {
        let provider = provider();
        let mut problems = Vec::new();
        let mut chains = Vec::new();
        for certificate in certificates {
            match Chain::load(certificate, &provider, now, warnings) {
                Ok(chain) => chains.push(chain),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let chains = Arc::new(Chains(chains));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider has suites of both versions")
            .with_no_client_auth()
            .with_cert_resolver(chains.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(RESUMABLE);
        config.max_early_data_size = 0;
        // Ours goes from the strongest down; a client's own may begin with its oldest habit.
        config.ignore_client_order = true;
        Ok(Self { config: Arc::new(config), chains })
    }

    /// Which certificate a client gets that asks for this name.
    pub fn choose(&self, name: Option<&str>) -> usize {
        self.chains.choose(name)
    }

    /// Whether a request for `host` belongs on a connection that was opened with the
    /// certificate `chosen`: not when another one was made for that host and this was not
    /// (RFC 9110 §7.4).
    pub fn serves(&self, chosen: usize, host: &str) -> bool {
        let chains = &self.chains.0;
        chains.len() == 1
            || chains.get(chosen).is_some_and(|chain| chain.covers(host))
            || !chains.iter().any(|chain| chain.covers(host))
    }
}

impl Chains {
    /// The first that was made for the name; without a name, or when none was, the first.
    fn choose(&self, name: Option<&str>) -> usize {
        name.and_then(|name| self.0.iter().position(|chain| chain.covers(name))).unwrap_or(0)
    }
}

impl ResolvesServerCert for Chains {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.get(self.choose(hello.server_name())).map(|chain| chain.key.clone())
    }
}
