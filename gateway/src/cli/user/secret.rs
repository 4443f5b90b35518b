//! A password to what is stored of it. That is the strategy's work, whichever it is; here
//! is only who asks it, and how a refusal is told.

use super::{
    super::{
        output::{Failure, safe},
        password,
    },
    Room,
};
use crate::{
    registry::{CallError, Instance, Registry},
    sessions::Account,
    store::NewCredential,
};
use portcullis_plugin_api::{Call, CredentialOp};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// Where a password comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Prompt,
    Stdin,
    HashOnStdin,
}

impl From {
    /// Asks for it or reads it, as an operation of a strategy. `about` may not be in it.
    pub(super) fn take(self, about: Vec<String>) -> Result<CredentialOp, Failure> {
        let password = match self {
            Self::Prompt => password::ask()?,
            Self::Stdin => password::from_stdin()?,
            Self::HashOnStdin => {
                let secret = password::from_stdin()?.trim().to_owned();
                return Ok(CredentialOp::Import { secret });
            }
        };
        Ok(create(&password, about))
    }
}

/// The operation that makes a credential of a password.
pub(super) fn create(password: &str, about: Vec<String>) -> CredentialOp {
    CredentialOp::Create { form: BTreeMap::from([("password".to_owned(), password.to_owned())]), about }
}

/// What of an account its password may not contain.
pub(super) fn about<'a>(words: impl IntoIterator<Item = Option<&'a str>>) -> Vec<String> {
    words.into_iter().flatten().map(str::to_owned).collect()
}

/// Whether this strategy is configured and keeps passwords.
pub(super) fn keeps(registry: &Registry, id: &str) -> bool {
    registry.get(id).is_some_and(|one| one.operations().credentials)
}

/// The strategy that keeps the password: the one named, else the only one that keeps any,
/// else the default one.
pub(super) fn keeper(
    registry: &Registry,
    named: Option<&str>,
    default: Option<&str>,
) -> Result<Instance, Failure> {
    let keepers: Vec<_> = registry.list().iter().filter(|one| one.operations().credentials).collect();
    if let Some(id) = named {
        let one = registry.get(id).ok_or_else(|| {
            Failure::new(format!("there is no strategy `{}`; `portcullis strategy list` shows all", safe(id)))
        })?;
        return if one.operations().credentials {
            Ok(one)
        } else {
            Err(Failure::new(format!("the strategy `{id}` keeps no passwords")))
        };
    }
    match keepers.as_slice() {
        [] => Err(Failure::new("no configured strategy keeps passwords")),
        [one] => Ok((*one).clone()),
        several => {
            several.iter().find(|one| default == Some(one.id())).map(|one| (*one).clone()).ok_or_else(|| {
                Failure::new("more than one strategy keeps passwords; say which with --strategy")
            })
        }
    }
}

/// What is to be stored for this account.
pub(super) async fn credential(
    room: &Room,
    strategy: &Instance,
    account: uuid::Uuid,
    op: CredentialOp,
) -> Result<NewCredential, Failure> {
    let call = Call::new(room.random.uuid().to_string(), strategy.id(), Ipv4Addr::LOCALHOST.into());
    let reply = strategy.credentials(call, op).await.map_err(|error| refusal(strategy.id(), error))?;
    Ok(NewCredential {
        strategy: strategy.id().to_owned(),
        realm: "local".to_owned(),
        subject: account.to_string(),
        secret: Some(reply.secret),
    })
}

/// The account that a new secret is for, where it exists already.
pub(super) fn about_account(account: &Account) -> Vec<String> {
    about([Some(account.name.as_str()), account.email.as_deref(), account.display_name.as_deref()])
}

fn refusal(id: &str, error: CallError) -> Failure {
    Failure::new(match error {
        CallError::Weak(why) => format!("the password is too weak: {why}"),
        CallError::BadRequest { field, message } => format!("the {field} is not acceptable: {message}"),
        CallError::Unsupported => format!("the strategy `{id}` cannot do this"),
        CallError::Busy => format!("the strategy `{id}` is busy; try again"),
        CallError::Unavailable | CallError::ProviderInvalid => {
            format!("the strategy `{id}` could not decide; nothing is changed")
        }
    })
}
