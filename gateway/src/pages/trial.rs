//! Every page is rendered once before it is used, so that a fault in an operator's
//! template is a problem of the configuration and not of whoever wants to sign in.

use super::{LinkView, LoginView, Other, Pages, StepView};
use crate::problem::Code;
use minijinja::{Value, context};
use portcullis_config::Problem;
use portcullis_plugin_api::{Field, FieldKind, Form};

impl Pages {
    /// What is wrong with the templates, each fault once.
    pub(super) fn trial(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut note = |problem| {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        for (name, page) in self.samples() {
            if let Err(error) = self.templates.render(name, &self.context(page)) {
                note(self.templates.problem(name, &error));
            }
        }
        self.try_letters().into_iter().for_each(note);
        problems
    }

    /// Each page in each shape: with and without what may be absent.
    fn samples(&self) -> Vec<(&'static str, Value)> {
        let form = form();
        let mut samples = Vec::new();
        for (form, others, error) in
            [(Some(&form), 0, None), (Some(&form), 1, Some("No")), (None, 2, None), (None, 0, Some("No"))]
        {
            let other = |_| Other { url: "/login/x".into(), title: "X".into() };
            let view = LoginView {
                action: "/login/x".into(),
                form,
                others: (0..others).map(other).collect(),
                return_to: "/",
                typed: "",
                error,
                request_id: "0",
            };
            samples.push(("login.html", self.login_context(&view)));
        }
        for error in [None, Some("No")] {
            let action = "/login/x".into();
            let view = StepView { action, form: &form, state: "s", error, request_id: "0" };
            samples.push(("step.html", self.step_context(&view)));
        }
        for (form, error) in [(None, None), (Some(&form), Some("No"))] {
            let action = "/login/x".into();
            let view = LinkView { action, title: "X", form, return_to: "/", error, request_id: "0" };
            samples.push(("link.html", self.link_context(&view)));
        }
        samples.push(("moved_on.html", self.moved_on_context("/")));
        for code in [Code::LoginRequired, Code::Internal] {
            samples.push(("problem.html", self.problem_context(&code.into(), "0")));
        }
        for global in [false, true] {
            samples.push(("sign_out.html", self.sign_out_context(global, None)));
        }
        samples.extend(self.form_samples());
        samples.push(("layout.html", context! { heading => "" }));
        samples
    }
}

fn form() -> Form {
    let field = |name: &str, kind| Field { name: name.into(), kind, label: name.into(), required: true };
    let fields = vec![field("username", FieldKind::Username), field("password", FieldKind::Password)];
    Form { fields, message: Some("Hello".into()), ..Form::default() }
}
