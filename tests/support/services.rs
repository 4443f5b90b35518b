//! Programs that a developer's machine may not have: skipped loudly there, failed in
//! `tests/run`, which installs them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where a program is, or nothing after a loud word. With
/// `PORTCULLIS_REQUIRE_SERVICES=1` a missing one fails the test.
pub fn service(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/local/sbin", "/sbin"]
        .iter()
        .map(PathBuf::from)
        .chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// Whether a folder that `tests/run` fills is there: packages of other languages. As above.
pub fn required(folder: &Path) -> bool {
    let found = folder.is_dir();
    if !found {
        missing(&folder.display().to_string());
    }
    found
}

fn missing(name: &str) {
    let required = std::env::var_os("PORTCULLIS_REQUIRE_SERVICES").is_some_and(|v| v == "1");
    assert!(!required, "{name} is not installed, and PORTCULLIS_REQUIRE_SERVICES=1 asks for it");
    eprintln!("SKIPPED: {name} is not installed; `./tests/run` installs it");
}

/// Where a package from PyPI is that `tests/run` puts into an ignored folder, or nothing
/// after a loud word; missing as a [`service`] is.
pub fn package(name: &str) -> Option<PathBuf> {
    let folder = crate::program::root().join("tests/.env").join(name);
    if service("python3").is_some() && folder.join(".stamp").is_file() {
        return Some(folder);
    }
    let required = std::env::var_os("PORTCULLIS_REQUIRE_SERVICES").is_some_and(|v| v == "1");
    assert!(!required, "{name} is not in tests/.env, and PORTCULLIS_REQUIRE_SERVICES=1 asks for it");
    eprintln!("SKIPPED: the Python package {name} is not there; `./tests/run` installs it");
    None
}

/// curl with arguments: its standard output, if it is there. Fails when curl does.
pub fn curl(arguments: &[&str]) -> Option<String> {
    let path = service("curl")?;
    let output = Command::new(path).args(["-q", "-sS", "--max-time", "30"]).args(arguments).output();
    let output = output.expect("curl runs");
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
