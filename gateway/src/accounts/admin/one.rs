//! What is done to one account. Each is one transaction of the store.

use super::{
    super::{
        manage::{self, New, Refused, Wanted},
        sessions::stuck,
    },
    given, house, told,
};
use crate::{
    control::{Ask, Reply, reply},
    login::body::{self, Body, Shape, malformed},
    problem::{Code, Problem},
    sessions::Account,
    store::{AccountChange, Removed},
};
use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

/// `POST …/users`
pub(super) async fn create(ask: &Ask<'_>) -> Result<(Reply, Uuid), Problem> {
    let (house, body) = (house(ask), read(ask)?);
    given::only(&body, given::OF_NEW)?;
    let new = New {
        name: given::name(&body)?,
        email: body.text("email")?.map(str::to_owned),
        display_name: given::display_name(&body)?.flatten(),
        roles: given::roles(&body)?.unwrap_or_default(),
        metadata: given::claims(&body, "metadata")?.unwrap_or_default(),
        app: given::claims(&body, "app")?.unwrap_or_default(),
        disabled: given::flag(&body, "active")? == Some(false),
    };
    let checked = manage::check(house, &names_of(ask, &body)?, new).await?;
    let wanted = given::credentials(house, &body, &checked.about())?;
    let account = manage::make(house, checked, wanted).await?;
    Ok((told::account(ask, StatusCode::CREATED, body.shape == Shape::JsonApi, &account), account.uuid))
}

/// `GET …/users/:uuid`
pub(super) async fn show(ask: &Ask<'_>, uuid: Uuid) -> Result<Reply, Problem> {
    Ok(told::account(ask, StatusCode::OK, false, &known(ask, uuid).await?))
}

/// `PATCH …/users/:uuid`
pub(super) async fn change(ask: &Ask<'_>, uuid: Uuid) -> Result<Reply, Problem> {
    let (house, body) = (house(ask), read(ask)?);
    given::only(&body, given::OF_CHANGE)?;
    let account = known(ask, uuid).await?;
    if body.shape != Shape::JsonApi && body.text("name")?.is_some_and(|name| name != account.name) {
        return Err(malformed("name: a name once given stays"));
    }
    let email = match given::nullable(&body, "email")? {
        Some(Some(email)) => Some(Some(manage::checked_address(&email)?)),
        other => other,
    };
    let secret = match body.text("password")? {
        None => None,
        Some(password) => {
            let op = manage::of_password(password, manage::about_account(&account));
            let wanted = Wanted::Kept(keeper_of(ask, &account).await?, op);
            Some(manage::credential(house, uuid, wanted).await?)
        }
    };
    let change = AccountChange {
        email,
        display_name: given::display_name(&body)?,
        roles: given::roles(&body)?,
        metadata: given::claims(&body, "metadata")?,
        app: given::claims(&body, "app")?,
        active: given::flag(&body, "active")?,
        secret,
    };
    let account = changed(ask, uuid, change).await?;
    Ok(told::account(ask, StatusCode::OK, body.shape == Shape::JsonApi, &account))
}

/// `DELETE …/users/:uuid`
pub(super) async fn delete(ask: &Ask<'_>, uuid: Uuid) -> Result<Reply, Problem> {
    if !ask.control.store.delete_account(uuid).await.map_err(|e| stuck(&e))? {
        return Err(Code::NotFound.into());
    }
    ask.control.sessions.end_all(uuid);
    Ok(reply::no_content())
}

/// `DELETE …/users/:uuid/sessions`
pub(super) async fn end_sessions(ask: &Ask<'_>, uuid: Uuid) -> Result<Reply, Problem> {
    known(ask, uuid).await?;
    ask.control.store.end_sessions_of(uuid).await.map_err(|e| stuck(&e))?;
    ask.control.sessions.end_all(uuid);
    Ok(reply::no_content())
}

/// `GET …/users/:uuid/credentials`
pub(super) async fn credentials(ask: &Ask<'_>, uuid: Uuid) -> Result<Reply, Problem> {
    known(ask, uuid).await?;
    let all = ask.control.store.credentials_of(uuid).await.map_err(|e| stuck(&e))?;
    Ok(reply::list(ask, "credentials", "strategy", all.iter().map(told::credential).collect()))
}

/// `POST …/users/:uuid/credentials`
pub(super) async fn add_credential(ask: &Ask<'_>, uuid: Uuid) -> Result<Reply, Problem> {
    let (house, body, account) = (house(ask), read(ask)?, known(ask, uuid).await?);
    let wanted = given::credential(house, &body.fields, &manage::about_account(&account))?;
    let made = manage::credential(house, uuid, wanted).await?;
    let told = serde_json::json!({ "strategy": made.strategy, "realm": made.realm, "subject": made.subject });
    let added = ask.control.store.add_credential(uuid, made, ask.control.clock.now()).await;
    if !added.map_err(manage::subject_taken)? {
        return Err(Code::NotFound.into());
    }
    let mut answer = reply::json(&told);
    *answer.status_mut() = StatusCode::CREATED;
    Ok(answer)
}

/// `PATCH …/users/:uuid/credentials/:strategy`: another secret.
pub(super) async fn change_credential(ask: &Ask<'_>, uuid: Uuid, id: &str) -> Result<Reply, Problem> {
    let (house, body, account) = (house(ask), read(ask)?, known(ask, uuid).await?);
    let mine = ask.control.store.credential_strategies(uuid).await.map_err(|e| stuck(&e))?;
    if !mine.iter().any(|one| one == id) {
        return Err(Code::NotFound.into());
    }
    let mut fields = body.fields.clone();
    fields.insert("strategy".to_owned(), Value::from(id));
    let wanted = given::credential(house, &fields, &manage::about_account(&account))?;
    if matches!(wanted, Wanted::Vouched(..)) {
        return Err(malformed("strategy: it keeps no secret that could change"));
    }
    let secret = Some(manage::credential(house, uuid, wanted).await?);
    changed(ask, uuid, AccountChange { secret, ..AccountChange::default() }).await?;
    Ok(reply::no_content())
}

/// `DELETE …/users/:uuid/credentials/:strategy`
pub(super) async fn remove_credential(ask: &Ask<'_>, uuid: Uuid, id: &str) -> Result<Reply, Problem> {
    known(ask, uuid).await?;
    let now = ask.control.clock.now();
    let there_are = ask.control.registry.ids();
    let removed = ask.control.store.remove_credential_of(uuid, id, there_are, now).await;
    match removed.map_err(|e| stuck(&e))? {
        Removed::None => Err(Code::NotFound.into()),
        Removed::Last => Err(Code::LastCredential.into()),
        Removed::Done => {
            ask.control.sessions.end_all(uuid);
            Ok(reply::no_content())
        }
    }
}

fn read(ask: &Ask<'_>) -> Result<Body, Problem> {
    body::read(&ask.request.headers, &ask.request.body, ask.body_limits())
}

async fn known(ask: &Ask<'_>, uuid: Uuid) -> Result<Account, Problem> {
    let found = ask.control.store.account(uuid).await.map_err(|e| stuck(&e))?;
    found.ok_or(Code::NotFound.into())
}

/// Changes it in the store, and on this gateway at once.
async fn changed(ask: &Ask<'_>, uuid: Uuid, change: AccountChange) -> Result<Account, Problem> {
    let ends = change.active == Some(false) || change.secret.is_some();
    let changed = ask.control.store.change_account(uuid, change, ask.control.clock.now()).await;
    let account = changed.map_err(manage::subject_taken)?.map_err(|_| Code::EmailTaken)?;
    let account = account.ok_or(Code::NotFound)?;
    if ends {
        ask.control.sessions.end_all(uuid);
    }
    ask.control.sessions.account_changed(account.clone());
    Ok(account)
}

/// The strategy whose form the name of a new account has: that of its first credential.
fn names_of(ask: &Ask<'_>, body: &Body) -> Result<String, Problem> {
    let config = &ask.control.config;
    let first = body.fields.get("credentials").and_then(|all| all.get(0)?.get("strategy")?.as_str());
    let usual = || config.accounts.bare_names.clone().or_else(|| config.login.default.clone());
    match first {
        Some(first) if !body.fields.contains_key("password") => Ok(first.to_owned()),
        _ => match usual() {
            Some(usual) => Ok(usual),
            // No strategy is the usual one: the only one that keeps passwords is meant, if it is.
            None => Ok(manage::keeper(house(ask), None)?.id().to_owned()),
        },
    }
}

/// Who keeps the password that is to be replaced: the one that has it, else as for a new account.
async fn keeper_of(ask: &Ask<'_>, account: &Account) -> Result<crate::registry::Instance, Problem> {
    let house = house(ask);
    let mine = house.store.credential_strategies(account.uuid).await.map_err(Refused::Store)?;
    let mut kept = mine.iter().filter(|id| manage::keeps(house.registry, id));
    let named = match (kept.next(), kept.next()) {
        (Some(one), None) => Some(one.as_str()),
        _ => None,
    };
    Ok(manage::keeper(house, named)?)
}
