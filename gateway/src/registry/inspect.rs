//! What a library is, for `portcullis plugin`: its file read and never run; or loaded and
//! started, in a process that may end by it.

use super::{
    apart::child,
    code::Code,
    file::{self, Copies, Owner},
    foreign::{self, Making},
    info::Info,
    libraries,
    library::Module,
    refusal::Refusal,
    rules::Rules,
    runner,
};
use portcullis_plugin_api::{Host, Object, StartError};
use std::path::Path;

/// A file and what it says of itself.
pub struct Inspected {
    /// What its bytes hash to.
    pub sha256: String,
    /// How many.
    pub bytes: usize,
    /// What it says it is, or why it cannot be used.
    pub info: Result<Info, Refusal>,
}

/// Reads a file, whoever owns it.
pub fn inspect(path: &Path) -> Result<Inspected, Refusal> {
    let bytes = file::read(path, Owner::Anybody)?;
    let info = libraries::look(path, &bytes.all);
    Ok(Inspected { sha256: bytes.sha256, bytes: bytes.all.len(), info })
}

/// Serves the gateway as the process of a library (`isolation = "process"`), until the
/// gateway has ended or has no more use for it. An error is one of the operating system.
pub fn serve_apart(path: &Path, copy: &Path, host: &Host) -> std::io::Result<()> {
    child::serve(path, copy, host)
}

/// What became of one kind that was started.
pub struct KindChecked {
    /// Its name.
    pub kind: String,
    /// Whether it starts, at least as far as its settings.
    pub ok: bool,
    /// How it went.
    pub detail: String,
}

/// Loads a library into this process and starts each of its kinds without settings. It may
/// take the process with it.
pub async fn check(path: &Path, host: Host) -> Result<Vec<KindChecked>, Refusal> {
    let bytes = file::read(path, Owner::Checked)?;
    let info = libraries::look(path, &bytes.all)?;
    let copies = Copies::passing("check");
    let copy = copies.put(&bytes)?;
    // For as long as this process, which ends soon.
    let module: &'static Module = Box::leak(Box::new(Module::load(path, &copy, info, bytes.sha256)?));
    let mut all = Vec::new();
    for kind in &module.info.kinds {
        let making = Making {
            code: Code::Here(module),
            plugin: module.info.name.clone(),
            kind: kind.kind.clone(),
            operations: kind.can(),
            strategy: "check".to_owned(),
            slots: 1,
        };
        let started = runner::start(foreign::start(making, Object::new(), host.clone()));
        let (ok, detail) = match runner::started(started, Rules::default().timeout).await {
            Ok(_) => (true, "starts without settings".to_owned()),
            Err(StartError::Settings(problems)) => {
                let keys: Vec<_> = problems.iter().map(|problem| problem.message.clone()).collect();
                (true, format!("asks for settings: {}", keys.join("; ")))
            }
            Err(StartError::Failed(why)) => (false, why),
        };
        all.push(KindChecked { kind: kind.kind.clone(), ok, detail });
    }
    Ok(all)
}
