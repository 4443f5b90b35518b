//! The login strategy `local`: a name and a password. The gateway keeps the password's
//! argon2id hash and hands it in; this crate compares, and makes new ones.
//!
//! What may not come in: the gateway, its store, an async runtime.

mod hash;
mod password;
mod settings;
#[cfg(test)]
mod tests;

pub use hash::hash_password;

use hash::{Checked, Hasher, Stored};
use password::Password;
use portcullis_plugin_api::{
    Answer, Authenticated, Begin, Call, CredentialOp, CredentialReply, Denial, Field, FieldKind, Form, Host,
    Object, Operations, Outcome, StartError, Strategy, StrategyError, workers::Workers,
};
use settings::Settings;
use std::sync::Arc;

/// Jobs that wait, for each thread that hashes.
const QUEUE_PER_SLOT: usize = 8;

/// An instance.
pub struct Local {
    settings: Settings,
    workers: Workers,
    hasher: Arc<Hasher>,
}

impl Strategy for Local {
    const KIND: &'static str = "local";
    const OPERATIONS: Operations = Operations { credentials: true, ..Operations::NONE };

    async fn start(settings: Object, host: Host) -> Result<Self, StartError> {
        let settings = Settings::read(&settings).map_err(StartError::Settings)?;
        let slots = host.cores.max(1);
        let workers = Workers::new("password", slots, slots * QUEUE_PER_SLOT)
            .map_err(|error| StartError::Failed(format!("no threads to hash on: {error}")))?;
        Ok(Self { settings, workers, hasher: Arc::new(Hasher::new(host.random)) })
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
            CredentialOp::Create { form, about } => {
                let password = Password::of_form(form)?;
                password.check_strength(self.settings.min_length, &about)?;
                self.hash(move |hasher| hasher.make(&password)).await?
            }
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

    fn queued(&self) -> usize {
        self.workers.queued()
    }
}

impl Local {
    async fn hash<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Hasher) -> Result<T, String> + Send + 'static,
    ) -> Answer<T> {
        let hasher = self.hasher.clone();
        self.workers.run(move || job(&hasher)).await?.map_err(StrategyError::Failed)
    }
}

fn form() -> Form {
    let field = |name: &str, kind, label: &str| Field {
        name: name.to_owned(),
        kind,
        label: label.to_owned(),
        required: true,
    };
    Form {
        fields: vec![
            field("username", FieldKind::Username, "Name or e-mail address"),
            field("password", FieldKind::Password, "Password"),
        ],
        ..Form::default()
    }
}
