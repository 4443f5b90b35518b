//! `portcullis check`: every problem at once, or that there is none. Strategies are
//! started, for only they know their own settings; nothing listens and no store is opened.

use super::{
    args::Check,
    block_on, configuration,
    output::{Done, result, safe},
    progress,
};
use crate::{
    clock::Clock,
    pages::Pages,
    random::Random,
    registry::{Instance, Registry},
    telemetry,
    tls::Tls,
    tokens::Foreign,
};
use portcullis_config::{Config, Problem};
use portcullis_plugin_api::Host;
use serde_json::json;
use std::{path::Path, process::ExitCode};

pub(super) fn run(arguments: &Check) -> Done {
    let _log = telemetry::start_for_command(Clock::system());
    let file = configuration::find(&arguments.file)?;
    let (config, mut problems) = portcullis_config::load_anyway(&file, &configuration::environment());
    let started = match &config {
        Some(config) => block_on(start(config, problems.is_empty()))?,
        None => Err(Vec::new()),
    };
    let checked = match (config, started) {
        (Some(mut config), Ok((warnings, registry))) if problems.is_empty() => {
            config.warnings.extend(warnings);
            let register = redirects(&config, &registry);
            Ok((config, register))
        }
        (_, more) => {
            problems.extend(more.err().unwrap_or_default());
            problems.sort_by_cached_key(|problem| position(&problem.place));
            problems.dedup_by(|a, b| (&a.place, &a.message) == (&b.place, &b.message));
            Err(problems)
        }
    };
    if arguments.json {
        result(&as_json(&file, &checked).to_string());
    }
    match checked {
        Err(problems) if arguments.json && !problems.is_empty() => Ok(ExitCode::from(1)),
        Err(problems) => Err(configuration::tell(&problems)),
        Ok((config, register)) => {
            if !arguments.json {
                configuration::warn(&config.warnings);
                summary(&config, &register);
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The file, and line and column as numbers: problems are told in the order of the file.
fn position(place: &str) -> (String, usize, usize) {
    let mut parts = place.rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    match (file, number(line), number(column)) {
        (Some(file), Some(line), Some(column)) => (file.to_owned(), line, column),
        _ => (place.to_owned(), 0, 0),
    }
}

/// The warnings of certificates; or what is wrong with any file, and what each strategy finds
/// wrong with its settings. One that cannot start for another reason fails the check too, though
/// `serve` would run without it; where the file itself has a problem (`is_sound` is false), that
/// may be its reason, and is not told.
async fn start(config: &Config, is_sound: bool) -> Result<(Vec<Problem>, Registry), Vec<Problem>> {
    let clock = Clock::system();
    let host = Host { random: Random::system().shared(), now: clock.shared(), cores: config.server.threads };
    let tls = Tls::load(config, &clock);
    let registry = progress::during("starting the strategies", Registry::start(config, host)).await;
    let rest = [Pages::new(config).err(), Foreign::load(config, &clock).err()];
    let (tls, registry) = match (tls, registry) {
        (Ok(tls), Ok(registry)) if is_sound && rest.iter().all(Option::is_none) => (tls, registry),
        (tls, registry) => {
            let all = [tls.err(), registry.err()].into_iter().chain(rest);
            return Err(all.flatten().flatten().collect());
        }
    };
    let failed = registry.list().iter().filter_map(|one| {
        let message = format!("[strategies.{}] does not start: {}", one.id(), one.failure()?);
        Some(Problem { place: config.file.display().to_string(), message, help: None, excerpt: None })
    });
    let refused = registry.libraries().iter().filter_map(|library| {
        let message = format!("[plugins.{}] is not loaded: {}", library.name, library.refusal()?);
        Some(Problem { place: library.place.clone(), message, help: None, excerpt: None })
    });
    let failed: Vec<_> = refused.chain(failed).collect();
    if !failed.is_empty() {
        return Err(failed);
    }
    let mut warnings = tls.warnings;
    warnings.extend(only_at_public_url(config, &registry));
    Ok((warnings, registry))
}

/// A provider sends people back to `public_url` only, so a login begins there too.
fn only_at_public_url(config: &Config, registry: &Registry) -> Option<Problem> {
    let public = &config.server.public_url;
    let hosts =
        config.server.hosts.iter().chain(config.routes.iter().filter_map(|route| route.host.as_ref()));
    let mut others: Vec<_> = hosts.filter(|host| **host != public.host).map(String::as_str).collect();
    others.sort_unstable();
    others.dedup();
    let providers = registry.list().iter().filter(|one| one.has_provider()).map(Instance::id);
    let providers: Vec<_> = providers.collect();
    if others.is_empty() || providers.is_empty() {
        return None;
    }
    let message = format!(
        "people sign in by {} only at {}, where their provider sends them back to, and not at {}",
        providers.join(", "),
        public.origin,
        others.join(", ")
    );
    Some(Problem {
        place: config.file.display().to_string(),
        message,
        help: Some(format!("link to {}{} from the other hosts", public.origin, config.endpoints.login)),
        excerpt: None,
    })
}

/// Where providers send people back to: the strategy's id and the URL to register there.
fn redirects(config: &Config, registry: &Registry) -> Vec<(String, String)> {
    let origin = &config.server.public_url.origin;
    let own = registry.list().iter().filter(|one| one.operations().notice);
    own.map(|one| {
        let id = one.id().to_owned();
        let url = format!("{origin}{}/{id}/callback", config.endpoints.login);
        (id, url)
    })
    .collect()
}

fn summary(config: &Config, register: &[(String, String)]) {
    let list = |items: Vec<String>| safe(&items.join(", "));
    let listen = config.server.listen.iter().map(ToString::to_string).collect();
    let strategies = config.strategies.iter().map(|s| format!("{} ({})", s.id, s.kind)).collect();
    let upstreams = config.upstreams.iter().map(|u| u.id.clone()).collect();
    result(&format!("configuration is fine: {}", config.file.display()));
    result(&format!("  listens on  {} as {}", list(listen), config.server.public_url.origin));
    result(&format!("  strategies  {}", list(strategies)));
    result(&format!("  upstreams   {}", list(upstreams)));
    result(&format!("  routes      {}", config.routes.len()));
    result(&format!("  store       {}", config.store.path.display()));
    for (id, url) in register {
        result(&format!("  register    {} as the redirect URL of {id}", safe(url)));
    }
}

type Checked = Result<(Config, Vec<(String, String)>), Vec<Problem>>;

fn as_json(file: &Path, checked: &Checked) -> serde_json::Value {
    let list = |problems: &[Problem]| -> Vec<_> {
        let one = |p: &Problem| json!({"place": p.place, "message": p.message, "help": p.help});
        problems.iter().map(one).collect()
    };
    let (problems, warnings) = match checked {
        Ok((config, _)) => (Vec::new(), list(&config.warnings)),
        Err(problems) => (list(problems), Vec::new()),
    };
    let register: serde_json::Map<_, _> = checked
        .iter()
        .flat_map(|(_, register)| register.iter().map(|(id, url)| (id.clone(), url.as_str().into())))
        .collect();
    json!({
        "ok": checked.is_ok(),
        "file": file.display().to_string(),
        "problems": problems,
        "warnings": warnings,
        "redirect_urls": register,
    })
}
