//! Libraries that are not loaded, and why: cases 15 to 22 of the plugin tests.

use super::{
    libraries::{ask, liar, local, odd, start, table},
    *,
};
use std::{fs, path::Path};

/// What became of the one library of these tables.
async fn refusal(path: &Path, keys: &str) -> String {
    let registry = start(&table("lib", path, keys)).await.unwrap();
    registry.libraries()[0].refusal().map_or_else(String::new, ToString::to_string)
}

/// Cases 15 and 17.
#[tokio::test]
async fn a_library_that_contradicts_itself_or_lacks_something_is_refused() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["-DINFO_ABI=\"[2,0]\""],
            "liar 1 uses plugin ABI 2.0, this gateway speaks 1.0; rebuild it against plugin-api 1.x (PLG-09)",
        ),
        (
            &["-DINFO_ABI=\"[1,7]\"", "-DINFO_LEAST=\"7\""],
            "liar 1 needs gateway plugin ABI 1.7 or newer, this gateway speaks 1.0 (PLG-10)",
        ),
        (&["-DINFO_ABI=\"[1,7]\"", "-DMINOR=7"], ""),
        (&["-DMINOR=3"], "descriptor says ABI 1.3, the .portcullis section says 1.0 (PLG-12)"),
        (&["-DSIZE=16"], "descriptor size 16 is impossible for ABI 1.x (at least 72) (PLG-12)"),
        (&["-DSIZE=72"], ""),
        (&["-DSIZE=99999"], "descriptor size 99999 is impossible for ABI 1.x (at least 72) (PLG-12)"),
        (&["-DNO_CALL", "-Wno-unused-function"], "descriptor function call is NULL (PLG-12)"),
        (&["-DNULL_TABLE"], "portcullis_plugin_v1 answered NULL (PLG-12)"),
        (
            &["-DNO_SECTION"],
            "no readable section .portcullis: not a Portcullis plugin (or built for another ABI major version) (PLG-08)",
        ),
        (
            &["-DBAD_INFO"],
            "its section .portcullis is not what it should be: not a Portcullis plugin (PLG-08)",
        ),
        (
            &["-DNO_SYMBOL"],
            "no exported symbol portcullis_plugin_v1: not a Portcullis plugin (or built for another ABI major version) (PLG-08)",
        ),
        (
            &["-DUNDEFINED"],
            "undefined symbol: nobody_defines_this; it needs a library that it does not name: link it with that one (PLG-11)",
        ),
    ];
    for (flags, why) in cases {
        let (_folder, path) = liar(flags);
        let said = refusal(&path, "").await;
        assert!(said.ends_with(why) && said.is_empty() == why.is_empty(), "{flags:?}: {said}");
    }
}

/// Case 16; `elf.rs` has the cut ones.
#[tokio::test]
async fn what_is_no_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.so");
    for (bytes, code) in
        [(&b""[..], "PLG-06"), (b"text", "PLG-06"), (&fs::read("/bin/true").unwrap(), "PLG-0")]
    {
        fs::write(&file, bytes).unwrap();
        assert!(refusal(&file, "").await.contains(code));
    }
    let said = refusal(&folder.path().join("absent.so"), "").await;
    assert!(said.ends_with("absent.so: No such file or directory (os error 2) (PLG-01)"), "{said}");
}

/// Case 18.
#[tokio::test]
async fn no_code_of_a_refused_library_has_run() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let flag = format!("-DMARK=\"{}\"", mark.display());
    for (flags, runs) in [(&["-DINFO_ABI=\"[2,0]\""][..], false), (&["-DNO_SECTION"], false), (&[], true)] {
        let (_folder, path) = liar(&[flags, &[&flag]].concat());
        refusal(&path, "").await;
        assert_eq!(mark.exists(), runs, "{flags:?}");
    }
}

/// Case 19.
#[tokio::test]
async fn a_library_is_what_it_was_pinned_as() {
    let (_folder, path) = liar(&[]);
    let pinned =
        |sha: &str| table("lib", &path, "").replace("danger_unpinned = true", &format!("sha256 = \"{sha}\""));
    let sha256 = crate::registry::inspect::inspect(&path).unwrap().sha256;
    for fits in [sha256.clone(), sha256.to_ascii_uppercase()] {
        assert!(start(&pinned(&fits)).await.unwrap().libraries()[0].refusal().is_none());
    }
    let other = "0".repeat(64);
    let registry = start(&pinned(&other)).await.unwrap();
    let said = registry.libraries()[0].refusal().unwrap().to_string();
    assert!(said.ends_with(&format!("sha256 is {sha256}, [plugins.lib] pins {other} (PLG-05)")), "{said}");
}

/// Case 21.
#[tokio::test]
async fn a_kind_has_one_provider_and_a_built_in_one_gives_way_only_when_told() {
    let both = table("one", odd(), "") + &table("two", odd(), "");
    let registry = start(&both).await.unwrap();
    let said: Vec<_> = registry.libraries().iter().map(|one| one.refusal().unwrap().to_string()).collect();
    assert!(said[0].contains("is already provided by [plugins.two] (PLG-13)"), "{said:?}");
    assert!(said[1].contains("is already provided by [plugins.one] (PLG-13)"), "{said:?}");
    assert_eq!(
        refusal(local(), "").await,
        "[plugins.lib]: kind \"local\" is built in; set override_builtin = true to replace it (PLG-13)"
    );
    let local_strategy = "[strategies.local]\nkind = \"local\"\n";
    for (keys, origin) in [("", "built in"), ("override_builtin = true", "library lib")] {
        let registry = start(&(table("lib", local(), keys) + local_strategy)).await.unwrap();
        assert_eq!(registry.get("local").unwrap().origin().to_string(), origin);
    }
}

/// Case 22.
#[tokio::test]
async fn one_bad_library_leaves_the_others_serving_and_a_required_strategy_stops_the_start() {
    let bad = table("bad", Path::new("/nowhere/x.so"), "");
    let good = table("good", odd(), "");
    let strategies = "[strategies.good]\nkind = \"odd\"\nadmit = \"anyone\"\n\
        [strategies.bad]\nkind = \"gone\"\nadmit = \"anyone\"\n";
    let registry = start(&format!("{bad}{good}{strategies}")).await.unwrap();
    assert!(ask(&registry.get("good").unwrap(), "deny", "").await.is_ok());
    let broken = registry.get("bad").unwrap();
    assert_eq!(ask(&broken, "deny", "").await.unwrap_err(), CallError::Unavailable);
    let why = broken.failure().unwrap();
    assert!(why.starts_with("kind \"gone\" is in no library that could be loaded: /nowhere"), "{why}");
    let required = format!("{bad}{good}{strategies}required = true\n");
    let problems = start(&required).await.unwrap_err();
    assert!(problems[0].message.contains("is required and did not start"), "{problems:?}");
    // Without a bad one it is a slip of the pen.
    let problems = start(&format!("{good}{strategies}")).await.unwrap_err();
    assert!(problems[0].message.contains("there is no strategy kind `gone`"), "{problems:?}");
}
