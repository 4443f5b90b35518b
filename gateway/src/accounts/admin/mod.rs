//! `{auth}/admin/users`: accounts as operators manage them by API (contract, section 5). The role
//! `admin`, and by `Authorization` only: a browser's cookie opens nothing here, so that no
//! page can make an admin's browser do it.
//!
//! `path.rs` what is asked for · `list.rs` a page of accounts · `given.rs` the fields of a
//! body · `one.rs` what is done to one account · `told.rs` how it is shown.

mod given;
mod list;
mod one;
pub(crate) mod path;
mod told;

use super::{
    manage::{House, Refused},
    sessions::stuck,
};
use crate::{
    control::{Ask, Reply, presented},
    login::body::malformed,
    problem::{Code, Problem},
    sessions::LiveSession,
    telemetry::Audit,
};
use http::Method;
use path::Which;
use std::sync::Arc;

/// One request to it.
pub(crate) async fn answer(ask: &Ask<'_>, which: Which<'_>) -> Result<Reply, Problem> {
    let admin = admin(ask, which).await?;
    let admin = admin.account();
    let mut target = which.account();
    let answer = match (which, &ask.method()) {
        (Which::Users, &Method::GET) => list::page(ask).await,
        (Which::Users, _) => one::create(ask).await.map(|(reply, uuid)| {
            target = Some(uuid);
            reply
        }),
        (Which::User(uuid), &Method::GET) => one::show(ask, uuid).await,
        (Which::User(uuid), &Method::DELETE) => one::delete(ask, uuid).await,
        (Which::User(uuid), _) => one::change(ask, uuid).await,
        (Which::Sessions(uuid), _) => one::end_sessions(ask, uuid).await,
        (Which::Credentials(uuid), &Method::GET) => one::credentials(ask, uuid).await,
        (Which::Credentials(uuid), _) => one::add_credential(ask, uuid).await,
        (Which::Credential(uuid, strategy), &Method::DELETE) => {
            one::remove_credential(ask, uuid, strategy).await
        }
        (Which::Credential(uuid, strategy), _) => one::change_credential(ask, uuid, strategy).await,
    };
    if answer.is_ok() && ask.method() != Method::GET {
        ask.audit(Audit {
            event: "admin",
            account: Some(&admin.name),
            reason: Some(which.done(&ask.method())),
            target,
            ..Audit::default()
        });
    }
    answer
}

/// Who asks, by their token, if they may. A cookie opens nothing here; one of another account
/// beside the token is a conflict here as everywhere.
async fn admin(ask: &Ask<'_>, which: Which<'_>) -> Result<Arc<LiveSession>, Problem> {
    let presented = presented(ask).await?;
    let has_token = presented.token.is_some();
    let Some(session) = presented.signed_in()?.filter(|_| has_token) else {
        return Err(Code::LoginRequired.into());
    };
    let account = session.account();
    if account.roles.iter().any(|role| role == "admin") {
        return Ok(session);
    }
    ask.audit(Audit {
        event: "admin_refused",
        account: Some(&account.name),
        reason: Some(which.done(&ask.method())),
        target: which.account(),
        ..Audit::default()
    });
    Err(Code::Forbidden.into())
}

fn house<'a>(ask: &'a Ask<'_>) -> House<'a> {
    let control = ask.control;
    House {
        config: &control.config,
        store: &control.store,
        registry: &control.registry,
        clock: &control.clock,
        random: &control.random,
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Weak(why) => Self::from(Code::WeakPassword).detail(why),
            Refused::NameTaken(_) => Code::NameTaken.into(),
            Refused::EmailTaken(_) => Code::EmailTaken.into(),
            Refused::SubjectTaken => Code::SubjectTaken.into(),
            Refused::Busy(_) => Code::Busy.into(),
            Refused::Undecided(_) => Code::StrategyUnavailable.into(),
            Refused::Store(error) => stuck(&error),
            Refused::Value(what, why) => malformed(format!("{what}: {why}")),
            Refused::Strategy(why) => malformed(format!("strategy: {why}")),
        }
    }
}
