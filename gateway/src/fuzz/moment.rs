//! Each target for a moment, or as long as the environment says, on any compiler.

use super::{all, mutate::Mutator, targets::Target};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// Inputs for each target in an ordinary run.
const MOMENT: usize = 3_000;

/// How long each target is run, and with which seed: by the environment, else a moment.
fn asked() -> (Option<Duration>, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    (number("PORTCULLIS_FUZZ_SECONDS").map(Duration::from_secs), number("PORTCULLIS_FUZZ_SEED").unwrap_or(1))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn run(target: &Target) -> usize {
    let (seconds, seed) = asked();
    let mut mutator = Mutator::new(seed, target.corpus);
    let start = Instant::now();
    let mut count = 0;
    while seconds.map_or(count < MOMENT, |limit| start.elapsed() < limit) {
        let input = mutator.next(count);
        let held = catch_unwind(AssertUnwindSafe(|| (target.check)(&input)));
        assert!(held.is_ok(), "{}: input {count} of seed {seed} breaks it: {}", target.name, hex(&input));
        count += 1;
    }
    count
}

#[test]
fn every_parser_of_our_own_holds_under_any_bytes() {
    for target in all() {
        let count = run(target);
        println!("{}: {count} inputs", target.name);
    }
}

#[test]
fn the_corpus_is_understood_and_a_broken_rule_is_seen() {
    for target in all() {
        for seed in target.corpus {
            (target.check)(seed);
        }
    }
    let broken = Target { name: "broken", corpus: &[b"ab"], check: |input| assert!(input.len() != 3) };
    let found = catch_unwind(|| run(&broken)).expect_err("inputs of three bytes come up");
    let said = found.downcast_ref::<String>().expect("it says which");
    assert!(said.contains("breaks it: "), "{said}");
}
