//! The login strategy `ldap`: names and passwords of a directory. The directory judges
//! the password; this crate finds the entry, asks, and reads what the answer means.
//!
//! In the order of a login: `settings`, `login`, `directory` (which server, which
//! connection), `wire` (the protocol), `spelling` (whose name it was), `verdict` (what an answer means), `person` and
//! `groups` (what an entry means), `change`, `refresh`, `diagnose`.
//!
//! What may not come in: the gateway, its store, which groups give which roles.

mod change;
mod diagnose;
mod directory;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod login;
mod person;
mod refresh;
mod settings;
mod spelling;
#[cfg(test)]
mod testing;
mod tls;
mod verdict;
mod wire;

use directory::Directory;
use groups::Resolver;
use portcullis_plugin_api::{
    Answer, Begin, Call, ChangeSecret, Diagnose, Field, FieldKind, Form, Health, Host, Object, Operations,
    Outcome, Refresh, Resume, StartError, Step, Strategy,
};
use settings::{Safety, Settings};
use std::sync::Arc;

/// The most bytes of claims that the gateway takes.
const MOST_CLAIMS: usize = 16 * 1024;

/// An instance.
pub struct Ldap {
    settings: Arc<Settings>,
    directory: Directory,
    resolver: Resolver,
    host: Host,
}

impl Strategy for Ldap {
    const KIND: &'static str = "ldap";
    const OPERATIONS: Operations =
        Operations { resume: true, refresh: true, change_secret: true, diagnose: true, ..Operations::NONE };

    /// A password is changed from the profile page only where the operator allows it, and the
    /// service account finds whose it is.
    fn offered(&self) -> Operations {
        let change_secret = self.settings.change.is_some() && self.settings.service.is_some();
        Operations { change_secret, ..Self::OPERATIONS }
    }

    async fn start(settings: Object, host: Host) -> Result<Self, StartError> {
        let settings = Arc::new(Settings::read(&settings).map_err(StartError::Settings)?);
        let tls = tls::config(&settings.tls).map_err(|(_, why)| StartError::Failed(why))?;
        for server in settings.servers.iter().filter(|server| server.safety == Safety::Plain) {
            tracing::warn!(server = %server.url,
                "danger_plaintext: passwords go to the directory where anybody on the way can read them");
        }
        if settings.service.is_none() {
            tracing::info!(
                "no bind_dn: nobody can look again at a live session, so each ends after 12 hours"
            );
        }
        let directory = Directory::new(settings.clone(), tls);
        Ok(Self { settings, directory, resolver: Resolver::default(), host })
    }

    async fn begin(&self, _call: &Call, request: Begin) -> Answer<Outcome> {
        if request.form.is_empty() {
            return Ok(Outcome::Form(form()));
        }
        self.log_in(request).await
    }

    async fn resume(&self, _call: &Call, request: Resume) -> Answer<Outcome> {
        self.finish_change(request).await
    }

    async fn refresh(&self, _call: &Call, request: Refresh) -> Answer<Outcome> {
        self.look_again(request).await
    }

    async fn change_secret(&self, _call: &Call, request: ChangeSecret) -> Answer<Outcome> {
        self.change(request).await
    }

    async fn diagnose(&self, _call: &Call, request: Diagnose) -> Answer<Vec<Step>> {
        Ok(self.explain(request).await)
    }

    async fn health(&self, _call: &Call) -> Answer<Health> {
        self.directory.servers().iter().for_each(directory::Server::tidy);
        Ok(self.directory.troubles().map_or(Health::Healthy, Health::Degraded))
    }
}

fn form() -> Form {
    Form {
        fields: vec![
            Field::required("username", FieldKind::Username, "Name"),
            Field::required("password", FieldKind::Password, "Password"),
        ],
        ..Form::default()
    }
}
