//! What an operator does with accounts, in one place for the command line and the admin API:
//! what a new account may be, who keeps its password, what is stored of it.
//!
//! What may not come in: prompts, HTTP, and words for either.

use super::name::{Names, new_address};
use crate::{
    clock::Clock,
    random::Random,
    registry::{CallError, Instance, Registry},
    sessions::Account,
    store::{CreateRefused, NewAccount, NewCredential, Store, StoreError},
};
use portcullis_config::Config;
use portcullis_plugin_api::{Call, CredentialOp, Object};
use std::{collections::BTreeMap, fmt, net::Ipv4Addr};
use uuid::Uuid;

/// The longest role (contract section 1).
const LONGEST_ROLE: usize = 128;
/// The most bytes of `metadata` and of `app` as JSON: they stand in every token.
const MOST_CLAIMS: usize = 2048;

/// What managing works with.
#[derive(Clone, Copy)]
pub(crate) struct House<'a> {
    pub(crate) config: &'a Config,
    pub(crate) store: &'a Store,
    pub(crate) registry: &'a Registry,
    pub(crate) clock: &'a Clock,
    pub(crate) random: &'a Random,
}

/// Why something was not done. The text is for whoever manages.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A value is not acceptable: which, and why.
    Value(&'static str, String),
    /// The password is too weak.
    Weak(String),
    /// Somebody has that name.
    NameTaken(String),
    /// Somebody has that address.
    EmailTaken(String),
    /// Somebody has that credential.
    SubjectTaken,
    /// There is no such strategy, or none that can.
    Strategy(String),
    /// It has too much to do.
    Busy(String),
    /// It could not decide.
    Undecided(String),
    /// The store did not answer.
    Store(StoreError),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(what, why) => write!(f, "the {what} is not acceptable: {why}"),
            Self::Weak(why) => write!(f, "the password is too weak: {why}"),
            Self::NameTaken(name) => write!(f, "the name `{name}` is taken"),
            Self::EmailTaken(email) => write!(f, "the address `{email}` is taken"),
            Self::SubjectTaken => f.write_str("this login belongs to another account"),
            Self::Strategy(why) => f.write_str(why),
            Self::Busy(id) => write!(f, "the strategy `{id}` is busy; try again"),
            Self::Undecided(id) => write!(f, "the strategy `{id}` could not decide; nothing is changed"),
            Self::Store(error) => write!(f, "the store did not answer: {error}"),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What an operator says of a new account.
#[derive(Debug, Default)]
pub(crate) struct New {
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) metadata: Object,
    pub(crate) app: Object,
    /// It cannot sign in yet.
    pub(crate) disabled: bool,
}

/// A new account that was checked as far as it can be without its secrets.
pub(crate) struct Checked {
    account: NewAccount,
}

/// A credential that is to be made.
pub(crate) enum Wanted {
    /// The strategy makes it, of a password or of what else it asks for.
    Kept(Instance, CredentialOp),
    /// Somebody else vouches for it: by strategy, realm and subject.
    Vouched(String, String, String),
}

impl Wanted {
    /// What two of one account may not share: strategy, realm and subject.
    pub(crate) fn name(&self) -> (&str, &str, &str) {
        match self {
            Self::Kept(strategy, _) => (strategy.id(), "", ""),
            Self::Vouched(strategy, realm, subject) => (strategy, realm, subject),
        }
    }
}

impl Checked {
    /// What its passwords may not contain.
    pub(crate) fn about(&self) -> Vec<String> {
        let account = &self.account;
        about([Some(account.name.as_str()), account.email.as_deref(), account.display_name.as_deref()])
    }
}

/// Everything that can be refused is, before anybody is asked for a password. `strategy` gives the
/// name its form.
pub(crate) async fn check(house: House<'_>, strategy: &str, new: New) -> Result<Checked, Refused> {
    let email = new.email.as_deref().map(checked_address).transpose()?;
    let name = Names::new(house.config)
        .new_account(strategy, &new.name, email.as_deref())
        .map_err(|why| Refused::Value("name", why.to_string()))?;
    if house.store.account_by_name(name.as_str()).await?.is_some() {
        return Err(Refused::NameTaken(name.into_string()));
    }
    let account = NewAccount {
        uuid: house.random.uuid(),
        name: name.into_string(),
        // An operator says who is who.
        name_proved: true,
        email_verified: email.is_some(),
        email,
        display_name: new.display_name,
        roles: checked_roles(new.roles)?,
        metadata: checked_claims("metadata", new.metadata)?,
        app: checked_claims("app", new.app)?,
        active: !new.disabled,
    };
    Ok(Checked { account })
}

/// The account and all of its credentials, or nothing.
pub(crate) async fn make(
    house: House<'_>,
    checked: Checked,
    wanted: Vec<Wanted>,
) -> Result<Account, Refused> {
    let account = checked.account;
    let mut credentials = Vec::with_capacity(wanted.len());
    for one in wanted {
        credentials.push(credential(house, account.uuid, one).await?);
    }
    let (name, email) = (account.name.clone(), account.email.clone().unwrap_or_default());
    let made = house.store.create_account(account, credentials, house.clock.now()).await;
    made.map_err(subject_taken)?.map_err(|why| match why {
        CreateRefused::NameTaken => Refused::NameTaken(name),
        CreateRefused::EmailTaken => Refused::EmailTaken(email),
    })
}

/// A credential is known by strategy, realm and subject: a second one breaks that key.
pub(crate) fn subject_taken(error: StoreError) -> Refused {
    if error.0.contains("credentials.strategy") { Refused::SubjectTaken } else { Refused::Store(error) }
}

/// What is to be stored of a credential of this account.
pub(crate) async fn credential(
    house: House<'_>,
    account: Uuid,
    wanted: Wanted,
) -> Result<NewCredential, Refused> {
    let (strategy, op) = match wanted {
        Wanted::Kept(strategy, op) => (strategy, op),
        Wanted::Vouched(strategy, realm, subject) => {
            return Ok(NewCredential { strategy, realm, subject, secret: None });
        }
    };
    let id = strategy.id().to_owned();
    let call = Call::new(house.random.uuid().to_string(), &id, Ipv4Addr::LOCALHOST.into());
    let reply = strategy.credentials(call, op).await.map_err(|error| refusal(&id, error))?;
    Ok(NewCredential {
        strategy: id,
        realm: "local".to_owned(),
        subject: account.to_string(),
        secret: Some(reply.secret),
    })
}

/// The operation that makes a credential of a password.
pub(crate) fn of_password(password: &str, about: Vec<String>) -> CredentialOp {
    CredentialOp::Create { form: BTreeMap::from([("password".to_owned(), password.to_owned())]), about }
}

/// What of an account its password may not contain.
pub(crate) fn about_account(account: &Account) -> Vec<String> {
    about([Some(account.name.as_str()), account.email.as_deref(), account.display_name.as_deref()])
}

fn about<const N: usize>(words: [Option<&str>; N]) -> Vec<String> {
    words.into_iter().flatten().map(str::to_owned).collect()
}

/// Whether this strategy is configured and keeps passwords.
pub(crate) fn keeps(registry: &Registry, id: &str) -> bool {
    registry.get(id).is_some_and(|one| one.operations().credentials)
}

/// The strategy that keeps the password: the one named, else the only one that keeps any,
/// else the default one.
pub(crate) fn keeper(house: House<'_>, named: Option<&str>) -> Result<Instance, Refused> {
    let (registry, default) = (house.registry, house.config.login.default.as_deref());
    let keepers: Vec<_> = registry.list().iter().filter(|one| one.operations().credentials).collect();
    let refused = |why: &str| Err(Refused::Strategy(why.to_owned()));
    if let Some(id) = named {
        return match registry.get(id) {
            Some(one) if one.operations().credentials => Ok(one),
            Some(_) => Err(Refused::Strategy(format!("the strategy `{id}` keeps no passwords"))),
            None => Err(Refused::Strategy(format!("there is no strategy `{}`", id.escape_debug()))),
        };
    }
    match keepers.as_slice() {
        [] => refused("no configured strategy keeps passwords"),
        [one] => Ok((*one).clone()),
        several => match several.iter().find(|one| default == Some(one.id())) {
            Some(one) => Ok((*one).clone()),
            None => refused("more than one strategy keeps passwords, and none is the default: say which"),
        },
    }
}

/// An address as it is kept.
pub(crate) fn checked_address(text: &str) -> Result<String, Refused> {
    new_address(text).map_err(|why| Refused::Value("e-mail", why.to_string()))
}

/// Claims that fit into a token.
pub(crate) fn checked_claims(what: &'static str, claims: Object) -> Result<Object, Refused> {
    let bytes = serde_json::to_string(&claims).map_or(usize::MAX, |text| text.len());
    if bytes > MOST_CLAIMS {
        return Err(Refused::Value(what, format!("it has more than {MOST_CLAIMS} bytes")));
    }
    Ok(claims)
}

/// A role has no comma or control character and at most 128 bytes; each is there once.
pub(crate) fn checked_roles(given: Vec<String>) -> Result<Vec<String>, Refused> {
    let mut roles: Vec<String> = Vec::new();
    for role in given {
        let role = role.trim();
        let odd = role.is_empty()
            || role.len() > LONGEST_ROLE
            || role.contains(',')
            || role.contains(char::is_control);
        if odd {
            let why = format!(
                "`{}` is none: 1 to {LONGEST_ROLE} bytes without a comma or control character; give \
                 several one by one",
                role.escape_debug()
            );
            return Err(Refused::Value("role", why));
        }
        if !roles.iter().any(|r| r == role) {
            roles.push(role.to_owned());
        }
    }
    Ok(roles)
}

fn refusal(id: &str, error: CallError) -> Refused {
    match error {
        CallError::Weak(why) => Refused::Weak(why),
        CallError::BadRequest { field, message } => {
            Refused::Value("credential", format!("{field}: {message}"))
        }
        CallError::Unsupported => Refused::Strategy(format!("the strategy `{id}` cannot do this")),
        CallError::Busy => Refused::Busy(id.to_owned()),
        CallError::Unavailable | CallError::Unusable | CallError::ProviderInvalid => {
            Refused::Undecided(id.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(given: &[&str]) -> Result<Vec<String>, Refused> {
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
