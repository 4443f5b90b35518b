//! Everything that is done to one account. The store ends its sessions where it has to.

use super::{
    super::{
        args::UserPasswd,
        output::{Failure, result, safe},
        strategy,
    },
    Room,
    open::stuck,
    secret,
};

/// The longest role (contract section 1).
const LONGEST_ROLE: usize = 128;

pub(super) async fn password(room: &Room, which: UserPasswd) -> Result<(), Failure> {
    let account = room.account(&which.name).await?;
    let registry = strategy::start(&room.config).await?;
    let default = room.config.login.default.as_deref();
    // The password that is there is the one that is meant: a second one at another
    // strategy would leave the old one good.
    let kept = room.store.credential_strategies(account.uuid).await.map_err(stuck)?;
    let kept: Vec<_> = kept.iter().filter(|id| secret::keeps(&registry, id)).map(String::as_str).collect();
    let named = match (which.strategy.as_deref(), kept.as_slice()) {
        (None, [one]) => Some(*one),
        (named, _) => named,
    };
    let strategy = secret::keeper(&registry, named, default)?;
    let from = if which.password_stdin { secret::From::Stdin } else { secret::From::Prompt };
    let op = from.take(secret::about_account(&account))?;
    let credential = secret::credential(room, &strategy, account.uuid, op).await?;
    let found = room.store.replace_secret(account.uuid, credential, room.clock.now()).await.map_err(stuck)?;
    told(found, &account.name, "has a new password; all its sessions are over")
}

pub(super) async fn active(room: &Room, name: &str, active: bool) -> Result<(), Failure> {
    let account = room.account(name).await?;
    let found = room.store.set_active(account.uuid, active, room.clock.now()).await.map_err(stuck)?;
    let what = if active { "is enabled" } else { "is disabled; all its sessions are over" };
    told(found, &account.name, what)
}

pub(super) async fn unlock(room: &Room, name: &str) -> Result<(), Failure> {
    let account = room.account(name).await?;
    room.store.unlock(&account.name).await.map_err(stuck)?;
    told(true, &account.name, "is unlocked")
}

pub(super) async fn delete(room: &Room, name: &str) -> Result<(), Failure> {
    let account = room.account(name).await?;
    let found = room.store.delete_account(account.uuid).await.map_err(stuck)?;
    told(found, &account.name, "is deleted, with its credentials and sessions")
}

pub(super) async fn roles(room: &Room, name: &str, roles: Vec<String>) -> Result<(), Failure> {
    let account = room.account(name).await?;
    let roles = checked_roles(roles)?;
    let what =
        if roles.is_empty() { "has no roles".into() } else { format!("has {}", safe(&roles.join(", "))) };
    let found = room.store.set_roles(account.uuid, roles, room.clock.now()).await.map_err(stuck)?;
    told(found, &account.name, &what)
}

/// A role has no comma or control character and at most 128 bytes; each is there once.
pub(super) fn checked_roles(given: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut roles: Vec<String> = Vec::new();
    for role in given {
        let role = role.trim();
        let odd = role.is_empty()
            || role.len() > LONGEST_ROLE
            || role.contains(',')
            || role.contains(char::is_control);
        if odd {
            return Err(Failure::new(format!(
                "`{}` is no role: 1 to {LONGEST_ROLE} bytes without a comma or control character; \
                 give several one by one",
                safe(role)
            )));
        }
        if !roles.iter().any(|r| r == role) {
            roles.push(role.to_owned());
        }
    }
    Ok(roles)
}

/// Somebody else may have deleted the account in between.
fn told(found: bool, name: &str, what: &str) -> Result<(), Failure> {
    if !found {
        return Err(Failure::new(format!("there is no account `{name}` any more")));
    }
    result(&format!("account {name} {what}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(given: &[&str]) -> Result<Vec<String>, Failure> {
        checked_roles(given.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_role_is_kept_once_and_one_that_could_pass_for_two_is_refused() {
        assert_eq!(roles(&["staff", " staff ", "a b"]).unwrap(), ["staff", "a b"]);
        assert!(roles(&[]).unwrap().is_empty());
        for bad in ["", " ", "a,b", "a\nb", "a\u{9b}", &"x".repeat(129)] {
            assert!(roles(&["fine", bad]).is_err(), "{bad:?}");
        }
    }
}
