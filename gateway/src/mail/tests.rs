//! The queue and the sender, with a folder for a server; `refusals.rs` has one that refuses.

mod refusals;

use super::*;
use crate::{clock::UnixMillis, control::testing::Gateway};
use std::{path::Path, time::Duration};

async fn gateway(folder: &Path) -> Gateway {
    Gateway::start(&format!("[mail]\nurl = \"file:{}\"\nfrom = \"Us <us@x.test>\"", folder.display())).await
}

async fn post(gateway: &Gateway, to: Option<&str>, lives: u64) {
    let control = &gateway.control;
    let now = control.clock.now();
    let expires = now.plus(Duration::from_secs(lives));
    let draft = Draft { to: to.map(str::to_owned), letter: Letter::Taken, expires };
    let sealer = control.store.sealer().unwrap();
    control.outbox.post(&control.store, &sealer, &control.pages, None, vec![draft], now).await.unwrap();
}

fn mails(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[tokio::test]
async fn what_is_posted_is_sent_once_and_what_is_to_nobody_never() {
    let folder = tempfile::tempdir().unwrap();
    let box_of_mail = folder.path().join("mail");
    let gateway = gateway(&box_of_mail).await;
    post(&gateway, Some("ann@y.test"), 60).await;
    post(&gateway, None, 60).await;
    assert_eq!(gateway.control.store.count_mails().await.unwrap(), 2);
    assert_eq!(sender::send_due(&gateway.control).await.unwrap(), None);
    let sent = mails(&box_of_mail);
    assert_eq!(sent.len(), 1);
    for line in
        ["From: Us <us@x.test>", "To: ann@y.test", "Auto-Submitted: auto-generated", "multipart/alternative"]
    {
        assert!(sent[0].contains(line), "{line}: {}", sent[0]);
    }
    assert_eq!(gateway.control.store.count_mails().await.unwrap(), 0);
    assert_eq!(gateway.control.outbox.written(), 2);
}

#[tokio::test]
async fn what_cannot_be_sent_is_tried_later_each_time_and_dropped_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be.
    let in_the_way = folder.path().join("mail");
    std::fs::write(&in_the_way, "").unwrap();
    let gateway = gateway(&in_the_way).await;
    post(&gateway, Some("ann@y.test"), 60).await;
    let start = gateway.control.clock.now();
    for pause in [5, 10, 20] {
        let next = sender::send_due(&gateway.control).await.unwrap().expect("it waits");
        assert_eq!(next.since(gateway.control.clock.now()), Duration::from_secs(pause));
        gateway.advance(pause);
    }
    // 35 seconds have gone; the next pause is 40 and the token lives 60.
    std::fs::remove_file(&in_the_way).unwrap();
    gateway.advance(30);
    assert_eq!(gateway.control.clock.now().since(start), Duration::from_secs(65));
    assert_eq!(sender::send_due(&gateway.control).await.unwrap(), None);
    assert!(mails(&in_the_way).is_empty());
    assert_eq!(gateway.control.store.count_mails().await.unwrap(), 0);
}

#[tokio::test]
async fn an_address_that_no_mail_can_bear_is_dropped_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let box_of_mail = folder.path().join("mail");
    let gateway = gateway(&box_of_mail).await;
    post(&gateway, Some("no address"), 60).await;
    post(&gateway, Some("ann@y.test"), 60).await;
    assert_eq!(sender::send_due(&gateway.control).await.unwrap(), None);
    assert_eq!(mails(&box_of_mail).len(), 1);
}

#[tokio::test]
async fn mail_waits_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(&folder.path().join("mail")).await;
    post(&gateway, Some("ann@y.test"), 60).await;
    let due = gateway.control.store.due_mails(9, gateway.control.clock.now()).await.unwrap();
    assert!(!due[0].sealed.windows(3).any(|w| w == b"ann"));
    assert_eq!((due[0].tries, due[0].expires), (0, UnixMillis(1_700_000_060_000)));
}
