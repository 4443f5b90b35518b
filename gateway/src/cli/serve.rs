//! `portcullis serve`: the log goes to stdout, and `listening on URL` to stderr.

use super::{
    args::File,
    configuration,
    output::{Done, Failure, note},
};
use crate::{
    app::{self, End, Failed, Hangup, Ready},
    clock::Clock,
    random::Random,
    telemetry::{self, Target},
};
use std::process::ExitCode;

pub(super) fn run(file: &File) -> Done {
    let config = configuration::load(file)?;
    let path = configuration::find(file)?;
    let again = Box::new(move || portcullis_config::load(&path, &configuration::environment()));
    let clock = Clock::system();
    let (log, _guard) = telemetry::start(&config.log, Target::Stdout, clock.clone());
    let runtime = app::runtime().map_err(told)?;
    let end = runtime.block_on(async {
        let ready = Ready::new(config, clock, Random::system()).await?;
        let gateway = ready.serve(&log).await?;
        if let Some(url) = gateway.metrics_url() {
            note(&format!("metrics at {url}"));
        }
        for url in gateway.urls() {
            note(&format!("listening on {url}"));
        }
        Ok(gateway.run(Hangup::Reloads(again)).await)
    });
    // A call to a strategy that hangs does not keep the process.
    runtime.shutdown_background();
    end.map(exit_code).map_err(told)
}

/// A second signal ends with 128 and its number, as a shell says it.
pub(in crate::cli) fn exit_code(end: End) -> ExitCode {
    match end {
        End::Drained => ExitCode::SUCCESS,
        End::AtOnce(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
    }
}

pub(in crate::cli) fn told(failed: Failed) -> Failure {
    match failed {
        Failed::Configuration(problems) => configuration::tell(&problems),
        Failed::Address(why) => Failure::new(format!("{why}; [server] listen says where to listen")),
        Failed::Start(why) => Failure::new(why),
    }
}
