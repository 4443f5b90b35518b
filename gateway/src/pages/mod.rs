//! Everything a browser is shown: login, chooser, denial, errors. Rendered on the
//! server, without scripts and without anything from a third party.
//!
//! `templates/` the pages and their one style sheet.

use crate::problem::{Code, Problem};
use minijinja::{Environment, Output, State, Value, context};
use portcullis_config::{Config, Endpoints};
use portcullis_plugin_api::{Field, FieldKind, Form};
use std::fmt::Write;

/// Header fields of every page: a strict policy, no framing, no sniffing, no referrer
/// to others, no storing. The hash is that of the style sheet, which stands in the page
/// so that a page is one request; a test says when it has changed.
pub const FIELDS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; style-src 'sha256-Hv2hiGwgYau+rfuWCzRMhuL/VgwDKZu3iQnklIyRpPM='; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

const STYLE: &str = include_str!("templates/style.css");

const TEMPLATES: &[(&str, &str)] = &[
    ("layout.html", include_str!("templates/layout.html")),
    ("login.html", include_str!("templates/login.html")),
    ("problem.html", include_str!("templates/problem.html")),
    ("sign_out.html", include_str!("templates/sign_out.html")),
];

/// The templates, ready to render.
pub struct Pages {
    templates: Environment<'static>,
    title: String,
    endpoints: Endpoints,
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

/// Another way to sign in.
pub struct Other {
    /// Where its login begins.
    pub url: String,
    /// What its button says.
    pub title: String,
}

impl Pages {
    /// The built-in pages, under the title of the configuration.
    pub fn new(config: &Config) -> Self {
        let templates = environment();
        Self { templates, title: config.login.title.clone(), endpoints: config.endpoints.clone() }
    }

    /// The login or, without a form, the choice of one.
    pub fn login(&self, view: &LoginView<'_>) -> String {
        let fields = view.form.map(|form| fields(form, view)).unwrap_or_default();
        let others: Vec<Value> =
            view.others.iter().map(|other| context! { url => &other.url, title => &other.title }).collect();
        let heading = if fields.is_empty() { "Choose how to sign in" } else { "Sign in" };
        self.render(
            "login.html",
            context! {
                heading,
                action => &view.action,
                message => view.form.and_then(|form| form.message.as_deref()),
                fields,
                others,
                return_to => view.return_to,
                error => view.error,
                request_id => view.request_id,
            },
        )
    }

    /// A refusal or an error, with its request id.
    pub fn problem(&self, problem: &Problem, request_id: &str) -> String {
        let (link, label) = self.way_on(problem);
        let title = problem.code.title();
        let text = Some(problem.text()).filter(|text| *text != title);
        let status = problem.code.status();
        self.render("problem.html", context! { heading => title, text, status, request_id, link, label })
    }

    /// Asks whether to sign out: the answer to a link on somebody else's page.
    pub fn sign_out(&self, global: bool) -> String {
        let action = format!("{}{}", self.endpoints.logout, if global { "?global=true" } else { "" });
        self.render("sign_out.html", context! { heading => "Sign out?", action, global })
    }

    /// What a person can do next.
    fn way_on<'a>(&'a self, problem: &'a Problem) -> (&'a str, &'static str) {
        if let Some(url) = &problem.login_url {
            return (url, "Sign in");
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

    fn render(&self, name: &str, page: Value) -> String {
        let common =
            context! { site => &self.title, style => Value::from_safe_string(STYLE.to_owned()), ..page };
        let rendered = self.templates.get_template(name).and_then(|template| template.render(common));
        rendered.unwrap_or_else(|error| {
            tracing::error!(template = name, error = %error, "a page could not be rendered");
            "<!doctype html><html lang=\"en\"><title>Error</title><p>This page could not be shown.".into()
        })
    }
}

fn environment() -> Environment<'static> {
    let mut templates = Environment::new();
    templates.set_formatter(escaped);
    for (name, source) in TEMPLATES {
        templates.add_template(name, source).expect("the built-in templates are tested");
    }
    templates
}

/// Every value is text, whatever the file is called, unless it is our own style sheet.
/// Paths keep their slashes, so that a page's source reads as it works.
fn escaped(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(());
    }
    let text = value.to_string();
    if value.is_safe() {
        return Ok(out.write_str(&text)?);
    }
    for c in text.chars() {
        match c {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&#39;")?,
            other => out.write_char(other)?,
        }
    }
    Ok(())
}

fn fields(form: &Form, view: &LoginView<'_>) -> Vec<Value> {
    // The first field that is still empty is where a person goes on typing.
    let starts = |field: &Field| field.kind != FieldKind::Username || view.typed.is_empty();
    let start = form.fields.iter().position(starts);
    let one = |(index, field): (usize, &Field)| {
        let (kind, autocomplete) = match field.kind {
            FieldKind::Username => ("text", "username"),
            FieldKind::Password => ("password", "current-password"),
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
            value => (field.kind == FieldKind::Username).then_some(view.typed),
            focus => start == Some(index),
        }
    };
    form.fields.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests;
