//! How we say who we are (OpenID Connect Core §9, RFC 8705): an assertion names the
//! issuer as its audience, so that no other endpoint can use it.

use crate::{OAuth, presets::Quirk, settings::ClientAuth};
use http::header;
use portcullis_openid::{Request, basic};
use serde_json::json;
use url::Url;

/// How long an assertion is good, in seconds.
const LIFETIME: u64 = 60;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl OAuth {
    /// A request of ours to an endpoint that wants to know who asks.
    pub(crate) fn authenticated(&self, url: &Url, mut form: Vec<(String, String)>) -> Request {
        let settings = &self.settings;
        let secret = settings.client_secret.as_ref().map(|secret| secret.reveal().to_owned());
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        let mut header = None;
        match settings.client_auth {
            ClientAuth::Basic => header = Some(basic(&settings.client_id, &secret.unwrap_or_default())),
            ClientAuth::Post => {
                let secret = match settings.preset.quirk {
                    Quirk::Apple => self.assertion(settings.team.as_deref().unwrap_or_default()),
                    _ => secret.unwrap_or_default(),
                };
                add("client_id", settings.client_id.clone());
                add("client_secret", secret);
            }
            ClientAuth::PrivateKeyJwt => {
                add("client_id", settings.client_id.clone());
                add("client_assertion_type", ASSERTION.to_owned());
                add("client_assertion", self.assertion(&settings.client_id));
            }
            ClientAuth::Tls | ClientAuth::None => add("client_id", settings.client_id.clone()),
        }
        let request = Request::post(url, form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        match header {
            Some(header) => request.with(header::AUTHORIZATION, &header),
            None => request,
        }
    }

    /// RFC 7523 §3, and Apple's secret, which is one too.
    fn assertion(&self, issuer: &str) -> String {
        let Some(signer) = &self.settings.signer else { return String::new() };
        let now = self.now() / 1000;
        let claims = json!({
            "iss": issuer,
            "sub": self.settings.client_id,
            "aud": self.audience(),
            "jti": self.random(),
            "iat": now,
            "exp": now + LIFETIME,
        });
        signer.sign("JWT", &claims)
    }
}
