//! What goes wrong in the middle: all of a change or nothing, and the next one is served.

use super::*;
use crate::sessions::ExternalRecord;

async fn run(store: &Store, sql: &'static str) {
    store.write(move |db| db.execute_batch(sql)).await.unwrap();
}

/// A session that somebody else vouched for.
async fn external(store: &Store) {
    let account = made(store, "ada").await;
    let credential = NewCredential {
        strategy: "hub".into(),
        realm: "https://hub.test".into(),
        subject: "S-1".into(),
        secret: None,
    };
    assert!(store.add_credential(account.uuid, credential, NOW).await.unwrap());
    let record = ExternalRecord {
        realm: "https://hub.test".into(),
        subject: "S-1".into(),
        roles: vec![],
        claims: Default::default(),
        state: vec![],
        provider_session: None,
        refresh_at: None,
    };
    let session =
        SessionRecord { strategy: "hub".into(), external: Some(record), ..session(account.uuid, "s1") };
    assert!(store.insert_session(session, None).await.unwrap());
}

#[tokio::test]
async fn a_logout_notice_is_used_up_only_when_the_sessions_have_ended() {
    let store = store();
    external(&store).await;
    let until = NOW.plus(Duration::from_secs(60));
    let who = || Some(("https://hub.test".to_owned(), "S-1".to_owned()));
    let ask = || store.end_external_sessions("hub", who(), None, Some(([7; 32], until)));
    run(&store, "CREATE TRIGGER no BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    assert!(ask().await.is_err());
    run(&store, "DROP TRIGGER no").await;
    assert_eq!(ask().await.unwrap(), Some(vec!["s1".to_owned()]), "it may be said again");
    assert_eq!(ask().await.unwrap(), None, "and then no more");
}

#[tokio::test]
async fn a_question_that_panics_fails_and_the_next_is_answered() {
    let store = store();
    let account = made(&store, "ada").await;
    for _ in 0..10 {
        let written = store.write::<()>(|db| {
            db.execute("UPDATE accounts SET name = 'eve'", [])?;
            panic!("a bug");
        });
        assert!(written.await.is_err());
        assert!(store.read::<()>(|_| panic!("a bug")).await.is_err());
    }
    assert_eq!(store.account_by_name("ada").await.unwrap(), Some(account));
}

#[tokio::test]
async fn an_account_that_is_refused_waits_for_the_disk_as_one_that_is_made() {
    let store = store();
    let taken = made(&store, "ada").await;
    for (name, is_made) in [("bob", true), ("ada", false)] {
        let before = store.write(|db| Ok(db.total_changes())).await.unwrap();
        let made = store.create_account(new_account(name, None), vec![local(name, "h")], NOW).await.unwrap();
        assert_eq!(made.is_ok(), is_made);
        assert!(store.write(|db| Ok(db.total_changes())).await.unwrap() > before, "{name} is written");
    }
    assert_eq!(store.due_mails(9, NOW).await.unwrap().len(), 0);
    assert_eq!(store.account_by_name("ada").await.unwrap(), Some(taken));
}
