//! `portcullis user add`: an account and its first credential, or neither.

use super::{
    super::{
        args::UserAdd,
        output::{Failure, result},
        strategy,
    },
    Room,
    open::stuck,
    secret,
};
use crate::{
    accounts::manage::{self, House, New, Wanted},
    app::Ready,
    sessions::Account,
};
use portcullis_plugin_api::CredentialOp;
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
    let account = make(room.house(&registry), new, |about| from.take(about)).await?;
    room.store.tell_of_command(account.uuid, "account_made").await.map_err(stuck)?;
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
    let house = room.house(&ready.registry);
    let Some(account) = room.store.account_by_name(&new.name).await.map_err(stuck)? else {
        return make(house, new, |about| Ok(manage::of_password(password, about))).await.map(|_| ());
    };
    let op = manage::of_password(password, manage::about_account(&account));
    let wanted = Wanted::Kept(manage::keeper(house, None)?, op);
    let credential = manage::credential(house, account.uuid, wanted).await?;
    let now = room.clock.now();
    room.store.replace_secret(account.uuid, credential, now).await.map_err(stuck)?;
    room.store.set_active(account.uuid, true, now).await.map_err(stuck)?;
    room.store.unlock(&account.name).await.map_err(stuck)
}

/// Everything that can be refused is, before anybody is asked for a password.
async fn make(
    house: House<'_>,
    new: NewUser,
    take: impl FnOnce(Vec<String>) -> Result<CredentialOp, Failure>,
) -> Result<Account, Failure> {
    let strategy = manage::keeper(house, new.strategy.as_deref())?;
    let new = New { name: new.name, email: new.email, roles: new.roles, ..New::default() };
    let checked = manage::check(house, strategy.id(), new).await?;
    let op = take(checked.about())?;
    Ok(manage::make(house, checked, vec![Wanted::Kept(strategy, op)]).await?)
}
