//! Accounts and credentials: who has which name, and which secret counts.

use super::*;

async fn refusal(store: &Store, name: &str, email: Option<&str>) -> &'static str {
    match store.create_account(new_account(name, email), vec![local(name, "h")], NOW).await.unwrap() {
        Ok(_) => "made",
        Err(CreateRefused::NameTaken) => "name",
        Err(CreateRefused::EmailTaken) => "email",
    }
}

#[tokio::test]
async fn an_account_is_found_by_its_name_its_address_and_its_uuid_as_it_was_made() {
    let store = store();
    let account = store
        .create_account(new_account("ada", Some("ada@example.com")), vec![], NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(account.version, 1);
    assert!(account.active);
    for text in ["ada", "ada@example.com"] {
        assert_eq!(store.account_by_identifier(text).await.unwrap().as_ref(), Some(&account));
    }
    assert_eq!(store.account_by_name("ada").await.unwrap().as_ref(), Some(&account));
    assert_eq!(store.account_by_name("ada@example.com").await.unwrap(), None);
    assert_eq!(store.account(account.uuid).await.unwrap().as_ref(), Some(&account));
    assert_eq!(store.accounts().await.unwrap(), vec![account]);
}

#[tokio::test]
async fn no_text_is_the_name_or_the_address_of_two_accounts() {
    let store = store();
    assert_eq!(refusal(&store, "ada", Some("ada@example.com")).await, "made");
    assert_eq!(refusal(&store, "ada", None).await, "name");
    assert_eq!(refusal(&store, "ada@example.com", None).await, "name");
    assert_eq!(refusal(&store, "bob", Some("ada@example.com")).await, "email");
    assert_eq!(refusal(&store, "bob", Some("ada")).await, "email");
    assert_eq!(refusal(&store, "eve@example.com", Some("eve@example.com")).await, "made");
    assert_eq!(refusal(&store, "eve", Some("eve@example.com")).await, "email");
    assert_eq!(store.accounts().await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_many_who_ask_for_one_name_at_once_one_gets_it() {
    let store = store();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { refusal(&store, "ada", None).await })
        })
        .collect();
    let mut answers = Vec::new();
    for asked in asking {
        answers.push(asked.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| **answer == "made").count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == "name").count(), 49);
}

#[tokio::test]
async fn an_account_whose_credential_cannot_be_kept_is_not_made() {
    let store = store();
    made(&store, "ada").await;
    let twice = store.create_account(new_account("bob", None), vec![local("ada", "h")], NOW).await;
    assert!(twice.is_err());
    assert_eq!(store.account_by_name("bob").await.unwrap(), None);
}

#[tokio::test]
async fn what_a_job_in_a_batch_could_not_do_spoils_no_other() {
    let store = store();
    made(&store, "ada").await;
    let (refused, done) = tokio::join!(
        store.create_account(new_account("bob", None), vec![local("ada", "h")], NOW),
        store.create_account(new_account("eve", None), vec![local("eve", "h")], NOW),
    );
    assert!(refused.is_err());
    assert!(done.unwrap().is_ok());
    assert!(store.account_by_name("eve").await.unwrap().is_some());
}

#[tokio::test]
async fn an_error_names_what_failed_and_no_value() {
    let store = store();
    made(&store, "ada").await;
    let refused = store.create_account(new_account("bob", None), vec![local("ada", "canary")], NOW).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("credentials"), "{text}");
    assert!(!text.contains("canary") && !text.contains("ada") && !text.contains("bob"), "{text}");
}

#[tokio::test]
async fn a_replaced_secret_is_the_only_one_and_a_renewed_one_needs_the_old() {
    let store = store();
    let account = made(&store, "ada").await;
    assert!(store.replace_secret(account.uuid, local("other subject", "second"), NOW).await.unwrap());
    let kept = store.credential("local", account.uuid).await.unwrap().unwrap();
    assert_eq!(
        (kept.secret.as_deref(), kept.subject.as_str(), kept.account),
        (Some("second"), "other subject", account.uuid)
    );
    assert!(!store.renew_secret("local", account.uuid, "hash", "third").await.unwrap());
    assert!(store.renew_secret("local", account.uuid, "second", "third").await.unwrap());
    let kept = store.credential("local", account.uuid).await.unwrap().unwrap();
    assert_eq!(kept.secret.as_deref(), Some("third"));
    assert_eq!(store.credential_strategies(account.uuid).await.unwrap(), ["local"]);
    assert!(store.credential("ldap", account.uuid).await.unwrap().is_none());
    let nobody = Random::system().uuid();
    assert!(!store.replace_secret(nobody, local("x", "y"), NOW).await.unwrap());
}

#[tokio::test]
async fn roles_and_activity_change_with_a_new_version() {
    let store = store();
    let account = made(&store, "ada").await;
    let later = NOW.plus(Duration::from_secs(1));
    assert!(store.set_roles(account.uuid, vec!["admin".into()], later).await.unwrap());
    assert!(store.set_active(account.uuid, false, later).await.unwrap());
    let now = store.account(account.uuid).await.unwrap().unwrap();
    assert_eq!((now.roles, now.active, now.version, now.updated), (vec!["admin".into()], false, 3, later));
    let nobody = Random::system().uuid();
    assert!(!store.set_roles(nobody, vec![], NOW).await.unwrap());
    assert!(!store.set_active(nobody, false, NOW).await.unwrap());
}

#[tokio::test]
async fn a_deleted_account_frees_its_name_its_address_and_its_credentials() {
    let store = store();
    let account =
        store.create_account(new_account("ada", Some("a@b.c")), vec![local("ada", "h")], NOW).await.unwrap();
    let uuid = account.unwrap().uuid;
    assert!(store.delete_account(uuid).await.unwrap());
    assert!(!store.delete_account(uuid).await.unwrap());
    assert!(store.credential("local", uuid).await.unwrap().is_none());
    assert_eq!(refusal(&store, "a@b.c", None).await, "made");
    assert_eq!(refusal(&store, "ada", None).await, "made");
}
