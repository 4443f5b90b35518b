//! The fields of a body about an account. What the API does not know is refused, so that a
//! misspelt `activ` is no silent yes.

use super::super::manage::{self, House, Wanted};
use crate::{
    login::body::{Body, Shape, malformed},
    problem::Problem,
};
use portcullis_plugin_api::{CredentialOp, Object};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most characters of a display name.
const LONGEST_NAME: usize = 128;

/// Fields that a new account may have.
pub(super) const OF_NEW: &[&str] = &[
    "name",
    "username",
    "email",
    "display_name",
    "password",
    "roles",
    "app",
    "metadata",
    "active",
    "credentials",
];

/// Fields that may change.
pub(super) const OF_CHANGE: &[&str] =
    &["name", "email", "display_name", "password", "roles", "app", "metadata", "active"];

/// Refuses a field that is none of these, or that has another name in a body of this shape.
pub(super) fn only(body: &Body, known: &[&str]) -> Result<(), Problem> {
    let other = if body.shape == Shape::JsonApi { "display_name" } else { "username" };
    match body.fields.keys().find(|name| *name == other || !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            Err(malformed(format!("{shown}: unknown")))
        }
    }
}

/// The account's name; in a JSON:API body `name` is what a person is called.
pub(super) fn name(body: &Body) -> Result<String, Problem> {
    let own = if body.shape == Shape::JsonApi { "username" } else { "name" };
    let name = body.text(own)?.or(body.text("email")?);
    name.map(str::to_owned).ok_or_else(|| malformed(format!("{own}: missing")))
}

/// What to show: none stays, null and nothing take it away.
pub(super) fn display_name(body: &Body) -> Result<Option<Option<String>>, Problem> {
    let field = if body.shape == Shape::JsonApi { "name" } else { "display_name" };
    let Some(text) = nullable(body, field)? else { return Ok(None) };
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let odd = |text: &String| text.chars().count() > LONGEST_NAME || text.contains(char::is_control);
    if text.as_ref().is_some_and(odd) {
        return Err(malformed(format!("{field}: at most {LONGEST_NAME} characters, on one line")));
    }
    Ok(Some(text))
}

/// A text, or null.
pub(super) fn nullable(body: &Body, field: &str) -> Result<Option<Option<String>>, Problem> {
    if body.fields.get(field).is_some_and(Value::is_null) {
        return Ok(Some(None));
    }
    Ok(body.text(field)?.map(|text| Some(text.to_owned())))
}

/// Roles: an array of texts, or in a form one text with commas.
pub(super) fn roles(body: &Body) -> Result<Option<Vec<String>>, Problem> {
    let texts = match body.fields.get("roles") {
        None => return Ok(None),
        Some(Value::String(text)) if body.shape == Shape::Form => {
            text.split(',').filter(|role| !role.trim().is_empty()).map(str::to_owned).collect()
        }
        Some(Value::Array(all)) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        Some(_) => Vec::new(),
    };
    let wrong = match &body.fields["roles"] {
        Value::Array(all) => all.len() != texts.len(),
        Value::String(_) => body.shape != Shape::Form,
        _ => true,
    };
    if wrong {
        return Err(malformed("roles: must be an array of texts"));
    }
    Ok(Some(manage::checked_roles(texts)?))
}

/// An object of claims.
pub(super) fn claims(body: &Body, field: &'static str) -> Result<Option<Object>, Problem> {
    match body.fields.get(field) {
        None => Ok(None),
        Some(Value::Object(claims)) => Ok(Some(manage::checked_claims(field, claims.clone())?)),
        Some(_) => Err(malformed(format!("{field}: must be an object"))),
    }
}

/// Yes or no; 1 and 0 are such too.
pub(super) fn flag(body: &Body, field: &str) -> Result<Option<bool>, Problem> {
    let Some(value) = body.fields.get(field) else { return Ok(None) };
    let text = value.as_str().filter(|_| body.shape == Shape::Form);
    match (value.as_bool(), value.as_u64(), text) {
        (Some(yes), ..) => Ok(Some(yes)),
        (_, Some(1), _) | (.., Some("true" | "1")) => Ok(Some(true)),
        (_, Some(0), _) | (.., Some("false" | "0")) => Ok(Some(false)),
        _ => Err(malformed(format!("{field}: must be true or false"))),
    }
}

/// The credentials of a new account: its password, and what `credentials` lists.
pub(super) fn credentials(house: House<'_>, body: &Body, about: &[String]) -> Result<Vec<Wanted>, Problem> {
    let mut all = Vec::new();
    if let Some(password) = body.text("password")? {
        all.push(Wanted::Kept(manage::keeper(house, None)?, manage::of_password(password, about.to_vec())));
    }
    let listed = match body.fields.get("credentials") {
        None => &[][..],
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(malformed("credentials: must be an array")),
    };
    for one in listed {
        let Value::Object(fields) = one else { return Err(malformed("credentials: must hold objects")) };
        all.push(credential(house, fields, about)?);
    }
    let named: Vec<_> = all.iter().map(Wanted::name).collect();
    if let Some((id, ..)) =
        named.iter().enumerate().find(|(at, one)| named[..*at].contains(one)).map(|(_, one)| one)
    {
        return Err(malformed(format!("credentials: two of the strategy `{id}` are one")));
    }
    Ok(all)
}

/// One credential: of a strategy that makes them whatever it asks for, of any other who
/// vouches for whom.
pub(super) fn credential(house: House<'_>, fields: &Object, about: &[String]) -> Result<Wanted, Problem> {
    let mut texts = BTreeMap::new();
    for (name, value) in fields {
        let Some(text) = value.as_str() else { return Err(malformed(format!("{name}: must be text"))) };
        texts.insert(name.clone(), text.to_owned());
    }
    let id = texts.remove("strategy").ok_or_else(|| malformed("strategy: missing"))?;
    if manage::keeps(house.registry, &id) {
        if let Some(name) = ["realm", "subject"].into_iter().find(|name| texts.contains_key(*name)) {
            return Err(malformed(format!("{name}: `{id}` keeps the credential itself; leave it out")));
        }
        let strategy = manage::keeper(house, Some(&id))?;
        return Ok(Wanted::Kept(strategy, CredentialOp::Create { form: texts, about: about.to_vec() }));
    }
    if house.registry.get(&id).is_none() {
        manage::keeper(house, Some(&id))?;
    }
    let mut take = |name: &str| {
        let text = texts.remove(name).filter(|text| !text.is_empty() && text.len() <= 255);
        text.ok_or_else(|| malformed(format!("{name}: who vouches for whom; 1 to 255 bytes")))
    };
    let wanted = Wanted::Vouched(id, take("realm")?, take("subject")?);
    match texts.keys().next() {
        None => Ok(wanted),
        Some(name) => Err(malformed(format!("{}: unknown", name.escape_debug()))),
    }
}
