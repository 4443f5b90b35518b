//! What is told of accounts. No secret is, in any form.

use super::{
    super::output::{Failure, result, safe, table},
    Room,
    open::stuck,
};
use crate::{accounts::view::whole, sessions::Account, telemetry::rfc3339};
use serde_json::Value;

pub(super) async fn list(room: &Room, as_json: bool) -> Result<(), Failure> {
    let accounts = room.store.accounts().await.map_err(stuck)?;
    if as_json {
        result(&Value::from(accounts.iter().map(whole).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    let rows: Vec<_> = accounts
        .iter()
        .map(|one| {
            [one.name.clone(), address(one), one.roles.join(", "), state(one).into(), rfc3339(one.created)]
        })
        .collect();
    table(["NAME", "E-MAIL", "ROLES", "STATE", "CREATED"], &rows);
    Ok(())
}

pub(super) async fn show(room: &Room, name: &str, as_json: bool) -> Result<(), Failure> {
    let account = room.account(name).await?;
    let strategies = room.store.credential_strategies(account.uuid).await.map_err(stuck)?;
    if as_json {
        let mut shown = whole(&account);
        shown["strategies"] = strategies.into();
        result(&shown.to_string());
        return Ok(());
    }
    for (what, value) in [
        ("name", account.name.clone()),
        ("uuid", account.uuid.to_string()),
        ("e-mail", address(&account)),
        ("display name", account.display_name.clone().unwrap_or_default()),
        ("roles", account.roles.join(", ")),
        ("state", state(&account).to_owned()),
        ("signs in by", strategies.join(", ")),
        ("created", rfc3339(account.created)),
        ("updated", rfc3339(account.updated)),
    ] {
        result(format!("{what:13} {}", safe(&value)).trim_end());
    }
    Ok(())
}

fn address(account: &Account) -> String {
    match &account.email {
        Some(email) if account.email_verified => email.clone(),
        Some(email) => format!("{email} (not verified)"),
        None => String::new(),
    }
}

fn state(account: &Account) -> &'static str {
    if account.active { "active" } else { "disabled" }
}
