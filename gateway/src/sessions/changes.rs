//! What a slow look-up may not undo: the ends and changes of the last moments. A
//! question to the store that was under way when its session ended or its account
//! changed may have read the state before; its answer is thrown away and asked again.

use std::collections::VecDeque;
use uuid::Uuid;

/// How many are remembered. A question older than all of them counts as overtaken.
const KEPT: usize = 1024;

/// Whom a change was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A session, by its sid.
    Session(Box<str>),
    /// An account and so all of its sessions.
    Account(Uuid),
}

/// The last changes in order. Numbers are this process's own, so that an end made here
/// counts at once, before its event has come back through the feed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    last: VecDeque<Subject>,
    /// How many there ever were.
    count: u64,
}

impl Changes {
    /// The moment before a question is put.
    pub(super) fn moment(&self) -> u64 {
        self.count
    }

    /// Notes one.
    pub(super) fn note(&mut self, subject: Subject) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(subject);
        self.count += 1;
    }

    /// Anything may have changed: all questions under way are overtaken.
    pub(super) fn forget(&mut self) {
        self.last.clear();
        self.count += 1;
    }

    /// Whether a question that was put at `moment` may have been overtaken.
    pub(super) fn overtook(&self, moment: u64, sid: &str, account: Uuid) -> bool {
        let since = self.count.saturating_sub(moment);
        if since > self.last.len() as u64 {
            return true;
        }
        self.last.iter().rev().take(since as usize).any(|subject| match subject {
            Subject::Session(ended) => **ended == *sid,
            Subject::Account(changed) => *changed == account,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_overtaken_by_a_change_of_its_own_only() {
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut changes = Changes::default();
        changes.note(Subject::Account(ann));
        let moment = changes.moment();
        assert!(!changes.overtook(moment, "s", ann), "that was before the question");
        changes.note(Subject::Account(bob));
        changes.note(Subject::Session("other".into()));
        assert!(!changes.overtook(moment, "s", ann));
        changes.note(Subject::Session("s".into()));
        assert!(changes.overtook(moment, "s", ann));
        assert!(changes.overtook(moment, "t", bob));
    }

    #[test]
    fn a_question_older_than_the_memory_is_overtaken() {
        let mut changes = Changes::default();
        let moment = changes.moment();
        for _ in 0..KEPT {
            changes.note(Subject::Account(Uuid::from_u128(2)));
        }
        assert!(!changes.overtook(moment, "s", Uuid::from_u128(1)));
        changes.note(Subject::Account(Uuid::from_u128(2)));
        assert!(changes.overtook(moment, "s", Uuid::from_u128(1)));
    }
}
