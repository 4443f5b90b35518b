//! Events and keys: what another process is told of a change.

use super::*;

/// The events of one operation, and that it moved `data_version`.
async fn told(store: &Store, operation: impl Future<Output = ()>) -> Vec<Change> {
    let (before, version) = (store.newest_event().await.unwrap(), store.data_version().await.unwrap());
    operation.await;
    let events = store.events_since(before, 100).await.unwrap();
    for (place, event) in (before + 1..).zip(&events) {
        assert_eq!(event.id, place, "numbers have no gaps");
    }
    assert_eq!(store.newest_event().await.unwrap(), before + u64::try_from(events.len()).unwrap());
    assert_ne!(store.data_version().await.unwrap(), version);
    events.into_iter().map(|event| event.change).collect()
}

fn key(kid: &str, purpose: &str) -> StoredKey {
    StoredKey {
        kid: kid.into(),
        purpose: purpose.into(),
        algorithm: "ES256".into(),
        created: NOW,
        private: vec![1],
        public: vec![2],
        state: KeyState::Signing,
        lifetime: Duration::from_secs(60),
        until: None,
    }
}

#[tokio::test]
async fn each_change_writes_its_events_with_it() {
    use Change::*;
    let store = store();
    let new = new_account("ada", None);
    let u = new.uuid;
    let s = &store;
    let create = async { drop(s.create_account(new, vec![local("ada", "h")], NOW).await.unwrap().unwrap()) };
    assert_eq!(told(s, create).await, [AccountChanged(u)]);
    let roles = async { assert!(s.set_roles(u, vec![], NOW).await.unwrap()) };
    assert_eq!(told(s, roles).await, [AccountChanged(u)]);
    let enable = async { assert!(s.set_active(u, true, NOW).await.unwrap()) };
    assert_eq!(told(s, enable).await, [AccountChanged(u)]);
    let disable = async { assert!(s.set_active(u, false, NOW).await.unwrap()) };
    assert_eq!(told(s, disable).await, [AccountChanged(u), SessionsEnded(u)]);
    s.set_active(u, true, NOW).await.unwrap();
    let secret = async { assert!(s.replace_secret(u, local("ada", "new"), NOW).await.unwrap()) };
    assert_eq!(told(s, secret).await, [AccountChanged(u), SessionsEnded(u)]);
    let login = async { assert!(s.insert_session(session(u, "s1"), None).await.unwrap()) };
    assert_eq!(told(s, login).await, []);
    let logout = async { assert!(s.end_session("s1").await.unwrap()) };
    assert_eq!(told(s, logout).await, [SessionEnded("s1".into())]);
    let everywhere = async { assert_eq!(s.end_sessions_of(u).await.unwrap(), 0) };
    assert_eq!(told(s, everywhere).await, [SessionsEnded(u)]);
    let first_key = async { assert!(s.insert_key(key("k1", "access")).await.unwrap()) };
    assert_eq!(told(s, first_key).await, [KeysChanged]);
    let delete = async { assert!(s.delete_account(u).await.unwrap()) };
    assert_eq!(told(s, delete).await, [AccountDeleted(u)]);
}

#[tokio::test]
async fn what_was_refused_or_found_nothing_writes_no_event() {
    let store = store();
    let ada = made(&store, "ada").await;
    let before = store.newest_event().await.unwrap();
    let nobody = Random::system().uuid();
    assert!(store.create_account(new_account("ada", None), vec![], NOW).await.unwrap().is_err());
    assert!(store.create_account(new_account("bob", None), vec![local("ada", "h")], NOW).await.is_err());
    assert!(!store.end_session("none").await.unwrap());
    assert!(!store.set_active(nobody, false, NOW).await.unwrap());
    assert!(!store.delete_account(nobody).await.unwrap());
    assert!(!store.insert_session(session(ada.uuid, "s"), Some("wrong".into())).await.unwrap());
    assert_eq!(store.newest_event().await.unwrap(), before);
}

#[tokio::test]
async fn another_process_sees_a_change_and_its_event() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    let ada = made(&serve, "ada").await;
    let (newest, version) = (serve.newest_event().await.unwrap(), serve.data_version().await.unwrap());
    let command = Store::open(options(&folder, OpenMode::Command)).unwrap();
    assert!(command.set_active(ada.uuid, false, NOW).await.unwrap());
    assert_ne!(serve.data_version().await.unwrap(), version);
    assert_eq!(serve.events_since(newest, 100).await.unwrap().len(), 2);
    assert_eq!(serve.events_since(newest, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn old_events_go_after_a_day_but_the_last_ten_thousand_stay() {
    let store = store();
    store
        .write(|db| (0..10_050).try_for_each(|_| events::tell(db, &Change::KeysChanged, NOW)))
        .await
        .unwrap();
    let newest = store.newest_event().await.unwrap();
    let count = async || store.events_since(0, usize::MAX).await.unwrap().len();
    store.prune_sessions(NOW).await.unwrap();
    assert_eq!(count().await, usize::try_from(newest).unwrap());
    store.prune_sessions(NOW.plus(Duration::from_secs(86_401))).await.unwrap();
    assert_eq!(count().await, 10_000);
    assert_eq!(store.newest_event().await.unwrap(), newest);
}

#[tokio::test]
async fn of_two_first_signing_keys_of_a_purpose_one_is_kept() {
    let store = store();
    let (one, two) =
        tokio::join!(store.insert_key(key("k1", "access")), store.insert_key(key("k2", "access")));
    assert!(one.unwrap() ^ two.unwrap());
    assert!(store.insert_key(key("k3", "assertion")).await.unwrap());
    let keys = store.keys().await.unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.contains(&key("k3", "assertion")));
}
