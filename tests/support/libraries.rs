//! Strategy libraries: the one of `local`, and C compiled on the spot.

use crate::program;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// `strategies/local` as a library.
#[track_caller]
pub fn local() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("portcullis-local-plugin", "libportcullis_local.so"))
}

/// `strategies/ldap` as a library.
#[track_caller]
pub fn ldap() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("portcullis-ldap-plugin", "libportcullis_ldap.so"))
}

/// `strategies/oauth` as a library.
#[track_caller]
pub fn oauth() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("portcullis-oauth-plugin", "libportcullis_oauth.so"))
}

/// The strategies that do what they are told: `tests/plugins/odd`.
#[track_caller]
pub fn odd() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("portcullis-test-odd-library", "libportcullis_test_odd_library.so"))
}

/// The library of a package. `tests/run` has built it; a developer's own `cargo test` has
/// not, and then it is built here, once.
#[track_caller]
fn built(package: &str, name: &str) -> PathBuf {
    let profile = program::program().parent().expect("it lies in a folder").to_owned();
    let file = profile.join(name);
    if std::env::var_os("PORTCULLIS_PROGRAM").is_none() || !file.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", package])
            .current_dir(program::root())
            .status()
            .expect("cargo runs");
        assert!(built.success(), "{package} does not build");
    }
    file
}

/// Compiles a file of `tests/plugins/` to a library.
#[track_caller]
pub fn compile(source: &str, library: &Path, flags: &[&str]) {
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-pthread", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(program::root().join("plugin-api/include"))
        .args(flags)
        .arg("-o")
        .arg(library)
        .arg(program::root().join("tests/plugins").join(source))
        .output()
        .expect("cc is needed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What a configuration with this variable set to `library` says beside its own: every
/// `local`, `ldap` and `oauth` comes out of its library then, with `process` each in a process
/// of its own. The whole suite of logins runs in every form.
pub fn instead_of_built_in() -> String {
    let all = [replacing("local", local()), replacing("ldap", ldap()), replacing("oauth", oauth())];
    match std::env::var("PORTCULLIS_STRATEGIES").as_deref() {
        Ok("library") => all.concat(),
        Ok("process") => all.map(|one| one + APART).concat(),
        _ => String::new(),
    }
}

/// The line that gives a library a process of its own.
pub const APART: &str = "isolation = \"process\"\n";

/// The table that puts a library in the place of the kind that is linked in. Providers of
/// the tests are on loopback.
pub fn replacing(kind: &str, library: &Path) -> String {
    let path = library.display().to_string();
    format!(
        "\n[plugins.{kind}]\npath = {path:?}\ndanger_unpinned = true\noverride_builtin = true\nredirect_hosts = [\"127.0.0.1\"]\n"
    )
}
