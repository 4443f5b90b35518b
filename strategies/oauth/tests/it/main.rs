//! The strategy against a provider of our own that does what it is told, right or wrong.

#![allow(clippy::unwrap_used)] // tests: a panic is the report

mod presets;
mod provider;

mod canaries;
mod leaving;
mod login;
mod looking_again;
mod settings;
