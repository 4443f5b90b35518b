//! A new password: from the page that a login with an expired one leads to, and from the
//! profile page, where the operator allows it.
//!
//! Nobody's password is set here without the old one: the directory checks it, in a bind
//! or in the change itself.

use crate::{
    Ldap,
    directory::{Change, change_on},
    groups::Seeker,
    login::{Credentials, fit_for_the_wire},
    person,
    settings::MOST_PATIENCE,
    verdict::{self, Reason, Verdict},
    wire::{
        filter,
        message::{Done, code},
        policy_control::{self, PolicyError},
    },
};
use portcullis_plugin_api::{
    Answer, Authenticated, ChangeSecret, Denial, Denied, Field, FieldKind, Form, Outcome, Resume,
    StrategyError,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What the person reads above the form.
pub(crate) fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Reset => "Your password was set by somebody else. Choose one of your own.",
        _ => "Your password has expired. Choose a new one.",
    }
}

/// The form that asks for a new password.
pub(crate) fn form(username: &str, message: &str) -> Form {
    Form {
        fields: vec![
            Field::required("current", FieldKind::Password, "Current password"),
            Field::required("next", FieldKind::NewPassword, "New password"),
            Field::required("next_confirm", FieldKind::NewPassword, "New password again"),
        ],
        message: Some(message.to_owned()),
        // Who it is, and nothing that could be used instead of the old password.
        flow: json!({ "username": username }).to_string().into_bytes(),
        subject: None,
    }
}

/// Kept for the login with the new password.
const KEPT_BACK: Duration = Duration::from_secs(3);

/// How a change ended.
enum Changed {
    Done,
    /// The old password is not the person's.
    WrongOld,
    /// It is, and they may not come in.
    Barred(Denied),
    /// The directory does not take the new one; a sentence for the person.
    NotTaken(String),
}

impl Ldap {
    /// Whether somebody whose password must be changed can do it here. Whose entry it is
    /// must be known without a bind: from the template, or from the service account.
    pub(crate) fn may_change(&self) -> bool {
        let named = self.settings.direct.as_ref().is_some_and(|template| template.is_dn);
        self.settings.change.is_some() && (named || self.settings.service.is_some())
    }

    /// Until when the password must be replaced, and until when it must have been used.
    /// Together they are shorter than the gateway waits: a change that it does not see the
    /// end of would be one that nobody was told of.
    fn deadlines(&self) -> (Instant, Instant) {
        let end = Instant::now() + MOST_PATIENCE;
        (self.directory.deadline().min(end - KEPT_BACK), end)
    }

    /// The filled-in form.
    pub(crate) async fn finish_change(&self, request: Resume) -> Answer<Outcome> {
        let flow: Value = serde_json::from_slice(&request.flow).unwrap_or_default();
        let Some(username) = flow.get("username").and_then(Value::as_str) else {
            return Err(StrategyError::Failed("a flow of another form".to_owned()));
        };
        let mut params = request.params;
        let mut take = |name: &str| Zeroizing::new(params.remove(name).unwrap_or_default());
        let (old, new, again) = (take("current"), take("next"), take("next_confirm"));
        fit_for_the_wire("current", &old)?;
        fit_for_the_wire("next", &new)?;
        if *new != *again {
            let message = "differs from the other new password; type both again".to_owned();
            return Err(StrategyError::BadRequest { field: "next_confirm".to_owned(), message });
        }
        if !self.may_change() {
            return Err(StrategyError::WeakSecret(NO_WAY.to_owned()));
        }
        let (until, end) = self.deadlines();
        let (dn, subject) = match &self.settings.direct {
            Some(template) if template.is_dn => (template.fill(username), None),
            _ => match self.find(username, until).await? {
                Some(entry) => (entry.dn.clone(), person::subject(&self.settings, &entry).ok()),
                None => return Ok(Outcome::denied(Denial::BadCredentials)),
            },
        };
        match self.replace(&dn, &old, &new, until).await? {
            Changed::Done => {
                let who = Credentials { username: username.to_owned(), password: new };
                let mut outcome = self.sign_in(&who, self.directory.deadline().min(end)).await?;
                if let Outcome::Authenticated(who) = &mut outcome {
                    who.secret_changed = true;
                }
                Ok(outcome)
            }
            Changed::WrongOld => Ok(Outcome::denied(Denial::BadCredentials).about(subject)),
            Changed::Barred(denied) => Ok(Outcome::Denied(denied).about(subject)),
            // The old one was right, so nobody failed: the same page again, and its reason.
            Changed::NotTaken(sentence) => Err(StrategyError::WeakSecret(sentence)),
        }
    }

    /// From the profile page.
    pub(crate) async fn change(&self, request: ChangeSecret) -> Answer<Outcome> {
        if self.settings.change.is_none() || self.settings.service.is_none() {
            return Err(StrategyError::Unsupported);
        }
        let (old, new) = (Zeroizing::new(request.current), Zeroizing::new(request.next));
        fit_for_the_wire("current", &old)?;
        fit_for_the_wire("next", &new)?;
        let until = self.directory.deadline();
        let mut seeker = Seeker::Service(&self.directory);
        let entry = match person::value_of(&self.settings, &request.subject) {
            Some(value) => {
                let filter = filter::equals(&self.settings.attributes.subject, &value);
                self.one(&mut seeker, &filter, until).await?
            }
            None => None,
        };
        let Some(entry) = entry else { return Ok(Outcome::denied(Denial::BadCredentials)) };
        match self.replace(&entry.dn, &old, &new, until).await? {
            // From here on the old one is no good, so nothing may fail any more: the sessions
            // that it opened have to end.
            Changed::Done => Ok(Outcome::Authenticated(Box::new(Authenticated::of(request.subject)))),
            Changed::WrongOld => Ok(Outcome::denied(Denial::BadCredentials)),
            Changed::Barred(denied) => Ok(Outcome::Denied(denied)),
            Changed::NotTaken(sentence) => Err(StrategyError::WeakSecret(sentence)),
        }
    }

    /// Tries the old password and sets the new one.
    async fn replace(&self, dn: &str, old: &str, new: &str, until: Instant) -> Answer<Changed> {
        let Some(by) = self.settings.change else { return Err(StrategyError::Unsupported) };
        let (bound, mut person) = self.directory.as_person(dn, old, until).await?;
        let change = Change { dn, old, new, by };
        let done = match verdict::of(&bound) {
            Verdict::Wrong(_) => return Ok(Changed::WrongOld),
            Verdict::Barred(bar) => return Ok(Changed::Barred(bar.denied())),
            Verdict::Undecided => {
                return Err(StrategyError::Failed(format!("a bind ended with code {}", bound.code)));
            }
            // They may bind, if only to change it.
            Verdict::Right | Verdict::MustChange(_) if bound.code == code::SUCCESS => {
                let done = change_on(&mut person.connection, &change, until).await;
                done.map_err(|trouble| StrategyError::Failed(trouble.to_string()))?
            }
            // They may not: the service account hands both passwords on, and the directory
            // checks the old one again.
            Verdict::Right | Verdict::MustChange(_) => {
                drop(person);
                if self.settings.service.is_none() {
                    return Ok(Changed::NotTaken(NO_WAY.to_owned()));
                }
                self.directory.change(&change, until).await?
            }
        };
        judge(&done)
    }
}

const NO_WAY: &str = "The directory does not let this password be changed here. Change it where you usually do, then sign in again.";

fn judge(done: &Done) -> Answer<Changed> {
    let policy =
        done.policy.as_deref().and_then(|value| policy_control::read(value).ok()).unwrap_or_default();
    let sentence = match policy.error {
        Some(PolicyError::QualityTooLow) => "The directory finds the new password too easy to guess.",
        Some(PolicyError::TooShort) => "The directory finds the new password too short.",
        Some(PolicyError::TooLong) => "The directory finds the new password too long.",
        Some(PolicyError::TooYoung) => {
            "The password was changed only a short while ago. The directory allows the next change later."
        }
        Some(PolicyError::InHistory) => "You had this password before. Choose another.",
        Some(PolicyError::ModificationNotAllowed) => NO_WAY,
        _ => match done.code {
            code::SUCCESS => return Ok(Changed::Done),
            code::INVALID_CREDENTIALS => return Ok(Changed::WrongOld),
            // ERROR_INVALID_PASSWORD, of Active Directory.
            code::CONSTRAINT if done.text.contains("00000056") => return Ok(Changed::WrongOld),
            code::CONSTRAINT => {
                "The directory does not take the new password. It may be too short, too simple, used before, or \
                 changed too recently."
            }
            code::NO_ACCESS => {
                tracing::warn!(
                    text = %done.text.escape_debug(),
                    "the directory does not let a password be changed; see docs/ldap.md"
                );
                NO_WAY
            }
            // OpenLDAP says so for a wrong old password.
            code::UNWILLING if done.text.contains("old password") => return Ok(Changed::WrongOld),
            other => {
                return Err(StrategyError::Failed(format!(
                    "the change of a password ended with code {other}: {}",
                    done.text.escape_debug()
                )));
            }
        },
    };
    Ok(Changed::NotTaken(sentence.to_owned()))
}
