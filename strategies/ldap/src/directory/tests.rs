//! When a server is left alone.

use super::circuit::Circuit;
use std::time::Duration;
use tokio::time::Instant;

#[test]
fn a_server_that_fails_is_left_alone_for_longer_each_time_and_then_probed_by_one() {
    let mut circuit = Circuit::default();
    let mut now = Instant::now();
    assert!(circuit.admit(now, false));
    assert!(circuit.bad(now, "gone"), "the first failure is worth a word");
    for pause in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
        assert!(!circuit.admit(now + Duration::from_millis(pause - 1), false), "{pause}");
        now += Duration::from_millis(pause);
        assert!(circuit.admit(now, false), "{pause}");
        assert!(!circuit.admit(now, false), "one probe at a time");
        assert!(circuit.admit(now, true), "unless there is nobody else to ask");
        assert!(!circuit.bad(now, "still gone"));
    }
    now += Duration::from_secs(30);
    assert!(circuit.admit(now, false));
    assert!(circuit.good(), "being back is worth a word");
    assert!(circuit.admit(now, false) && circuit.admit(now, false) && !circuit.is_aside());
    assert!(!circuit.good());
}

#[test]
fn calls_that_fail_together_count_as_one_failure() {
    let mut circuit = Circuit::default();
    let now = Instant::now();
    for _ in 0..100 {
        circuit.bad(now, "gone");
    }
    assert!(circuit.admit(now + Duration::from_millis(500), false));
}

#[test]
fn a_probe_that_was_given_up_does_not_close_the_door() {
    let mut circuit = Circuit::default();
    let now = Instant::now();
    circuit.bad(now, "gone");
    let later = now + Duration::from_secs(1);
    assert!(circuit.admit(later, false) && !circuit.admit(later, false));
    circuit.given_up();
    assert!(circuit.admit(later, false));
}
