//! Looking again at somebody who signed in: are they still there, still let in by the
//! filter, still not closed, and which groups are they in now?

use crate::{Ldap, groups::Seeker, person, wire::filter, wire::name::USERNAME};
use portcullis_plugin_api::{Answer, Denial, Outcome, Refresh, StrategyError};
use serde_json::Value;

impl Ldap {
    pub(crate) async fn look_again(&self, request: Refresh) -> Answer<Outcome> {
        if self.settings.service.is_none() {
            return Err(StrategyError::Unsupported);
        }
        let until = self.directory.deadline();
        let username = serde_json::from_slice::<Value>(&request.state)
            .ok()
            .and_then(|state| state.get("username")?.as_str().map(str::to_owned))
            .unwrap_or_default();
        let Some(value) = person::value_of(&self.settings, &request.subject) else {
            // Not of the form that this attribute has: nobody is called that any more.
            return Ok(Outcome::denied(Denial::NotAdmitted));
        };
        // Whoever was renamed since is the same person, so the name may be any.
        let same = filter::equals(&self.settings.attributes.subject, &value);
        let by_name = self.settings.direct.as_ref().is_some_and(|template| template.is_dn);
        let still = match by_name && !self.settings.own_filter {
            // No filter found them at the login either.
            true => filter::anything(),
            false => self.settings.filter.any_value_of(USERNAME).fill(&[(USERNAME, username.as_bytes())]),
        };
        let mut seeker = Seeker::Service(&self.directory);
        match self.one(&mut seeker, &filter::all(&[same, still]), until).await? {
            None => Ok(Outcome::denied(Denial::NotAdmitted)),
            Some(entry) => self.admit(&mut seeker, &entry, &username, until).await,
        }
    }
}
