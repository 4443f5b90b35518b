//! Which part of the admin API a path below `{auth}/admin` is.

use http::Method;
use uuid::Uuid;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    /// `/users`
    Users,
    /// `/users/:uuid`
    User(Uuid),
    /// `/users/:uuid/sessions`
    Sessions(Uuid),
    /// `/users/:uuid/credentials`
    Credentials(Uuid),
    /// `/users/:uuid/credentials/:strategy`
    Credential(Uuid, &'a str),
}

impl Which<'_> {
    /// What it takes.
    pub(crate) fn methods(self) -> &'static [Method] {
        match self {
            Self::Users | Self::Credentials(_) => &[Method::GET, Method::POST],
            Self::User(_) => &[Method::GET, Method::PATCH, Method::DELETE],
            Self::Sessions(_) => &[Method::DELETE],
            Self::Credential(..) => &[Method::PATCH, Method::DELETE],
        }
    }

    /// Whose account it is about.
    pub(super) fn account(self) -> Option<Uuid> {
        match self {
            Self::Users => None,
            Self::User(uuid) | Self::Sessions(uuid) | Self::Credentials(uuid) | Self::Credential(uuid, _) => {
                Some(uuid)
            }
        }
    }

    /// What was done, as the audit trail says it.
    pub(super) fn done(self, method: &Method) -> &'static str {
        match (self, method) {
            (_, &Method::GET) => "read",
            (Self::Users, _) => "account_made",
            (Self::User(_), &Method::DELETE) => "account_deleted",
            (Self::User(_), _) => "account_changed",
            (Self::Sessions(_), _) => "sessions_ended",
            (Self::Credential(..), &Method::DELETE) => "credential_removed",
            (Self::Credentials(_), _) => "credential_made",
            (Self::Credential(..), _) => "credential_changed",
        }
    }
}

/// `rest` is what follows `{auth}/admin`. What is no uuid is nobody.
pub(crate) fn find(rest: &str) -> Option<Which<'_>> {
    let rest = rest.strip_prefix("/users")?;
    if rest.is_empty() {
        return Some(Which::Users);
    }
    let (uuid, rest) = rest
        .strip_prefix('/')?
        .split_once('/')
        .map_or_else(|| (rest.trim_start_matches('/'), None), |(uuid, rest)| (uuid, Some(rest)));
    let uuid = Uuid::parse_str(uuid).ok().filter(|known| known.to_string() == uuid)?;
    match rest {
        None => Some(Which::User(uuid)),
        Some("sessions") => Some(Which::Sessions(uuid)),
        Some("credentials") => Some(Which::Credentials(uuid)),
        Some(more) => {
            let strategy = more.strip_prefix("credentials/")?;
            (!strategy.is_empty() && !strategy.contains('/')).then_some(Which::Credential(uuid, strategy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parts_of_the_api_and_everything_else_is_nothing() {
        let uuid = Uuid::from_u128(7);
        for (path, which) in [
            ("/users", Some(Which::Users)),
            (&format!("/users/{uuid}")[..], Some(Which::User(uuid))),
            (&format!("/users/{uuid}/sessions"), Some(Which::Sessions(uuid))),
            (&format!("/users/{uuid}/credentials"), Some(Which::Credentials(uuid))),
            (&format!("/users/{uuid}/credentials/hub"), Some(Which::Credential(uuid, "hub"))),
            (&format!("/users/{uuid}/credentials/"), None),
            (&format!("/users/{uuid}/credentials/a/b"), None),
            (&format!("/users/{}", uuid.simple()), None),
            (&format!("/users//{uuid}"), None),
            ("/users/", None),
            ("/users/ann", None),
            ("/usersx", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(find(path), which, "{path}");
        }
    }
}
