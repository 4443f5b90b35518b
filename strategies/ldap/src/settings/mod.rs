//! The keys of `[strategies.ID]` that are this kind's own: checked as far as they can be
//! without asking a server, every problem at once.

mod preset;
mod table;
#[cfg(test)]
mod tests;
mod url;

pub(crate) use preset::{ChangeBy, Nested, Preset};
pub(crate) use url::{Safety, ServerAt};

use crate::wire::{
    filter::Template,
    name::{BindName, USERNAME},
};
use portcullis_plugin_api::{Object, SettingsProblem};
use std::{path::PathBuf, time::Duration};
use table::Table;
use zeroize::Zeroizing;

/// What the settings come to.
#[derive(Debug)]
pub(crate) struct Settings {
    /// In the order in which they are preferred. Not empty.
    pub(crate) servers: Vec<ServerAt>,
    pub(crate) tls: Tls,
    /// Who searches, if somebody does.
    pub(crate) service: Option<Service>,
    /// People bind by a name made of what they typed, without a search.
    pub(crate) direct: Option<BindName>,
    pub(crate) base: String,
    pub(crate) filter: Template,
    /// `filter` was written down, so it says who may come in however people are found.
    pub(crate) own_filter: bool,
    pub(crate) groups: Groups,
    pub(crate) attributes: Attributes,
    pub(crate) timeout: Duration,
    pub(crate) pool: usize,
    pub(crate) refresh: Duration,
    /// How passwords are changed, if people may.
    pub(crate) change: Option<ChangeBy>,
}

/// `tls`
#[derive(Debug, Default)]
pub(crate) struct Tls {
    pub(crate) ca: Option<PathBuf>,
    /// Certificate and key.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
    pub(crate) server_name: Option<String>,
}

/// `bind_dn` and `bind_password`
pub(crate) struct Service {
    pub(crate) dn: String,
    pub(crate) password: Zeroizing<String>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("dn", &self.dn).finish_non_exhaustive()
    }
}

/// `groups`
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) base: String,
    /// Only groups below `base` count, because it was written down.
    pub(crate) below_base: bool,
    /// Groups are searched for.
    pub(crate) filter: Option<Template>,
    /// The attribute of a group that is its name.
    pub(crate) name: String,
    /// The attribute of a person (and of a group) that says which groups they are in.
    pub(crate) member_of: Option<String>,
    pub(crate) nested: Nested,
    /// Active Directory's primary group, which no membership names.
    pub(crate) primary: bool,
}

/// `attributes`
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) subject: String,
    pub(crate) name: String,
    pub(crate) email: String,
    /// The first that an entry has.
    pub(crate) display_name: Vec<String>,
}

const KEYS: &[&str] = &[
    "url",
    "urls",
    "preset",
    "bind_dn",
    "bind_password",
    "base",
    "filter",
    "user_dn",
    "groups",
    "attributes",
    "start_tls",
    "tls",
    "timeout",
    "pool",
    "refresh",
    "password_change",
    "danger_plaintext",
];

/// A call of the gateway ends after ten seconds, so a longer patience would never be seen.
pub(crate) const MOST_PATIENCE: Duration = Duration::from_secs(9);

impl Settings {
    /// Collects every problem.
    pub(crate) fn read(object: &Object) -> Result<Self, Vec<SettingsProblem>> {
        let mut problems = Vec::new();
        let settings = read(&mut Table::root(object, KEYS, &mut problems));
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(problems),
        }
    }

    /// The realm of its subjects.
    pub(crate) fn realm(&self) -> String {
        crate::wire::name::naming_context(&self.base)
    }
}

fn read(table: &mut Table<'_>) -> Option<Settings> {
    let preset = preset::read(table);
    let danger_plaintext = table.flag("danger_plaintext").unwrap_or(false);
    let start_tls = table.flag("start_tls").unwrap_or(false);
    let servers = url::read(table, start_tls, danger_plaintext);
    let tls = tls(table);
    let service = service(table);
    let direct = direct(table);
    let base = table.text("base");
    if base.is_none() && !table.has("base") {
        table.missing("base", "where people are: \"ou=people,dc=example,dc=org\"");
    }
    let filter = match table.text("filter") {
        Some(text) => template(table, "filter", &text, true),
        None => Template::parse(preset.filter),
    };
    if direct.is_none() && service.is_none() && !table.has("bind_dn") {
        table.missing("bind_dn", "the account that searches, or `user_dn` for logins without a search");
    }
    let groups = groups(table, preset, base.as_deref().unwrap_or_default());
    let attributes = attributes(table, preset);
    let timeout = table.duration("timeout", Duration::from_millis(100)..=MOST_PATIENCE);
    let pool = table.number("pool", 1..=256);
    let refresh = table.duration("refresh", Duration::from_secs(1)..=Duration::from_secs(86_400));
    let change = table.flag("password_change").unwrap_or(false).then_some(preset.change);
    Some(Settings {
        servers,
        tls,
        service,
        direct,
        base: base?,
        filter: filter?,
        own_filter: table.has("filter"),
        groups: groups?,
        attributes,
        timeout: timeout.unwrap_or(Duration::from_secs(5)),
        pool: pool.unwrap_or(8),
        refresh: refresh.unwrap_or(Duration::from_secs(300)),
        change,
    })
}

fn tls(table: &mut Table<'_>) -> Tls {
    let Some(mut inner) = table.inner("tls", &["ca", "certificate", "key", "server_name"]) else {
        return Tls::default();
    };
    let ca = inner.text("ca").map(PathBuf::from);
    let certificate = inner.text("certificate").map(PathBuf::from);
    let key = inner.text("key").map(PathBuf::from);
    let server_name = inner.text("server_name");
    if let Some(name) = &server_name
        && rustls::pki_types::ServerName::try_from(name.as_str()).is_err()
    {
        inner.wrong("server_name", format!("`server_name` is no host name: \"{}\"", name.escape_debug()));
    }
    let own = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(_), None) => {
            inner.missing("key", "the file of the certificate's private key");
            None
        }
        (None, Some(_)) => {
            inner.missing("certificate", "the file of the certificate that the key belongs to");
            None
        }
        (None, None) => None,
    };
    let tls = Tls { ca, own, server_name };
    // Read once here, so that `check` finds what is wrong with the files.
    if let Err((key, why)) = crate::tls::config(&tls) {
        inner.wrong(key, format!("`{key}` cannot be used: {why}"));
    }
    tls
}

fn service(table: &mut Table<'_>) -> Option<Service> {
    let dn = table.text("bind_dn");
    let password = table.text("bind_password").map(Zeroizing::new);
    match (dn, password) {
        (Some(dn), Some(password)) => Some(Service { dn, password }),
        (Some(_), None) if !table.has("bind_password") => {
            table.missing("bind_password", "a string, { file = \"…\" } or { env = \"…\" }");
            None
        }
        (None, Some(_)) if !table.has("bind_dn") => {
            table.missing("bind_dn", "whose password `bind_password` is");
            None
        }
        _ => None,
    }
}

fn direct(table: &mut Table<'_>) -> Option<BindName> {
    let text = table.text("user_dn")?;
    if text.matches(USERNAME).count() != 1 {
        table.problem(
            SettingsProblem::at("user_dn", "`user_dn` must have `{username}` once").expected(
                "\"uid={username},ou=people,dc=example,dc=org\" or \"{username}@corp.example.org\"",
            ),
        );
        return None;
    }
    Some(BindName::new(&text))
}

/// Reads a filter; `login`: it must ask for the person.
fn template(table: &mut Table<'_>, key: &str, text: &str, login: bool) -> Option<Template> {
    let Some(filter) = Template::parse(text) else {
        let message = format!("`{key}` is no LDAP filter: \"{}\"", text.escape_debug());
        table.problem(
            SettingsProblem::at(key, message)
                .expected("parentheses around each test, as in \"(uid={username})\""),
        );
        return None;
    };
    if login && !filter.has(USERNAME) {
        table.problem(
            SettingsProblem::at(key, format!("`{key}` does not ask who signs in"))
                .expected("`{username}` where the name goes: \"(uid={username})\""),
        );
        return None;
    }
    Some(filter)
}

fn groups(table: &mut Table<'_>, preset: &'static Preset, base: &str) -> Option<Groups> {
    let mut groups = Groups {
        // Groups often lie beside people, so they are looked for in the whole tree.
        base: crate::wire::name::naming_context(base),
        below_base: false,
        filter: preset.group_filter.and_then(Template::parse),
        name: "cn".to_owned(),
        member_of: preset.member_of.map(str::to_owned),
        nested: Nested::No,
        primary: preset.primary_group,
    };
    let mut nested = preset.nested_by_default;
    if let Some(mut inner) = table.inner("groups", &["base", "filter", "attribute", "member_of", "nested"]) {
        if let Some(base) = inner.text("base") {
            (groups.base, groups.below_base) = (base, true);
        }
        if let Some(member_of) = inner.text("member_of") {
            (groups.member_of, groups.filter) = (Some(member_of), None);
        }
        match inner.text("attribute") {
            // The one attribute that is always the person's and never a group's name.
            Some(name) if name.eq_ignore_ascii_case("memberOf") => {
                (groups.member_of, groups.filter) = (Some(name), None);
            }
            Some(name) => groups.name = name,
            None => {}
        }
        if let Some(text) = inner.text("filter") {
            let filter = template(&mut inner, "filter", &text, false)?;
            if !filter.has("{dn}") && !filter.has(USERNAME) {
                let problem = SettingsProblem::at("filter", "`filter` does not ask for anybody's groups");
                inner.problem(problem.expected("`{dn}` or `{username}`: \"(member={dn})\""));
            }
            groups.filter = Some(filter);
            if !inner.has("member_of") {
                groups.member_of = None;
            }
        }
        nested = inner.flag("nested").unwrap_or(nested);
        if nested && groups.filter.as_ref().is_some_and(|filter| !filter.has("{dn}")) {
            let problem = SettingsProblem::at("nested", "groups in groups need a filter with `{dn}`");
            inner.problem(problem.expected("\"(member={dn})\""));
        }
    }
    groups.nested = if nested { preset.nested } else { Nested::No };
    if groups.filter.is_some() && groups.nested == Nested::InChain {
        groups.nested = Nested::Walk;
    }
    Some(groups)
}

fn attributes(table: &mut Table<'_>, preset: &Preset) -> Attributes {
    let mut attributes = Attributes {
        subject: preset.subject.to_owned(),
        name: preset.name.to_owned(),
        email: "mail".to_owned(),
        display_name: vec!["displayName".to_owned(), "cn".to_owned()],
    };
    let Some(mut inner) = table.inner("attributes", &["subject", "name", "email", "display_name"]) else {
        return attributes;
    };
    for (key, place) in [
        ("subject", &mut attributes.subject),
        ("name", &mut attributes.name),
        ("email", &mut attributes.email),
    ] {
        if let Some(attribute) = inner.attribute(key) {
            *place = attribute;
        }
    }
    if ["dn", "entrydn", "distinguishedname"].contains(&attributes.subject.to_lowercase().as_str()) {
        let problem = SettingsProblem::at("subject", "a DN changes when somebody is moved or renamed");
        inner
            .problem(problem.expected("\"entryUUID\", \"objectGUID\", \"nsUniqueId\" or another that stays"));
    }
    if let Some(attribute) = inner.attribute("display_name") {
        attributes.display_name = vec![attribute];
    }
    attributes
}
