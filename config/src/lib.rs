//! The configuration file, as `contract.md` section 3 has it: read from a spanned TOML
//! tree, checked table by table with every problem collected, and resolved into
//! [`Config`], which cannot be wrong.
//!
//! `load` finds and reads the file, `tree` is what was written and where, `environment`
//! lays variables over it, `section` opens one table, and each table has a file of its
//! own. `unbuilt` lists what later issues bring.
//!
//! What may not come in: anything that runs. No sockets, no store, no strategies.

mod accounts;
mod address;
mod admin;
mod admission;
mod algorithm;
mod aliases;
mod appearance;
mod assertion;
mod certificate;
mod endpoints;
mod environment;
mod excerpt;
mod identity_headers;
mod include;
mod limits;
mod load;
mod lockout;
mod log;
mod login;
mod mail;
mod names;
mod nearest;
mod network;
mod origins;
mod path;
mod plugins;
mod policy;
mod problem;
#[cfg(test)]
mod reference;
mod routes;
mod rule;
mod schema;
mod secret;
mod section;
mod server;
mod session;
mod store;
mod strategies;
mod strategy_settings;
mod token;
mod tree;
mod trusted;
mod unbuilt;
mod unwise;
mod upstream_tls;
mod upstreams;

pub use accounts::{Accounts, Link};
pub use admin::{Admin, AdminApi};
pub use admission::{Admission, Admit, RoleMapping};
pub use algorithm::Algorithm;
pub use aliases::{Alias, View};
pub use appearance::{Logo, Template};
pub use assertion::Assertion;
pub use certificate::Certificate;
pub use endpoints::Endpoints;
pub use excerpt::Excerpt;
pub use identity_headers::HeaderTable;
pub use limits::Limits;
pub use load::{find, load, load_anyway, parse};
pub use lockout::Lockout;
pub use log::{Level, Log, LogFormat};
pub use login::Login;
pub use mail::{Mail, MailRoute, MailSecurity, Smtp};
pub use plugins::Plugin;
pub use policy::{Policy, Rules};
pub use problem::Problem;
pub use routes::{AssertionMode, Route, RoutePath};
pub use rule::Rule;
pub use schema::schema;
pub use secret::Secret;
pub use server::{PublicUrl, Server};
pub use session::{SameSite, Session};
pub use store::{Store, StoreKey};
pub use strategies::Strategy;
pub use strategy_settings::files_of;
pub use token::Token;
pub use trusted::{Trusted, TrustedIntrospection};
pub use upstream_tls::{CaFile, UpstreamTls};
pub use upstreams::{Health, Upstream, Url};

use portcullis_plugin_api::SettingsProblem;
use std::path::PathBuf;

/// The checked configuration. Paths are absolute, defaults are filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// `[[aliases]]`
    pub aliases: Vec<Alias>,
    /// `[store]`
    pub store: Store,
    /// `[endpoints]`
    pub endpoints: Endpoints,
    /// `[login]`
    pub login: Login,
    /// `[session]`
    pub session: Session,
    /// `[token]`
    pub token: Token,
    /// `[accounts]`
    pub accounts: Accounts,
    /// `[mail]`
    pub mail: Option<Mail>,
    /// `[lockout]`
    pub lockout: Lockout,
    /// `[strategies.ID]`, in the order of the file
    pub strategies: Vec<Strategy>,
    /// `[plugins.NAME]`, in the order of the file
    pub plugins: Vec<Plugin>,
    /// `[upstreams.ID]`
    pub upstreams: Vec<Upstream>,
    /// `[[routes]]`
    pub routes: Vec<Route>,
    /// `[identity_headers]`
    pub identity_headers: HeaderTable,
    /// `[identity_headers] strip`
    pub strip_headers: Vec<String>,
    /// `[assertion]`
    pub assertion: Assertion,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// What works but deserves a look: `check` and each start say it.
    pub warnings: Vec<Problem>,
    /// Where each setting of a strategy was written.
    settings_places: strategies::Places,
}

impl Config {
    /// A problem that a strategy found in its own settings, at its place in the file: that
    /// of the value, or of the nearest table around it when the value is missing.
    pub fn strategy_problem(&self, id: &str, problem: &SettingsProblem) -> Problem {
        let mut path: Vec<String> = [id.to_owned()].into_iter().chain(problem.path.iter().cloned()).collect();
        let (place, excerpt) = loop {
            if let Some(found) = self.settings_places.get(&path) {
                break found.clone();
            }
            if path.pop().is_none() {
                break (self.file.display().to_string(), None);
            }
        };
        let inside = problem.path.iter().map(|key| format!(" {key}")).collect::<String>();
        let message = format!("[strategies.{id}]{inside}: {}", problem.message);
        Problem { place, message, help: problem.expected.clone(), excerpt }
    }
}
