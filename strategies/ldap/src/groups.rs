//! The groups that somebody is in: named by their entry, found by a search, or both; and
//! the groups of those groups, on any server.

use crate::{
    directory::{Directory, refused, seconds},
    person,
    settings::{Nested, Settings},
    wire::{
        Trouble,
        connection::{Connection, Found},
        filter::{self, Filter},
        message::{Entry, Scope, Search},
        name,
    },
};
use portcullis_plugin_api::{Answer, StrategyError};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many groups one person may be in.
const MOST: usize = 1000;
/// How many steps up groups in groups are followed.
const DEPTH: usize = 10;
/// How long it is remembered which groups a group is in. What a person is in is never
/// remembered.
pub(crate) const CACHE_AGE: Duration = Duration::from_secs(60);
/// The same where people are looked at again sooner: what a refresh reads must not be older than
/// what is left of `refresh` (see [`look_again_after`]).
fn remembered_for(settings: &Settings) -> Duration {
    CACHE_AGE.min(Duration::from_secs(settings.refresh.as_secs() / 5))
}

/// A change reaches a live session within `refresh`, also one that is remembered for a while.
pub(crate) fn look_again_after(settings: &Settings) -> Duration {
    settings.refresh - remembered_for(settings)
}

/// How many groups are remembered.
const CACHE_SIZE: usize = 10_000;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// As the server writes it; empty for one that is known by its name only.
    pub(crate) dn: String,
    pub(crate) name: String,
}

/// Groups by the normal form of their DN.
type Known = BTreeMap<String, Group>;

/// Who searches.
pub(crate) enum Seeker<'a> {
    /// The service account.
    Service(&'a Directory),
    /// A person, on their own connection.
    Person(&'a mut Connection),
}

impl Seeker<'_> {
    pub(crate) async fn search(&mut self, request: &Search<'_>, until: Instant) -> Answer<Found> {
        match self {
            Self::Service(directory) => directory.search(request, until).await,
            Self::Person(connection) => {
                let found = connection.search(request, seconds(until), until).await;
                found.map_err(|trouble| match trouble.is_about_the_question() || trouble == Trouble::Silent {
                    true => refused(&trouble),
                    false => StrategyError::Failed(trouble.to_string()),
                })
            }
        }
    }
}

/// Finds groups; remembers which groups groups are in.
#[derive(Default)]
pub(crate) struct Resolver {
    parents: Mutex<HashMap<String, (Instant, Vec<Group>)>>,
}

impl Resolver {
    /// All groups of a person.
    pub(crate) async fn groups(
        &self,
        settings: &Settings,
        seeker: &mut Seeker<'_>,
        person: &Entry,
        until: Instant,
    ) -> Answer<Vec<Group>> {
        let mut known = Known::new();
        let first = direct(settings, seeker, person, until).await?;
        let mut frontier = add(&mut known, first)?;
        if settings.groups.nested == Nested::Walk {
            // A group that is known already is not followed again, so a circle ends.
            for _ in 0..DEPTH {
                let mut next = Vec::new();
                for group in frontier {
                    next.extend(self.parents(settings, seeker, &group, until).await?);
                }
                frontier = add(&mut known, next)?;
                if frontier.is_empty() {
                    break;
                }
            }
            if !frontier.is_empty() {
                tracing::warn!(depth = DEPTH, "groups are nested deeper than is followed");
            }
        }
        Ok(known.into_values().collect())
    }

    async fn parents(
        &self,
        settings: &Settings,
        seeker: &mut Seeker<'_>,
        group: &Group,
        until: Instant,
    ) -> Answer<Vec<Group>> {
        if group.dn.is_empty() {
            return Ok(Vec::new());
        }
        let key = name::normal(&group.dn);
        let age = remembered_for(settings);
        if let Some((read, parents)) = self.lock().get(&key)
            && read.elapsed() < age
        {
            return Ok(parents.clone());
        }
        let parents = match &settings.groups.filter {
            Some(filter) => {
                // Nobody is called by a NUL, so the places for names match nothing here.
                let filter = filter.fill(&[("{dn}", group.dn.as_bytes()), (name::USERNAME, b"\0")]);
                searched(settings, seeker, &settings.groups.base, &filter, until).await?
            }
            None => {
                let request = Search {
                    base: &group.dn,
                    scope: Scope::Base,
                    filter: &filter::anything(),
                    attributes: &[settings.groups.member_of.as_deref().unwrap_or("memberOf")],
                    most: 1,
                };
                let found = seeker.search(&request, until).await?;
                found.entries.first().map(|entry| listed(settings, entry)).transpose()?.unwrap_or_default()
            }
        };
        // What one person may not see would be hidden from the others as well.
        if !matches!(seeker, Seeker::Service(_)) {
            return Ok(parents);
        }
        let mut cache = self.lock();
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(key, (Instant::now(), parents.clone()));
        Ok(parents)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Vec<Group>)>> {
        self.parents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what is new, and gives it back.
fn add(known: &mut Known, found: Vec<Group>) -> Answer<Vec<Group>> {
    let mut new = Vec::new();
    for group in found {
        let key = if group.dn.is_empty() { format!("\0{}", group.name) } else { name::normal(&group.dn) };
        if let std::collections::btree_map::Entry::Vacant(place) = known.entry(key) {
            new.push(place.insert(group).clone());
        }
    }
    // Cutting the list would let somebody keep what a rule takes from a group.
    if known.len() > MOST {
        return Err(StrategyError::UnusableCredential(format!(
            "somebody is in over {MOST} groups; narrow them by groups.base or groups.filter"
        )));
    }
    Ok(new)
}

async fn direct(
    settings: &Settings,
    seeker: &mut Seeker<'_>,
    person: &Entry,
    until: Instant,
) -> Answer<Vec<Group>> {
    let groups = &settings.groups;
    let mut found = Vec::new();
    if let Some(filter) = &groups.filter {
        let called = person::name(settings, person).unwrap_or("\0");
        let filter = filter.fill(&[("{dn}", person.dn.as_bytes()), (name::USERNAME, called.as_bytes())]);
        found.extend(searched(settings, seeker, &groups.base, &filter, until).await?);
    }
    if groups.nested == Nested::InChain {
        found.extend(in_chain(settings, seeker, &person.dn, until).await?);
    } else {
        found.extend(listed(settings, person)?);
    }
    if groups.primary
        && let Some(sid) = person::primary_group(person)
    {
        let filter = filter::equals("objectSid", &sid);
        let primary = searched(settings, seeker, &settings.realm(), &filter, until).await?;
        if groups.nested == Nested::InChain {
            for group in &primary {
                found.extend(in_chain(settings, seeker, &group.dn, until).await?);
            }
        }
        found.extend(primary.into_iter().filter(|group| counts(settings, &group.dn)));
    }
    Ok(found)
}

/// All groups that hold this entry, at any depth, by Active Directory's matching rule.
async fn in_chain(
    settings: &Settings,
    seeker: &mut Seeker<'_>,
    dn: &str,
    until: Instant,
) -> Answer<Vec<Group>> {
    const RULE: &str = "(member:1.2.840.113556.1.4.1941:={dn})";
    let rule = filter::Template::parse(RULE).expect("the filter is written right");
    searched(settings, seeker, &settings.groups.base, &rule.fill(&[("{dn}", dn.as_bytes())]), until).await
}

async fn searched(
    settings: &Settings,
    seeker: &mut Seeker<'_>,
    base: &str,
    filter: &Filter,
    until: Instant,
) -> Answer<Vec<Group>> {
    let request = Search {
        base,
        scope: Scope::Subtree,
        filter,
        attributes: &[settings.groups.name.as_str()],
        most: u32::try_from(MOST).unwrap_or(u32::MAX) + 1,
    };
    let found = seeker.search(&request, until).await?;
    if let Some(done) = found.missing {
        return Err(StrategyError::Failed(format!(
            "groups.base \"{}\" is not there, or whoever searches may not read it: {}",
            base.escape_debug(),
            done.text.escape_debug()
        )));
    }
    // What the server cut off may be what a rule goes by.
    if found.more {
        return Err(StrategyError::UnusableCredential(format!(
            "the server gives no more than {} groups of somebody who is in more; narrow groups.base or \
             groups.filter, or raise its size limit for the service account",
            found.entries.len()
        )));
    }
    Ok(found.entries.iter().map(|entry| group(settings, entry)).collect())
}

fn group(settings: &Settings, entry: &Entry) -> Group {
    let given = entry.texts(&settings.groups.name).next().map(str::to_owned);
    Group { dn: entry.dn.clone(), name: given.or_else(|| name::leaf(&entry.dn)).unwrap_or_default() }
}

/// The groups that an entry names itself.
fn listed(settings: &Settings, entry: &Entry) -> Answer<Vec<Group>> {
    let Some(attribute) = &settings.groups.member_of else { return Ok(Vec::new()) };
    // Active Directory's word for "these are not all" ([MS-ADTS] range retrieval).
    if entry.has_option(attribute, "range=") {
        return Err(StrategyError::UnusableCredential(format!(
            "the server gives only a part of somebody's `{attribute}`: they are in too many groups; set \
             groups.filter = \"(member={{dn}})\" and a narrower groups.base"
        )));
    }
    let one = |text: &str| match name::leaf(text) {
        Some(name) => Group { dn: text.to_owned(), name },
        None => Group { dn: String::new(), name: text.to_owned() },
    };
    Ok(entry.texts(attribute).map(one).filter(|group| counts(settings, &group.dn)).collect())
}

fn counts(settings: &Settings, dn: &str) -> bool {
    let (dn, base) = (name::normal(dn), name::normal(&settings.groups.base));
    !settings.groups.below_base || dn == base || dn.ends_with(&format!(",{base}"))
}

/// What the `groups` claim holds: every group by its name and by its DN, so that a
/// mapping may use either. A name that could be a DN is left out: whoever may make a
/// group would call it like another one and have what is mapped from that one's DN.
pub(crate) fn claim(groups: &[Group]) -> Vec<String> {
    let name = |group: &Group| !group.name.contains('=');
    let names = groups.iter().filter(|group| name(group)).map(|group| group.name.as_str());
    let all: BTreeSet<&str> = names.chain(groups.iter().map(|group| group.dn.as_str())).collect();
    all.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_groups_and_the_time_to_the_next_look_are_no_longer_than_refresh() {
        for refresh in ["1s", "4s", "10s", "1m", "5m", "2h"] {
            let settings = crate::testing::settings(serde_json::json!({ "refresh": refresh }));
            let (kept, next) = (remembered_for(&settings), look_again_after(&settings));
            assert!(kept <= CACHE_AGE && kept + next <= settings.refresh, "{refresh}: {kept:?}, {next:?}");
            assert!(next.subsec_millis() == 0 && next.as_secs() > 0, "{refresh}: a library says seconds");
        }
    }

    #[test]
    fn a_group_that_is_called_like_the_dn_of_another_is_known_by_its_own_dn_only() {
        let group = |dn: &str, name: &str| Group { dn: dn.to_owned(), name: name.to_owned() };
        let own = r"cn=cn\3Dops\2Cou\3Dgroups\2Cdc\3Dx,ou=lists,dc=x";
        let groups = [group(own, "cn=ops,ou=groups,dc=x"), group("cn=dev,dc=x", "dev"), group("", "unix")];
        assert_eq!(
            claim(&groups),
            ["cn=cn\\3Dops\\2Cou\\3Dgroups\\2Cdc\\3Dx,ou=lists,dc=x", "cn=dev,dc=x", "dev", "unix"]
        );
    }
}
