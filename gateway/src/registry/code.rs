//! Where the code of a library runs: in this process, or in one of its own. Whoever calls
//! it does not know which.

use super::{
    apart::{self, Process},
    info::Info,
    library::{self, Module},
};
use std::sync::Arc;

/// A library that is loaded.
#[derive(Clone, Debug)]
pub(super) enum Code {
    /// In this process, for as long as that lives.
    Here(&'static Module),
    /// In a process that ends with its last user.
    Apart(Arc<Process>),
}

/// An instance that a library has made.
#[derive(Debug)]
pub(super) enum Made {
    Here(library::Made),
    Apart(apart::Made),
}

impl Code {
    /// What it says it is.
    pub(super) fn info(&self) -> &Info {
        match self {
            Self::Here(module) => &module.info,
            Self::Apart(process) => &process.info,
        }
    }

    /// What its bytes hash to.
    pub(super) fn sha256(&self) -> &str {
        match self {
            Self::Here(module) => &module.sha256,
            Self::Apart(process) => &process.sha256,
        }
    }

    /// Whether the library itself only queues calls.
    pub(super) fn is_async(&self) -> bool {
        match self {
            Self::Here(module) => module.is_async(),
            Self::Apart(process) => process.is_async(),
        }
    }

    /// Whether a call from here may block: never one to another process.
    pub(super) fn blocks(&self) -> bool {
        matches!(self, Self::Here(module) if !module.is_async())
    }

    /// Begins to make an instance: the code, and the instance if there is one; or why
    /// nothing was begun.
    pub(super) fn create(
        &self,
        number: u64,
        ticket: u64,
        kind: &str,
        settings: &[u8],
    ) -> Result<(i32, Option<Made>), String> {
        match self {
            Self::Here(module) => {
                let (code, made) = module.create(number, ticket, kind, settings);
                Ok((code, made.map(Made::Here)))
            }
            Self::Apart(process) => {
                let (code, made) = process.create(number, ticket, kind, settings)?;
                Ok((code, made.map(Made::Apart)))
            }
        }
    }
}

impl Made {
    pub(super) fn call(&self, ticket: u64, op: u32, request: &[u8]) {
        match self {
            Self::Here(made) => made.call(ticket, op, request),
            Self::Apart(made) => made.call(ticket, op, request),
        }
    }

    pub(super) fn can_cancel(&self) -> bool {
        match self {
            Self::Here(made) => made.can_cancel(),
            Self::Apart(_) => true,
        }
    }

    pub(super) fn cancel(&self, ticket: u64) {
        match self {
            Self::Here(made) => made.cancel(ticket),
            Self::Apart(made) => made.cancel(ticket),
        }
    }

    /// How much of its work waits for a thread; of another process that is not known.
    pub(super) fn queued(&self) -> u64 {
        match self {
            Self::Here(made) => made.queued(),
            Self::Apart(_) => 0,
        }
    }

    /// The last use of it.
    pub(super) fn destroy(self, ticket: u64) {
        match self {
            Self::Here(made) => made.destroy(ticket),
            Self::Apart(made) => made.destroy(ticket),
        }
    }
}
