//! The front door, one file per behaviour, in one binary: compiled and linked once.
#![allow(clippy::unwrap_used)] // tests: a panic is the report

mod cli;
mod demo;
mod framing;
mod heads;
mod identity_headers;
mod login;
mod paths;
mod sessions;
mod tokens;
