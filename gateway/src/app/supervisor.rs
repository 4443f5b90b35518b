//! What systemd is told (`Type=notify`): that people can sign in, that the gateway reads
//! its configuration again, that it ends. Without systemd nothing happens.

use sd_notify::NotifyState::{self, Ready, Reloading, Status, Stopping};

/// It accepts connections; after a reload: again.
pub(super) fn ready() {
    tell(&[Ready, Status("accepting connections")]);
}

/// It reads its configuration again; [`ready`] comes after it, whatever came of it.
pub(super) fn reloading() {
    let mut states = vec![Reloading, Status("reading the configuration")];
    // From systemd 253 on the two are told apart by the time.
    states.extend(NotifyState::monotonic_usec_now().ok());
    tell(&states);
}

/// It takes no more connections.
pub(super) fn stopping() {
    tell(&[Stopping, Status("draining")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
