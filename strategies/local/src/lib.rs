//! The login strategy `local`: a name and a password. The gateway keeps the password's
//! argon2id hash and hands it in; this crate compares, and makes new ones.
//!
//! What may not come in: the gateway, its store, an async runtime.

mod breached;
mod hash;
mod password;
mod policy;
mod settings;
#[cfg(test)]
mod tests;

pub use hash::{costs_otherwise, hash_password};

use hash::{Checked, Hasher, Stored};
use password::Password;
use policy::Policy;
use portcullis_plugin_api::{
    Answer, Authenticated, Begin, Call, ChangeSecret, CredentialOp, CredentialReply, Denial, Field,
    FieldKind, Form, Host, Object, Operations, Outcome, SettingsProblem, StartError, Strategy, StrategyError,
    workers::Workers,
};
use settings::Settings;
use std::sync::Arc;

/// Jobs that wait, for each thread that hashes.
const QUEUE_PER_SLOT: usize = 8;

/// An instance.
pub struct Local {
    policy: Arc<Policy>,
    workers: Workers,
    hasher: Arc<Hasher>,
}

impl Strategy for Local {
    const KIND: &'static str = "local";
    const OPERATIONS: Operations = Operations { credentials: true, change_secret: true, ..Operations::NONE };

    async fn start(settings: Object, host: Host) -> Result<Self, StartError> {
        let settings = Settings::read(&settings).map_err(StartError::Settings)?;
        let policy = Policy::new(settings).map_err(|why| {
            StartError::Settings(vec![SettingsProblem::at("breached", format!("`breached`: {why}"))])
        })?;
        let slots = host.cores.max(1);
        let workers = Workers::new("password", slots, slots * QUEUE_PER_SLOT)
            .map_err(|error| StartError::Failed(format!("no threads to hash on: {error}")))?;
        Ok(Self { policy: Arc::new(policy), workers, hasher: Arc::new(Hasher::new(host.random)) })
    }

    async fn begin(&self, _call: &Call, request: Begin) -> Answer<Outcome> {
        if request.form.is_empty() {
            return Ok(Outcome::Form(form()));
        }
        let password = Password::of_form(request.form)?;
        let Some(credential) = request.credential else {
            self.hash(move |hasher| hasher.waste(&password)).await?;
            return Ok(Outcome::denied(Denial::BadCredentials));
        };
        let stored = match Stored::read(&credential.secret) {
            Ok(stored) => stored,
            Err(why) => {
                // Could not decide, but at the same cost as any other no.
                self.hash(move |hasher| hasher.waste(&password)).await?;
                return Err(StrategyError::UnusableCredential(why));
            }
        };
        match self.hash(move |hasher| hasher.check(&password, &stored)).await? {
            Checked::Wrong => Ok(Outcome::denied(Denial::BadCredentials)),
            Checked::Right { renewed } => Ok(Outcome::Authenticated(Box::new(Authenticated {
                methods: vec!["pwd".to_owned()],
                renewed_secret: renewed,
                ..Authenticated::of(credential.subject)
            }))),
        }
    }

    async fn credentials(&self, _call: &Call, op: CredentialOp) -> Answer<CredentialReply> {
        let secret = match op {
            CredentialOp::Create { form, about } => self.set(Password::of_form(form)?, about).await?,
            CredentialOp::Import { secret } => match Stored::read(&secret) {
                Ok(_) => secret,
                Err(why) => {
                    let message = format!("{why}; give the argon2id PHC string that `hash-password` prints");
                    return Err(StrategyError::BadRequest { field: "password_hash".to_owned(), message });
                }
            },
        };
        Ok(CredentialReply { secret })
    }

    async fn change_secret(&self, _call: &Call, request: ChangeSecret) -> Answer<Outcome> {
        let current = Password::of_field("current", request.current)?;
        let next = Password::of_field("next", request.next)?;
        let Some(credential) = request.credential else {
            self.hash(move |hasher| hasher.waste(&current)).await?;
            return Ok(Outcome::denied(Denial::BadCredentials));
        };
        let stored = Stored::read(&credential.secret).map_err(StrategyError::UnusableCredential)?;
        let checked = self.hash(move |hasher| hasher.compare(&current, &stored)).await?;
        if !checked {
            return Ok(Outcome::denied(Denial::BadCredentials));
        }
        let secret = self.set(next, request.about).await?;
        Ok(Outcome::Authenticated(Box::new(Authenticated {
            methods: vec!["pwd".to_owned()],
            renewed_secret: Some(secret),
            ..Authenticated::of(credential.subject)
        })))
    }

    fn queued(&self) -> usize {
        self.workers.queued()
    }
}

impl Local {
    /// The stored form of a password that may become one: whoever sets it, and however,
    /// the rules are the same.
    async fn set(&self, password: Password, about: Vec<String>) -> Answer<String> {
        let (hasher, policy) = (self.hasher.clone(), self.policy.clone());
        let job = move || {
            policy.check(&password, &about)?;
            hasher.make(&password).map_err(StrategyError::Failed)
        };
        self.workers.run(job).await?
    }

    async fn hash<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Hasher) -> Result<T, String> + Send + 'static,
    ) -> Answer<T> {
        let hasher = self.hasher.clone();
        self.workers.run(move || job(&hasher)).await?.map_err(StrategyError::Failed)
    }
}

fn form() -> Form {
    Form {
        fields: vec![
            Field::required("username", FieldKind::Username, "Name or e-mail address"),
            Field::required("password", FieldKind::Password, "Password"),
        ],
        ..Form::default()
    }
}
