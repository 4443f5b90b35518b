//! Many logins at once, and servers that come and go.

use crate::support::{good, ldap, login, wrong};
use portcullis_plugin_api::{Health, Strategy, StrategyError};
use portcullis_tests::{directory::Directory, ports::free_port, wait::PATIENCE};
use serde_json::json;
use std::{sync::Arc, time::Instant};
use tokio::task::JoinSet;

/// Row L-09, the short form; `tests/run --long` alternates a thousand times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_and_bad_logins_beside_each_other_are_never_mixed_up() {
    let Some(directory) = Directory::shared() else { return };
    let rounds: usize = std::env::var("PORTCULLIS_LDAP_ROUNDS").map_or(100, |text| text.parse().unwrap());
    let ldap = Arc::new(ldap(directory, json!({"pool": 4})).await);
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let ldap = ldap.clone();
        tasks.spawn(async move {
            for round in 0..rounds / 8 {
                let name = if (task + round) % 2 == 0 { "alice" } else { "bob" };
                let who = good(login(&ldap, name, &format!("{name}-pass")).await);
                assert_eq!(who.claims["name"], name);
                wrong(login(&ldap, name, "wrong-pass").await);
                wrong(login(&ldap, "nobody", "alice-pass").await);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Row R-25, and the hundred logins: the primary dies among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_during_a_hundred_logins_fails_none() {
    let (Some(primary), Some(second)) = (Directory::own(), Directory::shared()) else { return };
    let bundle = std::fs::read_to_string(primary.file("ca.pem")).unwrap()
        + &std::fs::read_to_string(second.file("ca.pem")).unwrap();
    std::fs::write(primary.file("both.pem"), bundle).unwrap();
    let ldap = ldap(
        second,
        json!({"url": null, "urls": [primary.url(), second.url()], "tls": {"ca": primary.file("both.pem")}}),
    )
    .await;
    let ldap = Arc::new(ldap);
    good(login(&ldap, "alice", "alice-pass").await);
    assert!(primary.log().contains("uid=alice"), "the first is preferred");
    let mut tasks = JoinSet::new();
    for number in 0..100 {
        let ldap = ldap.clone();
        tasks.spawn(async move {
            let start = Instant::now();
            if number % 2 == 0 {
                good(login(&ldap, "alice", "alice-pass").await);
            } else {
                wrong(login(&ldap, "alice", "wrong-pass").await);
            }
            start.elapsed()
        });
    }
    tokio::task::yield_now().await;
    primary.kill();
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.push(done.unwrap());
    }
    times.sort();
    println!("p50 {:?}, p99 {:?}", times[49], times[98]);

    // It comes back, and is preferred again once somebody has found out.
    primary.start();
    let before = primary.log().matches("SRCH").count();
    let start = Instant::now();
    while primary.log().matches("SRCH").count() == before {
        good(login(&ldap, "alice", "alice-pass").await);
        assert!(start.elapsed() < PATIENCE, "the first is not asked again");
    }
}

/// Row R-27.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_given_up_in_time_and_the_next_is_asked() {
    let (Some(silent), Some(second)) = (Directory::own(), Directory::shared()) else { return };
    let bundle = std::fs::read_to_string(silent.file("ca.pem")).unwrap()
        + &std::fs::read_to_string(second.file("ca.pem")).unwrap();
    std::fs::write(silent.file("both.pem"), bundle).unwrap();
    let tls = json!({"ca": silent.file("both.pem")});
    let alone = ldap(&silent, json!({"timeout": "4s"})).await;
    let urls = [silent.url(), second.url()];
    let both = ldap(second, json!({"url": null, "urls": urls, "tls": tls, "timeout": "4s"})).await;
    for ldap in [&alone, &both] {
        good(login(ldap, "alice", "alice-pass").await);
    }
    silent.signal("STOP");
    let start = Instant::now();
    good(login(&both, "alice", "alice-pass").await);
    let took = start.elapsed();
    let answer = login(&alone, "alice", "alice-pass").await;
    assert!(matches!(&answer, Err(StrategyError::Failed(why)) if why.contains("in time")), "{answer:?}");
    assert!(start.elapsed() - took < PATIENCE, "{:?}", start.elapsed());
    let health = alone.health(&crate::support::call()).await.unwrap();
    assert!(matches!(health, Health::Degraded(_)), "{health:?}");
    // The next one does not wait at all.
    let start = Instant::now();
    assert!(login(&alone, "alice", "alice-pass").await.is_err());
    good(login(&both, "alice", "alice-pass").await);
    println!("with one silent server {took:?}, then {:?}", start.elapsed());
    silent.signal("CONT");
    let start = Instant::now();
    while !matches!(
        login(&alone, "alice", "alice-pass").await,
        Ok(portcullis_plugin_api::Outcome::Authenticated(_))
    ) {
        assert!(start.elapsed() < PATIENCE, "it is not asked again");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_it_rested_costs_no_login() {
    let Some(directory) = Directory::own() else { return };
    let ldap = ldap(&directory, json!({})).await;
    good(login(&ldap, "alice", "alice-pass").await);
    directory.kill();
    directory.start();
    good(login(&ldap, "alice", "alice-pass").await);
    wrong(login(&ldap, "alice", "wrong-pass").await);
}

#[tokio::test]
async fn a_directory_that_is_down_is_no_wrong_password() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({"url": format!("ldaps://127.0.0.1:{}", free_port())})).await;
    for _ in 0..3 {
        let answer = login(&ldap, "alice", "alice-pass").await;
        assert!(matches!(answer, Err(StrategyError::Failed(_))), "{answer:?}");
    }
}
