//! A provider's claims become what the gateway reads: `name`, `display_name`, `email`,
//! `email_verified`, `groups`; the others stay as they are, for policies.

use crate::settings::Settings;
use portcullis_openid::{Claims, Trouble};
use portcullis_plugin_api::claims_fit;
use serde_json::Value;

/// Claims about the token, not about the person.
const OF_THE_TOKEN: &[&str] = &[
    "iss",
    "aud",
    "exp",
    "nbf",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "azp",
    "jti",
    "typ",
    "sid",
    "session_state",
    "_claim_names",
    "_claim_sources",
    "cnf",
];

/// What userinfo says over what the ID token says. An address and whether it is proven
/// belong together: neither is taken from one and the other from the other.
pub(crate) fn merged(mut id_token: Claims, userinfo: Claims) -> Claims {
    if userinfo.contains_key("email") {
        id_token.remove("email_verified");
    }
    let brings_address = userinfo.contains_key("email");
    for (name, value) in userinfo {
        if name == "email_verified" && !brings_address {
            continue;
        }
        let of_token = OF_THE_TOKEN.contains(&name.as_str())
            || ["iat", "auth_time", "acr", "amr", "sub", "tid"].contains(&name.as_str());
        if !(of_token && id_token.contains_key(&name)) {
            id_token.insert(name, value);
        }
    }
    id_token
}

/// What the gateway gets. `vouches`: whether this is OpenID Connect, where the provider
/// says which addresses are proven.
pub(crate) fn mapped(mut found: Claims, settings: &Settings, vouches: bool) -> Result<Claims, Trouble> {
    let paths = &settings.claims;
    let text = |paths: &[String]| paths.iter().find_map(|path| at(&found, path).and_then(plain));
    let name = text(&paths.name);
    let display_name = text(&paths.display_name);
    let email = text(&paths.email);
    let groups = groups(&found, &paths.groups);
    let verified = vouches && found.get("email_verified") == Some(&Value::Bool(true));
    let said = found.contains_key("email_verified");
    // Only the standard claim is what `email_verified` speaks of.
    let same = email.is_some() && found.get("email").and_then(Value::as_str) == email.as_deref();
    for name in OF_THE_TOKEN.iter().chain(&["name", "display_name", "email", "email_verified", "groups"]) {
        found.remove(*name);
    }
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            found.insert(name.to_owned(), value);
        }
    };
    put("name", name.map(Value::from));
    put("display_name", display_name.map(Value::from));
    // Said only where the provider said it, of this address: to be silent is no "no", which
    // `trust_email` could not overrule.
    put("email_verified", (email.is_some() && vouches && same && said).then_some(Value::Bool(verified)));
    put("email", email.map(Value::from));
    put("groups", groups.map(Value::from));
    fitting(found)
}

/// Texts of all paths, each once. None: no path leads anywhere.
fn groups(claims: &Claims, paths: &[String]) -> Option<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    let mut any = false;
    for found in paths.iter().filter_map(|path| at(claims, path)) {
        any = true;
        let texts: Vec<&str> = match found {
            Value::String(one) => vec![one],
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            if !all.iter().any(|known| known == text) {
                all.push(text.to_owned());
            }
        }
    }
    any.then_some(all)
}

/// A claim by its name, or else by a path with dots: `realm_access.roles`. Names may have
/// dots themselves (`https://example.com/groups`).
pub(crate) fn at<'c>(claims: &'c Claims, path: &str) -> Option<&'c Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    path.match_indices('.').find_map(|(dot, _)| at(claims.get(&path[..dot])?.as_object()?, &path[dot + 1..]))
}

/// Text, or a number as text: some providers count their people.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

/// Without the largest of the claims that nobody here reads, until all fit. With too many
/// groups a login is none: some would be arbitrary, and a policy may ask for the absence of
/// one.
fn fitting(mut claims: Claims) -> Result<Claims, Trouble> {
    const READ: &[&str] =
        &["name", "preferred_username", "display_name", "email", "email_verified", "groups"];
    while !claims_fit(&claims) {
        let others = claims.iter().filter(|(name, _)| !READ.contains(&name.as_str()));
        let largest = others.max_by_key(|(_, value)| value.to_string().len()).map(|(name, _)| name.clone());
        match largest {
            Some(name) => claims.remove(&name),
            None => return Err(Trouble::Invalid("the person's groups are more than 96 KiB".into())),
        };
    }
    Ok(claims)
}
