//! What works and what does not, step by step, in the order of a login.

use crate::{OAuth, settings::ClientAuth, trouble::Stop};
use portcullis_openid::Trouble;
use portcullis_plugin_api::Step;

/// What is said of a code once it is clear who asks (the second is GitHub's word).
const ABOUT_THE_CODE: [&str; 3] = ["invalid_grant", "bad_verification_code", "expired_token"];

impl OAuth {
    pub(crate) async fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let endpoints = match &self.provider {
            None => self.endpoints().await,
            Some(provider) => {
                let found = self.endpoints().await;
                let detail = format!("the metadata of {}", provider.issuer());
                steps.push(step("discovery", found.as_ref().map(|_| detail).map_err(Clone::clone)));
                if found.is_ok() {
                    let keys = provider.keys().await.and_then(|keys| match keys.len() {
                        0 => Err(Trouble::Invalid("none of its keys can verify a signature here".into())),
                        n => Ok(format!("{n} keys that verify signatures")),
                    });
                    steps.push(step("keys", keys));
                } else {
                    steps.push(untried("keys"));
                }
                found
            }
        };
        match endpoints {
            Ok(endpoints) => steps.push(self.try_client(&endpoints.token).await),
            Err(_) => steps.push(untried("client")),
        }
        steps.push(Step {
            name: "registration".into(),
            ok: None,
            detail: format!("the client `{}` must be registered with this gateway's redirect URL, which `portcullis check` prints", self.settings.client_id),
            advice: Some(self.settings.preset.register.to_owned()), claims: None });
        steps
    }

    /// A code that nobody gave: who we are is judged before it is.
    async fn try_client(&self, token: &url::Url) -> Step {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", "portcullis-strategy-test"),
            ("code_verifier", "portcullis-strategy-test-portcullis-strategy-test"),
            ("redirect_uri", "https://portcullis.invalid/callback"),
        ];
        let how = match self.settings.client_auth {
            ClientAuth::Basic => "basic",
            ClientAuth::Post => "post",
            ClientAuth::PrivateKeyJwt => "private_key_jwt",
            ClientAuth::Tls => "tls",
            ClientAuth::None => "none",
        };
        let name = "client".to_owned();
        match self.tokens(token, &form, None).await {
            Err(Stop::Denied(code))
                if ["invalid_client", "unauthorized_client", "incorrect_client_credentials"]
                    .contains(&code.as_str()) =>
            {
                Step {
                    name,
                    ok: Some(false),
                    detail: format!(
                        "the provider does not accept who we are ({code}, client_auth = \"{how}\")"
                    ),
                    advice: Some(
                        "compare client_id, client_secret and client_auth with the registration there".into(),
                    ),
                    claims: None,
                }
            }
            Err(Stop::Denied(code)) if ABOUT_THE_CODE.contains(&code.as_str()) => Step {
                name,
                ok: Some(true),
                detail: format!("the provider knows us: a made-up code is answered {code}"),
                advice: None,
                claims: None,
            },
            // It may not have looked at who we are before it found this.
            Err(Stop::Denied(code)) => Step {
                name,
                ok: None,
                detail: format!(
                    "the provider answers a made-up code with {code}, which does not say whether it knows us"
                ),
                advice: Some("sign in once to find out".into()),
                claims: None,
            },
            Ok(_) => step(&name, Err(Trouble::Invalid("it gives tokens for a made-up code".into()))),
            Err(Stop::Trouble(trouble)) => step(&name, Err(trouble)),
        }
    }
}

fn step(name: &str, found: Result<String, Trouble>) -> Step {
    let name = name.to_owned();
    match found {
        Ok(detail) => Step { name, ok: Some(true), detail, advice: None, claims: None },
        Err(trouble) => {
            let advice = match &trouble {
                Trouble::Unreachable(_) => {
                    "look whether this machine reaches the provider: name, route, firewall, its certificate's authority (tls.ca)"
                }
                Trouble::Invalid(_) => {
                    "compare `issuer` with `issuer` in the provider's own metadata, letter for letter"
                }
            };
            Step {
                name,
                ok: Some(false),
                detail: trouble.to_string(),
                advice: Some(advice.into()),
                claims: None,
            }
        }
    }
}

fn untried(name: &str) -> Step {
    Step { name: name.into(), ok: None, detail: "not tried".into(), advice: None, claims: None }
}
