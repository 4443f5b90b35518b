//! The pages on which people register, set passwords anew and look after their accounts.

use super::Pages;
use minijinja::{Value, context};

/// A field of a form.
#[derive(Clone, Debug, Default)]
pub struct Input<'a> {
    /// Its name in the body.
    pub name: &'a str,
    /// What the person reads.
    pub label: &'a str,
    /// `text`, `email` or `password`.
    pub kind: &'a str,
    /// What a password manager goes by.
    pub autocomplete: &'a str,
    /// Whether it may be empty.
    pub required: bool,
    /// What was typed before; never a secret.
    pub value: Option<&'a str>,
}

/// A page with one form.
#[derive(Clone, Debug, Default)]
pub struct FormView<'a> {
    /// `register.html`, `recovery.html`, `reset.html`, `verify_email.html`
    pub template: &'static str,
    /// The heading.
    pub heading: &'a str,
    /// A sentence below it.
    pub intro: Option<&'a str>,
    /// Where it is posted, below `{auth}`.
    pub action: &'a str,
    /// Fields that are not shown.
    pub hidden: Vec<(&'a str, &'a str)>,
    /// Whose password it is, for password managers: in a field that is not seen.
    pub username: Option<&'a str>,
    /// Fields that are.
    pub inputs: Vec<Input<'a>>,
    /// What the button says.
    pub button: &'a str,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// Shown beside an error.
    pub request_id: &'a str,
}

/// A session of the person.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub sid: String,
    /// What the browser calls itself.
    pub user_agent: String,
    /// Where it was opened.
    pub address: String,
    /// When, in words.
    pub created: String,
    /// When it was used last, in words.
    pub last_used: String,
    /// Whether it is this one.
    pub current: bool,
}

/// A way in.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its strategy.
    pub strategy: String,
    /// What its button says.
    pub title: String,
    /// Since when, in words.
    pub created: String,
    /// When it was used last, in words.
    pub last_used: Option<String>,
}

/// A way to sign in that can be added to an account.
#[derive(Clone, Debug)]
pub struct More {
    /// The strategy's id.
    pub strategy: String,
    /// What people know it by.
    pub title: String,
}

/// The page of a person's own account.
#[derive(Clone, Debug, Default)]
pub struct ProfileView<'a> {
    /// The name.
    pub name: &'a str,
    /// The display name.
    pub display_name: Option<&'a str>,
    /// The address.
    pub email: Option<&'a str>,
    /// Whether it is verified.
    pub email_verified: bool,
    /// The address that waits for its proof.
    pub pending: Option<&'a str>,
    /// Whether there is a password that can be changed.
    pub password: bool,
    /// Whether a new address is asked for with that password.
    pub proof: bool,
    /// Ways to sign in that can be added.
    pub more: Vec<More>,
    /// Where they are signed in.
    pub devices: Vec<Device>,
    /// How they sign in.
    pub credentials: Vec<Credential>,
    /// What went wrong.
    pub error: Option<&'a str>,
}

impl Pages {
    /// A page with one form.
    pub fn form(&self, view: &FormView<'_>) -> String {
        self.render(view.template, self.form_context(view))
    }

    /// A page that says what was done, with one way on.
    pub fn done(&self, heading: &str, text: &str) -> String {
        self.render("done.html", self.done_context(heading, text))
    }

    /// The page of a person's own account.
    pub fn profile(&self, view: &ProfileView<'_>) -> String {
        self.render("profile.html", self.profile_context(view))
    }

    fn form_context(&self, view: &FormView<'_>) -> Value {
        let auth = &self.endpoints.auth;
        let start = view.inputs.iter().position(|input| input.value.is_none_or(str::is_empty));
        let input = |(index, input): (usize, &Input<'_>)| {
            context! {
                id => format!("field-{}", index + 1),
                name => input.name,
                label => input.label,
                kind => input.kind,
                autocomplete => input.autocomplete,
                is_name => input.kind != "password",
                required => input.required,
                value => input.value.filter(|_| input.kind != "password"),
                focus => start == Some(index),
            }
        };
        let hidden = view.hidden.iter().map(|(name, value)| context! { name => *name, value => *value });
        let mut links = vec![context! { url => &self.endpoints.login, label => "Sign in" }];
        if self.registration && view.template == "recovery.html" {
            links.push(context! { url => format!("{auth}/register"), label => "Create an account" });
        }
        if self.mail && view.template == "register.html" {
            links.push(context! { url => format!("{auth}/recovery"), label => "Forgot your password?" });
        }
        context! {
            heading => view.heading,
            intro => view.intro,
            action => format!("{auth}{}", view.action),
            hidden => hidden.collect::<Vec<_>>(),
            username => view.username,
            inputs => view.inputs.iter().enumerate().map(input).collect::<Vec<_>>(),
            button => view.button,
            links,
            error => view.error,
            request_id => view.request_id,
        }
    }

    fn done_context(&self, heading: &str, text: &str) -> Value {
        context! { heading, text, link => &self.endpoints.login, label => "Go to the sign-in page" }
    }

    fn profile_context(&self, view: &ProfileView<'_>) -> Value {
        let auth = &self.endpoints.auth;
        let device = |device: &Device| {
            let label = if device.current { "this device" } else { &device.user_agent };
            context! {
                user_agent => &device.user_agent,
                label,
                address => &device.address,
                created => &device.created,
                last_used => &device.last_used,
                current => device.current,
                action => format!("{auth}/sessions/{}/end", device.sid),
            }
        };
        // The last one stays.
        let removable = view.credentials.len() > 1;
        let credential = |one: &Credential| {
            context! {
                title => &one.title,
                created => &one.created,
                last_used => &one.last_used,
                action => removable.then(|| format!("{auth}/credentials/{}/remove", one.strategy)),
            }
        };
        let login = &self.endpoints.login;
        let more =
            |one: &More| context! { title => &one.title, url => format!("{login}/{}?link=1", one.strategy) };
        context! {
            heading => "Your account",
            name => view.name,
            display_name => view.display_name,
            email => view.email,
            email_verified => view.email_verified,
            pending => view.pending,
            mail => self.mail,
            action => format!("{auth}/me"),
            password_action => view.password.then(|| format!("{auth}/password")),
            proof => view.proof,
            more => view.more.iter().map(more).collect::<Vec<_>>(),
            devices => view.devices.iter().map(device).collect::<Vec<_>>(),
            credentials => view.credentials.iter().map(credential).collect::<Vec<_>>(),
            logout => &self.endpoints.logout,
            error => view.error,
        }
    }

    /// Each of these pages in each shape, for the trial of templates.
    pub(super) fn form_samples(&self) -> Vec<(&'static str, Value)> {
        let mut samples = vec![("done.html", self.done_context("Done", "It is done."))];
        for error in [None, Some("No")] {
            for template in ["register.html", "recovery.html", "reset.html", "verify_email.html"] {
                let input = Input { name: "x", label: "X", kind: "text", value: error, ..Input::default() };
                let (hidden, intro) = (vec![("token", "x")], error);
                let view =
                    FormView { template, inputs: vec![input], hidden, intro, error, ..FormView::default() };
                samples.push((template, self.form_context(&view)));
            }
            let text = || "x".to_owned();
            let device = Device {
                sid: text(),
                user_agent: error.unwrap_or_default().to_owned(),
                address: text(),
                created: text(),
                last_used: text(),
                current: error.is_some(),
            };
            let credential =
                |last_used| Credential { strategy: text(), title: text(), created: text(), last_used };
            let view = ProfileView {
                name: "x",
                display_name: error,
                email: error,
                pending: error,
                password: error.is_some(),
                proof: error.is_some(),
                more: vec![More { strategy: text(), title: text() }],
                devices: vec![device],
                credentials: vec![credential(None), credential(Some(text()))],
                error,
                ..ProfileView::default()
            };
            samples.push(("profile.html", self.profile_context(&view)));
        }
        samples
    }
}
