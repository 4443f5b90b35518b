//! What discovery finds (OpenID Connect Discovery 1.0 §4, RFC 8414): only the members
//! that are used here, each of its right type.

use crate::{Algorithm, Claims, Client, Trouble, json};
use serde_json::Value;
use url::Url;

/// The longest list that is read.
const LONGEST_LIST: usize = 100;

/// What an issuer says of itself.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Where people sign in.
    pub authorize: Option<Url>,
    /// Where codes become tokens.
    pub token: Option<Url>,
    /// Where claims are asked.
    pub userinfo: Option<Url>,
    /// Where its keys are.
    pub jwks: Option<Url>,
    /// Where people sign out.
    pub end_session: Option<Url>,
    /// Where tokens are given back.
    pub revocation: Option<Url>,
    /// Where requests are left beforehand (RFC 9126), and whether they must be.
    pub pushed: Option<Url>,
    /// Whether it takes only requests that were left beforehand.
    pub requires_pushed: bool,
    /// Whether it takes only signed requests (RFC 9101).
    pub requires_signed: bool,
    /// Whether answers say who gives them (RFC 9207).
    pub names_itself: bool,
    /// How its ID tokens are signed, of what is accepted here; RS256 if it does not say.
    pub algorithms: Vec<Algorithm>,
    /// How clients may prove who they are, if it says so.
    pub client_auth: Vec<String>,
    /// How proofs of possession may be signed (RFC 9449).
    pub dpop: Vec<Algorithm>,
}

impl Metadata {
    /// Reads a document that must be of exactly this issuer (Discovery §4.3).
    pub(crate) fn read(bytes: &[u8], issuer: &str, client: &Client) -> Result<Self, Trouble> {
        let document = json::object(bytes).ok_or_else(|| invalid("its metadata is no JSON object"))?;
        if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(invalid(
                "its metadata is of another issuer than the one configured, letter for letter",
            ));
        }
        let flag = |name: &str| match document.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(yes)) => Ok(*yes),
            Some(_) => Err(invalid(&format!("`{name}` in its metadata is no boolean"))),
        };
        let aliases = document
            .get("mtls_endpoint_aliases")
            .and_then(Value::as_object)
            .filter(|_| client.shows_itself());
        let url = |name: &str| {
            let alias = aliases.and_then(|aliases| aliases.get(name));
            address(alias.or_else(|| document.get(name)), name, client)
        };
        let algorithms = match algorithms(&document, "id_token_signing_alg_values_supported") {
            Some(listed) => listed,
            None => vec![Algorithm::Rs256],
        };
        Ok(Self {
            authorize: url("authorization_endpoint")?,
            token: url("token_endpoint")?,
            userinfo: url("userinfo_endpoint")?,
            jwks: url("jwks_uri")?,
            end_session: url("end_session_endpoint")?,
            revocation: url("revocation_endpoint")?,
            pushed: url("pushed_authorization_request_endpoint")?,
            requires_pushed: flag("require_pushed_authorization_requests")?,
            requires_signed: flag("require_signed_request_object")?,
            names_itself: flag("authorization_response_iss_parameter_supported")?,
            algorithms,
            client_auth: list(&document, "token_endpoint_auth_methods_supported").unwrap_or_default(),
            dpop: algorithms_or_none(&document),
        })
    }
}

fn algorithms_or_none(document: &Claims) -> Vec<Algorithm> {
    algorithms(document, "dpop_signing_alg_values_supported").unwrap_or_default()
}

fn address(value: Option<&Value>, name: &str, client: &Client) -> Result<Option<Url>, Trouble> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let found = client.address(text);
            found.map(Some).map_err(|_| invalid(&format!("`{name}` in its metadata is no https address")))
        }
        Some(_) => Err(invalid(&format!("`{name}` in its metadata is no text"))),
    }
}

fn list(document: &Claims, name: &str) -> Option<Vec<String>> {
    let items = document.get(name)?.as_array()?;
    Some(items.iter().take(LONGEST_LIST).filter_map(Value::as_str).map(str::to_owned).collect())
}

fn algorithms(document: &Claims, name: &str) -> Option<Vec<Algorithm>> {
    Some(list(document, name)?.iter().filter_map(|name| Algorithm::named(name)).collect())
}

fn invalid(why: &str) -> Trouble {
    Trouble::Invalid(why.to_owned())
}
