//! The libraries that the tests load: built by `tests/run`, or here when it did not; and
//! registries over them.

use crate::registry::{Instance, Registry};
use portcullis_config::Problem;
use portcullis_plugin_api::{Begin, Outcome};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// `strategies/local` as a library.
pub(in crate::registry) fn local() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("portcullis-local-plugin", "libportcullis_local.so"))
}

/// The strategies that do what they are told.
pub(super) fn odd() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("portcullis-test-odd-library", "libportcullis_test_odd_library.so"))
}

/// The built library of a package.
fn built(package: &str, file: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    if std::env::var_os("PORTCULLIS_PROGRAM").is_none() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", package]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "{package} does not build");
    }
    profile.join(file)
}

/// `tests/plugins/liar.c`, compiled in this way, in a folder of its own.
pub(super) fn liar(flags: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("liar.so");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-pthread", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root.join("plugin-api/include"))
        .args(flags)
        .arg("-o")
        .arg(&library)
        .arg(root.join("tests/plugins/liar.c"))
        .output()
        .expect("cc is needed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (folder, library)
}

/// One table of a configuration for a library.
pub(super) fn table(name: &str, path: &Path, keys: &str) -> String {
    format!("[plugins.{name}]\npath = {:?}\ndanger_unpinned = true\n{keys}\n", path.display().to_string())
}

/// Starts these tables.
pub(super) async fn start(tables: &str) -> Result<Registry, Vec<Problem>> {
    let mut text = tables.to_owned();
    text.write_str("[upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n")
        .unwrap();
    let config = portcullis_config::parse(&text, "/etc/gw.toml".as_ref(), &[])?;
    Registry::start(&config, super::host()).await
}

/// An instance of this kind out of this library, with keys of both tables.
pub(super) async fn one(path: &Path, keys: &str, kind: &str, settings: &str) -> Instance {
    let strategy = format!("[strategies.it]\nkind = \"{kind}\"\nadmit = \"anyone\"\n{settings}\n");
    let registry = start(&(table("lib", path, keys) + &strategy)).await;
    registry.unwrap_or_else(|problems| panic!("{problems:?}")).get("it").unwrap()
}

/// A form that tells a strategy what to do.
pub(super) fn told(what: &str, with: &str) -> Begin {
    let form = [("do".to_owned(), what.to_owned()), ("with".to_owned(), with.to_owned())];
    Begin { form: form.into(), ..Begin::default() }
}

/// Asks an instance.
pub(super) async fn ask(
    of: &Instance,
    what: &str,
    with: &str,
) -> Result<Outcome, crate::registry::CallError> {
    // A strategy that keeps credentials is handed one, or may authenticate nobody.
    let subject = super::subject("ada");
    let credential = portcullis_plugin_api::StoredCredential { subject, secret: "kept".into() };
    let credential = of.operations().credentials.then_some(credential);
    of.begin(super::call(), Begin { credential, ..told(what, with) }).await
}

/// Waits for a condition.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed().as_secs() < 30, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}
