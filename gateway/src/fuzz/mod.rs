//! Every parser of our own under bytes that nobody would write: a small corpus, mutated at
//! random and mixed, with what must hold of any input beside each target. A moment of it is
//! an ordinary test on the stable toolchain; `PORTCULLIS_FUZZ_SECONDS` gives each target as
//! long as it says. What is found is a line of hexadecimal that goes into the corpus.
//!
//! `moment.rs` the ordinary test · `mutate.rs` one input out of others · `targets.rs` the parsers and what must hold.
//! What may not come in: sockets, files, the wall clock.

#[cfg(test)]
mod moment;
#[cfg(test)]
mod mutate;
mod targets;

use targets::TARGETS;

/// The targets and the inputs that each begins with.
pub fn targets() -> impl Iterator<Item = (&'static str, &'static [&'static [u8]])> {
    TARGETS.iter().map(|target| (target.name, target.corpus))
}

/// One input for the target of this name: panics where something does not hold.
pub fn check(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("there is a target of this name").check)(input);
}
