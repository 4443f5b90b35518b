//! Tokens that are good only with a proof that we have a key (DPoP, RFC 9449): one key
//! for each login, kept with its session.

use crate::{OAuth, kept, secret::Secret};
use http::HeaderName;
use portcullis_openid::{Proof, Request, Signer};
use url::Url;

/// A key of ours for one login.
pub(crate) struct Possession {
    signer: Signer,
    /// The private half, to keep.
    pub(crate) kept: Secret,
}

impl Possession {
    /// A new one.
    pub(crate) fn new() -> Self {
        let (signer, pkcs8) = Signer::generate();
        Self { signer, kept: kept::key_text(&pkcs8) }
    }

    /// One that was kept.
    pub(crate) fn of(kept: &Secret) -> Option<Self> {
        let signer = Signer::from_pkcs8(&kept::key_bytes(kept)?).ok()?;
        Some(Self { signer, kept: kept.clone() })
    }

    /// The request with its proof.
    pub(crate) fn prove(
        &self,
        oauth: &OAuth,
        request: Request,
        method: &str,
        url: &Url,
        access_token: Option<&str>,
        nonce: Option<&str>,
    ) -> Request {
        let jti = oauth.random();
        let proof =
            self.signer.proof(method, url, Proof { jti: &jti, now: oauth.now(), access_token, nonce });
        request.with(HeaderName::from_static("dpop"), &proof)
    }
}
