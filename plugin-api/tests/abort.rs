//! Case 7 of the plugin tests: a library whose panics abort does not compile.
#![allow(clippy::unwrap_used)] // tests: a panic is the report

use std::{fs, path::PathBuf, process::Command};

const LIBRARY: &str = r#"
use portcullis_plugin_api::{Answer, Begin, Call, Denial, Host, Object, Outcome, StartError, Strategy};

pub struct No;

impl Strategy for No {
    const KIND: &'static str = "no";
    const OPERATIONS: portcullis_plugin_api::Operations = portcullis_plugin_api::Operations::NONE;

    async fn start(_: Object, _: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn begin(&self, _: &Call, _: Begin) -> Answer<Outcome> {
        Ok(Outcome::denied(Denial::BadCredentials))
    }
}

portcullis_plugin_api::export_strategy!(No);
"#;

/// This crate as the compiler left it beside this test.
fn built() -> (PathBuf, PathBuf) {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().to_owned();
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap());
    let ours = files.filter(|file| {
        let name = file.file_name().into_string().unwrap();
        name.starts_with("libportcullis_plugin_api-") && name.ends_with(".rlib")
    });
    let newest = ours.max_by_key(|file| file.metadata().unwrap().modified().unwrap());
    (folder, newest.expect("this test was linked with it").path())
}

/// What the compiler says of the library, if it refuses it.
fn compiled(panics: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("no.rs");
    fs::write(&source, LIBRARY).unwrap();
    let (others, ours) = built();
    let done = Command::new("rustc")
        .args(["--edition=2024", "--crate-type=cdylib", "--emit=metadata", "--out-dir"])
        .arg(folder.path())
        .arg(format!("-Cpanic={panics}"))
        .arg(format!("-Ldependency={}", others.display()))
        .arg(format!("--extern=portcullis_plugin_api={}", ours.display()))
        .arg(&source)
        // What cargo says to a crate.
        .envs([("CARGO_PKG_NAME", "no"), ("CARGO_PKG_VERSION", "1.0.0")])
        .output()
        .unwrap();
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

#[test]
fn a_library_whose_panics_abort_does_not_compile() {
    assert_eq!(compiled("unwind"), Ok(()));
    let said = compiled("abort").unwrap_err();
    assert!(said.contains("a strategy library must unwind: remove `panic = \"abort\"`"), "{said}");
}
