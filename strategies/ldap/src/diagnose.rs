//! `portcullis strategy test`: the steps of a login one by one, each with what was found
//! and, where it failed, what to do. No password is asked for, tried or shown.

mod advice;

use crate::{
    Ldap,
    directory::{Server, seconds, secured},
    groups::{self, Seeker},
    person,
    settings::{Nested, Safety},
    spelling,
    wire::{
        Trouble,
        connection::Connection,
        filter,
        message::{Entry, Scope, Search, code},
        name::USERNAME,
    },
};
use portcullis_plugin_api::{Diagnose, Step, StrategyError};
use std::time::Duration;
use tokio::time::Instant;

/// For all servers together: the gateway waits for ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// The steps so far.
#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn add(
        &mut self,
        name: impl Into<String>,
        ok: Option<bool>,
        detail: impl Into<String>,
        advice: Option<String>,
    ) {
        self.0.push(Step { name: name.into(), ok, detail: detail.into(), advice, claims: None });
    }

    fn good(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.add(name, Some(true), detail, None);
    }

    fn bad(&mut self, name: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) {
        self.add(name, Some(false), detail, Some(advice.into()));
    }

    fn skipped(&mut self, names: &[&str]) {
        for name in names {
            self.add(*name, None, "not tried, because an earlier step failed", None);
        }
    }
}

impl Ldap {
    pub(crate) async fn explain(&self, request: Diagnose) -> Vec<Step> {
        let mut steps = Steps::default();
        let servers = self.directory.servers();
        let share = PATIENCE / u32::try_from(servers.len() + 1).unwrap_or(u32::MAX);
        let mut working = None;
        for server in servers {
            let until = Instant::now() + share.min(self.settings.timeout);
            let prefix = if servers.len() > 1 { format!("{} ", server.at.url) } else { String::new() };
            if let Some(connection) = self.reach(server, &prefix, until, &mut steps).await {
                match working {
                    None => working = Some(connection),
                    Some(_) => connection.close().await,
                }
            }
        }
        let Some(mut connection) = working else {
            steps.skipped(&["base", "person", "groups"]);
            return steps.0;
        };
        let until = Instant::now() + share.min(self.settings.timeout);
        if self.settings.service.is_none() {
            let detail = "there is no service account, so nobody can be looked up without their password";
            steps.add("base", None, detail, None);
            if request.user.is_some() {
                let detail =
                    "not tried, for it takes their password: whether they are found, and their groups";
                steps.add("person", None, detail, Some(advice::NO_SERVICE.to_owned()));
            }
        } else if self.base(&mut connection, until, &mut steps).await {
            match &request.user {
                Some(user) => self.person(&mut connection, user, until, &mut steps).await,
                None => steps.add("person", None, "nobody was named", Some("add `--user NAME`".to_owned())),
            }
        } else {
            steps.skipped(&["person", "groups"]);
        }
        connection.close().await;
        steps.0
    }

    /// Connect, TLS, the service account's bind.
    async fn reach(
        &self,
        server: &Server,
        prefix: &str,
        until: Instant,
        steps: &mut Steps,
    ) -> Option<Connection> {
        let at = &server.at;
        let (connect, tls, bind) =
            (format!("{prefix}connect"), format!("{prefix}tls"), format!("{prefix}service bind"));
        // A connection of its own shows whether it is the network or TLS that fails.
        match Connection::plain(&at.host, at.port, until).await {
            Ok(_) => steps.good(&connect, format!("{} port {} answers", at.host, at.port)),
            Err(trouble) => {
                steps.bad(&connect, format!("{}: {trouble}", at.url), advice::connect(at, &trouble));
                steps.skipped(&[&tls, &bind]);
                return None;
            }
        }
        let mut connection = match secured(server, &self.directory, until).await {
            Ok(connection) => connection,
            Err(trouble) => {
                steps.bad(&tls, trouble.to_string(), advice::tls(at, &self.settings.tls, &trouble));
                steps.skipped(&[&bind]);
                return None;
            }
        };
        match (at.safety, connection.protocol()) {
            (Safety::Plain, _) => {
                let detail = "none: passwords can be read by anybody on the way (danger_plaintext)";
                steps.add(&tls, Some(true), detail, Some("use ldaps:// or start_tls = true".to_owned()));
            }
            (safety, protocol) => {
                let way = if safety == Safety::StartTls { "StartTLS, " } else { "" };
                let name = self.settings.tls.server_name.as_deref().unwrap_or(&at.host);
                let protocol = protocol.unwrap_or_default();
                steps.good(&tls, format!("{way}{protocol}, the certificate is valid for {name}"));
            }
        }
        let Some(service) = &self.settings.service else {
            steps.add(&bind, None, "no bind_dn: people bind with names made of user_dn", None);
            return Some(connection);
        };
        match connection.bind(&service.dn, &service.password, until).await {
            Ok(done) if done.code == code::SUCCESS => {
                steps.good(&bind, format!("bound as {}", service.dn));
                Some(connection)
            }
            Ok(done) => {
                let trouble = Trouble::Refused { what: "bind", code: done.code, text: done.text };
                steps.bad(&bind, format!("as {}: {trouble}", service.dn), advice::service_bind(&trouble));
                None
            }
            Err(trouble) => {
                steps.bad(&bind, format!("as {}: {trouble}", service.dn), advice::service_bind(&trouble));
                None
            }
        }
    }

    async fn base(&self, connection: &mut Connection, until: Instant, steps: &mut Steps) -> bool {
        let base = &self.settings.base;
        let request =
            Search { base, scope: Scope::Base, filter: &filter::anything(), attributes: &["1.1"], most: 1 };
        match connection.search(&request, seconds(until), until).await {
            Ok(found) if !found.entries.is_empty() => {
                steps.good("base", format!("{base} can be read"));
                true
            }
            Ok(_) => {
                let contexts = self.contexts(connection, until).await;
                steps.bad(
                    "base",
                    format!("{base} is not there, or may not be read"),
                    advice::base(&contexts),
                );
                false
            }
            Err(trouble) => {
                steps.bad("base", trouble.to_string(), advice::base(&[]));
                false
            }
        }
    }

    /// What the server says it holds.
    async fn contexts(&self, connection: &mut Connection, until: Instant) -> Vec<String> {
        let request = Search {
            base: "",
            scope: Scope::Base,
            filter: &filter::anything(),
            attributes: &["namingContexts", "defaultNamingContext"],
            most: 1,
        };
        let found = connection.search(&request, seconds(until), until).await.unwrap_or_default();
        let Some(root) = found.entries.first() else { return Vec::new() };
        let preferred: Vec<String> = root.texts("defaultNamingContext").map(str::to_owned).collect();
        if preferred.is_empty() {
            root.texts("namingContexts").map(str::to_owned).collect()
        } else {
            preferred
        }
    }

    async fn person(&self, connection: &mut Connection, user: &str, until: Instant, steps: &mut Steps) {
        // Where and by what a login finds them.
        let template = self.settings.direct.as_ref().filter(|template| template.is_dn);
        let own = template.map(|template| template.fill(user));
        let filter = match own.is_some() && !self.settings.own_filter {
            true => filter::anything(),
            false => self.settings.filter.fill(&[(USERNAME, user.as_bytes())]),
        };
        let request = Search {
            base: own.as_deref().unwrap_or(&self.settings.base),
            scope: if own.is_some() { Scope::Base } else { Scope::Subtree },
            filter: &filter,
            attributes: &person::attributes(&self.settings),
            most: 2,
        };
        let shown = user.escape_debug();
        let found = match connection.search(&request, seconds(until), until).await {
            Ok(found) => found,
            Err(trouble) => {
                steps.bad("person", trouble.to_string(), advice::search(&trouble));
                return steps.skipped(&["groups"]);
            }
        };
        let is_called_so = |entry: &Entry| match template {
            Some(template) => spelling::by_name(template, user, entry),
            None => spelling::by_filter(&self.settings.filter, user, entry),
        };
        match found.entries.as_slice() {
            [entry] if !found.more && !is_called_so(entry) => {
                let detail = format!("{shown} finds {}, which is not called exactly so", entry.dn);
                steps.bad("person", detail, advice::SPELLING);
                steps.skipped(&["groups"]);
            }
            [entry] if !found.more => {
                steps.good("person", format!("{shown} is {}", entry.dn));
                self.known(entry, steps);
                self.groups_of(connection, entry, until, steps).await;
            }
            [] => {
                match &own {
                    Some(dn) => {
                        let detail = format!("{shown} would be {}, which is not found", dn.escape_debug());
                        steps.bad("person", detail, advice::NOT_THERE);
                    }
                    None => {
                        let detail = format!("{shown} is not found below {}", self.settings.base);
                        steps.bad("person", detail, advice::NOT_FOUND);
                    }
                }
                steps.skipped(&["groups"]);
            }
            several => {
                let names: Vec<_> = several.iter().map(|entry| entry.dn.as_str()).collect();
                let detail = format!("{shown} is more than one entry: {}", names.join(" and "));
                steps.bad("person", detail, advice::AMBIGUOUS);
                steps.skipped(&["groups"]);
            }
        }
    }

    /// What the entry says.
    fn known(&self, entry: &Entry, steps: &mut Steps) {
        let own = &self.settings.attributes;
        match person::subject(&self.settings, entry) {
            Ok(subject) => steps.good("subject", format!("{} = {}", own.subject, subject.as_str())),
            Err(why) => steps.bad("subject", why, advice::SUBJECT),
        }
        let claims = person::claims(&self.settings, entry);
        let text = |key: &str| claims.get(key).and_then(|value| value.as_str());
        for (claim, attribute, missing) in [
            ("name", own.name.as_str(), "the gateway will make a name of the address or of the subject"),
            (
                "email",
                own.email.as_str(),
                "rules about addresses will not pass, and no header will carry one",
            ),
            ("display_name", own.display_name[0].as_str(), "the gateway will show the name instead"),
        ] {
            match text(claim) {
                Some(value) => steps.good(claim, value.escape_debug().to_string()),
                None => {
                    let detail = format!("the entry has no usable `{attribute}`: {missing}");
                    let advice = format!("set attributes.{claim} to the attribute that holds it");
                    steps.add(claim, Some(true), detail, Some(advice));
                }
            }
        }
        match person::bar(entry, (self.host.now)()) {
            Some(bar) => steps.bad("account", bar.sentence(), "enable the account in the directory"),
            None => steps.good("account", "nothing in the entry closes it"),
        }
    }

    async fn groups_of(&self, connection: &mut Connection, entry: &Entry, until: Instant, steps: &mut Steps) {
        let way = match (&self.settings.groups.filter, self.settings.groups.nested) {
            (Some(_), Nested::No) => "by a search",
            (Some(_), _) => "by a search, with the groups of groups",
            (None, Nested::InChain) => "by the server's own rule, with the groups of groups",
            (None, Nested::Walk) => "as the entry names them, with the groups of groups",
            (None, Nested::No) => "as the entry names them",
        };
        // As the service account, whose connection this is.
        let found = self.resolver.groups(&self.settings, &mut Seeker::Person(connection), entry, until).await;
        let claims = found.as_ref().ok().map(|found| {
            let mut claims = person::claims(&self.settings, entry);
            claims.insert("groups".to_owned(), groups::claim(found).into());
            claims
        });
        match found {
            Ok(groups) if groups.is_empty() => {
                steps.add("groups", Some(true), format!("none ({way})"), Some(advice::NO_GROUPS.to_owned()));
            }
            Ok(groups) => {
                let names: Vec<_> = groups
                    .iter()
                    .map(|group| match group.dn.as_str() {
                        "" => group.name.clone(),
                        dn => format!("{} ({dn})", group.name),
                    })
                    .collect();
                steps.good("groups", format!("{} {way}: {}", groups.len(), names.join(", ")));
            }
            Err(StrategyError::Failed(why) | StrategyError::UnusableCredential(why)) => {
                steps.bad("groups", why, advice::GROUPS)
            }
            Err(other) => steps.bad("groups", other.to_string(), advice::GROUPS),
        }
        if let Some(last) = steps.0.last_mut() {
            last.claims = claims;
        }
    }
}
