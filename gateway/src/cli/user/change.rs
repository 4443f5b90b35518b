//! Everything that is done to one account. The store ends its sessions where it has to.

use super::{
    super::{
        args::{Named, UserPasswd},
        output::{Failure, result, safe},
        strategy,
    },
    Room,
    open::stuck,
    secret,
};
use crate::{
    accounts::manage::{self, Wanted},
    accounts::view::whole,
    sessions::Account,
};

pub(super) async fn password(room: &Room, which: UserPasswd) -> Result<(), Failure> {
    let account = room.account(&which.name).await?;
    let registry = strategy::start(&room.config).await?;
    let house = room.house(&registry);
    // The password that is there is the one that is meant: a second one at another
    // strategy would leave the old one good.
    let kept = room.store.credential_strategies(account.uuid).await.map_err(stuck)?;
    let kept: Vec<_> = kept.iter().filter(|id| manage::keeps(&registry, id)).map(String::as_str).collect();
    let named = match (which.strategy.as_deref(), kept.as_slice()) {
        (None, [one]) => Some(*one),
        (named, _) => named,
    };
    let strategy = manage::keeper(house, named)?;
    let from = if which.password_stdin { secret::From::Stdin } else { secret::From::Prompt };
    let op = from.take(manage::about_account(&account))?;
    let credential = manage::credential(house, account.uuid, Wanted::Kept(strategy, op)).await?;
    let found = room.store.replace_secret(account.uuid, credential, room.clock.now()).await.map_err(stuck)?;
    told(room, found, &account, ("password_set", "has a new password; all its sessions are over"), which.json)
        .await
}

pub(super) async fn active(room: &Room, which: &Named, active: bool) -> Result<(), Failure> {
    let account = room.account(&which.name).await?;
    let found = room.store.set_active(account.uuid, active, room.clock.now()).await.map_err(stuck)?;
    let what = match active {
        true => ("account_enabled", "is enabled"),
        false => ("account_disabled", "is disabled; all its sessions are over"),
    };
    told(room, found, &account, what, which.json).await
}

pub(super) async fn unlock(room: &Room, which: &Named) -> Result<(), Failure> {
    let account = room.account(&which.name).await?;
    room.store.unlock(&account.name).await.map_err(stuck)?;
    told(room, true, &account, ("account_unlocked", "is unlocked"), which.json).await
}

pub(super) async fn delete(room: &Room, which: &Named) -> Result<(), Failure> {
    let account = room.account(&which.name).await?;
    let found = room.store.delete_account(account.uuid).await.map_err(stuck)?;
    if which.json && found {
        room.store.tell_of_command(account.uuid, "account_deleted").await.map_err(stuck)?;
        result(&whole(&account).to_string());
        return Ok(());
    }
    told(room, found, &account, ("account_deleted", "is deleted, with its credentials and sessions"), false)
        .await
}

pub(super) async fn roles(room: &Room, which: &Named, roles: Vec<String>) -> Result<(), Failure> {
    let account = room.account(&which.name).await?;
    let roles = manage::checked_roles(roles)?;
    let what =
        if roles.is_empty() { "has no roles".into() } else { format!("has {}", safe(&roles.join(", "))) };
    let found = room.store.set_roles(account.uuid, roles, room.clock.now()).await.map_err(stuck)?;
    told(room, found, &account, ("roles_changed", &what), which.json).await
}

/// In words, or as the account that it has become; and to the audit trail of the gateway.
/// Somebody else may have deleted it in between.
async fn told(
    room: &Room,
    found: bool,
    account: &Account,
    (event, what): (&'static str, &str),
    as_json: bool,
) -> Result<(), Failure> {
    let name = &account.name;
    if !found {
        return Err(Failure::new(format!("there is no account `{name}` any more")));
    }
    room.store.tell_of_command(account.uuid, event).await.map_err(stuck)?;
    match as_json {
        true => result(&whole(&room.account(name).await?).to_string()),
        false => result(&format!("account {name} {what}")),
    }
    Ok(())
}
