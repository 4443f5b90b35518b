//! What the gateway keeps of a login between its steps, sealed: the strategy's own bytes,
//! and how the login was asked for. The browser holds a one-time state and one cookie.

use super::{asked::Asked, body::Shape, who::store_failed};
use crate::{
    clock::UnixMillis,
    control::Ask,
    problem::{Code, Problem},
    sessions::{Found, Transport, hash_cookie},
    store::{NewFlow, TakenFlow},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::COOKIE;
use portcullis_plugin_api::{Field, FieldKind, Form, Via};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// How long a login may take from one step to the next.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);
/// How long posted parameters wait for the browser.
pub(super) const PARKED: Duration = Duration::from_secs(60);
/// The most bytes that a strategy may ask to be kept.
const MOST: usize = 4 * 1024;

const FLOW: &str = "login flow";
const POSTED: &str = "posted parameters";

/// A login under way.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    flow: String,
    shape: u8,
    browser: bool,
    transport: u8,
    lifetime: u64,
    /// Where the browser goes in the end.
    pub(super) return_to: String,
    /// Who was typed in, for the count of failures.
    pub(super) identifier: Option<String>,
    /// A form, to be shown again.
    form: Option<KeptForm>,
    /// The account and session that the login is to be linked to.
    link: Option<Link>,
}

/// Whom a login is to be linked to.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) account: String,
    pub(super) sid: String,
}

#[derive(Serialize, Deserialize)]
struct KeptForm {
    message: Option<String>,
    /// Name, kind, label, whether it must be filled in.
    fields: Vec<(String, String, String, bool)>,
}

/// The next step of a login, before it is kept.
pub(super) struct Step<'a> {
    pub(super) strategy: &'a str,
    pub(super) state: &'a str,
    pub(super) flow: &'a [u8],
    pub(super) asked: &'a Asked,
    pub(super) form: Option<&'a Form>,
}

impl Kept {
    /// The strategy's own bytes.
    pub(super) fn flow(&self) -> Vec<u8> {
        STANDARD.decode(&self.flow).unwrap_or_default()
    }

    /// The form of this step.
    pub(super) fn form(&self) -> Option<Form> {
        let kept = self.form.as_ref()?;
        let field = |(name, kind, label, required): &(String, String, String, bool)| Field {
            name: name.clone(),
            kind: match kind.as_str() {
                "username" => FieldKind::Username,
                "password" => FieldKind::Password,
                "new-password" => FieldKind::NewPassword,
                _ => FieldKind::Text,
            },
            label: label.clone(),
            required: *required,
        };
        let fields = kept.fields.iter().map(field).collect();
        Some(Form { fields, message: kept.message.clone(), ..Form::default() })
    }

    /// How the login was asked for. `form` is what this step brought.
    pub(super) fn asked(&self, form: BTreeMap<String, String>, not_text: Vec<String>) -> Asked {
        Asked {
            shape: match self.shape {
                0 => Shape::Json,
                1 => Shape::JsonApi,
                _ => Shape::Form,
            },
            browser: self.browser,
            identifier: self.identifier.clone().unwrap_or_default(),
            form,
            not_text,
            transport: match self.transport {
                0 => Transport::Both,
                1 => Transport::Cookie,
                _ => Transport::Token,
            },
            lifetime: Duration::from_secs(self.lifetime),
            return_to: self.return_to.clone(),
            link: self.link.clone(),
        }
    }
}

/// Keeps a step; answers with the `Set-Cookie` that binds it to this browser, if it is bound.
pub(super) async fn keep(ask: &Ask<'_>, step: Step<'_>) -> Result<Option<String>, Problem> {
    if step.flow.len() > MOST {
        tracing::warn!(strategy = step.strategy, "the strategy wants more than 4 KiB of a login kept");
        return Err(Code::StrategyUnavailable.into());
    }
    let asked = step.asked;
    let kept = Kept {
        flow: STANDARD.encode(step.flow),
        shape: match asked.shape {
            Shape::Json => 0,
            Shape::JsonApi => 1,
            Shape::Form => 2,
        },
        browser: asked.browser,
        transport: match asked.transport {
            Transport::Both => 0,
            Transport::Cookie => 1,
            Transport::Token => 2,
        },
        lifetime: asked.lifetime.as_secs(),
        return_to: asked.return_to.clone(),
        identifier: (!asked.identifier.is_empty()).then(|| asked.identifier.clone()),
        form: step.form.map(|form| KeptForm {
            message: form.message.clone(),
            fields: form
                .fields
                .iter()
                .map(|f| (f.name.clone(), f.kind.as_str().to_owned(), f.label.clone(), f.required))
                .collect(),
        }),
        link: asked.link.clone(),
    };
    // A client that reads JSON keeps the state itself, and may keep no cookies.
    let bound = step.form.is_none() || asked.browser;
    let value = bound.then(|| flow_cookie(ask).unwrap_or_else(|| ask.control.random.opaque()));
    let now = ask.control.clock.now();
    let flow = NewFlow {
        state: hash_cookie(step.state.as_bytes()),
        strategy: step.strategy.to_owned(),
        via: if step.form.is_some() { "form" } else { "redirect" },
        browser: value.as_ref().map(|value| hash_cookie(value.as_bytes())),
        network: network(ask.request.client),
        expires: now.plus(LIFETIME),
        flow: seal(ask, FLOW, &kept)?,
    };
    ask.control.store.insert_flow(flow, now).await.map_err(|error| store_failed(&error))?;
    Ok(value.map(|value| ask.cookies.set_flow(&value, LIFETIME)))
}

/// Takes a step, once; none: it is missing, foreign, used, over, or of another strategy.
pub(super) async fn take(
    ask: &Ask<'_>,
    strategy: &str,
    state: &str,
    via: Via,
) -> Result<Option<(Kept, Option<BTreeMap<String, String>>)>, Problem> {
    let browser = flow_cookie(ask).map(|value| hash_cookie(value.as_bytes()));
    let (state, now) = (hash_cookie(state.as_bytes()), ask.control.clock.now());
    let via = if via == Via::Form { "form" } else { "redirect" };
    let taken = ask.control.store.take_flow(state, strategy, via, browser, now).await;
    let Some(taken) = taken.map_err(|error| store_failed(&error))? else { return Ok(None) };
    opened(ask, &taken, now)
}

type Opened = Option<(Kept, Option<BTreeMap<String, String>>)>;

fn opened(ask: &Ask<'_>, taken: &TakenFlow, now: UnixMillis) -> Result<Opened, Problem> {
    let Some(kept) = open(ask, FLOW, &taken.flow)? else { return Ok(None) };
    match &taken.parked {
        None => Ok(Some((kept, None))),
        Some((_, until)) if *until <= now => Ok(None),
        Some((parked, _)) => Ok(open(ask, POSTED, parked)?.map(|parked| (kept, Some(parked)))),
    }
}

/// Puts a step back that was not decided, under the same state.
pub(super) async fn put_back(ask: &Ask<'_>, strategy: &str, state: &str, kept: &Kept) -> Result<(), Problem> {
    let now = ask.control.clock.now();
    let bound = kept.browser.then(|| flow_cookie(ask)).flatten();
    let flow = NewFlow {
        state: hash_cookie(state.as_bytes()),
        strategy: strategy.to_owned(),
        via: "form",
        browser: bound.map(|value| hash_cookie(value.as_bytes())),
        network: network(ask.request.client),
        expires: now.plus(LIFETIME),
        flow: seal(ask, FLOW, kept)?,
    };
    ask.control.store.insert_flow(flow, now).await.map_err(|error| store_failed(&error))
}

/// Parks what a provider posted; false: there is no such login, or it was posted before.
pub(super) async fn park(
    ask: &Ask<'_>,
    strategy: &str,
    state: &str,
    posted: &BTreeMap<String, String>,
) -> Result<bool, Problem> {
    let now = ask.control.clock.now();
    let sealed = seal(ask, POSTED, posted)?;
    let state = hash_cookie(state.as_bytes());
    let parked = ask.control.store.park(state, strategy, sealed, now.plus(PARKED), now).await;
    parked.map_err(|error| store_failed(&error))
}

/// The value of the flow cookie, if it is one that we gave.
fn flow_cookie(ask: &Ask<'_>) -> Option<String> {
    let fields = ask.request.headers.get_all(COOKIE).iter().map(|field| field.as_bytes());
    let Found::One(value) = ask.cookies.flow_value(fields) else { return None };
    let ours = value.len() == 43 && value.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b));
    ours.then(|| String::from_utf8_lossy(value).into_owned())
}

/// An IPv4 address, or the /64 of an IPv6 one: what one customer of a provider has.
fn network(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

fn seal(ask: &Ask<'_>, purpose: &str, value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let text = serde_json::to_vec(value).map_err(|_| Problem::from(Code::Internal))?;
    Ok(ask.control.store.sealer().map_err(no_key)?.seal(purpose, &text))
}

/// What was sealed under another key, as before a restored copy, is nobody's.
fn open<T: for<'d> Deserialize<'d>>(
    ask: &Ask<'_>,
    purpose: &str,
    sealed: &[u8],
) -> Result<Option<T>, Problem> {
    let plain = ask.control.store.sealer().map_err(no_key)?.open(purpose, sealed);
    Ok(plain.ok().and_then(|plain| serde_json::from_slice(&plain).ok()))
}

fn no_key(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "a login cannot be sealed");
    Code::StoreUnavailable.into()
}
