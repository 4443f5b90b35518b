//! The login strategy `oauth`: OpenID Connect and plain OAuth 2 providers, always by the
//! authorization code with PKCE, state and nonce; no switch weakens them.
//!
//! `settings.rs` the operator's keys (`reader.rs` reads them, `source.rs` whom we
//! ask, `presets.rs` what is known of providers) ·
//! `begin.rs` the person is sent away · `resume.rs` and comes back · `exchange.rs` codes
//! become tokens · `client_auth.rs` who we are · `possession.rs` proofs that a token is ours ·
//! `userinfo.rs` claims asked with a token · `github.rs` and `overage.rs` what is kept elsewhere ·
//! `claims.rs` claims to what the gateway reads · `refresh.rs` looking again (`rotated.rs` tokens in between) · `leave.rs`
//! signing out here and there (`give_back.rs` tokens) · `diagnose.rs` step by step · `kept.rs` what is handed over
//! to be given back · `secret.rs` text that is not shown ·
//! `advice.rs` what a no means for the operator.
//!
//! What may not come in: cookies, accounts, the store; a provider's words in a log.

mod advice;
mod begin;
mod claims;
mod client_auth;
mod diagnose;
mod exchange;
mod github;
mod give_back;
mod kept;
mod leave;
mod overage;
mod possession;
mod presets;
mod reader;
mod refresh;
mod resume;
mod rotated;
mod secret;
mod settings;
mod source;
mod trouble;
mod userinfo;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_openid::{Client, NotUsable, Provider, ProviderSettings, Trouble};
use portcullis_plugin_api::{
    Answer, Begin, Call, Diagnose, Health, Host, Logout, LogoutReply, Notice, NoticeReply, Object,
    Operations, Outcome, Refresh, Resume, SettingsProblem, StartError, Step, Strategy,
};
use settings::Settings;
use source::Source;
use url::Url;

/// A provider that people sign in with.
pub struct OAuth {
    settings: Settings,
    client: Client,
    /// None for plain OAuth 2.
    provider: Option<Provider>,
    host: Host,
    rotated: rotated::Rotated,
    leaving: give_back::Places,
}

/// Where the provider is asked what.
struct Endpoints {
    authorize: Url,
    token: Url,
    userinfo: Option<Url>,
    end_session: Option<Url>,
    revocation: Option<Url>,
    pushed: Option<Url>,
    requires_pushed: bool,
    requires_signed: bool,
    names_itself: bool,
}

impl Strategy for OAuth {
    const KIND: &'static str = "oauth";
    const OPERATIONS: Operations = Operations {
        resume: true,
        refresh: true,
        logout: true,
        notice: true,
        diagnose: true,
        ..Operations::NONE
    };

    async fn start(settings: Object, host: Host) -> Result<Self, StartError> {
        let settings = Settings::read(&settings).map_err(StartError::Settings)?;
        let client = Client::new(settings.http.clone()).map_err(not_usable)?;
        let provider = match &settings.source {
            Source::Plain { .. } => None,
            Source::OpenId { issuer, base } => Some(Provider::new(ProviderSettings {
                issuer: issuer.clone(),
                base: base.clone(),
                jwks_uri: None,
                algorithms: settings.algorithms.clone(),
                client: client.clone(),
                clock: host.now.clone(),
            })),
        };
        let (rotated, leaving) = (rotated::Rotated::default(), give_back::Places::default());
        Ok(Self { settings, client, provider, host, rotated, leaving })
    }

    async fn begin(&self, call: &Call, request: Begin) -> Answer<Outcome> {
        self.send_away(call, request).await
    }

    async fn resume(&self, call: &Call, request: Resume) -> Answer<Outcome> {
        self.come_back(call, request).await
    }

    async fn refresh(&self, call: &Call, request: Refresh) -> Answer<Outcome> {
        self.look_again(call, request).await
    }

    async fn logout(&self, call: &Call, request: Logout) -> Answer<LogoutReply> {
        self.sign_out(call, request).await
    }

    async fn notice(&self, _call: &Call, request: Notice) -> Answer<NoticeReply> {
        self.told(request).await
    }

    async fn diagnose(&self, _call: &Call, _request: Diagnose) -> Answer<Vec<Step>> {
        Ok(self.steps().await)
    }

    async fn health(&self, _call: &Call) -> Answer<Health> {
        let failure = self.provider.as_ref().and_then(Provider::failure);
        Ok(failure.map_or(Health::Healthy, |trouble| Health::Degraded(trouble.to_string())))
    }
}

impl OAuth {
    async fn endpoints(&self) -> Result<Endpoints, Trouble> {
        let (provider, source) = (&self.provider, &self.settings.source);
        let Some(provider) = provider else {
            let Source::Plain { authorize, token, userinfo } = source else {
                return Err(Trouble::Invalid("it was not started".into()));
            };
            return Ok(Endpoints {
                authorize: authorize.clone(),
                token: token.clone(),
                userinfo: Some(userinfo.clone()),
                end_session: None,
                revocation: None,
                pushed: None,
                requires_pushed: false,
                requires_signed: false,
                names_itself: false,
            });
        };
        let found = provider.metadata().await?;
        let lacking = |name: &str| Trouble::Invalid(format!("its metadata has no `{name}`"));
        Ok(Endpoints {
            authorize: found.authorize.clone().ok_or_else(|| lacking("authorization_endpoint"))?,
            token: found.token.clone().ok_or_else(|| lacking("token_endpoint"))?,
            userinfo: found.userinfo.clone(),
            end_session: found.end_session.clone(),
            revocation: found.revocation.clone(),
            pushed: found.pushed.clone(),
            requires_pushed: found.requires_pushed,
            requires_signed: found.requires_signed,
            names_itself: found.names_itself,
        })
    }

    /// Who is asked, as signed requests name it.
    fn audience(&self) -> String {
        match &self.settings.source {
            // A pattern names nobody: there the address of the tenant does.
            Source::OpenId { issuer, base } if issuer.contains('{') => base.as_str().to_owned(),
            Source::OpenId { issuer, .. } => issuer.clone(),
            Source::Plain { token, .. } => token.as_str().to_owned(),
        }
    }

    /// 256 unpredictable bits as 43 characters.
    fn random(&self) -> String {
        let mut bytes = [0; 32];
        (self.host.random)(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn now(&self) -> u64 {
        (self.host.now)()
    }
}

fn not_usable(why: NotUsable) -> StartError {
    let at = |key: &str, message: String| {
        let path = vec!["tls".to_owned(), key.to_owned()];
        StartError::Settings(vec![SettingsProblem { path, message, expected: None }])
    };
    match why {
        NotUsable::Ca(why) => at("ca", format!("`tls.ca` cannot be used: {why}")),
        NotUsable::Identity(why) => {
            at("certificate", format!("`tls.certificate` and `tls.key` cannot be used: {why}"))
        }
        NotUsable::System(why) => StartError::Failed(format!(
            "this machine has no authorities to check providers with ({why}): install ca-certificates, or set tls = {{ ca = \"…\" }}"
        )),
    }
}
