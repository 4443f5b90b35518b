//! What the fields of a login ask for, checked before anything is looked up.

use super::{
    body::{Body, Shape, malformed},
    kept::Link,
    return_to,
};
use crate::{accounts::name::fold, control::Ask, problem::Problem, sessions::Transport};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// The most bytes of a name or address with its ending.
const MAX_IDENTIFIER: usize = 320;

/// Fields that are the gateway's own and reach no strategy.
pub(super) const OWN: &[&str] = &["return_to", "transport", "expires_in", "state", "link"];

/// A login as it was asked for. No `Debug`: it holds the password.
pub(super) struct Asked {
    /// How the body was written.
    pub(super) shape: Shape,
    /// It came from a page of ours.
    pub(super) browser: bool,
    /// Who signs in, as it was typed.
    pub(super) identifier: String,
    /// What the strategy gets; `username` holds the identifier.
    pub(super) form: BTreeMap<String, String>,
    /// Fields that were left out of `form` because they are no text.
    pub(super) not_text: Vec<String>,
    /// How the session will be carried.
    pub(super) transport: Transport,
    /// The token's lifetime.
    pub(super) lifetime: Duration,
    /// Where a browser goes afterwards; a safe path.
    pub(super) return_to: String,
    /// The account that the login is to be added to, instead of signing in.
    pub(super) link: Option<Link>,
}

impl Asked {
    /// One that asks nothing but where to go: a link was followed.
    pub(super) fn by_link(ask: &Ask<'_>, browser: bool) -> Self {
        let config = &ask.control.config;
        let to = ask.query("return_to");
        Self {
            shape: if browser { Shape::Form } else { Shape::Json },
            browser,
            identifier: String::new(),
            form: BTreeMap::new(),
            not_text: Vec::new(),
            transport: Transport::Cookie,
            lifetime: config.token.lifetime,
            return_to: return_to::landing(to.as_deref(), config).to_owned(),
            link: None,
        }
    }

    /// One that says who signs in.
    pub(super) fn read(ask: &Ask<'_>, body: &Body) -> Result<Self, Problem> {
        let asked = Self::read_any(ask, body)?;
        if asked.identifier.is_empty() {
            let first = ask.control.config.accounts.identifiers.first().map_or("username", String::as_str);
            return Err(malformed(format!("{first}: missing")));
        }
        Ok(asked)
    }

    /// One that may leave it open who signs in, as where a provider will say.
    pub(super) fn read_any(ask: &Ask<'_>, body: &Body) -> Result<Self, Problem> {
        let config = &ask.control.config;
        let browser = ask.is_browser_form();
        let (field, identifier) = identifier(body, &config.accounts.identifiers)?.unwrap_or_default();
        let form = strategy_fields(body, &config.accounts.identifiers, &identifier);
        let not_text = body.fields.iter().filter(|(_, v)| !v.is_string()).map(|(k, _)| k.clone()).collect();
        if identifier.len() > MAX_IDENTIFIER {
            return Err(malformed(format!("{field}: too large")));
        }
        Ok(Self {
            shape: body.shape,
            browser,
            identifier,
            form,
            not_text,
            // A login through a page gets a cookie and nothing else (contract section 5).
            transport: if browser { Transport::Cookie } else { transport(body)? },
            lifetime: lifetime(body, &config.token)?,
            return_to: {
                // A JSON login goes nowhere, but what it sends must be what it says.
                body.text("return_to")?;
                return_to(ask, body)
            },
            link: None,
        })
    }
}

/// Who is expected to sign in, as a link says it (`?login_hint=`). It proves nothing: a strategy
/// may tell its provider.
pub(super) fn hint(ask: &Ask<'_>) -> Option<String> {
    let fits =
        |hint: &String| !hint.is_empty() && hint.len() <= MAX_IDENTIFIER && !hint.contains(char::is_control);
    ask.query("login_hint").filter(fits)
}

/// Where to go, from the form or from the query of the page's address.
pub(super) fn return_to(ask: &Ask<'_>, body: &Body) -> String {
    let asked = match body.fields.get("return_to") {
        Some(Value::String(asked)) => Some(asked.clone()),
        Some(_) => None,
        None => ask.query("return_to"),
    };
    return_to::landing(asked.as_deref(), &ask.control.config).to_owned()
}

/// The first of the identifiers that the body has. Two that mean two people are refused:
/// otherwise a check of one could be followed by a login of the other.
fn identifier(body: &Body, names: &[String]) -> Result<Option<(String, String)>, Problem> {
    let mut found: Option<(&str, &str)> = None;
    for name in names {
        // The `name` of a JSON:API body is what a person is called, not who signs in.
        if body.shape == Shape::JsonApi && name == "name" {
            continue;
        }
        let Some(text) = body.text(name)? else { continue };
        match found {
            None => found = Some((name, text)),
            Some((first, other)) if fold(other) != fold(text) => {
                return Err(malformed(format!("{first}, {name}: two that differ; send one of them")));
            }
            Some(_) => {}
        }
    }
    let Some((name, text)) = found else { return Ok(None) };
    if fold(text).is_empty() {
        return Err(malformed(format!("{name}: empty")));
    }
    Ok(Some((name.to_owned(), text.to_owned())))
}

fn strategy_fields(body: &Body, identifiers: &[String], identifier: &str) -> BTreeMap<String, String> {
    let mut form: BTreeMap<String, String> = body
        .fields
        .iter()
        .filter(|(name, _)| !OWN.contains(&name.as_str()) && !identifiers.contains(name))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    form.insert("username".to_owned(), identifier.to_owned());
    form
}

fn transport(body: &Body) -> Result<Transport, Problem> {
    Ok(named_transport(body)?.unwrap_or(Transport::Both))
}

/// The transport that a body asks for, if it does.
pub(super) fn named_transport(body: &Body) -> Result<Option<Transport>, Problem> {
    match body.text("transport")? {
        None => Ok(None),
        Some("cookie") => Ok(Some(Transport::Cookie)),
        Some("token") => Ok(Some(Transport::Token)),
        Some(_) => Err(malformed("transport: must be \"cookie\" or \"token\", or absent for both")),
    }
}

/// The lifetime of the token that a body asks for, or the usual one.
pub(crate) fn lifetime(body: &Body, token: &portcullis_config::Token) -> Result<Duration, Problem> {
    let Some(seconds) = body.positive("expires_in")? else { return Ok(token.lifetime) };
    let most = token.max_lifetime.as_secs();
    if seconds > most {
        return Err(malformed(format!("expires_in: at most {most} seconds")));
    }
    Ok(Duration::from_secs(seconds))
}
