//! The targets of `gateway/src/fuzz/targets.rs` under libFuzzer, which follows their branches:
//! `PORTCULLIS_FUZZ_TARGET` names the one. Without it the program writes each target's first
//! inputs into folders under `PORTCULLIS_FUZZ_SEEDS`, one folder for each, and ends.
#![no_main]

use std::{env, fs, path::Path, process::exit, sync::OnceLock};

fn target() -> &'static str {
    static TARGET: OnceLock<String> = OnceLock::new();
    TARGET.get_or_init(|| match (env::var("PORTCULLIS_FUZZ_TARGET"), env::var("PORTCULLIS_FUZZ_SEEDS")) {
        (Ok(name), _) => name,
        (_, Ok(folder)) => {
            write_seeds(Path::new(&folder));
            exit(0)
        }
        _ => panic!("PORTCULLIS_FUZZ_TARGET names no target"),
    })
}

fn write_seeds(folder: &Path) {
    for (name, corpus) in portcullis::fuzz::targets() {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        for (number, input) in corpus.iter().enumerate() {
            fs::write(folder.join(format!("first-{number}")), input).expect("a file can be written");
        }
    }
}

libfuzzer_sys::fuzz_target!(
    init: {
        target();
    },
    |bytes: &[u8]| portcullis::fuzz::check(target(), bytes)
);
