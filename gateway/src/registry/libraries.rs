//! `[plugins.NAME]`: each library checked in the contract's order and loaded, and which
//! kinds they bring. One that is refused leaves the others as they are.
//!
//! What may not come in: instances of strategies.

use super::{
    apart::Process,
    builtin,
    code::Code,
    elf,
    file::{self, Copies, Owner},
    info::Info,
    library::Module,
    refusal::Refusal,
    rules::Rules,
};
use portcullis_config::Plugin;
use portcullis_plugin_api::{Operations, abi};
use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// One `[plugins.NAME]` and what became of it.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: std::path::PathBuf,
    /// Where its table begins.
    pub place: String,
    pub(super) code: Result<Code, Refusal>,
    pub(super) rules: Rules,
    /// The built-in kinds that it was meant to replace.
    pub(super) replaces: Replaces,
}

/// Which built-in kinds a library may replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replaces {
    None,
    /// Those that its bytes, which were the pinned ones, say they have.
    Kinds(Vec<String>),
    /// Nobody could find out: it may be any.
    Unknown,
}

impl Replaces {
    /// Whether it was meant to be this kind, or may have been.
    pub(super) fn includes(&self, kind: &str) -> bool {
        match self {
            Self::None => false,
            Self::Kinds(kinds) => kinds.iter().any(|one| one == kind),
            Self::Unknown => true,
        }
    }
}

/// A kind that a library provides.
#[derive(Clone)]
pub(super) struct Brought {
    pub(super) name: String,
    pub(super) operations: Operations,
    pub(super) plugin: String,
    pub(super) code: Code,
    pub(super) rules: Rules,
}

/// Every module of this process: same bytes, same module.
static MODULES: Mutex<Vec<(String, &'static Module)>> = Mutex::new(Vec::new());
/// Libraries that were loaded, and such as were refused.
pub(super) static LOADED: AtomicU64 = AtomicU64::new(0);
pub(super) static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Versions of one library that a process takes on: none is ever unloaded.
const MOST_VERSIONS: usize = 32;

impl Library {
    /// Why it is not used.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.code.as_ref().err()
    }

    /// What it says it is, if it is used.
    pub fn info(&self) -> Option<&Info> {
        self.code.as_ref().ok().map(Code::info)
    }

    /// What its bytes hash to, if it is used.
    pub fn sha256(&self) -> Option<&str> {
        self.code.as_ref().ok().map(Code::sha256)
    }
}

/// Loads all of them; then refuses those that bring what is there already.
pub(super) fn load(plugins: &[Plugin], copies: &Copies) -> Vec<Library> {
    let one = |plugin: &Plugin| {
        let mut info = None;
        let code = load_one(plugin, copies, &mut info);
        let kinds = info.map(|info| info.kinds.into_iter().map(|kind| kind.kind).collect());
        let replaces = match plugin.override_builtin {
            true => kinds.map_or(Replaces::Unknown, Replaces::Kinds),
            false => Replaces::None,
        };
        let is_async = code.as_ref().is_ok_and(Code::is_async);
        Library {
            name: plugin.name.clone(),
            path: plugin.path.clone(),
            place: plugin.place.clone(),
            code,
            rules: Rules::of(plugin, is_async),
            replaces,
        }
    };
    let mut all: Vec<Library> = plugins.iter().map(one).collect();
    clashes(plugins, &mut all);
    for library in &all {
        match &library.code {
            Ok(code) => {
                LOADED.fetch_add(1, Relaxed);
                let Info { name, version, .. } = code.info();
                let how = match code {
                    Code::Here(_) => "it is trusted as the gateway itself",
                    Code::Apart(_) => "it runs in a process of its own",
                };
                tracing::info!(plugin = %library.name, library = %name, %version, sha256 = %code.sha256(),
                    path = %library.path.display(), "strategy library loaded: {how}");
            }
            Err(refusal) => {
                REFUSED.fetch_add(1, Relaxed);
                tracing::error!(plugin = %library.name, error = %refusal, "strategy library refused");
            }
        }
    }
    all
}

/// `says` is left with what the bytes say of themselves, once they are the pinned ones.
fn load_one(plugin: &Plugin, copies: &Copies, says: &mut Option<Info>) -> Result<Code, Refusal> {
    let path = &plugin.path;
    let bytes = file::read(path, Owner::Checked)?;
    if let Some(want) = plugin.sha256.as_ref().filter(|want| **want != bytes.sha256) {
        let (name, have) = (&plugin.name, &bytes.sha256);
        return Err(Refusal::of(
            "PLG-05",
            path,
            format_args!("sha256 is {have}, [plugins.{name}] pins {want}"),
        ));
    }
    let info = look(path, &bytes.all)?;
    *says = Some(info.clone());
    if plugin.apart {
        let copy = copies.put(&bytes)?;
        return Ok(Code::Apart(Arc::new(Process::start(&plugin.name, path, copy, info, bytes.sha256)?)));
    }
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = modules.iter().find(|(_, module)| module.sha256 == bytes.sha256);
    if let Some((_, module)) = known {
        return Ok(Code::Here(module));
    }
    let versions = modules.iter().filter(|(name, _)| *name == plugin.name).count();
    if versions >= MOST_VERSIONS {
        let text = format!(
            "{versions} versions of this plugin are already loaded; restart the gateway to load more"
        );
        return Err(Refusal::of("PLG-15", path, text));
    }
    let copy = copies.put(&bytes)?;
    // Kept for ever, as the library is.
    let module: &'static Module = Box::leak(Box::new(Module::load(path, &copy, info, bytes.sha256)?));
    modules.push((plugin.name.clone(), module));
    Ok(Code::Here(module))
}

/// What a file says it is, without running any of it.
pub(super) fn look(path: &Path, bytes: &[u8]) -> Result<Info, Refusal> {
    let section = elf::read(bytes, abi::SYMBOL, abi::SECTION);
    let section = section.map_err(|fault| Refusal::elf(path, &fault, abi::SYMBOL))?;
    Info::read(path, section)
}

/// A kind that two bring is brought by neither: no order decides who logs people in.
fn clashes(plugins: &[Plugin], all: &mut [Library]) {
    let kinds: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            one.info().map_or_else(Vec::new, |info| info.kinds.iter().map(|k| k.kind.clone()).collect())
        })
        .collect();
    for (at, plugin) in plugins.iter().enumerate() {
        let name = &plugin.name;
        for kind in &kinds[at] {
            let other = (0..all.len()).find(|other| *other != at && kinds[*other].contains(kind));
            let text = if let Some(other) = other {
                format!(
                    "[plugins.{name}]: kind \"{kind}\" is already provided by [plugins.{}]",
                    plugins[other].name
                )
            } else if builtin::kinds().any(|built| built == kind) && !plugin.override_builtin {
                format!(
                    "[plugins.{name}]: kind \"{kind}\" is built in; set override_builtin = true to replace it"
                )
            } else {
                continue;
            };
            all[at].code = Err(Refusal::new("PLG-13", text));
        }
    }
}

/// The kinds of all that are used.
pub(super) fn brought(libraries: &[Library]) -> Vec<Brought> {
    let each = libraries.iter().filter_map(|library| Some((library, library.code.as_ref().ok()?)));
    each.flat_map(|(library, code)| {
        code.info().kinds.iter().map(move |kind| Brought {
            name: kind.kind.clone(),
            operations: kind.can(),
            plugin: library.name.clone(),
            code: code.clone(),
            rules: library.rules.clone(),
        })
    })
    .collect()
}
