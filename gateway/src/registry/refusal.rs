//! Why a library is not used: one text for each reason, with both sides of the
//! disagreement. The numbers are for whoever searches a log (PLG-01 to PLG-15).

use super::elf::{self, Fault};
use std::{fmt, path::Path};

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `PLG-05`
    pub code: &'static str,
    /// What was wrong, where.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}

impl Refusal {
    pub(super) fn new(code: &'static str, text: String) -> Self {
        Self { code, text }
    }

    /// One that came out of another process, by its number and text.
    pub(super) fn from_words(code: &str, text: String) -> Self {
        const LOADING: [&str; 12] = [
            "PLG-01", "PLG-02", "PLG-03", "PLG-04", "PLG-05", "PLG-06", "PLG-07", "PLG-08", "PLG-09",
            "PLG-10", "PLG-11", "PLG-12",
        ];
        let code = LOADING.into_iter().find(|known| *known == code).unwrap_or("PLG-11");
        Self { code, text }
    }

    /// About a file.
    pub(super) fn of(code: &'static str, path: &Path, text: impl fmt::Display) -> Self {
        Self { code, text: format!("{}: {text}", path.display()) }
    }

    /// What an ELF file said of itself.
    pub(super) fn elf(path: &Path, fault: &Fault, symbol: &str) -> Self {
        match fault {
            Fault::NotElf => Self::of("PLG-06", path, "not an ELF shared object"),
            Fault::Damaged(why) => Self::of("PLG-06", path, format_args!("damaged ELF file: {why}")),
            Fault::Truncated { end, length } => {
                let text = format!("truncated: a segment ends at byte {end} and the file has {length}");
                Self::of("PLG-06", path, text)
            }
            Fault::Machine(theirs) => {
                let ours = elf::own_machine();
                Self::of("PLG-07", path, format_args!("built for {theirs}, this gateway is {ours}"))
            }
            Fault::NoSymbol | Fault::NoSection => {
                let what = match fault {
                    Fault::NoSymbol => format!("no exported symbol {symbol}"),
                    _ => "no readable section .portcullis".to_owned(),
                };
                let text =
                    format!("{what}: not a Portcullis plugin (or built for another ABI major version)");
                Self::of("PLG-08", path, text)
            }
        }
    }

    /// What the dynamic linker said, and what it usually means.
    pub(super) fn linker(path: &Path, said: &str) -> Self {
        let hint = if said.contains("undefined symbol") {
            "; it needs a library that it does not name: link it with that one"
        } else if said.contains("GLIBC_") {
            "; it was built on a newer system: build it on one as old as this"
        } else if said.contains("failed to map segment") {
            "; that folder is mounted noexec: it is `plugins` beside the store, for commands one in $TMPDIR"
        } else {
            ""
        };
        Self::of("PLG-11", path, format_args!("the dynamic linker refused it: {said}{hint}"))
    }
}
