//! The templates in use: the built-in ones, with an operator's files over them one by one.
//! What may not come in: what a page shows.

use minijinja::{Environment, Error, Output, State, UndefinedBehavior, Value};
use portcullis_config::{Problem, Template};
use std::{fmt::Write, path::PathBuf};

const STYLE: &str = "style.css";

const BUILT_IN: &[(&str, &str)] = &[
    ("layout.html", include_str!("templates/layout.html")),
    ("fields.html", include_str!("templates/fields.html")),
    ("login.html", include_str!("templates/login.html")),
    ("step.html", include_str!("templates/step.html")),
    ("link.html", include_str!("templates/link.html")),
    ("moved_on.html", include_str!("templates/moved_on.html")),
    ("problem.html", include_str!("templates/problem.html")),
    ("sign_out.html", include_str!("templates/sign_out.html")),
    ("mail_layout.html", include_str!("templates/mail_layout.html")),
    ("mail_reset.txt", include_str!("templates/mail_reset.txt")),
    ("mail_reset.html", include_str!("templates/mail_reset.html")),
    ("mail_elsewhere.txt", include_str!("templates/mail_elsewhere.txt")),
    ("mail_elsewhere.html", include_str!("templates/mail_elsewhere.html")),
    ("mail_verify.txt", include_str!("templates/mail_verify.txt")),
    ("mail_verify.html", include_str!("templates/mail_verify.html")),
    ("mail_changing.txt", include_str!("templates/mail_changing.txt")),
    ("mail_changing.html", include_str!("templates/mail_changing.html")),
    ("mail_taken.txt", include_str!("templates/mail_taken.txt")),
    ("mail_taken.html", include_str!("templates/mail_taken.html")),
    ("mail_notice.txt", include_str!("templates/mail_notice.txt")),
    ("mail_notice.html", include_str!("templates/mail_notice.html")),
    ("one_form.html", include_str!("templates/one_form.html")),
    ("register.html", include_str!("templates/register.html")),
    ("recovery.html", include_str!("templates/recovery.html")),
    ("reset.html", include_str!("templates/reset.html")),
    ("verify_email.html", include_str!("templates/verify_email.html")),
    ("done.html", include_str!("templates/done.html")),
    ("profile.html", include_str!("templates/profile.html")),
    (STYLE, include_str!("templates/style.css")),
];

/// Templates by name, and the style sheet.
pub(super) struct Templates {
    environment: Environment<'static>,
    style: String,
    overlaid: Vec<(String, PathBuf)>,
}

impl Templates {
    /// Ours alone.
    pub(super) fn built_in() -> Self {
        let mut environment = Environment::new();
        environment.set_formatter(escaped);
        // A misspelt variable is a fault; asking whether there is one is not.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        // What a person typed stays text, also where a template would say otherwise.
        environment.remove_filter("safe");
        let mut style = String::new();
        for (name, text) in BUILT_IN {
            match *name {
                STYLE => (*text).clone_into(&mut style),
                _ => environment.add_template(name, text).expect("the built-in templates are tested"),
            }
        }
        Self { environment, style, overlaid: Vec::new() }
    }

    /// An operator's over ours. A file of another name is there to be included.
    pub(super) fn new(overlay: &[Template]) -> Result<Self, Problem> {
        let mut all = Self::built_in();
        for template in overlay {
            all.overlaid.push((template.name.clone(), template.path.clone()));
            if template.name != STYLE {
                let added = all.environment.add_template_owned(template.name.clone(), template.text.clone());
                added.map_err(|error| all.problem(&template.name, &error))?;
            } else if template.text.to_ascii_lowercase().contains("</style") {
                return Err(Problem {
                    place: template.path.display().to_string(),
                    message: "the style sheet stands inside <style> and cannot end it".into(),
                    help: Some("remove </style".into()),
                    excerpt: None,
                });
            } else {
                template.text.clone_into(&mut all.style);
            }
        }
        Ok(all)
    }

    /// The style sheet.
    pub(super) fn style(&self) -> &str {
        &self.style
    }

    /// Renders a page.
    pub(super) fn render(&self, name: &str, page: &Value) -> Result<String, Error> {
        self.environment.get_template(name)?.render(page)
    }

    /// What `check` says of an error: the file and line where it came from.
    pub(super) fn problem(&self, page: &str, error: &Error) -> Problem {
        let cause = cause(error);
        let name = cause.name().unwrap_or(page);
        let overlaid = self.overlaid.iter().find(|(known, _)| known == name);
        let file = match overlaid {
            Some((_, path)) => path.display().to_string(),
            None => format!("{name} (built in)"),
        };
        let place = cause.line().map_or_else(|| file.clone(), |line| format!("{file}:{line}"));
        let detail = cause.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        Problem {
            place,
            message: format!("the template does not work: {}{detail}", cause.kind()),
            help: Some("docs/pages.md names what each page is given".into()),
            excerpt: None,
        }
    }
}

/// The innermost error: that of the file that was included.
fn cause(error: &Error) -> &Error {
    let mut cause = error;
    while let Some(inner) = std::error::Error::source(cause).and_then(|e| e.downcast_ref::<Error>()) {
        cause = inner;
    }
    cause
}

/// Every value is text, unless it is our own style sheet; in a mail that is text alone
/// nothing means anything else. Paths keep their slashes, so that a page's source reads
/// as it works.
fn escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(());
    }
    let text = value.to_string();
    if value.is_safe() || state.name().ends_with(".txt") {
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
