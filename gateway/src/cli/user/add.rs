//! `portcullis user add`: an account and its first credential, or neither.

use super::{
    super::{
        args::UserAdd,
        output::{Failure, result, safe},
        strategy,
    },
    Room,
    open::stuck,
    secret,
};
use crate::{
    accounts::name::{Names, new_address},
    app::Ready,
    registry::Registry,
    sessions::Account,
    store::{CreateRefused, NewAccount},
};
use portcullis_plugin_api::Object;
use serde_json::json;

pub(super) async fn run(room: &Room, given: UserAdd) -> Result<(), Failure> {
    let registry = strategy::start(&room.config).await?;
    let from = match (given.password_stdin, given.password_hash_stdin) {
        (_, true) => secret::From::HashOnStdin,
        (true, _) => secret::From::Stdin,
        _ => secret::From::Prompt,
    };
    let as_json = given.json;
    let new = NewUser { name: given.name, email: given.email, roles: given.roles, strategy: given.strategy };
    let account = make(room, &registry, new, |about| from.take(about)).await?;
    match as_json {
        true => result(&json!({ "uuid": account.uuid.to_string(), "name": account.name }).to_string()),
        false => result(&format!("account {} is made: {}", account.name, account.uuid)),
    }
    Ok(())
}

/// What an operator says of a new account.
#[derive(Debug, Default)]
pub(in crate::cli) struct NewUser {
    pub(in crate::cli) name: String,
    pub(in crate::cli) email: Option<String>,
    pub(in crate::cli) roles: Vec<String>,
    pub(in crate::cli) strategy: Option<String>,
}

/// Gives somebody a password at a gateway of this process (the demo's): a new account, or
/// the one that an earlier run has left.
pub(in crate::cli) async fn give(ready: &Ready, new: NewUser, password: &str) -> Result<(), Failure> {
    let room = Room {
        config: ready.config.clone(),
        store: ready.store.clone(),
        clock: ready.clock.clone(),
        random: ready.random.clone(),
    };
    let Some(account) = room.store.account_by_name(&new.name).await.map_err(stuck)? else {
        return make(&room, &ready.registry, new, |about| Ok(secret::create(password, about)))
            .await
            .map(|_| ());
    };
    let strategy = secret::keeper(&ready.registry, None, room.config.login.default.as_deref())?;
    let op = secret::create(password, secret::about_account(&account));
    let credential = secret::credential(&room, &strategy, account.uuid, op).await?;
    let now = room.clock.now();
    room.store.replace_secret(account.uuid, credential, now).await.map_err(stuck)?;
    room.store.set_active(account.uuid, true, now).await.map_err(stuck)?;
    room.store.unlock(&account.name).await.map_err(stuck)
}

/// Everything that can be refused is, before anybody is asked for a password.
async fn make(
    room: &Room,
    registry: &Registry,
    new: NewUser,
    take: impl FnOnce(Vec<String>) -> Result<portcullis_plugin_api::CredentialOp, Failure>,
) -> Result<Account, Failure> {
    let strategy = secret::keeper(registry, new.strategy.as_deref(), room.config.login.default.as_deref())?;
    let email = new.email.as_deref().map(new_address).transpose().map_err(|why| refused("e-mail", why))?;
    let name = Names::new(&room.config)
        .new_account(strategy.id(), &new.name, email.as_deref())
        .map_err(|why| refused("name", why))?;
    let roles = super::change::checked_roles(new.roles)?;
    if room.store.account_by_name(name.as_str()).await.map_err(stuck)?.is_some() {
        return Err(taken(&CreateRefused::NameTaken, name.as_str(), email.as_deref()));
    }
    let op = take(secret::about([Some(name.as_str()), email.as_deref()]))?;
    let account = NewAccount {
        uuid: room.random.uuid(),
        name: name.as_str().to_owned(),
        email_verified: email.is_some(),
        email: email.clone(),
        display_name: None,
        roles,
        metadata: Object::new(),
        app: Object::new(),
    };
    let credential = secret::credential(room, &strategy, account.uuid, op).await?;
    let made = room.store.create_account(account, vec![credential], room.clock.now()).await.map_err(stuck)?;
    made.map_err(|why| taken(&why, name.as_str(), email.as_deref()))
}

fn refused(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("the {what} is not acceptable: {why}"))
}

fn taken(why: &CreateRefused, name: &str, email: Option<&str>) -> Failure {
    Failure::new(match why {
        CreateRefused::NameTaken => format!("the name `{}` is taken", safe(name)),
        CreateRefused::EmailTaken => {
            format!("the address `{}` is taken", safe(email.unwrap_or_default()))
        }
    })
}
