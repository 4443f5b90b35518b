//! Arguments to exit code, one file per verb (contract section 2). What a verb answers
//! goes to stdout, everything else to stderr; 0 is done, 1 refused or invalid, 2 usage.
//!
//! `args.rs` what may be typed · `configuration.rs` finding and reading the file ·
//! `password.rs` from a prompt or stdin · `output.rs` words out, `style.rs` their colours,
//! `progress.rs` words while one waits.

mod args;
mod check;
mod completions;
mod configuration;
mod demo;
mod hash_password;
mod keys;
mod man;
mod output;
mod password;
mod plugin;
mod progress;
mod schema;
mod serve;
mod session;
mod strategy;
mod style;
mod user;

use args::{Arguments, Verb};
use clap::Parser;
use output::Failure;
use std::process::ExitCode;

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    // A usage error ends here with 2, `--help` and `--version` with 0: both are clap's.
    let done = match Arguments::parse().verb {
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Serve(file) => serve::run(&file),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::User(arguments) => user::run(arguments),
        Verb::Session(arguments) => session::run(arguments),
        Verb::Keys(arguments) => keys::run(arguments),
        Verb::Strategy(arguments) => strategy::run(&arguments),
        Verb::Plugin(arguments) => plugin::run(&arguments),
        Verb::HashPassword { json } => hash_password::run(json),
        Verb::Schema(arguments) => schema::run(&arguments),
        Verb::Completions { shell } => completions::run(shell),
        Verb::Man => man::run(),
    };
    match done {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// A runtime for a verb that asks a store and strategies, and ends.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    Ok(runtime.block_on(work))
}
