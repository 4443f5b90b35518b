//! A certificate chain and its key, read from two PEM files. Each thing that can be wrong
//! with them is one line: the file, and what is wrong.

use super::validity::{self, Validity};
use crate::clock::UnixMillis;
use portcullis_config::{Certificate, Problem};
use rustls::{
    client::verify_server_name,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use std::{io, path::Path, sync::Arc};

/// A chain that can be used.
#[derive(Debug)]
pub struct Chain {
    /// As rustls wants it.
    pub key: Arc<CertifiedKey>,
}

impl Chain {
    /// Reads both files.
    pub fn load(
        files: &Certificate,
        provider: &CryptoProvider,
        now: UnixMillis,
        warnings: &mut Vec<Problem>,
    ) -> Result<Self, Problem> {
        let wrong = |file: &Path, what: String, help: Option<&str>| Problem {
            place: files.place.clone(),
            message: format!("{}: {what}", file.display()),
            help: help.map(str::to_owned),
            excerpt: None,
        };
        let chain = read_chain(&files.certificate).map_err(|w| wrong(&files.certificate, w, None))?;
        let key = read_key(&files.key).map_err(|w| wrong(&files.key, w, None))?;
        let own = chain.first().ok_or_else(|| {
            wrong(
                &files.certificate,
                "holds no certificate".into(),
                Some("it must hold PEM: -----BEGIN CERTIFICATE-----"),
            )
        })?;
        let malformed = |_| wrong(&files.certificate, "the first certificate is malformed".into(), None);
        ParsedCertificate::try_from(own).map_err(malformed)?;
        warnings.extend(outdated(own, now).map(|what| wrong(&files.certificate, what, None)));
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => wrong(
                &files.key,
                format!("is not the key of {}", files.certificate.display()),
                Some("name the key that the certificate was made for"),
            ),
            _ => wrong(&files.key, "the private key cannot be used: RSA, ECDSA and Ed25519 can".into(), None),
        })?;
        Ok(Self { key: Arc::new(certified) })
    }

    /// Whether it was made for this host.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let Ok(name) = ServerName::try_from(host) else { return false };
        let own = self.key.cert.first().and_then(|own| ParsedCertificate::try_from(own).ok());
        own.is_some_and(|own| verify_server_name(&own, &name).is_ok())
    }
}

fn outdated(own: &CertificateDer<'_>, now: UnixMillis) -> Option<String> {
    let now = now.seconds();
    match validity::of(own) {
        Some(Validity { not_after, .. }) if not_after < now => {
            Some("the certificate has expired: it will be refused".into())
        }
        Some(Validity { not_before, .. }) if not_before > now => {
            Some("the certificate is not valid yet: it will be refused".into())
        }
        _ => None,
    }
}

/// All certificates of a PEM file.
pub fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(file)?;
    CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| malformed(&error))
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(file)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(&bytes, b"BEGIN ENCRYPTED PRIVATE KEY") => {
            "holds an encrypted key: it must be stored without a password".into()
        }
        pem::Error::NoItemsFound => "holds no private key".into(),
        error => malformed(&error),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        _ => format!("cannot be read: {error}"),
    })
}

/// Without the bytes of the file, which may be those of a key.
fn malformed(error: &pem::Error) -> String {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section begins wrongly",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be read as PEM",
    };
    format!("is malformed: {what}")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}
