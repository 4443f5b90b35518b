//! A login: find the one entry that is meant, try the password on it, read what the
//! directory knows.

use crate::{
    Ldap, change, groups,
    groups::Seeker,
    person, spelling,
    verdict::{self, Bar, Reason, Verdict},
    wire::{
        filter,
        message::{Done, Entry, Scope, Search},
        name::USERNAME,
    },
};
use portcullis_plugin_api::{Answer, Authenticated, Begin, Denial, Outcome, StrategyError};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long a session may live of somebody whom nobody can look at again: a day's work.
const UNWATCHED: Duration = Duration::from_secs(12 * 60 * 60);

/// The most bytes of a password (contract section 5) and of a name.
const MOST_BYTES: usize = 1024;

/// A wrong password is answered after a multiple of this. A server compares and writes
/// something down for who is there, and for who is not it does neither (row W-01).
const BEAT: Duration = Duration::from_millis(20);

/// A name and a password that may go on the wire.
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: Zeroizing<String>,
}

impl Credentials {
    /// Reads a form. An empty password never comes further than this (N-83).
    pub(crate) fn of(mut form: BTreeMap<String, String>) -> Answer<Self> {
        let username = form.remove("username").unwrap_or_default();
        let password = Zeroizing::new(form.remove("password").unwrap_or_default());
        if username.trim().is_empty() {
            return Err(bad("username", "empty"));
        }
        if username.len() > MOST_BYTES {
            return Err(bad("username", "too long"));
        }
        fit_for_the_wire("password", &password)?;
        Ok(Self { username, password })
    }
}

/// Whether a password can be sent as what it is. Some servers end a string at a NUL, so
/// one that begins with it would be empty there.
pub(crate) fn fit_for_the_wire(field: &str, password: &str) -> Answer<()> {
    match password {
        "" => Err(bad(field, "empty")),
        long if long.len() > MOST_BYTES => Err(bad(field, "too long")),
        nul if nul.contains('\0') => Err(bad(field, "holds a NUL character")),
        _ => Ok(()),
    }
}

/// The end of the beat that `now` lies in.
fn next_beat(begun: Instant, now: Instant) -> Instant {
    let beats = now.duration_since(begun).as_micros() / BEAT.as_micros() + 1;
    begun + BEAT * u32::try_from(beats).unwrap_or(u32::MAX)
}

fn bad(field: &str, message: &str) -> StrategyError {
    StrategyError::BadRequest { field: field.to_owned(), message: message.to_owned() }
}

impl Ldap {
    pub(crate) async fn log_in(&self, request: Begin) -> Answer<Outcome> {
        let (begun, credentials) = (Instant::now(), Credentials::of(request.form)?);
        let outcome = self.sign_in(&credentials, self.directory.deadline()).await?;
        if matches!(&outcome, Outcome::Denied(denied) if denied.reason == Denial::BadCredentials) {
            tokio::time::sleep_until(next_beat(begun, Instant::now())).await;
        }
        Ok(outcome)
    }

    /// With credentials that were read, until a deadline.
    pub(crate) async fn sign_in(&self, credentials: &Credentials, until: Instant) -> Answer<Outcome> {
        match &self.settings.direct {
            Some(_) => self.directly(credentials, until).await,
            None => self.by_search(credentials, until).await,
        }
    }

    async fn by_search(&self, who: &Credentials, until: Instant) -> Answer<Outcome> {
        let entry = self.find(&who.username, until).await?;
        // Whoever is not there costs the same bind as whoever is (row W-01).
        let name = entry.as_ref().map_or_else(|| self.nobody(), |entry| entry.dn.clone());
        let done = self.directory.bind(&name, &who.password, until).await?;
        // A directory that judges nobody is an error for those who are not there too.
        let outcome = self.judge(&done, &who.username)?;
        let Some(entry) = entry else { return Ok(Outcome::denied(Denial::BadCredentials)) };
        if let Some(outcome) = outcome {
            return Ok(outcome.about(person::subject(&self.settings, &entry).ok()));
        }
        self.admit(&mut Seeker::Service(&self.directory), &entry, &who.username, until).await
    }

    /// The one entry that a name means; none if there is no such entry, or more than one.
    pub(crate) async fn find(&self, username: &str, until: Instant) -> Answer<Option<Entry>> {
        let filter = self.settings.filter.fill(&[(USERNAME, username.as_bytes())]);
        let entry = self.one(&mut Seeker::Service(&self.directory), &filter, until).await?;
        Ok(entry.filter(|entry| spelling::by_filter(&self.settings.filter, username, entry)))
    }

    /// The one entry below the base that a filter finds.
    pub(crate) async fn one(
        &self,
        seeker: &mut Seeker<'_>,
        filter: &[u8],
        until: Instant,
    ) -> Answer<Option<Entry>> {
        let request = Search {
            base: &self.settings.base,
            scope: Scope::Subtree,
            filter,
            attributes: &person::attributes(&self.settings),
            most: 2,
        };
        let mut found = seeker.search(&request, until).await?;
        if let Some(done) = found.missing {
            return Err(StrategyError::Failed(format!(
                "base \"{}\" is not there: code {}, {}",
                self.settings.base.escape_debug(),
                done.code,
                done.text.escape_debug()
            )));
        }
        if found.more || found.entries.len() > 1 {
            tracing::warn!("the filter finds more than one entry for a login, so it is refused");
            return Ok(None);
        }
        Ok(found.entries.pop())
    }

    async fn directly(&self, who: &Credentials, until: Instant) -> Answer<Outcome> {
        let Some(template) = &self.settings.direct else {
            return Err(StrategyError::Failed("there is no `user_dn`".to_owned()));
        };
        let name = template.fill(&who.username);
        let (done, mut person) = self.directory.as_person(&name, &who.password, until).await?;
        if let Some(outcome) = self.judge(&done, &who.username)? {
            return Ok(outcome);
        }
        let filter = self.settings.filter.fill(&[(USERNAME, who.username.as_bytes())]);
        let entry = if template.is_dn {
            // A filter that was written down says who may come in here too.
            let filter = if self.settings.own_filter { filter } else { filter::anything() };
            let found =
                self.own_entry(&mut Seeker::Person(&mut person.connection), &name, &filter, until).await?;
            found.filter(|entry| spelling::by_name(template, &who.username, entry))
        } else {
            let found = self.one(&mut Seeker::Person(&mut person.connection), &filter, until).await?;
            match found.filter(|entry| spelling::by_filter(&self.settings.filter, &who.username, entry)) {
                // The name that was bound and the entry that was found may be two people's.
                // The entry is theirs if the password is its password too.
                Some(entry) => {
                    let again = person.connection.bind(&entry.dn, &who.password, until).await;
                    let again = again.map_err(|trouble| StrategyError::Failed(trouble.to_string()))?;
                    (verdict::of(&again) == Verdict::Right).then_some(entry)
                }
                None => None,
            }
        };
        let Some(entry) = entry else {
            tracing::warn!(
                "somebody has bound, but their entry is not found by the filter, or not by the name they typed"
            );
            return Ok(Outcome::denied(Denial::BadCredentials));
        };
        let mut seeker = match self.settings.service {
            Some(_) => {
                drop(person);
                Seeker::Service(&self.directory)
            }
            None => Seeker::Person(&mut person.connection),
        };
        self.admit(&mut seeker, &entry, &who.username, until).await
    }

    async fn own_entry(
        &self,
        seeker: &mut Seeker<'_>,
        dn: &str,
        filter: &[u8],
        until: Instant,
    ) -> Answer<Option<Entry>> {
        let request = Search {
            base: dn,
            scope: Scope::Base,
            filter,
            attributes: &person::attributes(&self.settings),
            most: 1,
        };
        Ok(seeker.search(&request, until).await?.entries.pop())
    }

    /// A name that is in no directory.
    fn nobody(&self) -> String {
        let mut random = [0; 16];
        (self.host.random)(&mut random);
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("cn={digits},{}", self.settings.base)
    }

    /// What the answer to a bind means; none: come in.
    pub(crate) fn judge(&self, done: &Done, username: &str) -> Answer<Option<Outcome>> {
        match verdict::of(done) {
            Verdict::Right => Ok(None),
            Verdict::Wrong(reason) => {
                if reason == Reason::Locked {
                    tracing::info!(reason = reason.as_str(), "the directory refuses a login");
                }
                Ok(Some(Outcome::denied(Denial::BadCredentials)))
            }
            Verdict::Barred(bar) => Ok(Some(Outcome::Denied(bar.denied()))),
            Verdict::MustChange(reason) if self.may_change() => {
                Ok(Some(Outcome::Form(change::form(username, change::why(reason)))))
            }
            Verdict::MustChange(_) => Ok(Some(Outcome::Denied(Bar::Expired.denied()))),
            Verdict::Undecided => Err(StrategyError::Failed(format!(
                "the directory did not judge a password: code {}, {}",
                done.code,
                done.text.escape_debug()
            ))),
        }
    }

    /// What the gateway is told of somebody whose password was right.
    pub(crate) async fn admit(
        &self,
        seeker: &mut Seeker<'_>,
        entry: &Entry,
        username: &str,
        until: Instant,
    ) -> Answer<Outcome> {
        if let Some(bar) = person::bar(entry, (self.host.now)()) {
            let subject = person::subject(&self.settings, entry).ok();
            return Ok(Outcome::Denied(bar.denied()).about(subject));
        }
        let who = self.describe(seeker, entry, username, until).await?;
        Ok(Outcome::Authenticated(Box::new(who)))
    }

    pub(crate) async fn describe(
        &self,
        seeker: &mut Seeker<'_>,
        entry: &Entry,
        username: &str,
        until: Instant,
    ) -> Answer<Authenticated> {
        let subject = person::subject(&self.settings, entry).map_err(StrategyError::UnusableCredential)?;
        let groups = self.resolver.groups(&self.settings, seeker, entry, until).await?;
        let mut claims = person::claims(&self.settings, entry);
        claims.insert("groups".to_owned(), groups::claim(&groups).into());
        let size = Value::Object(claims.clone()).to_string().len();
        if size > crate::MOST_CLAIMS {
            return Err(StrategyError::UnusableCredential(format!(
                "somebody's {} groups take {size} bytes of {}; narrow them by groups.base or groups.filter",
                groups.len(),
                crate::MOST_CLAIMS
            )));
        }
        Ok(Authenticated {
            realm: self.settings.realm(),
            claims,
            methods: vec!["pwd".to_owned()],
            state: json!({ "username": username }).to_string().into_bytes(),
            // Without a service account there is nobody who could look again.
            refresh_after: self.settings.service.as_ref().map(|_| groups::look_again_after(&self.settings)),
            session_max: self.settings.service.is_none().then_some(UNWATCHED),
            ..Authenticated::of(subject)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_comes_at_the_end_of_a_beat_and_never_before_its_own_time() {
        let begun = Instant::now();
        for (took, told) in [(0, 20), (1, 20), (19, 20), (20, 40), (39, 40), (4999, 5000)] {
            let now = begun + Duration::from_millis(took);
            assert_eq!(next_beat(begun, now), begun + Duration::from_millis(told), "{took}");
        }
    }
}
