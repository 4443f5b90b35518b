//! Lockout: how many attempts are looked at, from where, and for how long none is.

use super::*;
use std::net::IpAddr;

const LIMITS: LockoutLimits = LockoutLimits {
    failures: 5,
    window: Duration::from_secs(120),
    duration: Duration::from_secs(900),
    account_failures: 100,
    per_address: 60,
};

fn at(seconds: u64) -> UnixMillis {
    NOW.plus(Duration::from_secs(seconds))
}

async fn attempt(store: &Store, account: &str, client: &str, now: UnixMillis) -> Attempt {
    store.attempt(account, client.parse::<IpAddr>().unwrap(), LIMITS, now).await.unwrap()
}

async fn counted(store: &Store, account: &str, client: &str, now: UnixMillis) -> Reservation {
    match attempt(store, account, client, now).await {
        Attempt::Counted(reservation) => reservation,
        other => panic!("{account} from {client}: {other:?}"),
    }
}

async fn fail(store: &Store, times: usize, account: &str, client: &str, now: UnixMillis) {
    for _ in 0..times {
        counted(store, account, client, now).await;
    }
}

async fn is_locked(store: &Store, account: &str, client: &str, now: UnixMillis) -> bool {
    matches!(attempt(store, account, client, now).await, Attempt::Locked(_))
}

#[tokio::test]
async fn of_two_hundred_at_once_exactly_five_are_looked_at_for_known_and_unknown_names() {
    for name in ["ada", "nobody"] {
        let store = store();
        made(&store, "ada").await;
        let burst: Vec<_> = (0..200)
            .map(|_| {
                let store = store.clone();
                // Each is decided at once, as a wrong password.
                tokio::spawn(async move {
                    match attempt(&store, name, "192.0.2.7", NOW).await {
                        Attempt::Counted(_) => None,
                        Attempt::Locked(until) => Some(until),
                        other => panic!("{other:?}"),
                    }
                })
            })
            .collect();
        let (mut counted, mut locked) = (0, 0);
        for one in burst {
            match one.await.unwrap() {
                None => counted += 1,
                Some(until) => locked += usize::from(until == at(900)),
            }
        }
        assert_eq!((counted, locked), (5, 195), "{name}");
    }
}

#[tokio::test]
async fn right_passwords_at_once_lock_nobody_out() {
    let store = store();
    made(&store, "ada").await;
    let right: Vec<_> = (0..40)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let reservation = counted(&store, "ada", "192.0.2.7", NOW).await;
                tokio::task::yield_now().await;
                store.clear(reservation).await.unwrap();
            })
        })
        .collect();
    for one in right {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_lasts_its_time_counts_nothing_and_then_begins_at_zero() {
    for name in ["ada", "nobody"] {
        let store = store();
        made(&store, "ada").await;
        fail(&store, 5, name, "192.0.2.7", NOW).await;
        assert!(is_locked(&store, name, "192.0.2.7", at(899)).await, "{name}");
        fail(&store, 5, name, "192.0.2.7", at(900)).await;
        assert!(is_locked(&store, name, "192.0.2.7", at(900)).await, "{name}");
    }
}

#[tokio::test]
async fn a_lock_shorter_than_the_window_is_over_when_it_is_over() {
    let store = store();
    made(&store, "ada").await;
    let limits = LockoutLimits { duration: Duration::from_secs(10), ..LIMITS };
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    for seconds in [0, 10] {
        for _ in 0..5 {
            let answer = store.attempt("ada", client, limits, at(seconds)).await.unwrap();
            assert!(matches!(answer, Attempt::Counted(_)), "{answer:?}");
        }
        let answer = store.attempt("ada", client, limits, at(seconds + 9)).await.unwrap();
        assert!(matches!(answer, Attempt::Locked(until) if until == at(seconds + 10)), "{answer:?}");
    }
}

#[tokio::test]
async fn only_failures_within_the_window_lock_wherever_it_is_laid() {
    let store = store();
    made(&store, "ada").await;
    counted(&store, "ada", "192.0.2.7", NOW).await;
    fail(&store, 3, "ada", "192.0.2.7", at(119)).await;
    // The first is out of the window, so this is the fourth in it, and the next the fifth.
    counted(&store, "ada", "192.0.2.7", at(120)).await;
    counted(&store, "ada", "192.0.2.7", at(121)).await;
    assert!(is_locked(&store, "ada", "192.0.2.7", at(121)).await);
}

#[tokio::test]
async fn a_lock_is_one_account_from_one_network_whichever_identifier_is_used() {
    let store = store();
    let new = new_account("ada", Some("ada@example.com"));
    store.create_account(new, vec![], NOW).await.unwrap().unwrap();
    made(&store, "bob").await;
    fail(&store, 3, "ada", "192.0.2.7", NOW).await;
    fail(&store, 2, "ada@example.com", "::ffff:192.0.2.250", NOW).await;
    assert!(is_locked(&store, "ada", "192.0.2.1", NOW).await);
    assert!(is_locked(&store, "ada@example.com", "192.0.2.1", NOW).await);
    assert!(!is_locked(&store, "ada", "192.0.3.1", NOW).await);
    assert!(!is_locked(&store, "bob", "192.0.2.7", NOW).await);
    fail(&store, 5, "bob", "2001:db8:0:1::1", NOW).await;
    assert!(is_locked(&store, "bob", "2001:db8:0:1:ffff::9", NOW).await);
    assert!(!is_locked(&store, "bob", "2001:db8:0:2::1", NOW).await);
}

#[tokio::test]
async fn a_success_begins_the_pair_again_and_a_lock_that_its_own_attempt_set_falls() {
    let store = store();
    made(&store, "ada").await;
    fail(&store, 4, "ada", "192.0.2.7", NOW).await;
    let fifth = counted(&store, "ada", "192.0.2.7", NOW).await;
    assert!(is_locked(&store, "ada", "192.0.2.7", NOW).await);
    store.clear(fifth).await.unwrap();
    fail(&store, 5, "ada", "192.0.2.7", NOW).await;
    assert!(is_locked(&store, "ada", "192.0.2.7", NOW).await);
}

#[tokio::test]
async fn an_attempt_given_back_was_none() {
    for name in ["ada", "nobody"] {
        let store = store();
        made(&store, "ada").await;
        for _ in 0..70 {
            let reservation = counted(&store, name, "192.0.2.7", NOW).await;
            store.give_back(reservation).await.unwrap();
        }
        fail(&store, 4, name, "192.0.2.7", NOW).await;
        let fifth = counted(&store, name, "192.0.2.7", NOW).await;
        assert!(is_locked(&store, name, "192.0.2.7", NOW).await, "{name}");
        store.give_back(fifth).await.unwrap();
        assert!(!is_locked(&store, name, "192.0.2.7", NOW).await, "{name}");
    }
}

#[tokio::test]
async fn an_address_that_failed_often_enough_in_a_minute_waits_until_there_is_room() {
    let store = store();
    made(&store, "ada").await;
    for n in 0..60_u64 {
        counted(&store, &format!("name-{n}"), "192.0.2.7", at(n / 2)).await;
    }
    match attempt(&store, "ada", "192.0.2.7", at(30)).await {
        Attempt::TooMany(seconds) => assert_eq!(seconds, 30),
        other => panic!("{other:?}"),
    }
    // Its neighbour in the network is another address, and nothing was counted of ada.
    fail(&store, 5, "ada", "192.0.2.8", at(30)).await;
    // The two of the first second are out of the minute.
    fail(&store, 2, "fresh", "192.0.2.7", at(60)).await;
    assert!(matches!(attempt(&store, "fresh", "192.0.2.7", at(60)).await, Attempt::TooMany(1)));
}

#[tokio::test]
async fn successes_do_not_fill_the_minute_of_an_address() {
    let store = store();
    made(&store, "ada").await;
    for _ in 0..100 {
        let reservation = counted(&store, "ada", "192.0.2.7", NOW).await;
        store.clear(reservation).await.unwrap();
    }
}

#[tokio::test]
async fn unlocking_frees_an_account_from_every_network_and_ends_no_session() {
    let store = store();
    let new = new_account("ada", Some("ada@example.com"));
    let ada = store.create_account(new, vec![], NOW).await.unwrap().unwrap();
    store.insert_session(session(ada.uuid, "s1"), None).await.unwrap();
    for client in ["192.0.2.7", "2001:db8::1"] {
        fail(&store, 5, "ada", client, NOW).await;
    }
    assert!(store.session_by_sid("s1").await.unwrap().is_some());
    store.unlock("ada@example.com").await.unwrap();
    for client in ["192.0.2.7", "2001:db8::1"] {
        assert!(!is_locked(&store, "ada", client, NOW).await);
    }
}

#[tokio::test]
async fn a_lock_survives_a_restart_and_what_is_forgotten_leaves_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    made(&store, "ada").await;
    fail(&store, 5, "ada", "192.0.2.7", NOW).await;
    fail(&store, 1, "nobody", "192.0.2.7", NOW).await;
    drop(store);
    let store = Store::open(options(&folder, OpenMode::Serve)).unwrap();
    let rows = async || {
        let both = "SELECT (SELECT count(*) FROM lockout_pairs) + (SELECT count(*) FROM lockout_slots)";
        store.read(move |db| db.query_row(both, [], |row| row.get::<_, i64>(0))).await.unwrap()
    };
    store.prune_sessions(at(899)).await.unwrap();
    assert!(is_locked(&store, "ada", "192.0.2.7", at(899)).await);
    assert_eq!(rows().await, 3, "the lock, and two counts from anywhere");
    store.prune_sessions(at(900)).await.unwrap();
    assert_eq!(rows().await, 2);
    store.prune_sessions(at(86_400)).await.unwrap();
    assert_eq!(rows().await, 0);
}

/// `n` failures, each from a network of its own, half an hour apart at most.
async fn fail_everywhere(store: &Store, n: u32, account: &str, from: u64) -> u64 {
    for i in 0..n {
        let client = format!("10.{}.{}.1", i / 256, i % 256);
        counted(store, account, &client, at(from + u64::from(i))).await;
    }
    from + u64::from(n)
}

async fn is_closed(store: &Store, account: &str, client: &str, now: UnixMillis) -> bool {
    matches!(attempt(store, account, client, now).await, Attempt::Closed)
}

// N-49, W-03
#[tokio::test]
async fn a_hundred_failures_from_everywhere_leave_known_networks_alone_and_nobodys_name_is_alike() {
    let store = store();
    let ada = made(&store, "ada").await;
    let home = SessionRecord { address: "203.0.113.7".parse().unwrap(), ..session(ada.uuid, "s1") };
    store.insert_session(home, None).await.unwrap();
    for name in ["ada", "nobody"] {
        let now = fail_everywhere(&store, 100, name, 0).await;
        assert!(is_closed(&store, name, "192.0.2.1", at(now)).await, "{name}");
        assert!(is_closed(&store, name, "2001:db8::1", at(now)).await, "{name}");
        let home = attempt(&store, name, "203.0.113.200", at(now)).await;
        assert_eq!(matches!(home, Attempt::Counted(_)), name == "ada", "the same /24: {home:?}");
        assert!(is_closed(&store, name, "192.0.2.1", at(86_399)).await, "{name}");
        counted(&store, name, "192.0.2.1", at(86_400)).await;
    }
    let day = 86_400;
    let now = fail_everywhere(&store, 99, "ada", 31 * day).await;
    counted(&store, "ada", "192.0.2.1", at(now)).await;
    assert!(is_closed(&store, "ada", "203.0.113.7", at(now)).await, "known for 30 days");
}

#[tokio::test]
async fn successes_and_undecided_attempts_do_not_count_against_the_account() {
    let store = store();
    made(&store, "ada").await;
    for i in 0..300 {
        let client = format!("10.1.{}.1", i % 200);
        let reservation = counted(&store, "ada", &client, at(i)).await;
        match i % 2 {
            0 => store.clear(reservation).await.unwrap(),
            _ => store.give_back(reservation).await.unwrap(),
        }
    }
    assert!(!is_closed(&store, "ada", "192.0.2.1", at(301)).await);
}

#[tokio::test]
async fn unlocking_starts_the_count_from_everywhere_again() {
    let store = store();
    made(&store, "ada").await;
    let now = fail_everywhere(&store, 100, "ada", 0).await;
    assert!(is_closed(&store, "ada", "192.0.2.1", at(now)).await);
    store.unlock("ada").await.unwrap();
    counted(&store, "ada", "192.0.2.1", at(now)).await;
}
