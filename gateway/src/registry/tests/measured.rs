//! What the boundary costs, on the machine that it is run on (case 38):
//! `cargo test --release -p portcullis --lib registry::tests::measured -- --ignored --nocapture`

use super::{
    libraries::{odd, one, told},
    *,
};
use std::time::Instant as Wall;

const CALLS: u32 = 20_000;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn each(of: &Instance) -> (Duration, Duration, Duration) {
    let mut took = Vec::with_capacity(CALLS as usize);
    for _ in 0..CALLS {
        let begun = Wall::now();
        let credential = Some(StoredCredential { subject: subject("ada"), secret: "kept".into() });
        of.begin(call(), Begin { credential, ..told("echo", "x") }).await.unwrap();
        took.push(begun.elapsed());
    }
    took.sort();
    (took[took.len() / 2], took[took.len() * 99 / 100], took.iter().sum::<Duration>() / CALLS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn what_the_boundary_costs() {
    let kinds = &[Kind::of::<portcullis_test_odd::Odd>()];
    let native = [configured("it", "odd", json!({}))];
    let native = Registry::start_kinds(kinds, &[], &native, host(), &place).await.unwrap().get("it").unwrap();
    eprintln!("linked in: p50, p99, mean {:?}", each(&native).await);
    let begun = Wall::now();
    let loaded = one(odd(), "", "odd", "").await;
    eprintln!("loaded and created in {:?}", begun.elapsed());
    eprintln!("loaded:    p50, p99, mean {:?}", each(&loaded).await);
    let before = resident();
    let mut more = Vec::new();
    for _ in 0..50 {
        more.push(one(odd(), "", "odd", "").await);
    }
    eprintln!("an instance: {} KiB", (resident() - before) / 50);
}
