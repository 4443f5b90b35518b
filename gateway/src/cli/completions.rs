//! `portcullis completions SHELL`: what the shell completes, made from the same description
//! of the command line as its help.

use super::{args::Arguments, output::Done};
use clap::CommandFactory;
use clap_complete::Shell;
use std::{io::Write, process::ExitCode};

pub(super) fn run(shell: Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut script);
    // A reader that has gone away is no failure.
    let _ = std::io::stdout().lock().write_all(&script);
    Ok(ExitCode::SUCCESS)
}
