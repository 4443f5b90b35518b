//! What a strategy is asked.

use crate::{Claims, Subject, wire};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::IpAddr};

/// The circumstances of every call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Ties log lines of the strategy to the request.
    #[serde(default)]
    pub request_id: String,
    /// The configured instance, the `:strategy` of the URL.
    #[serde(default)]
    pub strategy: String,
    /// Where the person is.
    pub client_ip: IpAddr,
    /// What their browser calls itself, at most 256 bytes.
    #[serde(default)]
    pub user_agent: String,
    /// The `Accept-Language` of their browser, at most 256 bytes.
    #[serde(default)]
    pub locale: String,
}

impl Call {
    /// A call about which no more is known.
    pub fn new(request_id: impl Into<String>, strategy: impl Into<String>, client_ip: IpAddr) -> Self {
        let (request_id, strategy) = (request_id.into(), strategy.into());
        Self { request_id, strategy, client_ip, user_agent: String::new(), locale: String::new() }
    }
}

/// The first step of a login. An empty form asks what the form should be.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Begin {
    /// The fields of the body; `username` holds who wants to sign in, whatever the field was called.
    pub form: BTreeMap<String, String>,
    /// What the gateway keeps of this person for this strategy, if it found any.
    pub credential: Option<StoredCredential>,
    /// Where a provider is to send the person back: `{public_url}{login}/:strategy/callback`.
    pub resume_url: String,
    /// The one-time value that the provider must send back as `state`. The gateway makes
    /// and checks it.
    pub state: String,
    /// Who is expected to sign in, if somebody said so.
    pub login_hint: Option<String>,
}

/// How a further step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The person came back from a provider.
    Redirect,
    /// They filled in a form.
    Form,
}

/// A further step. The gateway has checked that it belongs to a login that this strategy
/// began in this browser, and that it is used once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Resume {
    /// The parameters of the query or the fields of the body.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What the strategy asked to be given back.
    #[serde(default, with = "wire::base64_text")]
    pub flow: Vec<u8>,
    /// How it came.
    pub via: Via,
    /// As in [`Begin::resume_url`].
    #[serde(default)]
    pub resume_url: String,
    /// A fresh one-time value for yet another step.
    #[serde(default)]
    pub state: String,
}

/// Look again at somebody who signed in a while ago. Answered with
/// [`Outcome::Authenticated`](crate::Outcome) (fresh claims, the next state) or
/// [`Outcome::Denied`](crate::Outcome): then the session ends.
#[derive(Clone, Serialize, Deserialize)]
pub struct Refresh {
    /// Who.
    pub subject: Subject,
    /// What the strategy last asked to be kept.
    #[serde(default, with = "wire::base64_text")]
    pub state: Vec<u8>,
}

/// Somebody signs out.
#[derive(Clone, Serialize, Deserialize)]
pub struct Logout {
    /// Who.
    pub subject: Subject,
    /// What the strategy last asked to be kept.
    #[serde(default, with = "wire::base64_text")]
    pub state: Vec<u8>,
    /// Where the provider may send the browser afterwards.
    #[serde(default)]
    pub return_url: String,
}

/// The answer to [`Logout`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogoutReply {
    /// Where the browser has to go to be signed out there as well.
    pub redirect: Option<String>,
}

/// A provider says that somebody has signed out there: the parameters of a back-channel
/// POST or of a front-channel GET, for the strategy to verify.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// The parameters as they came.
    pub params: BTreeMap<String, String>,
    /// Whether it came through the person's browser.
    pub front_channel: bool,
}

/// Which sessions a verified [`Notice`] ends. With both members set, both must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoticeReply {
    /// Those of this subject.
    pub subject: Option<Subject>,
    /// In which realm the subject is one.
    pub realm: String,
    /// Those of this login at the provider ([`Authenticated::provider_session`](crate::Authenticated)).
    pub provider_session: Option<String>,
    /// A value that makes the notice good for once, and how long it must be remembered.
    #[serde(with = "wire::once")]
    pub once: Option<(String, std::time::Duration)>,
}

/// A person changes their secret. Answered with
/// [`Outcome::Authenticated`](crate::Outcome) (and `renewed_secret` where the gateway
/// keeps one) or [`Outcome::Denied`](crate::Outcome) for a wrong `current`.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChangeSecret {
    /// Who.
    pub subject: Subject,
    /// What the gateway keeps of them for this strategy.
    #[serde(default)]
    pub credential: Option<StoredCredential>,
    /// The secret so far.
    #[serde(default)]
    pub current: String,
    /// The one to come.
    #[serde(default)]
    pub next: String,
    /// Words that the secret may not contain.
    #[serde(default)]
    pub about: Vec<String>,
}

/// An operator asks what works.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Diagnose {
    /// Somebody to look up.
    pub user: Option<String>,
}

/// One step of a diagnosis, in the order in which a login takes them. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was tried.
    pub name: String,
    /// Whether it worked; none: not tried, because an earlier step failed.
    #[serde(default)]
    pub ok: Option<bool>,
    /// What was found.
    #[serde(default)]
    pub detail: String,
    /// What to do about it.
    #[serde(default)]
    pub advice: Option<String>,
    /// What a login of this person would say of them, for the gateway to show which roles
    /// would result and whether it would let them in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
}

/// How a strategy does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "health", content = "message", rename_all = "snake_case")]
pub enum Health {
    /// As far as it knows, the next call will be answered.
    Healthy,
    /// It expects not to answer; the text is for the log and `/readyz`.
    Degraded(String),
}

/// A credential as the gateway keeps it.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredCredential {
    /// Whose it is.
    pub subject: Subject,
    /// What [`CredentialReply`](crate::CredentialReply) said to store.
    pub secret: String,
}

// Forms hold passwords, so `Debug` shows the names of their fields only.

impl fmt::Debug for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.form.keys().collect();
        f.debug_struct("Begin")
            .field("form", &fields)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.params.keys().collect();
        f.debug_struct("Resume").field("params", &fields).field("via", &self.via).finish_non_exhaustive()
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl fmt::Debug for Logout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logout").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.params.keys().collect();
        f.debug_struct("Notice").field("params", &fields).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChangeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeSecret").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredential").field("subject", &self.subject).finish_non_exhaustive()
    }
}
