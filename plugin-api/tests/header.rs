//! `include/portcullis_plugin.h` and `abi.rs` are the same boundary: every offset, size and
//! number, as two compilers see them, with all warnings as errors.
#![allow(clippy::unwrap_used)] // tests: a panic is the report

use portcullis_plugin_api::abi::{self, Bytes, HostTable, PluginTable, level, op};
use std::{
    fs,
    mem::{offset_of, size_of},
    path::Path,
    process::Command,
};

/// A program that does not compile unless every number is ours.
fn program(assert: &str) -> String {
    let mut lines = vec!["#include \"portcullis_plugin.h\"".to_owned()];
    let mut same =
        |theirs: String, ours: u64| lines.push(format!("{assert}({theirs} == {ours}, \"{ours}\");"));
    macro_rules! fields {
        ($rust:ty, $c:literal: $($field:ident)*) => {
            same(format!("sizeof({})", $c), size_of::<$rust>() as u64);
            $(same(format!("offsetof({}, {})", $c, stringify!($field)), offset_of!($rust, $field) as u64);)*
        };
    }
    fields!(Bytes, "pc_bytes": ptr len);
    fields!(HostTable, "pc_host": struct_size abi_major abi_minor reserved complete log now_unix_ms random service);
    fields!(PluginTable, "pc_plugin": struct_size abi_major abi_minor min_host_minor reserved flags reserved2
        info create call cancel destroy queued);
    for (name, ours) in [
        ("PC_ABI_MAJOR", u32::from(abi::MAJOR)),
        ("PC_ABI_MINOR", u32::from(abi::MINOR)),
        ("PC_FLAG_ASYNC", abi::FLAG_ASYNC),
        ("PC_STATUS_OK", abi::STATUS_OK),
        ("PC_STATUS_ERROR", abi::STATUS_ERROR),
        ("PC_STATUS_PANIC", abi::STATUS_PANIC),
        ("PC_STATUS_UNSUPPORTED", abi::STATUS_UNSUPPORTED),
        ("PC_STATUS_CANCELLED", abi::STATUS_CANCELLED),
        ("PC_OP_BEGIN", op::BEGIN),
        ("PC_OP_RESUME", op::RESUME),
        ("PC_OP_CREDENTIALS", op::CREDENTIALS),
        ("PC_OP_REFRESH", op::REFRESH),
        ("PC_OP_LOGOUT", op::LOGOUT),
        ("PC_OP_NOTICE", op::NOTICE),
        ("PC_OP_CHANGE_SECRET", op::CHANGE_SECRET),
        ("PC_OP_DIAGNOSE", op::DIAGNOSE),
        ("PC_OP_HEALTH", op::HEALTH),
        ("PC_LEVEL_ERROR", level::ERROR),
        ("PC_LEVEL_WARN", level::WARN),
        ("PC_LEVEL_INFO", level::INFO),
        ("PC_LEVEL_DEBUG", level::DEBUG),
    ] {
        same(name.to_owned(), ours.into());
    }
    lines.push("int main(void) { return 0; }\n".to_owned());
    lines.join("\n")
}

fn compiles(compiler: &str, standard: &str, file: &str, text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join(file);
    fs::write(&source, text).unwrap();
    let done = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg(&source)
        .output()
        .unwrap_or_else(|why| panic!("{compiler} is needed: {why}"));
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

#[test]
fn the_header_is_the_same_boundary_in_c11_and_cxx17() {
    compiles("cc", "-std=c11", "it.c", &program("_Static_assert")).unwrap();
    compiles("c++", "-std=c++17", "it.cc", &program("static_assert")).unwrap();
}

#[test]
fn a_number_that_differs_is_noticed() {
    let wrong = format!("{}_Static_assert(sizeof(pc_plugin) == 72, \"\");\n", program("_Static_assert"));
    assert!(compiles("cc", "-std=c11", "it.c", &wrong).is_err());
}
