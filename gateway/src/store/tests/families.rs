//! Which refresh value is good, and what an old one does.

use super::*;

const GRACE: Duration = Duration::from_secs(10);

/// Stands for a value: its successor by a nonce is another number.
fn hash(value: u8) -> [u8; 32] {
    [value; 32]
}

async fn with_family(store: &Store, account: Uuid, sid: &str, name: u8) {
    let family = NewFamily { name: hash(name), current: hash(1) };
    let record = SessionRecord { family: true, ..session(account, sid) };
    assert!(store.open_session(record, Some(family), None).await.unwrap());
}

/// Presents value `value` of family 100 at `now`; the nonce of a rotation is `nonce`, and the
/// successor of `value` is `value + 1`.
async fn present(store: &Store, value: u8, nonce: u8, now: UnixMillis) -> Rotation {
    let terms =
        Terms { now, grace: GRACE, cookie_expires: now.plus(GRACE), keep_cookie: true, nonce: [nonce; 16] };
    let presented = Presented { family: hash(100), value: hash(value) };
    let next = move |_: &[u8; 16]| Successor { value: hash(value + 1), cookie: hash(value + 101) };
    store.rotate(presented, terms, next).await.unwrap()
}

fn told(rotation: &Rotation) -> (&'static str, u8) {
    match rotation {
        Rotation::Unknown => ("unknown", 0),
        Rotation::Replaced(_, nonce) => ("replaced", nonce[0]),
        Rotation::Replayed(_) => ("replayed", 0),
    }
}

#[tokio::test]
async fn a_value_is_replaced_once_and_again_within_grace_by_the_same() {
    let store = store();
    let account = made(&store, "ada").await;
    with_family(&store, account.uuid, "s1", 100).await;
    assert_eq!(told(&present(&store, 1, 7, NOW).await), ("replaced", 7));
    let last = UnixMillis(NOW.plus(GRACE).0 - 1);
    assert_eq!(told(&present(&store, 1, 8, last).await), ("replaced", 7), "the same nonce");
    assert_eq!(told(&present(&store, 2, 9, last).await), ("replaced", 9));
    let (session, ..) = store.session_by_cookie(hash(103)).await.unwrap().unwrap();
    assert_eq!((session.sid.as_str(), session.cookie_number), ("s1", 2));
    assert_eq!(session.former_cookie, Some((hash(102), last.plus(GRACE))));
    assert!(store.session_by_cookie(hash(102)).await.unwrap().is_some(), "until grace ends");
}

#[tokio::test]
async fn a_value_of_before_ends_the_session_after_grace_and_once_its_successor_was_used() {
    for (how, uses) in
        [("after grace", &[1][..]), ("its successor was used", &[1, 2]), ("long ago", &[1, 2, 3])]
    {
        let store = store();
        let account = made(&store, "ada").await;
        with_family(&store, account.uuid, "s1", 100).await;
        for value in uses {
            assert_eq!(told(&present(&store, *value, *value, NOW).await).0, "replaced", "{how}");
        }
        let now = if uses.len() == 1 { NOW.plus(GRACE) } else { NOW };
        assert_eq!(told(&present(&store, 1, 9, now).await).0, "replayed", "{how}");
        assert_eq!(store.session_by_sid("s1").await.unwrap(), None, "{how}");
        let last = uses.last().unwrap() + 1;
        assert_eq!(
            told(&present(&store, last, 9, now).await).0,
            "unknown",
            "{how}: the good one is dead too"
        );
    }
}

#[tokio::test]
async fn a_family_ends_with_its_session_its_account_and_its_time() {
    let end = NOW.plus(Duration::from_secs(3600));
    for how in ["ended", "all ended", "disabled", "deleted", "expired"] {
        let store = store();
        let (account, now) = (made(&store, "ada").await.uuid, if how == "expired" { end } else { NOW });
        with_family(&store, account, "s1", 100).await;
        match how {
            "ended" => drop(store.end_session("s1").await.unwrap()),
            "all ended" => drop(store.end_sessions_of(account).await.unwrap()),
            "disabled" => drop(store.set_active(account, false, NOW).await.unwrap()),
            "deleted" => drop(store.delete_account(account).await.unwrap()),
            _ => {}
        }
        assert_eq!(told(&present(&store, 1, 7, now).await).0, "unknown", "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_at_once_one_rotates_and_all_get_the_same() {
    let store = store();
    let account = made(&store, "ada").await;
    with_family(&store, account.uuid, "s1", 100).await;
    let asked: Vec<_> = (0..200u8)
        .map(|nonce| {
            let store = store.clone();
            tokio::spawn(async move { told(&present(&store, 1, nonce, NOW).await) })
        })
        .collect();
    let mut told = Vec::new();
    for one in asked {
        told.push(one.await.unwrap());
    }
    assert!(told.iter().all(|one| *one == told[0] && one.0 == "replaced"), "{told:?}");
    let (session, ..) = store.session_by_sid("s1").await.unwrap().unwrap();
    assert_eq!(session.cookie_number, 1);
}
