//! What an ELF file says of itself, read before any of its code could run: that it is a
//! shared object for this machine, that its segments are in the file, that it exports our
//! symbol, and the bytes of the section that tells what it is.
//!
//! What may not come in: files, loading, trust. Any bytes are an answer, none a panic.

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not an ELF shared object at all.
    NotElf,
    /// For another processor.
    Machine(String),
    /// One that contradicts itself.
    Damaged(&'static str),
    /// A part of it is missing.
    Truncated {
        /// Where the segment ends.
        end: u64,
        /// How long the file is.
        length: u64,
    },
    /// It does not export the symbol.
    NoSymbol,
    /// It has no section of this name.
    NoSection,
}

const HEADER: usize = 64;
const SHARED_OBJECT: u16 = 3;
const LOAD: u32 = 1;
const DYNAMIC_SYMBOLS: u32 = 11;

/// The bytes of `section` in a shared object that exports `symbol`.
pub(super) fn read<'f>(file: &'f [u8], symbol: &str, section: &str) -> Result<&'f [u8], Fault> {
    let sections = Sections::of(file)?;
    sections.export(symbol)?;
    sections.named(section)
}

/// This program's processor, as the field `e_machine` has it.
pub(super) const fn machine() -> u16 {
    if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else {
        0
    }
}

/// A processor by its number.
pub(super) fn machine_name(number: u16) -> String {
    match number {
        3 => "x86 (32 bit)".to_owned(),
        40 => "arm (32 bit)".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv".to_owned(),
        other => format!("machine {other}"),
    }
}

/// The processor of this gateway.
pub(super) fn own_machine() -> String {
    machine_name(machine())
}

struct Section {
    name: u32,
    kind: u32,
    offset: u64,
    size: u64,
    link: u32,
    entry: u64,
}

struct Sections<'f> {
    file: &'f [u8],
    all: Vec<Section>,
    names: usize,
}

fn number<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn half(file: &[u8], at: usize) -> Option<u16> {
    number(file, at).map(u16::from_le_bytes)
}

fn word(file: &[u8], at: usize) -> Option<u32> {
    number(file, at).map(u32::from_le_bytes)
}

fn long(file: &[u8], at: usize) -> Option<u64> {
    number(file, at).map(u64::from_le_bytes)
}

fn slice(file: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let from = usize::try_from(offset).ok()?;
    file.get(from..from.checked_add(usize::try_from(size).ok()?)?)
}

/// Whether this text, and its zero, stands there. No zero is looked for: a table of many
/// names that all run to its end would take hours.
fn is_text(table: &[u8], at: u32, text: &[u8]) -> bool {
    let rest = usize::try_from(at).ok().and_then(|at| table.get(at..));
    rest.and_then(|rest| rest.strip_prefix(text)).is_some_and(|rest| rest.first() == Some(&0))
}

impl<'f> Sections<'f> {
    fn of(file: &'f [u8]) -> Result<Self, Fault> {
        if !file.starts_with(b"\x7fELF") || file.len() < HEADER {
            return Err(Fault::NotElf);
        }
        // The machine first: a 32-bit or big-endian file is for another one.
        let kind = half(file, 16).ok_or(Fault::NotElf)?;
        let theirs = half(file, 18).ok_or(Fault::NotElf)?;
        if file[4] != 2 || file[5] != 1 || theirs != machine() {
            let theirs = if file[5] == 2 { theirs.swap_bytes() } else { theirs };
            return Err(Fault::Machine(machine_name(theirs)));
        }
        if kind != SHARED_OBJECT {
            return Err(Fault::NotElf);
        }
        segments(file)?;
        const BAD: Fault = Fault::Damaged("its section table is not in it");
        let start = long(file, 40).ok_or(BAD)?;
        let (each, count) = (half(file, 58).ok_or(BAD)?, half(file, 60).ok_or(BAD)?);
        if each != 64 || count == 0 {
            return Err(BAD);
        }
        let table = slice(file, start, u64::from(each) * u64::from(count)).ok_or(BAD)?;
        let all: Option<Vec<Section>> = table.chunks_exact(64).map(section).collect();
        let names = usize::from(half(file, 62).ok_or(BAD)?);
        Ok(Self { file, all: all.ok_or(BAD)?, names })
    }

    fn body(&self, of: &Section) -> Result<&'f [u8], Fault> {
        slice(self.file, of.offset, of.size).ok_or(Fault::Damaged("a section is not in it"))
    }

    fn named(&self, name: &str) -> Result<&'f [u8], Fault> {
        let names =
            self.all.get(self.names).ok_or(Fault::Damaged("the names of its sections are missing"))?;
        let names = self.body(names)?;
        let found = self.all.iter().find(|one| is_text(names, one.name, name.as_bytes()));
        self.body(found.ok_or(Fault::NoSection)?)
    }

    /// Whether a function of this name is in the dynamic table, defined, global and visible.
    fn export(&self, symbol: &str) -> Result<(), Fault> {
        let table = self.all.iter().find(|one| one.kind == DYNAMIC_SYMBOLS).ok_or(Fault::NoSymbol)?;
        if table.entry != 24 {
            return Err(Fault::Damaged("its symbols have an impossible size"));
        }
        let strings = usize::try_from(table.link).ok().and_then(|at| self.all.get(at));
        let strings = self.body(strings.ok_or(Fault::Damaged("the names of its symbols are missing"))?)?;
        let found = self.body(table)?.chunks_exact(24).any(|one| {
            let (name, home) = (word(one, 0).unwrap_or(0), half(one, 6).unwrap_or(0));
            // Bound globally or weakly, a function, visible, and defined here.
            let callable = matches!(one[4] >> 4, 1 | 2) && one[4] & 0xf == 2 && one[5] & 3 == 0;
            callable && home != 0 && is_text(strings, name, symbol.as_bytes())
        });
        found.then_some(()).ok_or(Fault::NoSymbol)
    }
}

fn section(entry: &[u8]) -> Option<Section> {
    Some(Section {
        name: word(entry, 0)?,
        kind: word(entry, 4)?,
        offset: long(entry, 24)?,
        size: long(entry, 32)?,
        link: word(entry, 40)?,
        entry: long(entry, 56)?,
    })
}

/// Every part that would be mapped is in the file.
fn segments(file: &[u8]) -> Result<(), Fault> {
    const BAD: Fault = Fault::Damaged("its program table is not in it");
    let start = long(file, 32).ok_or(BAD)?;
    let (each, count) = (half(file, 54).ok_or(BAD)?, half(file, 56).ok_or(BAD)?);
    if each != 56 || count == 0 {
        return Err(BAD);
    }
    let table = slice(file, start, u64::from(each) * u64::from(count)).ok_or(BAD)?;
    let length = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let mut loads = 0;
    for entry in table.chunks_exact(56).filter(|entry| word(entry, 0) == Some(LOAD)) {
        let (offset, size) = (long(entry, 8).ok_or(BAD)?, long(entry, 32).ok_or(BAD)?);
        let end = offset.checked_add(size).ok_or(BAD)?;
        if end > length {
            return Err(Fault::Truncated { end, length });
        }
        loads += 1;
    }
    if loads == 0 { Err(Fault::Damaged("nothing of it would be loaded")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::libraries;
    use portcullis_plugin_api::abi;
    use proptest::prelude::*;

    fn look(file: &[u8]) -> Result<&[u8], Fault> {
        read(file, abi::SYMBOL, abi::SECTION)
    }

    #[test]
    fn a_library_says_what_it_is() {
        let file = std::fs::read(libraries::local()).unwrap();
        assert!(look(&file).unwrap().starts_with(b"{\"magic\":\"portcullis plugin\""));
        assert_eq!(read(&file, "portcullis_plugin_v2", abi::SECTION), Err(Fault::NoSymbol));
        assert_eq!(read(&file, abi::SYMBOL, ".other"), Err(Fault::NoSection));
        let mut other = file.clone();
        other[18] = 183;
        assert_eq!(look(&other), Err(Fault::Machine("aarch64".to_owned())));
        other = file.clone();
        other[16] = 2;
        assert_eq!(look(&other), Err(Fault::NotElf));
    }

    /// A name is the whole of it, and names that never end are none.
    #[test]
    fn a_text_is_compared_and_not_searched() {
        let table = b"\0portcullis\0port";
        assert!(is_text(table, 1, b"portcullis") && is_text(table, 5, b"cullis") && is_text(table, 0, b""));
        assert!(!is_text(table, 1, b"port") && !is_text(table, 12, b"port"));
        assert!(!is_text(table, 99, b"") && !is_text(table, u32::MAX, b"x"));
    }

    #[test]
    fn a_file_cut_off_anywhere_is_refused() {
        let file = std::fs::read(libraries::local()).unwrap();
        assert_eq!(look(b""), Err(Fault::NotElf));
        assert_eq!(look(b"not a library"), Err(Fault::NotElf));
        for length in (0..file.len()).step_by(4096) {
            assert!(look(&file[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let mut file = b"\x7fELF\x02\x01".to_vec();
            file.extend(bytes);
            let _ = look(&file);
        }
    }

    /// Case 36: 20,000 with `PORTCULLIS_FLIPS=20000`, in `tests/run --long`.
    #[test]
    fn flipped_bits_are_an_answer_and_never_a_panic() {
        let rounds = std::env::var("PORTCULLIS_FLIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(500u64);
        let file = std::fs::read(libraries::local()).unwrap();
        let (mut state, mut copy) = (0x9e37_79b9_7f4a_7c15u64, file.clone());
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        };
        for round in 0..rounds {
            // Half of them where the tables are, or nearly all would hit code.
            let headers = if round % 2 == 0 { 1024 } else { file.len() };
            let places: Vec<usize> = (0..1 + next() % 8).map(|_| next() % headers).collect();
            for place in &places {
                copy[*place] ^= 1 << (next() % 8);
            }
            let _ = look(&copy);
            places.iter().for_each(|place| copy[*place] = file[*place]);
        }
    }
}
