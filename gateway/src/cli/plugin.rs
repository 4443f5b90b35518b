//! `portcullis plugin`: what strategy libraries are. `inspect` and `pin` read and never
//! run; `check` runs one in a child, which may die of it.

use super::{
    args::{Plugin, PluginVerb},
    block_on, configuration,
    output::{Done, Failure, note, result, safe, table},
};
use crate::{
    clock::Clock,
    random::Random,
    registry::{self, Library, inspect},
    telemetry,
};
use portcullis_plugin_api::Host;
use serde_json::{Value, json};
use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitCode},
};

pub(super) fn run(arguments: &Plugin) -> Done {
    let _log = telemetry::start_for_command(Clock::system());
    match &arguments.verb {
        PluginVerb::List { json } => list(arguments, *json),
        PluginVerb::Inspect { file, json } => inspected(file, *json),
        PluginVerb::Pin { file, json } => pin(file, *json),
        PluginVerb::Check { file, json, here: true } => check_here(file, *json),
        PluginVerb::Check { file, json, here: false } => check(file, *json),
        PluginVerb::Apart { path, copy } => apart(path, copy),
    }
}

/// Every `[plugins.NAME]`, loaded as `serve` would.
fn list(arguments: &Plugin, json: bool) -> Done {
    let config = configuration::load(&arguments.file)?;
    let libraries = registry::load_libraries(&config);
    if json {
        let all: Vec<Value> = libraries.iter().map(library_as_json).collect();
        result(&Value::from(all).to_string());
    } else {
        let rows: Vec<_> = libraries.iter().map(row).collect();
        table(["NAME", "STATE", "VERSION", "ABI", "KINDS", "SHA256"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn library_as_json(of: &Library) -> Value {
    json!({
        "name": of.name,
        "path": of.path.display().to_string(),
        "state": if of.refusal().is_none() { "loaded" } else { "failed" },
        "version": of.info().map(|info| &info.version),
        "abi": of.info().map(|info| format!("{}.{}", info.abi.0, info.abi.1)),
        "kinds": of.info().map(|info| info.kinds.iter().map(|kind| &kind.kind).collect::<Vec<_>>()),
        "sha256": of.sha256(),
        "code": of.refusal().map(|refusal| refusal.code),
        "error": of.refusal().map(ToString::to_string),
    })
}

fn row(of: &Library) -> [String; 6] {
    let Some(info) = of.info() else {
        let why = of.refusal().map(|refusal| format!("failed: {refusal}")).unwrap_or_default();
        return [of.name.clone(), why, String::new(), String::new(), String::new(), String::new()];
    };
    let kinds: Vec<_> = info.kinds.iter().map(|kind| kind.kind.as_str()).collect();
    let abi = format!("{}.{}", info.abi.0, info.abi.1);
    let sha256 = of.sha256().unwrap_or_default().to_owned();
    [of.name.clone(), "loaded".into(), info.version.clone(), abi, kinds.join(", "), sha256]
}

fn inspected(file: &Path, json: bool) -> Done {
    let found = inspect::inspect(file).map_err(|refusal| Failure::new(safe(&refusal.to_string())))?;
    let usable = found.info.is_ok();
    if json {
        let info = found.info.as_ref().ok();
        let refusal = found.info.as_ref().err();
        let value = json!({
            "ok": usable,
            "path": file.display().to_string(),
            "bytes": found.bytes,
            "sha256": found.sha256,
            "info": info,
            "code": refusal.map(|refusal| refusal.code),
            "error": refusal.map(ToString::to_string),
        });
        result(&value.to_string());
    } else if let Ok(info) = &found.info {
        result(&format!("{} {}", safe(&info.name), safe(&info.version)));
        result(&format!(
            "  ABI     {}.{}, needs {}.{} or newer",
            info.abi.0, info.abi.1, info.abi.0, info.min_host_minor
        ));
        for kind in &info.kinds {
            result(&format!("  kind    {} ({})", kind.kind, safe(&kind.operations.join(", "))));
        }
        result(&format!("  bytes   {}", found.bytes));
        result(&format!("  sha256  {}", found.sha256));
    }
    match found.info {
        Err(refusal) if !json => Err(Failure::new(safe(&refusal.to_string()))),
        _ => Ok(ExitCode::from(u8::from(!usable))),
    }
}

/// The lines of a configuration for this very file.
fn pin(file: &Path, json: bool) -> Done {
    let found = inspect::inspect(file).map_err(|refusal| Failure::new(safe(&refusal.to_string())))?;
    let info = found.info.map_err(|refusal| Failure::new(safe(&refusal.to_string())))?;
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let path = path.to_str().ok_or_else(|| Failure::new("the path is not UTF-8"))?.to_owned();
    let name = id_of(&info.name);
    if json {
        result(&json!({ "name": name, "path": path, "sha256": found.sha256 }).to_string());
    } else {
        // A TOML basic string: the escapes of JSON are some of its own.
        result(&format!("[plugins.{name}]\npath = {}\nsha256 = \"{}\"", Value::from(path), found.sha256));
    }
    Ok(ExitCode::SUCCESS)
}

/// A name made an id: `[a-z][a-z0-9-]{0,31}`.
fn id_of(name: &str) -> String {
    let letters = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect::<String>();
    let id: String = letters.trim_start_matches(|c: char| !c.is_ascii_lowercase()).chars().take(32).collect();
    if id.is_empty() { "strategy".to_owned() } else { id }
}

/// The process of one library; the gateway starts it, and nobody else.
fn apart(path: &Path, copy: &Path) -> Done {
    let served = inspect::serve_apart(path, copy, &host());
    served.map_err(|error| Failure::new(format!("the process of a library cannot serve: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

/// For what is loaded here and nowhere else.
fn host() -> Host {
    Host { random: Random::system().shared(), now: Clock::system().shared(), cores: 1 }
}

/// In a child: a library that crashes takes only that with it.
fn check(file: &Path, json: bool) -> Done {
    let program =
        std::env::current_exe().map_err(|error| Failure::new(format!("cannot start a child: {error}")))?;
    let mut child = Command::new(program);
    child.args(["plugin", "check", "--here"]).args(json.then_some("--json")).arg(file);
    let status = child.status().map_err(|error| Failure::new(format!("cannot start a child: {error}")))?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(ExitCode::SUCCESS),
        (Some(1), _) => Ok(ExitCode::from(1)),
        (Some(code), _) => Err(Failure::new(format!(
            "{}: it ended the process that had loaded it, with exit code {code}",
            file.display()
        ))),
        (None, signal) => Err(Failure::new(format!(
            "{}: it crashed the process that had loaded it, with signal {}",
            file.display(),
            signal.unwrap_or_default()
        ))),
    }
}

fn check_here(file: &Path, json: bool) -> Done {
    let checked = block_on(inspect::check(file, host()))?;
    let (kinds, why) = match checked {
        Ok(kinds) => (kinds, None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let ok = why.is_none() && kinds.iter().all(|kind| kind.ok);
    if json {
        let kinds: Vec<_> =
            kinds.iter().map(|one| json!({ "kind": one.kind, "ok": one.ok, "detail": one.detail })).collect();
        let value = json!({
            "ok": ok,
            "path": file.display().to_string(),
            "kinds": kinds,
            "code": why.as_ref().map(|refusal| refusal.code),
            "error": why.as_ref().map(ToString::to_string),
        });
        result(&value.to_string());
    } else {
        for one in &kinds {
            result(&format!("{}: {}", one.kind, safe(&one.detail)));
        }
        if let Some(refusal) = &why {
            note(&format!("portcullis: {}", safe(&refusal.to_string())));
        }
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn a_name_becomes_an_id() {
        for (name, id) in [
            ("portcullis-local-plugin", "portcullis-local-plugin"),
            ("Corp LDAP 2", "corp-ldap-2"),
            ("9x", "x"),
            ("é", "strategy"),
        ] {
            assert_eq!(id_of(name), id);
        }
        assert_eq!(id_of(&"a".repeat(99)).len(), 32);
    }
}
