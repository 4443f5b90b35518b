//! The login as a browser sees it: the form of a strategy, and a button for each other.

use super::{
    answer,
    asked::{self, Asked},
    body::{Body, malformed},
    callback,
    decide::{call, in_the_log},
    link, return_to,
};
use crate::{
    accounts::strategies,
    control::{Ask, Reply, reply},
    pages::{LoginView, Other, StepView},
    problem::{Code, Problem},
    registry::{CallError, Instance},
};
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY};
use http::{HeaderName, HeaderValue};
use portcullis_plugin_api::{Begin, Form, Outcome};

/// `GET {login}`: the default strategy's form, or a list for machines.
pub(crate) async fn all(ask: &Ask<'_>) -> Result<Reply, Problem> {
    if !ask.is_navigation() && !ask.takes_anything() {
        return Ok(strategies::list(ask));
    }
    let default = ask.control.config.login.default.as_deref();
    let instance = default.and_then(|id| ask.control.registry.get(id));
    // One that has a provider has a button and no form.
    let instance = instance.filter(|instance| !instance.has_provider());
    let to = asked_in_query(ask);
    let (form, error) = match &instance {
        None => (None, None),
        Some(instance) => match first_form(ask, instance).await {
            Ok(form) => (form, None),
            Err(problem) => (None, Some(problem)),
        },
    };
    let error = error.as_ref().map(|problem| problem.text());
    let shown = instance.as_ref().filter(|_| form.is_some() || error.is_some()).map(Instance::id);
    Ok(reply::page(&ask.control.pages, 200, render(ask, shown, form.as_ref(), &to, "", error)))
}

/// `GET {login}/:strategy`: its form as a page, or as `next` for machines.
pub(crate) async fn one(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    if link::is_page(ask) {
        return link::page(ask, strategy).await;
    }
    let state = ask.control.random.opaque();
    // A client that reads JSON is told where to go; everybody else is sent there.
    let asked = Asked::by_link(ask, ask.is_navigation() || !takes_json(ask));
    match first(ask, strategy, &state).await? {
        Outcome::Redirect(to) => answer::to_provider(ask, strategy, &asked, &state, &to).await,
        Outcome::Form(form) if ask.is_navigation() => Ok(first_page(ask, strategy, &form, &asked)),
        Outcome::Form(form) => Ok(answer::next(&form, None)),
        _ => Err(Code::StrategyUnavailable.into()),
    }
}

fn takes_json(ask: &Ask<'_>) -> bool {
    let accept = ask.header(ACCEPT).unwrap_or_default().to_ascii_lowercase();
    accept.windows(4).any(|word| word == b"json")
}

/// The page of a first step.
pub(super) fn first_page(ask: &Ask<'_>, strategy: &Instance, form: &Form, asked: &Asked) -> Reply {
    let html = render(ask, Some(strategy.id()), Some(form), &asked.return_to, &asked.identifier, None);
    reply::page(&ask.control.pages, 200, html)
}

/// The page of a further step; `problem` is why it is shown again.
pub(super) fn step(
    ask: &Ask<'_>,
    strategy: &Instance,
    form: &Form,
    state: &str,
    problem: Option<&Problem>,
) -> Reply {
    let action = format!("{}/{}", ask.control.config.endpoints.login, strategy.id());
    let view = StepView {
        action,
        form,
        state,
        error: problem.map(Problem::text),
        request_id: &ask.request.request_id,
    };
    let status = problem.map_or(200, |problem| problem.code.status());
    let answer = reply::page(&ask.control.pages, status, ask.control.pages.step(&view));
    problem.map_or(answer.clone(), |problem| with_fields(answer, problem))
}

/// Whether the request came to the host of `public_url`.
pub(super) fn is_at_home(ask: &Ask<'_>) -> bool {
    let public = &ask.control.config.server.public_url;
    let (_, at) = public.origin.split_once("://").unwrap_or_default();
    ask.request.host == at || ask.request.host == format!("{}:{}", public.host, public.port)
}

/// The page again after a failure: its message, what was typed but for secrets, and the
/// status that a machine would get.
pub(super) async fn again(ask: &Ask<'_>, strategy: &Instance, body: &Body, problem: &Problem) -> Reply {
    let form = match strategy.has_provider() {
        true => None,
        false => first_form(ask, strategy).await.ok().flatten(),
    };
    // What was asked for is asked for again: a login that is to be added signs nobody in.
    if link::is_asked(body).unwrap_or(true) {
        let to = asked::return_to(ask, body);
        return with_fields(link::shown(ask, strategy, form.as_ref(), &to, Some(problem)), problem);
    }
    let names = &ask.control.config.accounts.identifiers;
    let typed = names.iter().find_map(|name| body.fields.get(name)?.as_str()).unwrap_or_default();
    let to = asked::return_to(ask, body);
    let html = render(ask, Some(strategy.id()), form.as_ref(), &to, typed, Some(problem.text()));
    with_fields(reply::page(&ask.control.pages, problem.code.status(), html), problem)
}

/// A page whose form leads to a provider in the end: browsers hold `form-action` against
/// that, too. Where no strategy has a provider nothing changes.
pub(crate) fn leading_out(ask: &Ask<'_>, mut answer: Reply) -> Reply {
    if !ask.control.registry.list().iter().any(Instance::has_provider) {
        return answer;
    }
    let policy = answer.headers().get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let wider = policy.map(|policy| policy.replace("form-action 'self'", "form-action 'self' https: http:"));
    if let Some(wider) = wider.and_then(|policy| HeaderValue::from_str(&policy).ok()) {
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, wider);
    }
    answer
}

fn with_fields(mut answer: Reply, problem: &Problem) -> Reply {
    for (name, value) in problem.fields() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

fn asked_in_query(ask: &Ask<'_>) -> String {
    let asked = ask.query("return_to");
    return_to::landing(asked.as_deref(), &ask.control.config).to_owned()
}

/// What the form should be; none: the strategy has a provider instead.
pub(super) async fn first_form(ask: &Ask<'_>, strategy: &Instance) -> Result<Option<Form>, Problem> {
    match first(ask, strategy, &ask.control.random.opaque()).await? {
        Outcome::Form(form) => Ok(Some(form)),
        Outcome::Redirect(_) => Ok(None),
        _ => Err(Code::StrategyUnavailable.into()),
    }
}

/// The answer to an empty form.
async fn first(ask: &Ask<'_>, strategy: &Instance, state: &str) -> Result<Outcome, Problem> {
    let resume_url = callback::url(ask, strategy);
    let begin =
        Begin { state: state.to_owned(), resume_url, login_hint: asked::hint(ask), ..Begin::default() };
    match strategy.begin(call(ask, strategy), begin).await {
        Ok(Outcome::Form(form)) => Ok(Outcome::Form(asking(ask, form))),
        Ok(outcome) => Ok(outcome),
        Err(CallError::Busy) => Err(Code::Busy.into()),
        Err(CallError::ProviderInvalid) => Err(in_the_log(Code::ProviderInvalid)),
        Err(CallError::BadRequest { field, message }) => Err(malformed(format!("{field}: {message}"))),
        Err(_) => Err(in_the_log(Code::StrategyUnavailable)),
    }
}

/// The form with the name that the operator gave the field that says who
/// (`[accounts] identifiers`): what is asked for must be what is taken.
pub(super) fn asking(ask: &Ask<'_>, mut form: Form) -> Form {
    let names = &ask.control.config.accounts.identifiers;
    if let (Some(first), false) = (names.first(), names.iter().any(|name| name == "username")) {
        let who = form.fields.iter_mut().filter(|field| field.name == "username");
        who.for_each(|field| field.name.clone_from(first));
    }
    form
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
    let at_home = is_at_home(ask);
    let here = |one: &&Instance| Some(one.id()) != shown && (at_home || !one.has_provider());
    let others = ask.control.registry.list().iter().filter(here);
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
