//! The pointers that a library hands over, for `crate::fuzz`: its table, and bytes that it
//! lends. A memory checker (tests/fuzz runs under one) sees every byte read too many.

use super::{MOST_TABLE, Module, host::TABLE};
use crate::registry::{fuzzing::INFO, info::Info, lent, tickets::TICKETS};
use portcullis_plugin_api::{
    Host,
    abi::{self, Bytes, PluginTable},
    wire,
};
use std::{path::Path, ptr, sync::Arc};

/// Any bytes as the table of a library, with as many behind them as it may say it has.
pub(crate) fn table(input: &[u8]) {
    let path = Path::new("fuzz.so");
    let info = Info::read(path, INFO).expect("it is information");
    let mut place = vec![0_u64; MOST_TABLE / 8];
    for (word, bytes) in place.iter_mut().zip(input.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    let size = usize::try_from(place[0]).unwrap_or(usize::MAX);
    // An allocation that ends where the table says it ends, so that a byte read behind it is seen.
    place.truncate(size.div_ceil(8).clamp(1, MOST_TABLE / 8));
    place.shrink_to_fit();
    assert!(Module::table(path, ptr::null(), &info).is_err());
    let Ok(read) = Module::table(path, place.as_ptr().cast(), &info) else { return };
    assert!((abi::LEAST_PLUGIN_TABLE..=MOST_TABLE).contains(&read.struct_size) && read.struct_size == size);
    assert_eq!((read.abi_major, read.abi_minor), info.abi);
    let word = |at: usize| place.get(at / 8).copied().unwrap_or(0) != 0;
    assert_eq!([read.create.is_some(), read.call.is_some()], [word(40), word(48)]);
    assert_eq!([read.cancel.is_some(), read.destroy.is_some()], [word(56), word(64)]);
    assert_eq!(read.queued.is_some(), size >= size_of::<PluginTable>() && word(72));
}

/// Any bytes lent in any way: the first is a status or level, the second how they are lent.
pub(crate) fn lent(input: &[u8]) {
    let [status, how, rest @ ..] = input else { return };
    let now: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(|| 0);
    let number = lent::lend(Host { random: Arc::new(|bytes| bytes.fill(7)), now, cores: 1 }, "p", "s");
    let (ticket, mut answer) = TICKETS.issue(number, None);
    let body = match how % 4 {
        0 => Bytes::of(rest),
        1 => Bytes { ptr: ptr::null(), len: rest.len() },
        2 => Bytes { ptr: rest.as_ptr(), len: usize::MAX },
        _ => Bytes { ptr: rest.as_ptr(), len: wire::MOST_BYTES + 1 },
    };
    let complete = TABLE.complete.expect("it is in the table");
    let stranger = number.wrapping_add(1 << 40);
    // SAFETY: lent for the call; what says it is longer than it is must not be read.
    unsafe { complete(stranger, ticket, u32::from(*status), body) };
    assert!(answer.try_recv().is_err(), "another instance has no say");
    // SAFETY: the same.
    unsafe { complete(number, ticket, u32::from(*status), body) };
    let reply = answer.try_recv().expect("it was answered");
    let readable = how % 4 == 0 || (how % 4 == 1 && rest.is_empty());
    assert_eq!(reply.body.as_deref().ok(), readable.then_some(rest));
    // SAFETY: the same; nobody waits for it any more.
    unsafe { complete(number, ticket, u32::from(*status), body) };
    let log = TABLE.log.expect("it is in the table");
    let line = if how % 4 == 1 { body } else { Bytes::of(rest) };
    // SAFETY: lent for the call.
    unsafe { log(number, u32::from(*status), line, line, line) };
    let random = TABLE.random.expect("it is in the table");
    let mut out = vec![0; rest.len()];
    // SAFETY: `out` has so many bytes; a length that is refused is not written to.
    unsafe {
        assert_eq!(random(number, out.as_mut_ptr(), out.len()), 0);
        assert_eq!(random(number, out.as_mut_ptr(), wire::MOST_BYTES + 1), 1);
        assert_eq!(random(number, ptr::null_mut(), 1), 1);
    }
    assert!(out.iter().all(|byte| *byte == 7));
    lent::take_back(number);
    let shown = lent::one_line(&String::from_utf8_lossy(rest));
    assert!(!shown.chars().any(char::is_control));
}
