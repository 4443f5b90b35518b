//! Calls over TLS with a server that looks at who calls (RFC 8705 §2): our certificate is
//! shown, and a server that cannot show its own is told nothing.

#![allow(clippy::unwrap_used)] // tests: a panic is the report

use portcullis_openid::{Client, ClientSettings, Identity, Request, Trouble};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use url::Url;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key, as PEM.
    fn issue(&self, host: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate: certificate.into(), key: key.serialize_pem().into() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        roots
    }
}

/// A server that answers with how many certificates it was shown; 0 is no answer at all.
async fn server(authority: &Authority, wants: bool) -> Url {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let identity = authority.issue("127.0.0.1");
    let chain = vec![CertificateDer::from_pem_slice(&identity.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&identity.key).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = if wants {
        let roots = Arc::new(authority.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}/token", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
            let mut room = [0; 4096];
            let Ok(1..) = stream.read(&mut room).await else { continue };
            let body = format!("{{\"shown\":{shown}}}");
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    url
}

async fn call(url: &Url, ca: &Authority, identity: Option<Identity>) -> Result<Vec<u8>, Trouble> {
    let settings = ClientSettings {
        timeout: Duration::from_secs(5),
        ca: Some(ca.pem.clone().into()),
        identity,
        written: vec![url.clone()],
        plaintext: false,
    };
    Client::new(settings).unwrap().call(Request::get(url)).await.map(|reply| reply.body)
}

#[tokio::test]
async fn a_server_that_wants_our_certificate_gets_it_and_one_that_does_not_is_shown_none() {
    let authority = Authority::new();
    let wants = server(&authority, true).await;
    let own = || Some(authority.issue("gw.test"));
    assert_eq!(call(&wants, &authority, own()).await, Ok(b"{\"shown\":1}".to_vec()));
    assert!(
        matches!(call(&wants, &authority, None).await, Err(Trouble::Unreachable(_))),
        "it refuses strangers"
    );
    let strangers = Some(Authority::new().issue("gw.test"));
    assert!(matches!(call(&wants, &authority, strangers).await, Err(Trouble::Unreachable(_))));
    let plain = server(&authority, false).await;
    assert_eq!(call(&plain, &authority, own()).await, Ok(b"{\"shown\":0}".to_vec()));
}

/// Row T-04 of the attack list.
#[tokio::test]
async fn a_server_that_another_authority_vouches_for_is_not_spoken_to() {
    let (authority, other) = (Authority::new(), Authority::new());
    let url = server(&authority, false).await;
    assert!(
        matches!(call(&url, &other, None).await, Err(Trouble::Unreachable(why)) if why.starts_with("TLS"))
    );
    // The right authority, and another name.
    let named = Url::parse(&url.as_str().replace("127.0.0.1", "localhost")).unwrap();
    assert!(
        matches!(call(&named, &authority, None).await, Err(Trouble::Unreachable(why)) if why.starts_with("TLS"))
    );
}
