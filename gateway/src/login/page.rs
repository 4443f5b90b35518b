//! The login as a browser sees it: the form of a strategy, and a button for each other.

use super::{
    asked,
    body::{Body, malformed},
    call, return_to,
};
use crate::{
    accounts::strategies,
    control::{Ask, Reply, reply},
    pages::{LoginView, Other},
    problem::{Code, Problem},
    registry::{CallError, Instance},
};
use http::{HeaderName, HeaderValue};
use portcullis_plugin_api::{Begin, Form, Outcome};

/// `GET {login}`: the default strategy's form, or a list for machines.
pub(crate) async fn all(ask: &Ask<'_>) -> Result<Reply, Problem> {
    if !ask.is_navigation() && !ask.takes_anything() {
        return Ok(strategies::list(ask));
    }
    let default = ask.control.config.login.default.as_deref();
    let instance = default.and_then(|id| ask.control.registry.get(id));
    let to = asked_in_query(ask);
    let (form, error) = match &instance {
        None => (None, None),
        Some(instance) => match first_form(ask, instance).await {
            Ok(form) => (Some(form), None),
            Err(problem) => (None, Some(problem)),
        },
    };
    let error = error.as_ref().map(|problem| problem.text());
    let shown = instance.as_ref().map(Instance::id);
    Ok(reply::page(&ask.control.pages, 200, render(ask, shown, form.as_ref(), &to, "", error)))
}

/// `GET {login}/:strategy`: its form as a page, or as `next` for machines.
pub(crate) async fn one(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    let form = first_form(ask, strategy).await?;
    if !ask.is_navigation() {
        return Ok(super::answer::next(&form));
    }
    let to = asked_in_query(ask);
    Ok(reply::page(&ask.control.pages, 200, render(ask, Some(strategy.id()), Some(&form), &to, "", None)))
}

/// The page again after a failure: its message, what was typed but for secrets, and the
/// status that a machine would get.
pub(super) async fn again(ask: &Ask<'_>, strategy: &Instance, body: &Body, problem: &Problem) -> Reply {
    let form = first_form(ask, strategy).await.ok();
    let names = &ask.control.config.accounts.identifiers;
    let typed = names.iter().find_map(|name| body.fields.get(name)?.as_str()).unwrap_or_default();
    let to = asked::return_to(ask, body);
    let html = render(ask, Some(strategy.id()), form.as_ref(), &to, typed, Some(problem.text()));
    let mut answer = reply::page(&ask.control.pages, problem.code.status(), html);
    for (name, value) in problem.fields() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

fn asked_in_query(ask: &Ask<'_>) -> String {
    let asked = ask.query("return_to");
    return_to::path(asked.as_deref(), &ask.control.config.endpoints).to_owned()
}

/// What the form should be: the answer to an empty one.
async fn first_form(ask: &Ask<'_>, strategy: &Instance) -> Result<Form, Problem> {
    match strategy.begin(call(ask, strategy), Begin::default()).await {
        Ok(Outcome::Form(form)) => Ok(form),
        Err(CallError::Busy) => Err(Code::Busy.into()),
        Err(CallError::BadRequest { field, message }) => Err(malformed(format!("{field}: {message}"))),
        _ => Err(Code::StrategyUnavailable.into()),
    }
}

fn render(
    ask: &Ask<'_>,
    shown: Option<&str>,
    form: Option<&Form>,
    return_to: &str,
    typed: &str,
    error: Option<&str>,
) -> String {
    let login = &ask.control.config.endpoints.login;
    let to: String = form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
    let other = |one: &Instance| Other {
        url: format!("{login}/{}?return_to={to}", one.id()),
        title: one.title().to_owned(),
    };
    let others = ask.control.registry.list().iter().filter(|one| Some(one.id()) != shown);
    ask.control.pages.login(&LoginView {
        action: format!("{login}/{}", shown.unwrap_or_default()),
        form,
        others: others.map(other).collect(),
        return_to,
        typed,
        error,
        request_id: &ask.request.request_id,
    })
}
