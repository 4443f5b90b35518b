//! Everything a browser is shown: login, chooser, denial, errors. Rendered on the
//! server, without scripts and without anything from a third party.
//!
//! `templates/` the built-in pages and their one style sheet · `templates.rs` those that
//! are in use · `forms.rs` what people do with their accounts · `letters.rs` mail, made
//! alike · `trial.rs` shows an operator's faults before anybody meets them.

mod forms;
mod letters;
mod templates;
mod trial;

pub use forms::{Credential, Device, FormView, Input, More, ProfileView};
pub use letters::Written;

use crate::problem::{Code, Problem};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use minijinja::{Value, context};
use portcullis_config::{Config, Endpoints, Logo};
use portcullis_plugin_api::{Field, FieldKind, Form};
use templates::Templates;

/// Header fields of every page beside its policy: no framing, no sniffing, no referrer to
/// others, no storing.
const FIELDS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// The templates, ready to render.
pub struct Pages {
    templates: Templates,
    policy: String,
    title: String,
    logo: Option<String>,
    endpoints: Endpoints,
    origin: String,
    registration: bool,
    mail: bool,
}

/// What the login page shows.
pub struct LoginView<'a> {
    /// Where the form is posted.
    pub action: String,
    /// The strategy's form; none when there is no default or it is out of order.
    pub form: Option<&'a Form>,
    /// The other ways to sign in.
    pub others: Vec<Other>,
    /// A safe path.
    pub return_to: &'a str,
    /// Who wanted to sign in, as it was typed.
    pub typed: &'a str,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// Shown beside an error.
    pub request_id: &'a str,
}

/// What the page of a further step shows.
pub struct StepView<'a> {
    /// Where the form is posted.
    pub action: String,
    /// The strategy's form.
    pub form: &'a Form,
    /// The one-time value that goes on with this login.
    pub state: &'a str,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// Shown beside an error.
    pub request_id: &'a str,
}

/// What the page of a login that is to be added to an account shows.
pub struct LinkView<'a> {
    /// Where the form is posted.
    pub action: String,
    /// The strategy's name for people.
    pub title: &'a str,
    /// The strategy's form; none: a provider asks.
    pub form: Option<&'a Form>,
    /// Where the person wants to go afterwards.
    pub return_to: &'a str,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// Shown beside an error.
    pub request_id: &'a str,
}

/// Another way to sign in.
pub struct Other {
    /// Where its login begins.
    pub url: String,
    /// What its button says.
    pub title: String,
}

impl Pages {
    /// The pages of the configuration: the built-in ones, those of `[login] templates`
    /// over them, each rendered once; or what is wrong with those.
    pub fn new(config: &Config) -> Result<Self, Vec<portcullis_config::Problem>> {
        let login = &config.login;
        let templates = Templates::new(&login.templates).map_err(|problem| vec![problem])?;
        let pages = Self {
            policy: policy(templates.style(), login.logo.is_some()),
            templates,
            title: login.title.clone(),
            logo: login.logo.as_ref().map(data_url),
            endpoints: config.endpoints.clone(),
            origin: config.server.public_url.origin.clone(),
            registration: config.accounts.registration,
            mail: config.mail.is_some(),
        };
        let problems = pages.trial();
        if problems.is_empty() { Ok(pages) } else { Err(problems) }
    }

    /// Header fields of every page.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let policy = [("content-security-policy", self.policy.as_str())];
        policy.into_iter().chain(FIELDS.iter().copied())
    }

    /// The login or, without a form, the choice of one.
    pub fn login(&self, view: &LoginView<'_>) -> String {
        self.render("login.html", self.login_context(view))
    }

    fn login_context(&self, view: &LoginView<'_>) -> Value {
        let fields = view.form.map(|form| fields(form, view.typed)).unwrap_or_default();
        let others: Vec<Value> =
            view.others.iter().map(|other| context! { url => &other.url, title => &other.title }).collect();
        let heading = if fields.is_empty() { "Choose how to sign in" } else { "Sign in" };
        context! {
            heading,
            action => &view.action,
            message => view.form.and_then(|form| form.message.as_deref()),
            fields,
            others,
            return_to => view.return_to,
            register_url => self.registration.then(|| format!("{}/register", self.endpoints.auth)),
            recovery_url => self.mail.then(|| format!("{}/recovery", self.endpoints.auth)),
            error => view.error,
            request_id => view.request_id,
        }
    }

    /// A further step of a login.
    pub fn step(&self, view: &StepView<'_>) -> String {
        self.render("step.html", self.step_context(view))
    }

    fn step_context(&self, view: &StepView<'_>) -> Value {
        context! {
            heading => "One more step",
            action => &view.action,
            state => view.state,
            message => view.form.message.as_deref(),
            fields => fields(view.form, ""),
            error => view.error,
            request_id => view.request_id,
        }
    }

    /// Asks whether a way to sign in is to be added to the account.
    pub fn link(&self, view: &LinkView<'_>) -> String {
        self.render("link.html", self.link_context(view))
    }

    fn link_context(&self, view: &LinkView<'_>) -> Value {
        context! {
            heading => format!("Add {}", view.title),
            action => &view.action,
            title => view.title,
            fields => view.form.map(|form| fields(form, "")).unwrap_or_default(),
            return_to => view.return_to,
            error => view.error,
            request_id => view.request_id,
        }
    }

    /// The end of a login that another site began: it goes on by itself.
    pub fn moved_on(&self, path: &str) -> String {
        self.render("moved_on.html", self.moved_on_context(path))
    }

    fn moved_on_context(&self, path: &str) -> Value {
        context! { heading => "You are signed in", path }
    }

    /// A refusal or an error, with its request id.
    pub fn problem(&self, problem: &Problem, request_id: &str) -> String {
        self.render("problem.html", self.problem_context(problem, request_id))
    }

    fn problem_context(&self, problem: &Problem, request_id: &str) -> Value {
        let (link, label) = self.way_on(problem);
        let title = problem.code.title();
        let text = Some(problem.text()).filter(|text| *text != title);
        let status = problem.code.status();
        context! { heading => title, text, status, request_id, link, label }
    }

    /// Asks whether to sign out: the answer to a link on somebody else's page.
    pub fn sign_out(&self, global: bool, return_to: Option<&str>) -> String {
        self.render("sign_out.html", self.sign_out_context(global, return_to))
    }

    fn sign_out_context(&self, global: bool, return_to: Option<&str>) -> Value {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if global {
            query.append_pair("global", "true");
        }
        if let Some(path) = return_to {
            query.append_pair("return_to", path);
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let action = format!("{}{mark}{query}", self.endpoints.logout);
        context! { heading => "Sign out?", action, global }
    }

    /// What a person can do next.
    fn way_on<'a>(&'a self, problem: &'a Problem) -> (&'a str, &'static str) {
        if let Some(url) = &problem.login_url {
            let again = problem.code == Code::StaleLogin;
            return (url, if again { "Start again" } else { "Sign in" });
        }
        match problem.code {
            Code::LoginRequired
            | Code::InvalidToken
            | Code::UnknownStrategy
            | Code::StrategyUnavailable
            | Code::StaleLogin
            | Code::ForeignOrigin
            | Code::Malformed => (&self.endpoints.login, "Go to the sign-in page"),
            Code::Forbidden => (&self.endpoints.logout, "Sign in as somebody else"),
            _ => ("/", "Go to the start page"),
        }
    }

    /// An operator's template that fails for this page after all gives way to ours: nobody
    /// is locked out by it.
    fn render(&self, name: &str, page: Value) -> String {
        let all = self.context(page);
        let rendered = self.templates.render(name, &all).or_else(|error| {
            tracing::error!(template = name, error = %error, "a page could not be rendered");
            Templates::built_in().render(name, &all)
        });
        rendered.unwrap_or_else(|error| {
            tracing::error!(template = name, error = %error, "a built-in page could not be rendered");
            "<!doctype html><html lang=\"en\"><title>Error</title><p>This page could not be shown.".into()
        })
    }

    fn context(&self, page: Value) -> Value {
        let style = Value::from_safe_string(self.templates.style().to_owned());
        context! { site => &self.title, logo => &self.logo, style, ..page }
    }
}

/// Nothing runs, nothing is fetched, nothing is framed, and forms come back to us. The one
/// style sheet stands in the page, so that a page is one request, and is known by its
/// hash; the logo, if there is one, stands there too.
fn policy(style: &str, logo: bool) -> String {
    let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let images = if logo { "img-src data:; " } else { "" };
    format!(
        "default-src 'none'; {images}style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'"
    )
}

fn data_url(logo: &Logo) -> String {
    format!("data:{};base64,{}", logo.content_type, STANDARD.encode(&logo.bytes))
}

fn fields(form: &Form, typed: &str) -> Vec<Value> {
    // The first field that is still empty is where a person goes on typing.
    let starts = |field: &Field| field.kind != FieldKind::Username || typed.is_empty();
    let start = form.fields.iter().position(starts);
    let one = |(index, field): (usize, &Field)| {
        let (kind, autocomplete) = match field.kind {
            FieldKind::Username => ("text", "username"),
            FieldKind::Password => ("password", "current-password"),
            FieldKind::NewPassword => ("password", "new-password"),
            _ => ("text", "off"),
        };
        context! {
            id => format!("field-{}", index + 1),
            name => &field.name,
            label => &field.label,
            kind,
            autocomplete,
            is_name => field.kind == FieldKind::Username,
            required => field.required,
            value => (field.kind == FieldKind::Username).then_some(typed),
            focus => start == Some(index),
        }
    };
    form.fields.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests;
