//! `{auth}/register`: somebody makes an account for themselves. Names and addresses are
//! unique in the store's own transaction, however many ask at once.
//!
//! What may not come in: roles, `app`, `active`, `verified`. What a body says of them is
//! not even read.

use super::{
    input::{self, store_failed},
    keeper,
    name::{Name, Names, fold},
    post, view,
};
use crate::{
    control::{Ask, Reply, reply},
    login::{
        body::{Body, Shape, malformed},
        fresh::{self, Fresh},
    },
    mail::Letter,
    pages::{FormView, Input},
    problem::{Code, Problem},
    registry::Instance,
    sessions::Account,
    store::{CreateRefused, NewAccount, NewCredential},
    telemetry::Audit,
};
use http::StatusCode;
use portcullis_plugin_api::Object;
use serde_json::json;
use uuid::Uuid;

/// The page.
pub(crate) fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    input::page_only(ask)?;
    strategy(ask)?;
    Ok(reply::page(&ask.control.pages, 200, page(ask, None, None)))
}

/// `POST {auth}/register`
pub(crate) async fn submit(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let strategy = strategy(ask)?;
    let body = input::read(ask)?;
    let outcome = register(ask, &strategy, &body).await;
    let result = outcome.as_ref().map_or_else(|problem| problem.code.as_str(), |_| "success");
    ask.control.metrics.account("register", result);
    match outcome {
        Err(problem) if ask.is_browser_form() => {
            Ok(ask.page_of(&problem, page(ask, Some(&body), Some(&problem))))
        }
        outcome => outcome,
    }
}

/// Closed, or nobody keeps a password here.
fn strategy(ask: &Ask<'_>) -> Result<Instance, Problem> {
    let open = ask.control.config.accounts.registration;
    keeper::for_new(ask).filter(|_| open).ok_or(Code::RegistrationClosed.into())
}

/// What was asked for, checked.
struct Wanted<'b> {
    name: Name,
    email: String,
    display_name: Option<String>,
    metadata: Object,
    password: &'b str,
}

fn wanted<'b>(ask: &Ask<'_>, strategy: &Instance, body: &'b Body) -> Result<Wanted<'b>, Problem> {
    let email = input::required(body, "email")?;
    let names = Names::new(&ask.control.config);
    let email = names.address(email).map_err(|why| malformed(format!("email: {why}")))?;
    // The `name` of a JSON:API body is what a person is called.
    let (name, shown) = match body.shape {
        Shape::JsonApi => (None, "name"),
        Shape::Json | Shape::Form => {
            (body.text("name")?.filter(|name| !fold(name).is_empty()), "display_name")
        }
    };
    let name = names.new_account(strategy.id(), name.unwrap_or(&email), Some(&email)).map_err(|why| {
        malformed(match name {
            Some(_) => format!("name: {why}"),
            None => format!("name: missing, and the address cannot be one here: {why}"),
        })
    })?;
    let password = input::required(body, "password")?;
    input::confirmed(body, "password", "password_confirm")?;
    Ok(Wanted {
        name,
        display_name: input::display_name(body, shown)?.flatten(),
        metadata: input::metadata(body)?.unwrap_or_default(),
        email,
        password,
    })
}

async fn register(ask: &Ask<'_>, strategy: &Instance, body: &Body) -> Result<Reply, Problem> {
    let config = &ask.control.config;
    let wanted = wanted(ask, strategy, body)?;
    let asked = fresh::Asked::read(ask, body)?;
    input::admit_client(ask)?;
    let about = [Some(wanted.name.as_str()), Some(&wanted.email), wanted.display_name.as_deref()];
    let about = about.into_iter().flatten().map(str::to_owned).collect();
    let secret = keeper::make(ask, strategy, wanted.password, about).await?;
    let uuid = ask.control.random.uuid();
    let credential = NewCredential {
        strategy: strategy.id().to_owned(),
        realm: "local".to_owned(),
        subject: uuid.to_string(),
        secret: Some(secret.clone()),
    };
    let account = NewAccount {
        active: true,
        uuid,
        name: wanted.name.as_str().to_owned(),
        name_proved: !Names::new(config).has_at(strategy.id(), &wanted.name),
        email: Some(wanted.email.clone()),
        email_verified: false,
        display_name: wanted.display_name,
        roles: config.accounts.default_roles.clone(),
        metadata: wanted.metadata,
        app: Object::new(),
    };
    let now = ask.control.clock.now();
    let made = ask.control.store.create_account(account, vec![credential], now).await;
    let made = made.map_err(|e| store_failed(&e))?;
    let owner = owner(ask, &wanted.email, wanted.name.as_str()).await?;
    match made {
        Ok(account) => {
            ask.audit(Audit {
                event: "registered",
                account: Some(&account.name),
                strategy: Some(strategy.id()),
                ..Audit::default()
            });
            if config.mail.is_some() {
                post::verify(ask, account.uuid, &wanted.email).await?;
            }
            if config.accounts.verify_email {
                return Ok(waiting(ask, body, account.uuid));
            }
            let new = Fresh {
                account: &account,
                strategy: strategy.id(),
                secret: Some(secret),
                former: None,
                external: None,
            };
            let signed_in = fresh::sign_in(ask, new, &asked, StatusCode::CREATED).await?;
            signed_in.ok_or(Code::BadCredentials.into())
        }
        Err(_) if !config.accounts.reveal_taken => {
            let to = owner.as_ref().and_then(|owner| owner.email.as_deref());
            post::keep(ask, None, vec![post::news(ask, to, Letter::Taken)]).await?;
            ask.audit(Audit { event: "registration_taken", ..Audit::default() });
            Ok(waiting(ask, body, uuid))
        }
        Err(CreateRefused::NameTaken) if wanted.name.as_str() != wanted.email => Err(Code::NameTaken.into()),
        Err(_) => Err(Code::EmailTaken.into()),
    }
}

/// Who has the address, else the name: asked in any case.
async fn owner(ask: &Ask<'_>, email: &str, name: &str) -> Result<Option<Account>, Problem> {
    let by_email = ask.control.store.account_by_identifier(email).await.map_err(|e| store_failed(&e))?;
    let by_name = ask.control.store.account_by_identifier(name).await.map_err(|e| store_failed(&e))?;
    Ok(by_email.or(by_name))
}

/// The account waits for the link that was mailed; or there is none, and nobody can tell.
fn waiting(ask: &Ask<'_>, body: &Body, uuid: Uuid) -> Reply {
    let mut answer = if ask.is_browser_form() {
        let text = "We have sent you a mail. Use the link in it, then sign in.";
        reply::page(&ask.control.pages, 201, ask.control.pages.done("Check your mail", text))
    } else if body.shape == Shape::JsonApi {
        let attributes = json!({ "verified": false });
        reply::json_api(&json!({"data": {"type": "users", "id": uuid.to_string(), "attributes": attributes}}))
    } else {
        reply::json(&json!({ "success": true, "authenticated": false, "verified": false }))
    };
    *answer.status_mut() = StatusCode::CREATED;
    answer
}

fn page(ask: &Ask<'_>, body: Option<&Body>, problem: Option<&Problem>) -> String {
    let typed = |name| body.and_then(|body| view::typed(body, name));
    let input = |name, label, kind, autocomplete, required| Input {
        name,
        label,
        kind,
        autocomplete,
        required,
        value: typed(name),
    };
    ask.control.pages.form(&FormView {
        template: "register.html",
        heading: "Create an account",
        action: "/register",
        inputs: vec![
            input("email", "E-mail address", "email", "email", true),
            input("name", "Name to sign in with (may be left out)", "text", "username", false),
            input("password", "Password", "password", "new-password", true),
            input("password_confirm", "Password again", "password", "new-password", true),
        ],
        button: "Create account",
        error: problem.map(Problem::text),
        request_id: &ask.request.request_id,
        ..FormView::default()
    })
}
