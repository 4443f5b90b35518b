//! `portcullis demo`: a gateway before a built-in application, with one account, so that
//! somebody who has just met this program sees what it does.
//!
//! `whoami/` the application · `folder.rs` where the store is · `words.rs` what is printed.

mod folder;
mod password;
mod whoami;
mod words;

use super::{
    args::Demo,
    output::{Done, Failure, note},
    serve::{exit_code, told},
    user,
};
use crate::{
    app::{self, End, Failed, Hangup, Ready},
    clock::Clock,
    random::Random,
    telemetry::{self, Target},
};
use folder::Folder;
use portcullis_config::Config;
use std::net::SocketAddr;
use words::Told;

/// The account's name.
const NAME: &str = "demo";

pub(super) fn run(arguments: &Demo) -> Done {
    let random = Random::system();
    let clock = Clock::system();
    let folder = Folder::new(arguments.data.as_deref(), &random)?;
    let runtime = app::runtime().map_err(told)?;
    let end = runtime.block_on(serve(arguments, &folder, clock, random));
    runtime.shutdown_background();
    end.map(exit_code)
}

async fn serve(arguments: &Demo, folder: &Folder, clock: Clock, random: Random) -> Result<End, Failure> {
    let links = whoami::Links { logout: "/logout" };
    let (upstream, whoami) = whoami::start(links)
        .await
        .map_err(|error| Failure::new(format!("cannot start the demo's application: {error}")))?;
    let config = configuration(arguments.listen, upstream, folder)?;
    let (log, _guard) = telemetry::start(&config.log, Target::Stderr, clock.clone());
    let ready = Ready::new(config, clock, random.clone()).await.map_err(no_start)?;
    let password = password::readable(&random);
    let new = user::NewUser {
        name: NAME.into(),
        email: Some("demo@example.com".into()),
        roles: vec!["staff".into()],
        strategy: None,
    };
    user::give(&ready, new, &password).await?;
    let gateway = ready.serve(&log).await.map_err(told)?;
    for url in gateway.urls() {
        note(&format!("listening on {url}"));
    }
    let told = Told { url: gateway.origin(), name: NAME, password: &password, folder };
    if arguments.json {
        told.as_json()
    } else {
        told.as_text()
    }
    let end = gateway.run(Hangup::Ends).await;
    whoami.abort();
    Ok(end)
}

/// What the quickstart of the README has, with the demo's own store and application.
fn configuration(listen: SocketAddr, upstream: SocketAddr, folder: &Folder) -> Result<Config, Failure> {
    let mut text = format!(
        "[server]\nlisten = \"{listen}\"\n[strategies.local]\nkind = \"local\"\n\
         [upstreams.whoami]\nurls = [\"http://{upstream}\"]\n[[routes]]\npath = \"/*\"\nupstream = \"whoami\"\n\
         [login]\ntitle = \"Portcullis demo\"\n"
    );
    if !listen.ip().is_loopback() {
        // Meant for a container whose port is published on loopback.
        let line = format!("listen = \"{listen}\"\npublic_url = \"http://localhost:{}\"", listen.port());
        text = text.replacen(&format!("listen = \"{listen}\""), &line, 1);
    }
    let file = folder.path().join("portcullis.toml");
    portcullis_config::parse(&text, &file, &[]).map_err(|problems| super::configuration::tell(&problems))
}

fn no_start(failed: Failed) -> Failure {
    match failed {
        Failed::Address(why) => Failure::new(format!(
            "{why}; --listen says where to listen: `portcullis demo --listen 127.0.0.1:0` takes a free port"
        )),
        other => told(other),
    }
}
