//! A person is sent to the provider. What their request said has no part in it, but for
//! who is expected to sign in, where the operator lets that pass.

use crate::{
    Endpoints, OAuth,
    exchange::json_answer,
    kept::{self, Flow},
    secret::Secret,
    settings::LoginHint,
    trouble::{self, Stop},
};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_openid::Trouble;
use portcullis_plugin_api::{Answer, Begin, Call, Outcome, Redirect};
use serde_json::{Value, json};
use url::Url;

impl OAuth {
    pub(crate) async fn send_away(&self, call: &Call, request: Begin) -> Answer<Outcome> {
        let endpoints = self.endpoints().await.map_err(trouble::error)?;
        let flow = Flow { verifier: Secret::new(self.random()), nonce: Secret::new(self.random()) };
        let asked = self.asked(&request, &flow);
        match self.address(&endpoints, asked).await {
            Ok(url) => Ok(Outcome::Redirect(Redirect { url: url.into(), flow: kept::bytes(&flow) })),
            Err(stop) => stop.answer(call),
        }
    }

    /// The parameters of a request for a login.
    fn asked(&self, request: &Begin, flow: &Flow) -> Vec<(String, String)> {
        let settings = &self.settings;
        let challenge = digest::digest(&digest::SHA256, flow.verifier.reveal().as_bytes());
        let mut asked: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: String| asked.push((name.to_owned(), value));
        add("response_type", "code".into());
        add("client_id", settings.client_id.clone());
        add("redirect_uri", request.resume_url.clone());
        add("scope", settings.scopes.join(" "));
        add("state", request.state.clone());
        add("code_challenge", URL_SAFE_NO_PAD.encode(challenge.as_ref()));
        add("code_challenge_method", "S256".into());
        if self.provider.is_some() {
            add("nonce", flow.nonce.reveal().to_owned());
        }
        if settings.form_post {
            add("response_mode", "form_post".into());
        }
        if let Some(prompt) = &settings.prompt {
            add("prompt", prompt.clone());
        }
        if let Some(age) = settings.max_age {
            add("max_age", age.as_secs().to_string());
        }
        if !settings.acr_values.is_empty() {
            add("acr_values", settings.acr_values.join(" "));
        }
        let hint = match &settings.login_hint {
            LoginHint::None => None,
            LoginHint::Text(text) => Some(text),
            LoginHint::PassedOn => request.login_hint.as_ref(),
        };
        if let Some(hint) = hint {
            add("login_hint", hint.clone());
        }
        asked.extend(settings.parameters.iter().cloned());
        asked
    }

    /// Where the browser goes: with all parameters, or with the name under which they
    /// were left (RFC 9126), or with them in a signed token (RFC 9101).
    async fn address(&self, endpoints: &Endpoints, mut asked: Vec<(String, String)>) -> Result<Url, Stop> {
        let client_id = ("client_id".to_owned(), self.settings.client_id.clone());
        if self.settings.jar || endpoints.requires_signed {
            let request = self.signed_request(&asked)?;
            // OpenID Connect Core §6.1 wants these two outside as well.
            asked.retain(|(name, _)| name == "response_type" || name == "scope");
            asked.extend([client_id.clone(), ("request".to_owned(), request)]);
        }
        if let Some(pushed) =
            endpoints.pushed.as_ref().filter(|_| self.settings.par || endpoints.requires_pushed)
        {
            asked = vec![client_id, ("request_uri".to_owned(), self.push(pushed, asked).await?)];
        } else if self.settings.par || endpoints.requires_pushed {
            return Err(Trouble::Invalid(
                "its metadata has no `pushed_authorization_request_endpoint`".into(),
            )
            .into());
        }
        let mut url = endpoints.authorize.clone();
        url.query_pairs_mut().extend_pairs(asked);
        Ok(url)
    }

    fn signed_request(&self, asked: &[(String, String)]) -> Result<String, Stop> {
        let signer = self.settings.signer.as_ref().ok_or_else(|| {
            Trouble::Invalid("it takes only signed requests, and there is no client_key to sign with".into())
        })?;
        let now = self.now() / 1000;
        let mut claims = json!({ "iss": self.settings.client_id, "aud": self.audience(), "iat": now, "nbf": now, "exp": now + 300, "jti": self.random() });
        for (name, value) in asked {
            claims[name.as_str()] = match name.as_str() {
                // A number there (OpenID Connect Core §6.1).
                "max_age" => value.parse::<u64>().map_or_else(|_| Value::from(value.as_str()), Value::from),
                _ => value.as_str().into(),
            };
        }
        Ok(signer.sign("oauth-authz-req+jwt", &claims))
    }

    async fn push(&self, url: &Url, mut asked: Vec<(String, String)>) -> Result<String, Stop> {
        // Who we are says the authentication; twice would be a repeated parameter.
        if self.settings.client_auth != crate::settings::ClientAuth::Basic {
            asked.retain(|(name, _)| name != "client_id");
        }
        let answer = json_answer(&self.client.call(self.authenticated(url, asked)).await?)?;
        let found = answer.get("request_uri").and_then(Value::as_str).filter(|uri| !uri.is_empty());
        Ok(found.ok_or_else(|| Trouble::Invalid("it took a request and gave it no name".into()))?.to_owned())
    }
}
