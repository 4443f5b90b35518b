//! A library in C that breaks the rules of the boundary: cases 23 to 26 and 29.

use super::{
    libraries::{ask, liar, one, until},
    *,
};
use crate::registry::tickets::TICKETS;
use std::{sync::atomic::Ordering::Relaxed, time::Instant as Wall};

fn is_yes(answer: &Result<Outcome, CallError>) -> bool {
    matches!(answer, Ok(Outcome::Authenticated(who)) if who.subject.as_str() == "ada")
}

/// Case 24.
#[tokio::test]
async fn an_answer_given_twice_late_or_for_somebody_else_is_counted_and_ignored() {
    let (_folder, path) = liar(&[]);
    let patient = one(&path, "", "liar", "").await;
    for (what, strays) in [("twice", 1), ("foreign", 2)] {
        let before = TICKETS.stray.load(Relaxed);
        assert!(is_yes(&ask(&patient, what, "").await), "{what}");
        until("it was counted", || TICKETS.stray.load(Relaxed) >= before + strays).await;
    }
    // It answers after half a second more than this.
    let hasty = one(&path, "timeout = \"1s\"", "liar", "").await;
    let before = TICKETS.late.load(Relaxed);
    assert_eq!(ask(&hasty, "late", "").await.unwrap_err(), CallError::Unavailable);
    until("it was counted", || TICKETS.late.load(Relaxed) > before).await;
    assert!(is_yes(&ask(&hasty, "any", "").await));
}

/// Case 25.
#[tokio::test]
async fn a_library_that_never_answers_is_busy_after_its_limit_and_the_gateway_goes_on() {
    let (_folder, path) = liar(&[]);
    let liar = one(&path, "timeout = \"100ms\"\nmax_in_flight = 3", "liar", "").await;
    for _ in 0..3 {
        assert_eq!(ask(&liar, "never", "").await.unwrap_err(), CallError::Unavailable);
    }
    // Nobody waits any more; the library's three places are taken all the same.
    assert_eq!(ask(&liar, "any", "").await.unwrap_err(), CallError::Busy);
    let begun = Wall::now();
    drop(liar);
    assert!(begun.elapsed() < Duration::from_secs(5), "its end is waited for elsewhere");
}

/// Case 26.
#[tokio::test]
async fn an_unreadable_answer_is_an_error_of_that_call() {
    let (_folder, path) = liar(&[]);
    for what in [
        "cut",
        "trailing",
        "blessed",
        "status",
        "utf8",
        "null",
        "8mib",
        "brackets",
        "empty",
        "nobody",
        "error",
        "cancelled",
        "service",
    ] {
        // Each with an instance of its own: five in a row would set it aside.
        let liar = one(&path, "", "liar", "").await;
        assert_eq!(ask(&liar, what, "").await.unwrap_err(), CallError::Unavailable, "{what}");
        assert!(is_yes(&ask(&liar, "any", "").await), "{what}");
    }
}

/// Case 23.
#[tokio::test]
async fn a_library_that_blocks_holds_neither_the_gateway_nor_its_own_other_calls() {
    let (_folder, path) = liar(&[]);
    let liar = one(&path, "max_in_flight = 50", "liar", "").await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let liar = liar.clone();
            tokio::spawn(async move { ask(&liar, "block", "").await })
        })
        .collect();
    let mut lag = Duration::ZERO;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        let begun = Wall::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        lag = lag.max(begun.elapsed());
    }
    for call in calls {
        assert!(is_yes(&call.await.unwrap()));
    }
    // 300 ms each: on the gateway's own thread it would have been 15 seconds.
    assert!(lag < Duration::from_secs(5), "{lag:?}");
}

#[tokio::test]
async fn an_instance_that_was_made_is_ended_whatever_create_says() {
    let (_folder, path) = liar(&[]);
    for (settings, timeout, why) in [
        ("refuse", "10s", "create of kind \"liar\" failed: set and refused (PLG-14)"),
        ("number", "10s", "create of kind \"liar\" failed: it answered 9 without starting (PLG-14)"),
        ("silent", "100ms", "did not answer within 100 ms"),
    ] {
        let limit = format!("timeout = \"{timeout}\"");
        let it = one(&path, &limit, "liar", &format!("{settings} = true")).await;
        assert!(it.failure().unwrap().contains(why), "{:?}", it.failure());
        assert_eq!(ask(&it, "any", "").await.unwrap_err(), CallError::Unavailable);
    }
}
