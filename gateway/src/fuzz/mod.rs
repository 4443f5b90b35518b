//! Every parser of our own under bytes that nobody would write: a small corpus, mutated at
//! random and mixed, with what must hold of any input beside each target. A moment of it is
//! an ordinary test on the stable toolchain; `PORTCULLIS_FUZZ_SECONDS` gives each target as
//! long as it says. What is found is a line of hexadecimal that goes into the corpus.
//!
//! `moment.rs` the ordinary test · `mutate.rs` one input out of others · `targets.rs` the parsers and what must hold, with `bodies.rs` those of endpoints, `libraries.rs` what a
//! strategy library is and says, `providers.rs` what providers and directories send.
//! What may not come in: sockets, files, the wall clock.

mod bodies;
mod libraries;
#[cfg(test)]
mod moment;
#[cfg(test)]
mod mutate;
mod providers;
mod targets;

use targets::Target;

/// All of them.
fn all() -> impl Iterator<Item = &'static Target> {
    [targets::TARGETS, bodies::TARGETS, libraries::TARGETS, providers::TARGETS].into_iter().flatten()
}

/// The targets and the inputs that each begins with.
pub fn targets() -> impl Iterator<Item = (&'static str, &'static [&'static [u8]])> {
    all().map(|target| (target.name, target.corpus))
}

/// One input for the target of this name: panics where something does not hold.
pub fn check(name: &str, input: &[u8]) {
    let target = all().find(|target| target.name == name);
    (target.expect("there is a target of this name").check)(input);
}
