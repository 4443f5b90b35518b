//! A session for somebody who has just set their password: after a registration, and
//! after a change. They have proved who they are; nobody is asked again.

use super::{
    answer,
    asked::{lifetime, named_transport, return_to},
    body::{Body, Shape},
    open::{self, Wanted},
};
use crate::{
    control::{Ask, Reply, reply},
    problem::{Code, Problem},
    sessions::{Account, ExternalRecord, LiveSession, Transport},
    telemetry::Audit,
};
use http::StatusCode;
use std::time::Duration;

/// What the fields of such a request ask for.
pub(crate) struct Asked {
    shape: Shape,
    browser: bool,
    transport: Option<Transport>,
    lifetime: Duration,
    return_to: String,
}

impl Asked {
    /// Checked before anything is done.
    pub(crate) fn read(ask: &Ask<'_>, body: &Body) -> Result<Self, Problem> {
        // As at a login: what is sent must be what it says, also where nobody goes anywhere.
        body.text("return_to")?;
        Ok(Self {
            shape: body.shape,
            browser: ask.is_browser_form(),
            transport: named_transport(body)?,
            lifetime: lifetime(body, &ask.control.config.token)?,
            return_to: return_to(ask, body),
        })
    }

    /// The lifetime of the token.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The transport of a session is fixed when it begins (contract section 5).
    pub(crate) fn keeps(&self, session: &LiveSession) -> Result<(), Problem> {
        match self.transport {
            Some(other) if other != session.transport() => Err(Code::Transport.into()),
            _ => Ok(()),
        }
    }

    /// Where a browser goes instead of where it asked to.
    pub(crate) fn leading_to(mut self, path: String) -> Self {
        self.return_to = path;
        self
    }
}

/// Whose password was set.
pub(crate) struct Fresh<'a> {
    /// The account as it is now.
    pub(crate) account: &'a Account,
    /// The strategy that keeps the password.
    pub(crate) strategy: &'a str,
    /// Its stored form, if the gateway keeps it.
    pub(crate) secret: Option<String>,
    /// The session that it was set in.
    pub(crate) former: Option<&'a LiveSession>,
    /// What that session knew of a login from outside.
    pub(crate) external: Option<ExternalRecord>,
}

/// Opens the session. None: the account or its password is another one by now.
pub(crate) async fn sign_in(
    ask: &Ask<'_>,
    fresh: Fresh<'_>,
    asked: &Asked,
    status: StatusCode,
) -> Result<Option<Reply>, Problem> {
    let transport = match (fresh.former, asked.browser) {
        (Some(former), _) => former.transport(),
        (None, true) => Transport::Cookie,
        (None, false) => asked.transport.unwrap_or(Transport::Both),
    };
    let wanted = Wanted {
        account: fresh.account,
        strategy: fresh.strategy,
        transport,
        family: fresh.former.map_or(!asked.browser, LiveSession::has_family),
        secret: fresh.secret,
        // What a provider or a directory has said lasts no longer than it did.
        session_max: fresh
            .former
            .filter(|_| fresh.external.is_some())
            .map(|former| former.expires().since(ask.control.clock.now())),
        external: fresh.external,
    };
    let Some(opened) = open::open(ask, wanted).await? else { return Ok(None) };
    ask.audit(Audit {
        event: "login",
        account: Some(&opened.account.name),
        strategy: Some(fresh.strategy),
        sid: Some(opened.live.sid()),
        reason: Some("password_set"),
        ..Audit::default()
    });
    if asked.browser {
        return Ok(Some(answer::with_cookies(ask, reply::see_other(&asked.return_to), &opened)));
    }
    let mut answer = answer::superset(ask, asked.shape, asked.lifetime, &opened);
    *answer.status_mut() = status;
    Ok(Some(answer))
}
