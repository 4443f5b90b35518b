//! Sessions: how they are found, and everything that ends them.

use super::*;

#[tokio::test]
async fn a_session_is_found_by_cookie_and_by_sid_with_its_account_and_the_newest_event() {
    let store = store();
    let account = made(&store, "ada").await;
    let record = session(account.uuid, "s1");
    assert!(store.insert_session(record.clone(), None).await.unwrap());
    let newest = store.newest_event().await.unwrap();
    let expected = Some((record.clone(), account.clone(), newest));
    assert_eq!(store.session_by_cookie(record.cookie_hash).await.unwrap(), expected);
    assert_eq!(store.session_by_sid("s1").await.unwrap(), expected);
    assert_eq!(store.session_by_sid("s2").await.unwrap(), None);
    assert_eq!(store.session_by_cookie([0; 32]).await.unwrap(), None);
    assert_eq!(store.sessions_of(account.uuid).await.unwrap(), vec![record]);
}

#[tokio::test]
async fn a_login_that_looked_at_a_secret_makes_a_session_only_while_that_is_still_stored() {
    let store = store();
    let account = made(&store, "ada").await;
    assert!(!store.insert_session(session(account.uuid, "s1"), Some("old".into())).await.unwrap());
    assert!(store.insert_session(session(account.uuid, "s2"), Some("hash".into())).await.unwrap());
    store.replace_secret(account.uuid, local("ada", "new"), NOW).await.unwrap();
    assert!(!store.insert_session(session(account.uuid, "s3"), Some("hash".into())).await.unwrap());
    assert!(store.sessions_of(account.uuid).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_disabled_or_deleted_account_gets_no_session() {
    let store = store();
    let account = made(&store, "ada").await;
    store.set_active(account.uuid, false, NOW).await.unwrap();
    assert!(!store.insert_session(session(account.uuid, "s1"), None).await.unwrap());
    store.set_active(account.uuid, true, NOW).await.unwrap();
    assert!(store.insert_session(session(account.uuid, "s2"), None).await.unwrap());
    store.delete_account(account.uuid).await.unwrap();
    assert!(!store.insert_session(session(account.uuid, "s3"), None).await.unwrap());
    assert_eq!(store.session_by_sid("s2").await.unwrap(), None);
}

#[tokio::test]
async fn what_ends_sessions_ends_all_of_that_account_and_none_of_another() {
    let store = store();
    let (ada, bob) = (made(&store, "ada").await, made(&store, "bob").await);
    for how in ["secret", "disable", "all"] {
        for (sid, account) in [("a1", &ada), ("a2", &ada), ("b1", &bob)] {
            store.end_session(sid).await.unwrap();
            assert!(store.insert_session(session(account.uuid, sid), None).await.unwrap(), "{how}");
        }
        match how {
            "secret" => assert!(store.replace_secret(ada.uuid, local("ada", "new"), NOW).await.unwrap()),
            "disable" => {
                assert!(store.set_active(ada.uuid, false, NOW).await.unwrap());
                assert!(store.set_active(ada.uuid, true, NOW).await.unwrap());
            }
            _ => assert_eq!(store.end_sessions_of(ada.uuid).await.unwrap(), 2),
        }
        assert!(store.sessions_of(ada.uuid).await.unwrap().is_empty(), "{how}");
        assert_eq!(store.sessions_of(bob.uuid).await.unwrap().len(), 1, "{how}");
    }
}

#[tokio::test]
async fn a_use_is_noted_forwards_only_and_revives_nothing() {
    let store = store();
    let account = made(&store, "ada").await;
    store.insert_session(session(account.uuid, "s1"), None).await.unwrap();
    let later = NOW.plus(Duration::from_secs(10));
    store.touch_sessions(vec![used("s1", later), used("gone", later)]).await.unwrap();
    store.touch_sessions(vec![used("s1", NOW)]).await.unwrap();
    let (record, ..) = store.session_by_sid("s1").await.unwrap().unwrap();
    assert_eq!(record.last_used, later);
    assert_eq!(store.session_by_sid("gone").await.unwrap(), None);
}

#[tokio::test]
async fn a_session_past_its_end_is_removed_and_one_before_it_stays() {
    let store = store();
    let account = made(&store, "ada").await;
    store.insert_session(session(account.uuid, "s1"), None).await.unwrap();
    let end = NOW.plus(Duration::from_secs(3600));
    assert_eq!(store.prune_sessions(UnixMillis(end.0 - 1)).await.unwrap(), 0);
    assert_eq!(store.prune_sessions(end).await.unwrap(), 1);
    assert_eq!(store.session_by_sid("s1").await.unwrap(), None);
}
