//! Words while one waits: what takes more than a second says so, on a terminal.

use super::output::note;
use std::{io::IsTerminal, pin::pin, time::Duration};

/// After this long the first word is said, and again each time it has doubled.
const FIRST: Duration = Duration::from_secs(1);

/// Does the work; `what` is said while it takes long.
pub(super) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let terminal = std::io::stderr().is_terminal();
    telling(what, work, |line| {
        if terminal {
            note(line);
        }
    })
    .await
}

async fn telling<T>(what: &str, work: impl Future<Output = T>, tell: impl Fn(&str)) -> T {
    let mut work = pin!(work);
    let (mut waited, mut next) = (Duration::ZERO, FIRST);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(next) => {}
        }
        waited += next;
        next = waited;
        tell(&format!("{what} … {} s", waited.as_secs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    async fn said(length: Duration) -> Vec<String> {
        let said = RefCell::new(Vec::new());
        telling("working", tokio::time::sleep(length), |line| said.borrow_mut().push(line.to_owned())).await;
        said.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_quick_says_nothing_and_what_is_slow_says_it_ever_less_often() {
        assert!(said(Duration::from_millis(900)).await.is_empty());
        assert_eq!(
            said(Duration::from_millis(8_500)).await,
            ["working … 1 s", "working … 2 s", "working … 4 s", "working … 8 s"]
        );
    }
}
