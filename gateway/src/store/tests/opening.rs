//! Opening: files, modes, keys, locks, forms of the store, and a disk or file that refuses.

use super::*;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

fn refused(options: StoreOptions) -> String {
    match Store::open(options) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn what_was_stored_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    let ada = made(&store, "ada").await;
    let record = session(ada.uuid, "s1");
    store.insert_session(record.clone(), Some("hash".into())).await.unwrap();
    let sealed = store.sealer().unwrap().seal("test", b"x");
    drop(store);
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    let (session, account, _) = store.session_by_cookie(record.cookie_hash).await.unwrap().unwrap();
    assert_eq!((session, account), (record, ada.clone()));
    let credential = store.credential("local", ada.uuid).await.unwrap().unwrap();
    assert_eq!(credential.secret.as_deref(), Some("hash"));
    assert_eq!(store.sealer().unwrap().open("test", &sealed).unwrap().as_slice(), b"x");
}

#[tokio::test]
async fn it_syncs_each_commit_and_writes_ahead() {
    let store = store();
    let settings = store
        .write(|db| {
            let text = db.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?;
            let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            Ok((text, number("synchronous")?, number("foreign_keys")?))
        })
        .await
        .unwrap();
    assert_eq!(settings, ("wal".into(), 2, 1));
}

#[tokio::test]
async fn a_second_serve_is_refused_and_told_the_first_ones_pid() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    let text = refused(options(&folder, OpenMode::Serve));
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(first.path(), &link).unwrap();
    let by_link = StoreOptions { path: link, ..options(&folder, OpenMode::Serve) };
    assert!(refused(by_link).contains("already served"));
    Store::open(options(&folder, OpenMode::Command)).unwrap();
    drop(first);
    Store::open(options(&folder, OpenMode::Serve)).unwrap();
}

#[tokio::test]
async fn every_file_it_makes_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    made(&store, "ada").await;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    let expected = ["", "-shm", "-wal", ".lock"].map(|ending| format!("portcullis.db{ending}"));
    assert_eq!(names, [&expected[..], &["portcullis.key".to_owned()]].concat());
}

#[test]
fn a_command_makes_nothing_and_says_what_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let text = refused(options(&folder, OpenMode::Command));
    assert!(text.contains("portcullis.db") && text.contains("portcullis serve"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_serve_without_its_folder_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/portcullis.db");
    let text = refused(StoreOptions { path, ..options(&folder, OpenMode::Serve) });
    assert!(text.contains("missing") && text.contains("[store] url"), "{text}");
}

#[test]
fn a_command_of_another_user_is_told_both() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(options(&folder, OpenMode::Serve)).unwrap());
    let path = folder.path().join("portcullis.db");
    // Only root can give a file away. Names are tested in open.rs.
    if std::os::unix::fs::chown(&path, Some(54_321), None).is_err() {
        return;
    }
    let text = refused(options(&folder, OpenMode::Command));
    assert!(text.contains("uid 54321") && text.contains("root (uid 0)"), "{text}");
}

#[test]
fn with_a_wrong_a_missing_or_an_open_key_it_stops_and_says_what_can_be_done() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(options(&folder, OpenMode::Serve)).unwrap());
    let key = folder.path().join("portcullis.key");
    let text = fs::read_to_string(&key).unwrap();
    let serve = |key| StoreOptions { key, ..options(&folder, OpenMode::Serve) };
    let given = |text: &str| StoreKey::Given(portcullis_config::Secret::new(text.to_owned()));

    let wrong = refused(serve(given("canary-canary-canary-canary-canary")));
    assert!(wrong.contains("[store] key") && wrong.contains("put the right one back"), "{wrong}");
    assert!(!wrong.contains("canary"), "{wrong}");
    // The same text from the configuration is the same key.
    drop(Store::open(serve(given(text.trim_end()))).unwrap());

    // What everybody may read is a warning, as of every secret (contract, section 3).
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Store::open(options(&folder, OpenMode::Serve)).unwrap());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o620)).unwrap();
    let open = refused(options(&folder, OpenMode::Serve));
    assert!(open.contains("chmod 600"), "{open}");
    fs::remove_file(&key).unwrap();
    let missing = refused(options(&folder, OpenMode::Serve));
    assert!(missing.contains("is missing") && missing.contains("portcullis.key"), "{missing}");
    assert!(!key.exists(), "a store that has a key gets no other one");
}

#[tokio::test]
async fn the_advice_for_a_lost_key_keeps_the_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    made(&store, "ada").await;
    drop(store);
    fs::remove_file(folder.path().join("portcullis.key")).unwrap();
    let advice = refused(options(&folder, OpenMode::Serve));
    let sql = advice.split('"').nth(1).unwrap();
    Connection::open(folder.path().join("portcullis.db")).unwrap().execute_batch(sql).unwrap();
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    assert!(store.account_by_name("ada").await.unwrap().is_some());
}

#[tokio::test]
async fn a_command_needs_no_key_until_it_seals() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    let key = folder.path().join("portcullis.key");
    let command = Store::open(options(&folder, OpenMode::Command)).unwrap();
    let sealed = serve.sealer().unwrap().seal("test", b"x");
    fs::rename(&key, folder.path().join("away")).unwrap();
    made(&command, "ada").await;
    assert!(command.sealer().is_err());
    fs::rename(folder.path().join("away"), &key).unwrap();
    assert!(command.sealer().unwrap().open("test", &sealed).is_ok());
}

#[tokio::test]
async fn an_older_store_is_copied_and_upgraded_by_serve_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    made(&store, "ada").await;
    drop(store);
    let steps = [super::super::migrations::STEPS, &["CREATE TABLE later (x INTEGER) STRICT"]].concat();
    let command = Store::open_with(options(&folder, OpenMode::Command), &steps).err().unwrap().to_string();
    assert!(command.contains("older") && command.contains("portcullis serve"), "{command}");

    let store = Store::open_with(options(&folder, OpenMode::Serve), &steps).unwrap();
    assert!(store.account_by_name("ada").await.unwrap().is_some());
    store.read(|db| db.query_row("SELECT count(*) FROM later", [], |_| Ok(()))).await.unwrap();
    drop(store);
    let copy = folder.path().join(format!("portcullis.db.v{}.bak", steps.len() - 1));
    assert_eq!(mode(&copy), 0o600);
    let old = StoreOptions { path: copy, ..options(&folder, OpenMode::Serve) };
    assert!(Store::open(old).unwrap().account_by_name("ada").await.unwrap().is_some());

    // And back: the older program refuses what is newer than itself.
    let newer = refused(options(&folder, OpenMode::Serve));
    assert!(newer.contains("newer Portcullis"), "{newer}");
    assert!(refused(options(&folder, OpenMode::Command)).contains("newer Portcullis"));
}

#[tokio::test]
async fn signing_keys_of_the_first_form_sign_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = &super::super::migrations::STEPS[..1];
    let store = Store::open_with(options(&folder, OpenMode::Serve), first).unwrap();
    let insert = "INSERT INTO keys (kid, purpose, algorithm, created, private, public, state) \
                  VALUES ('k', 'access', 'ES256', 1, x'01', x'02', 'signing')";
    store.write(|db| db.execute(insert, [])).await.unwrap();
    drop(store);
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    let key = store.keys().await.unwrap().remove(0);
    assert_eq!((key.kid.as_str(), key.state, key.until), ("k", KeyState::Signing, None));
    assert_eq!(key.lifetime, Duration::from_secs(86_400), "what the default of its time was");
}

#[test]
fn a_step_that_fails_leaves_the_older_store_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(options(&folder, OpenMode::Serve)).unwrap());
    let steps =
        [super::super::migrations::STEPS, &["CREATE TABLE later (x INTEGER) STRICT", "NOT SQL"]].concat();
    assert!(Store::open_with(options(&folder, OpenMode::Serve), &steps).is_err());
    Store::open(options(&folder, OpenMode::Serve)).unwrap();
}

#[test]
fn a_file_that_is_no_store_of_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let text = refused(options(&folder, OpenMode::Serve));
    assert!(text.contains("not one of Portcullis"), "{text}");
    fs::write(&path, "a letter to my aunt, long enough to be no database at all").unwrap();
    let text = refused(options(&folder, OpenMode::Serve));
    assert!(text.contains("portcullis.db"), "{text}");
}

#[tokio::test]
async fn while_another_process_holds_the_store_reads_go_on_and_writes_are_refused() {
    let store = store();
    made(&store, "ada").await;
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let many: Vec<_> = (0..10)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.touch_sessions(vec![used(&n.to_string(), NOW)]).await })
        })
        .collect();
    assert!(store.account_by_name("ada").await.unwrap().is_some());
    for one in many {
        assert!(one.await.unwrap().is_err());
    }
    other.execute_batch("ROLLBACK").unwrap();
    store.touch_sessions(vec![]).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_nothing_else_is_lost() {
    let store = store();
    let ada = made(&store, "ada").await;
    let limit = |pages: &'static str| {
        let store = store.clone();
        async move {
            let set = |db: &Connection| db.query_row(pages, [], |row| row.get::<_, i64>(0));
            store.write(set).await.unwrap();
        }
    };
    // SQLite allows no fewer pages than there are, so the store is full from here on.
    limit("PRAGMA max_page_count = 1").await;
    let mut big = new_account("bob", None);
    big.display_name = Some("x".repeat(1 << 20));
    assert!(store.create_account(big, vec![], NOW).await.is_err());
    assert_eq!(store.account_by_name("bob").await.unwrap(), None);
    assert_eq!(store.account_by_name("ada").await.unwrap(), Some(ada));
    limit("PRAGMA max_page_count = 1000000").await;
    made(&store, "bob").await;
}

#[test]
fn a_lock_file_that_points_elsewhere_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join("portcullis.db.lock")).unwrap();
    assert!(refused(options(&folder, OpenMode::Serve)).contains("portcullis.db.lock"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}
