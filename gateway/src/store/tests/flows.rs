//! Logins under way: however many are started, so many are kept.

use super::*;
use crate::store::{AT_ONCE, IN_ALL, PER_NETWORK};

/// Fills the table; `network` is SQL over `i`, which counts from 1.
async fn filled(store: &Store, rows: u32, network: &'static str) {
    let done = store.write(move |db| {
        db.execute(
            &format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO flows \
                 (state, strategy, via, browser, network, created, expires, flow) SELECT randomblob(32), 'op', \
                 'redirect', NULL, {network}, i, 9000000000000000, x'00' FROM n"
            ),
            [rows],
        )
    });
    assert_eq!(done.await.unwrap(), rows as usize);
}

fn flow(state: u8, network: &[u8]) -> NewFlow {
    NewFlow {
        state: [state; 32],
        strategy: "op".into(),
        via: "redirect",
        browser: None,
        network: network.to_vec(),
        expires: NOW.plus(Duration::from_secs(600)),
        flow: vec![state],
    }
}

async fn is_there(store: &Store, state: u8) -> bool {
    store.take_flow([state; 32], "op", "redirect", None, NOW).await.unwrap().is_some()
}

#[tokio::test]
async fn of_all_logins_under_way_the_oldest_make_room_for_new_ones() {
    let store = store();
    filled(&store, IN_ALL, "randomblob(8)").await;
    for n in 0..100_u8 {
        store.insert_flow(flow(n, &[n]), NOW).await.unwrap();
    }
    let count = store.count_flows().await.unwrap();
    assert!(count <= u64::from(IN_ALL) && count >= u64::from(IN_ALL - AT_ONCE), "{count}");
    for n in 0..100_u8 {
        assert!(is_there(&store, n).await, "the new ones are there");
    }
}

/// One host with a /56 has 256 networks of /64, and so could fill the table many times over.
#[tokio::test]
async fn one_host_with_many_networks_takes_nobody_elses_login_away() {
    let store = store();
    let (other, far) = ([0x20, 1, 0xd, 0xb8, 0, 7, 0, 0], [192, 0, 2, 1]);
    // The oldest there are.
    store.insert_flow(flow(1, &other), UnixMillis(0)).await.unwrap();
    store.insert_flow(flow(2, &far), UnixMillis(0)).await.unwrap();
    // 2001:db8:9:00xx::/64, as many as each may have.
    filled(&store, IN_ALL - 2, "unhex(printf('20010db8000900%02x', i / 500))").await;
    for n in 0..=AT_ONCE {
        let network = [0x20, 1, 0xd, 0xb8, 0, 9, 0, 100 + u8::try_from(n % 100).unwrap()];
        let mut more = flow(0, &network);
        more.state = [n.to_le_bytes(); 8].concat().try_into().unwrap();
        store.insert_flow(more, NOW).await.unwrap();
    }
    assert!(store.count_flows().await.unwrap() <= u64::from(IN_ALL));
    assert!(is_there(&store, 1).await && is_there(&store, 2).await, "the others' are still there");
}

#[tokio::test]
async fn a_network_has_so_many_and_its_own_oldest_go_first() {
    let store = store();
    store.insert_flow(flow(1, &[198, 51, 100, 8]), UnixMillis(0)).await.unwrap();
    store.insert_flow(flow(2, &[198, 51, 100, 7]), UnixMillis(0)).await.unwrap();
    filled(&store, PER_NETWORK - 1, "x'c6336407'").await;
    store.insert_flow(flow(3, &[198, 51, 100, 7]), NOW).await.unwrap();
    assert_eq!(store.count_flows().await.unwrap(), u64::from(PER_NETWORK) + 1);
    assert!(is_there(&store, 1).await && !is_there(&store, 2).await && is_there(&store, 3).await);
}
