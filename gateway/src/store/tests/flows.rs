//! Logins under way: however many are started, so many are kept.

use super::*;
use crate::store::IN_ALL;

#[tokio::test]
async fn of_all_logins_under_way_the_oldest_make_room_for_new_ones() {
    let store = store();
    let filled = store.write(|db| {
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO flows \
             (state, strategy, via, browser, network, created, expires, flow) SELECT randomblob(32), 'op', \
             'redirect', NULL, randomblob(8), i, 9000000000000000, x'00' FROM n",
            [IN_ALL],
        )
    });
    assert_eq!(filled.await.unwrap(), IN_ALL as usize);
    for n in 0..100_u8 {
        let flow = NewFlow {
            state: [n; 32],
            strategy: "op".into(),
            via: "redirect",
            browser: None,
            network: vec![n],
            expires: NOW.plus(Duration::from_secs(600)),
            flow: vec![n],
        };
        store.insert_flow(flow, NOW).await.unwrap();
    }
    assert_eq!(store.count_flows().await.unwrap(), u64::from(IN_ALL));
    for n in 0..100_u8 {
        let taken = store.take_flow([n; 32], "op", "redirect", None, NOW).await.unwrap();
        assert_eq!(taken.unwrap().flow, [n], "the new ones are there");
    }
}
