//! How this end speaks TLS: whose certificates it believes, and its own.

use crate::settings::{ServerAt, Tls};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{path::Path, sync::Arc};

/// The machine's own certificates, or those of `tls.ca` and no others. The error names a
/// key of `tls` and says what is wrong.
pub(crate) fn config(tls: &Tls) -> Result<Arc<ClientConfig>, (&'static str, String)> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ("ca", error.to_string()))?;
    let builder = match &tls.ca {
        Some(path) => builder.with_root_certificates(roots(path).map_err(|why| ("ca", why))?),
        None => builder.with_platform_verifier().map_err(|error| ("ca", error.to_string()))?,
    };
    let config = match &tls.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = chain(certificate).map_err(|why| ("certificate", why))?;
            let key = private_key(key).map_err(|why| ("key", why))?;
            let joined = builder.with_client_auth_cert(chain, key);
            joined.map_err(|error| ("certificate", format!("does not go with the key: {error}")))?
        }
    };
    Ok(Arc::new(config))
}

/// The name that the certificate must have.
pub(crate) fn server_name(server: &ServerAt, tls: &Tls) -> Option<ServerName<'static>> {
    ServerName::try_from(tls.server_name.as_deref().unwrap_or(&server.host).to_owned()).ok()
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in chain(path)? {
        store.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(store)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(chain) if chain.is_empty() => Err(format!("{} holds no certificate", path.display())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let bytes = zeroize::Zeroizing::new(bytes);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}
