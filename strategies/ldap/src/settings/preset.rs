//! What the directories differ in, as data. Every line of a preset can be overridden by a
//! setting of its own.

use super::table::Table;

/// How groups in groups are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nested {
    /// They are not.
    No,
    /// Step by step, on any server.
    Walk,
    /// By the server, with Active Directory's matching rule.
    InChain,
}

/// How a password is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeBy {
    /// RFC 3062.
    PasswordModify,
    /// An exchange of `unicodePwd`.
    UnicodePwd,
}

/// One kind of directory.
#[derive(Debug)]
pub(crate) struct Preset {
    pub(crate) title: &'static str,
    pub(crate) filter: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) name: &'static str,
    pub(crate) group_filter: Option<&'static str>,
    pub(crate) member_of: Option<&'static str>,
    pub(crate) nested: Nested,
    pub(crate) nested_by_default: bool,
    pub(crate) primary_group: bool,
    pub(crate) change: ChangeBy,
}

/// Any server that keeps to the RFCs.
const PLAIN: Preset = Preset {
    title: "",
    filter: "(uid={username})",
    subject: "entryUUID", // RFC 4530
    name: "uid",
    group_filter: None,
    member_of: Some("memberOf"),
    nested: Nested::Walk,
    nested_by_default: false,
    primary_group: false,
    change: ChangeBy::PasswordModify,
};

/// By the names of the contract.
const PRESETS: &[Preset] = &[
    Preset {
        title: "openldap",
        // The overlay that fills `memberOf` is often not there, so groups are asked.
        group_filter: Some("(|(member={dn})(uniqueMember={dn})(memberUid={username}))"),
        member_of: None,
        ..PLAIN
    },
    Preset {
        title: "active-directory",
        filter: "(&(objectCategory=person)(objectClass=user)\
                 (|(sAMAccountName={username})(userPrincipalName={username})))",
        subject: "objectGUID",
        name: "sAMAccountName",
        nested: Nested::InChain,
        nested_by_default: true,
        primary_group: true,
        change: ChangeBy::UnicodePwd,
        ..PLAIN
    },
    // Both fill `memberOf` with the groups of groups as well.
    Preset {
        title: "389ds",
        filter: "(&(objectClass=person)(uid={username}))",
        subject: "nsUniqueId",
        ..PLAIN
    },
    Preset {
        title: "freeipa",
        filter: "(&(objectClass=person)(uid={username}))",
        subject: "nsUniqueId",
        ..PLAIN
    },
    Preset { title: "lldap", filter: "(&(objectClass=person)(uid={username}))", ..PLAIN },
];

/// The preset that the settings name, or the plain one.
pub(super) fn read(table: &mut Table<'_>) -> &'static Preset {
    let Some(wanted) = table.text("preset") else { return &PLAIN };
    let found = PRESETS.iter().find(|preset| preset.title == wanted);
    if found.is_none() {
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.title).collect();
        table.not_one_of("preset", &wanted, &names);
    }
    found.unwrap_or(&PLAIN)
}
