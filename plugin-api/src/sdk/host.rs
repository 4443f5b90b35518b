//! What the gateway lends to a library, and a ticket's one answer.

use crate::{
    Host,
    abi::{self, Bytes, HostTable},
    wire::{self, Fault},
};
use serde::Serialize;
use std::{mem::size_of, sync::Arc};

/// The gateway's table.
#[derive(Clone, Copy)]
pub(crate) struct Gateway(&'static HostTable);

impl Gateway {
    /// None: there is no table, or one too small to be of 1.0.
    ///
    /// # Safety
    /// `table` is null, or points to a table that is valid for ever and never written.
    pub(crate) unsafe fn new(table: *const HostTable) -> Option<Self> {
        if table.is_null() {
            return None;
        }
        // Its size first: no reference may reach further than the table does.
        // SAFETY: the caller's promise; every table begins with its size.
        let size = unsafe { (&raw const (*table).struct_size).read() };
        if size < size_of::<HostTable>() {
            return None;
        }
        // SAFETY: the caller's promise, and it is as large as the type.
        let table = unsafe { &*table };
        (table.abi_major == abi::MAJOR).then_some(Self(table))
    }

    fn complete(self, instance: u64, ticket: u64, status: u32, body: &[u8]) {
        if let Some(complete) = self.0.complete {
            // SAFETY: the bytes live until it returns.
            unsafe { complete(instance, ticket, status, Bytes::of(body)) };
        }
    }

    pub(crate) fn log(self, instance: u64, level: u32, target: &str, message: &str, fields: &str) {
        if let Some(log) = self.0.log {
            let [target, message, fields] = [target, message, fields].map(|text| Bytes::of(text.as_bytes()));
            // SAFETY: the bytes live until it returns.
            unsafe { log(instance, level, target, message, fields) };
        }
    }

    /// What a strategy is lent of it.
    pub(crate) fn host(self, instance: u64, cores: usize) -> Host {
        let random = move |bytes: &mut [u8]| {
            // SAFETY: the pointer and the length are those of one slice.
            let done = self.0.random.map(|fill| unsafe { fill(instance, bytes.as_mut_ptr(), bytes.len()) });
            // Without randomness nothing is safe; the panic is this one call's.
            assert!(done == Some(0), "the gateway gave no randomness");
        };
        // SAFETY: it takes no pointer.
        let now = move || self.0.now_unix_ms.map_or(0, |now| unsafe { now(instance) });
        Host { random: Arc::new(random), now: Arc::new(now), cores }
    }

    /// The duty to answer a ticket.
    pub(crate) fn owing(self, instance: u64, ticket: u64) -> Owing {
        Owing { gateway: self, instance, ticket, answered: false }
    }
}

/// A ticket that is answered exactly once: dropped without an answer, it is *cancelled*.
pub(crate) struct Owing {
    gateway: Gateway,
    instance: u64,
    ticket: u64,
    answered: bool,
}

impl Owing {
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }

    fn answer(mut self, status: u32, body: &[u8]) {
        self.answered = true;
        self.gateway.complete(self.instance, self.ticket, status, body);
    }

    /// The answer, or why there is none.
    pub(crate) fn ok<T: Serialize>(self, answer: &T) {
        match wire::encode(answer) {
            Ok(bytes) => self.answer(abi::STATUS_OK, &bytes),
            Err(why) => self.fault(&Fault::of("failed", format!("the answer cannot be sent: {why}"))),
        }
    }

    pub(crate) fn done(self) {
        self.answer(abi::STATUS_OK, b"{}");
    }

    pub(crate) fn fault(self, fault: &Fault) {
        let status = match fault.code.as_str() {
            "panic" => abi::STATUS_PANIC,
            "unsupported" => abi::STATUS_UNSUPPORTED,
            _ => abi::STATUS_ERROR,
        };
        // A text too long to be sent is not worth more than the fact of an error.
        let body = wire::encode(fault).unwrap_or_default();
        self.answer(status, &body);
    }

    pub(crate) fn unsupported(self) {
        self.answer(abi::STATUS_UNSUPPORTED, b"{}");
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        if !self.answered {
            self.gateway.complete(self.instance, self.ticket, abi::STATUS_CANCELLED, &[]);
        }
    }
}
