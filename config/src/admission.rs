//! What the gateway itself asks of a login by a strategy that vouches from outside: whom it
//! admits, which roles come from groups, whether an account is made or joined. These keys
//! of `[strategies.ID]` are the gateway's; the strategy never sees them. What may not come
//! in: what a policy comes to for somebody.

use crate::{
    accounts::{self, Accounts, Link},
    names::{is_admin, is_role},
    policy::{self, Rules},
    problem::{At, Book},
    rule,
    section::{Field, Section},
    tree::{Entry, Value},
};

/// Who is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Everybody for whom the strategy vouches.
    Anyone,
    /// Those for whom the table passes.
    Rules(Rules),
}

/// Which groups of a login bring a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMapping {
    /// The group as the strategy names it, or what its name begins with.
    pub group: String,
    /// Whether every group counts whose name begins so (`"team-*"`).
    pub prefix: bool,
    /// What it brings.
    pub roles: Vec<String>,
}

/// The gateway's own settings of an external strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// `admit`
    pub admit: Admit,
    /// `roles`
    pub roles: Vec<RoleMapping>,
    /// `groups_as_roles`
    pub groups_as_roles: bool,
    /// `trust_email`; none: only where the strategy says that the address is verified.
    pub trust_email: Option<bool>,
    /// `provision`
    pub provision: bool,
    /// `link`
    pub link: Link,
    /// `default_roles`
    pub default_roles: Vec<String>,
}

/// As it was written, before `[accounts]` fills in what was not.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    admit: Admit,
    roles: Vec<RoleMapping>,
    groups_as_roles: bool,
    trust_email: Option<bool>,
    provision: Option<bool>,
    link: Option<Link>,
    default_roles: Option<Vec<String>>,
}

/// The keys.
pub(crate) const KEYS: &[&str] =
    &["admit", "roles", "groups_as_roles", "trust_email", "provision", "link", "default_roles"];

/// The kind whose people are in a directory that the operator chose: all of them come in
/// unless `admit` says otherwise, and their addresses are believed. Everywhere else half the world has an account.
const OPEN_BY_DEFAULT: &str = "ldap";

impl Written {
    /// With what `[accounts]` says where the strategy says nothing.
    pub(crate) fn over(self, accounts: &Accounts) -> Admission {
        Admission {
            admit: self.admit,
            roles: self.roles,
            groups_as_roles: self.groups_as_roles,
            trust_email: self.trust_email,
            provision: self.provision.unwrap_or(accounts.provision),
            link: self.link.unwrap_or(accounts.link),
            default_roles: self.default_roles.unwrap_or_else(|| accounts.default_roles.clone()),
        }
    }
}

/// Reads the keys of one strategy, whose table begins at `at`. `ids` are all strategies'.
pub(crate) fn read(
    table: &Section<'_>,
    at: &At,
    kind: &str,
    ids: &[&str],
    book: &mut Book<'_>,
) -> Option<Written> {
    let before = book.count();
    let admit = match table.field("admit") {
        Some(field) => admit(field, ids, book),
        None if kind == OPEN_BY_DEFAULT || kind.is_empty() => Some(Admit::Anyone),
        None => {
            let message = format!("{} does not say whom it admits", table.name);
            book.refuse_with(
                at,
                message,
                "write admit = { any = [{ email_domain = \"example.com\" }] }, or admit = \"anyone\" to let in \
                 everybody who has an account there",
            );
            None
        }
    };
    let flag = |key: &'static str, book: &mut Book<'_>| table.field(key).and_then(|f| f.boolean(book));
    let written = Written {
        admit: admit.unwrap_or(Admit::Anyone),
        roles: table.field("roles").map(|field| mappings(field, book)).unwrap_or_default(),
        groups_as_roles: flag("groups_as_roles", book).unwrap_or(false),
        trust_email: flag("trust_email", book).or((kind == OPEN_BY_DEFAULT).then_some(true)),
        provision: flag("provision", book),
        link: table.field("link").and_then(|field| accounts::link(field, book)),
        default_roles: table.field("default_roles").and_then(|field| accounts::default_roles(field, book)),
    };
    (book.count() == before).then_some(written)
}

/// A kind that keeps its people here has none of these keys.
pub(crate) fn refuse(table: &Section<'_>, kind: &str, own: &Entry, book: &mut Book<'_>) {
    let message = format!("{} {} is for kinds that vouch from outside", table.name, own.key);
    book.refuse_with(
        &own.at,
        message,
        format!("leave it out: kind \"{kind}\" knows the gateway's own accounts"),
    );
}

fn admit(field: Field<'_>, ids: &[&str], book: &mut Book<'_>) -> Option<Admit> {
    match &field.node().value {
        Value::Table(_) => {}
        Value::Text(_) | Value::Variable(_) => {
            return field.one_of(&[("anyone", ())], book).map(|()| Admit::Anyone);
        }
        _ => {
            let message =
                format!("{} must be a string or a table, not {}", field.label(), field.node().what());
            book.refuse_with(field.at(), message, "write \"anyone\" or { roles = [\"staff\"] }");
            return None;
        }
    }
    let rules = policy::table(field, ids, "\"anyone\"", book)?;
    let about_the_request =
        |rule: &rule::Rule| matches!(rule, rule::Rule::Method(_)) || matches!(rule, rule::Rule::Strategy(_));
    if rules.anonymous {
        book.refuse_with(
            field.at(),
            format!("{} is about somebody who signs in: anonymous says nothing there", field.label()),
            "leave anonymous out",
        );
    } else if rules.any.iter().chain(&rules.all).chain(&rules.none).any(about_the_request) {
        book.refuse_with(
            field.at(),
            format!("{} judges a login: rules of method and strategy say nothing there", field.label()),
            "write rules of role, email, email_domain, claim and ip",
        );
    }
    Some(Admit::Rules(rules))
}

/// `{ "group" = "role" }`; a group may bring a list of them.
fn mappings(field: Field<'_>, book: &mut Book<'_>) -> Vec<RoleMapping> {
    let label = field.label();
    // A variable's text is read as TOML where a table fits.
    let settled = field.node().settled();
    let node = settled.as_ref().unwrap_or(field.node());
    let Some(table) = Section::unchecked(node, label.clone(), book) else { return Vec::new() };
    let one = |entry: &Entry, book: &mut Book<'_>| {
        let shown = entry.key.escape_debug().to_string();
        let stem = entry.key.strip_suffix('*');
        if entry.key.is_empty() || stem == Some("") {
            book.refuse_with(
                &entry.at,
                format!("{label}: \"{shown}\" is no group"),
                "write a group's name, or \"team-*\" for all that begin so",
            );
        }
        let given = table.field(&entry.key)?.text_or_texts(book)?;
        for role in &given {
            let admin_for_many = stem.is_some() && is_admin(&role.text);
            if !is_role(&role.text) {
                let message = format!("{label} \"{shown}\" is not a role: \"{}\"", role.text.escape_debug());
                book.refuse_with(&role.at, message, rule::ROLE_SHAPE);
            } else if admin_for_many {
                let message = format!("{label}: \"{shown}\" cannot bring the role admin");
                book.refuse_with(&role.at, message, "name each group of administrators exactly");
            }
        }
        let roles = given.into_iter().map(|role| role.text).collect();
        let group = stem.unwrap_or(&entry.key).to_owned();
        Some(RoleMapping { group, prefix: stem.is_some(), roles })
    };
    table.entries().iter().filter_map(|entry| one(entry, book)).collect()
}
