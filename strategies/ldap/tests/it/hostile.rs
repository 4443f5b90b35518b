//! What no real server does: rows L-06, L-08, L-10. Plain, because the questions are
//! about bytes; TLS has its own tests.

use crate::{
    server::{Guest, element, entry, listen, message},
    support::{login, start},
};
use portcullis_plugin_api::StrategyError;
use portcullis_strategy_ldap::Ldap;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

pub async fn before(port: u16, with: Value) -> Ldap {
    let mut table = json!({
        "url": format!("ldap://127.0.0.1:{port}"), "danger_plaintext": true, "timeout": "500ms",
        "bind_dn": "cn=svc", "bind_password": "svc-pass", "base": "dc=example",
    });
    let (Value::Object(table), Value::Object(with)) = (&mut table, with) else { panic!("tables") };
    table.extend(with);
    table.retain(|_, value| !value.is_null());
    start(std::mem::take(table)).await.expect("the settings are right")
}

/// Could not decide, in time and without a panic.
async fn undecided(ldap: &Ldap, what: &str) {
    let begun = Instant::now();
    let answer = login(ldap, "alice", "alice-pass").await;
    assert!(matches!(answer, Err(StrategyError::Failed(_))), "{what}: {answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_answers_nonsense_decides_nothing() {
    let deep = (0..1000).fold(Vec::new(), |inner, _| element(0x30, &inner));
    let mut endless = element(0x30, &[0; 2_000_000]);
    endless.truncate(1_500_000);
    for (what, bytes) in [
        ("a length of 2 GiB", b"\x30\x84\x80\0\0\0".to_vec()),
        ("a length of 128 bytes of length", b"\x30\xff\xff\xff".to_vec()),
        ("an indefinite length", b"\x30\x80\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0\0\0".to_vec()),
        ("a thousand levels", deep),
        ("more than a mebibyte", endless),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("an element beyond its end", b"\x30\x05\x02\x01\x01\x61\x7f".to_vec()),
        ("no operation", b"\x30\x03\x02\x01\x01".to_vec()),
        ("no id", message(1, 0x61, b"")[..2].to_vec()),
        ("a result without fields", message(1, 0x61, b"")),
        ("a success for another request", message(9, 0x61, &[0x0a, 1, 0, 4, 0, 4, 0])),
        ("a success of another operation", message(1, 0x65, &[0x0a, 1, 0, 4, 0, 4, 0])),
        ("an entry for a bind", entry(1, "cn=x", "a", b"b")),
        ("a notice of disconnection", message(0, 0x78, &[0x0a, 1, 52, 4, 0, 4, 0])),
        ("nothing", Vec::new()),
    ] {
        let (port, _) = listen(move |mut guest: Guest| {
            let bytes = bytes.clone();
            async move {
                guest.hear().await;
                guest.say(&bytes).await;
                guest.be_silent().await;
            }
        })
        .await;
        undecided(&before(port, json!({})).await, what).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_or_drips_is_given_up_in_time() {
    let (port, _) = listen(|guest: Guest| async move { drop(guest) }).await;
    undecided(&before(port, json!({})).await, "hangs up").await;
    let (port, _) = listen(|mut guest: Guest| async move { guest.be_silent().await }).await;
    undecided(&before(port, json!({})).await, "silent").await;
    let (port, _) = listen(|mut guest: Guest| async move {
        guest.hear().await;
        // One byte at a time, for ever: the clock is for the whole operation.
        guest.say(b"\x30\x84\0\0\xff\xff").await;
        loop {
            guest.say(&[0]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    undecided(&before(port, json!({})).await, "drips").await;
}

/// A service bind that is answered well, then a search that is not.
#[tokio::test]
async fn a_search_without_an_end_or_with_too_much_in_it_decides_nothing() {
    for (what, answers) in [
        ("no end", vec![entry(2, "cn=alice", "uid", b"alice")]),
        ("more than was asked for", (0..100).map(|_| entry(2, "cn=alice", "uid", b"alice")).collect()),
        (
            "a name that is no text",
            vec![entry(2, "cn=a", "uid", b"a").iter().map(|b| if *b == b'c' { 0xff } else { *b }).collect()],
        ),
        ("a wrong operation", vec![message(2, 0x61, &[0x0a, 1, 0, 4, 0, 4, 0])]),
    ] {
        let (port, _) = listen(move |mut guest: Guest| {
            let answers = answers.clone();
            async move {
                let bind = guest.hear().await.unwrap();
                guest.end(bind.id, 0x61, 0).await;
                guest.hear().await;
                for answer in answers {
                    guest.say(&answer).await;
                }
                guest.be_silent().await;
            }
        })
        .await;
        undecided(&before(port, json!({})).await, what).await;
    }
}

/// Row N-87: two entries at most, for no longer than the login may take, without aliases.
#[tokio::test]
async fn a_search_for_a_person_says_how_much_it_wants() {
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (port, _) = listen(move |mut guest: Guest| {
        let told = told.clone();
        async move {
            while let Some(heard) = guest.hear().await {
                match heard.operation {
                    0x60 => guest.end(heard.id, 0x61, 0).await,
                    _ => {
                        told.send(heard.bytes).unwrap();
                        guest.end(heard.id, 0x65, 0).await;
                    }
                }
            }
        }
    })
    .await;
    crate::support::wrong(login(&before(port, json!({"timeout": "4s"})).await, "alice", "alice-pass").await);
    let search = hears.recv().await.unwrap();
    // Whole subtree, aliases never, sizeLimit 2, timeLimit of one byte (RFC 4511 §4.5.1).
    let limits = [0x0a, 1, 2, 0x0a, 1, 0, 2, 1, 2, 2, 1];
    let at = search.windows(limits.len()).position(|part| part == limits).expect("the limits are there");
    assert!((1..=4).contains(&search[at + limits.len()]), "{search:?}");
}

/// Row L-08: a referral is passed over in a search and decides nothing in a bind, and
/// nobody connects to where it points.
#[tokio::test]
async fn a_referral_is_never_followed() {
    let visits = Arc::new(AtomicUsize::new(0));
    let counter = visits.clone();
    let (elsewhere, _) = listen(move |guest: Guest| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { drop(guest) }
    })
    .await;
    let url = format!("ldap://127.0.0.1:{elsewhere}/dc=example");
    let (port, binds) = listen(move |mut guest: Guest| {
        let reference = message(2, 0x73, &element(4, url.as_bytes()));
        let referral = element(0xa3, &element(4, url.as_bytes()));
        async move {
            while let Some(heard) = guest.hear().await {
                if heard.operation != 0x60 {
                    guest.say(&reference).await;
                    guest.say(&entry(2, "cn=alice", "entryUUID", b"1")).await;
                    guest.end(heard.id, 0x65, 0).await;
                    continue;
                }
                // The service account's is good, a person's is referred.
                let code = if heard.bytes.windows(6).any(|part| part == b"cn=svc") { 0 } else { 10 };
                let body = [&[0x0a, 1, code, 4, 0, 4, 0][..], &referral].concat();
                guest.say(&message(heard.id, 0x61, &body)).await;
            }
        }
    })
    .await;
    undecided(&before(port, json!({"timeout": "9s"})).await, "a referral for a bind").await;
    assert_eq!((binds.load(Ordering::SeqCst), visits.load(Ordering::SeqCst)), (2, 0));
}

/// Row L-06: what an attacker on the way could put between.
#[tokio::test]
async fn start_tls_that_is_refused_or_has_something_behind_it_sends_no_password() {
    for (what, code, behind) in [
        ("refused", 2, &b""[..]),
        ("unavailable", 52, b""),
        ("bytes behind the answer", 0, b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"),
        ("no TLS follows", 0, b"\x30"),
    ] {
        let (port, binds) = listen(move |mut guest: Guest| async move {
            let asked = guest.hear().await.unwrap();
            assert_eq!(asked.operation, 0x77);
            let body = [0x0a, 1, code, 4, 0, 4, 0];
            guest.say(&[&message(asked.id, 0x78, &body)[..], behind].concat()).await;
            guest.hear().await;
        })
        .await;
        let ldap = before(port, json!({"danger_plaintext": false, "start_tls": true})).await;
        undecided(&ldap, what).await;
        assert_eq!(binds.load(Ordering::SeqCst), 0, "{what}");
    }
}
