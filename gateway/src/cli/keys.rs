//! `portcullis keys`: the keys that sign tokens, changed in the store by this process alone.
//! A gateway that runs learns of it by the store's events, within a second.

use super::{
    args::{Keys, KeysVerb},
    block_on, configuration,
    output::{Done, Failure, result, safe, table},
};
use crate::{
    clock::Clock,
    random::Random,
    store::{OpenMode, Store, StoreOptions, StoredKey},
    telemetry::{self, rfc3339},
    tokens::{Keeper, LoadError, Revoked, Rotated},
};
use portcullis_config::Config;
use serde_json::{Value, json};
use std::process::ExitCode;

pub(super) fn run(arguments: Keys) -> Done {
    let _log = telemetry::start_for_command(Clock::system());
    let config = configuration::load(&arguments.file)?;
    block_on(async {
        let store = open(&config)?;
        match arguments.verb {
            KeysVerb::List { json } => list(&store, json).await,
            KeysVerb::Rotate { json } => rotate(&keeper(&store, &config)?, json).await,
            KeysVerb::Revoke { kid, json } => revoke(&keeper(&store, &config)?, &kid, json).await,
        }
    })??;
    Ok(ExitCode::SUCCESS)
}

/// Opens the store, which only `serve` and `demo` make.
fn open(config: &Config) -> Result<Store, Failure> {
    Store::open(StoreOptions {
        path: config.store.path.clone(),
        key: config.store.key.clone(),
        mode: OpenMode::Command,
        clock: Clock::system(),
        random: Random::system(),
    })
    .map_err(|error| Failure::new(error.to_string()))
}

fn keeper(store: &Store, config: &Config) -> Result<Keeper, Failure> {
    let sealer = store.sealer().map_err(|error| Failure::new(error.to_string()))?;
    let (token, assertion) = (&config.token, &config.assertion);
    Ok(Keeper::new(store.clone(), sealer, token, assertion, Random::system(), Clock::system()))
}

fn stuck(error: LoadError) -> Failure {
    Failure::new(error.to_string())
}

async fn list(store: &Store, as_json: bool) -> Result<(), Failure> {
    let keys = store.keys().await.map_err(|error| stuck(error.into()))?;
    if as_json {
        result(&Value::from(keys.iter().map(json_of).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            [
                key.kid.clone(),
                key.purpose.clone(),
                key.algorithm.clone(),
                key.state.name().to_owned(),
                rfc3339(key.created),
                key.until.map(rfc3339).unwrap_or_default(),
            ]
        })
        .collect();
    table(["KID", "SIGNS", "ALGORITHM", "STATE", "CREATED", "UNTIL"], &rows);
    Ok(())
}

fn json_of(key: &StoredKey) -> Value {
    json!({
        "kid": key.kid,
        "purpose": key.purpose,
        "algorithm": key.algorithm,
        "state": key.state.name(),
        "created": rfc3339(key.created),
        "until": key.until.map(rfc3339),
    })
}

async fn rotate(keeper: &Keeper, as_json: bool) -> Result<(), Failure> {
    let all = keeper.rotate().await.map_err(stuck)?;
    if as_json {
        let one = |rotated: &Rotated| match rotated {
            Rotated::Now { purpose, old, new } => json!({ "purpose": purpose, "old": old, "new": new }),
            Rotated::NotOurs => json!({ "purpose": "access", "old": null, "new": null }),
            Rotated::Already(purpose) => json!({ "purpose": purpose, "old": null, "new": null }),
        };
        result(&Value::from(all.iter().map(one).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    for rotated in all {
        result(&match rotated {
            Rotated::Now { purpose, old, new } => {
                format!("{purpose}: key {new} signs; {old} verifies until all that it signed has run out")
            }
            Rotated::NotOurs => {
                "access: [token] secret stays; to replace it, change it in the configuration and restart"
                    .into()
            }
            Rotated::Already(purpose) => {
                format!("{purpose}: another process has just made a new key; `keys list` shows it")
            }
        });
    }
    Ok(())
}

async fn revoke(keeper: &Keeper, kid: &str, as_json: bool) -> Result<(), Failure> {
    let shown = safe(kid);
    match keeper.revoke(kid).await.map_err(stuck)? {
        Revoked::Done(next) if as_json => result(&json!({ "revoked": kid, "signs": next }).to_string()),
        Revoked::Done(Some(next)) => {
            result(&format!("key {shown} is revoked with all that it signed; {next} signs in its place"));
        }
        Revoked::Done(None) => result(&format!("key {shown} is revoked with all that it signed")),
        Revoked::Unknown => {
            return Err(Failure::new(format!("there is no key `{shown}`; `portcullis keys list` shows all")));
        }
        Revoked::Wanted => {
            return Err(Failure::new(format!(
                "key {shown} is [token] secret, and would sign again at once: change the secret (or \
                 [token] algorithm) in the configuration, then revoke the key"
            )));
        }
        Revoked::Changed => {
            return Err(Failure::new(format!("key {shown} changed in this very moment; try again")));
        }
    }
    Ok(())
}
