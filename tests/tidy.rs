//! Rules that a compiler does not check, checked from the sources: who may import whom
//! (architecture, section 2), how large a file and a function may be, what docs name.

#![allow(clippy::unwrap_used)] // tests: a panic is the report

#[path = "tidy/rows.rs"]
mod rows;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file: its path from the top of the repository, and its text.
struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    portcullis_tests::program::root()
}

/// Every file below a folder that ends so, without what is built.
fn files(folder: &Path, ending: &str, into: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                files(&path, ending, into);
            }
        } else if name.ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            into.push(Source { path, text });
        }
    }
}

fn sources() -> Vec<Source> {
    let mut all = Vec::new();
    files(&root(), ".rs", &mut all);
    assert!(all.len() > 50, "the sources are where they were");
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The lines of code: without comments, without the unit tests at the end of a file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().enumerate().map(|(at, line)| {
        let end = line.find("//").unwrap_or(line.len());
        (at + 1, line[..end].trim_end())
    })
}

/// Whether a whole file is tests.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Panics with all places where code outside of tests names one of these words.
#[track_caller]
fn never_named(rule: &str, applies: impl Fn(&str) -> bool, words: &[&str]) {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| applies(&s.path) && !is_test(&s.path)) {
        for (at, line) in code(&source.text) {
            if words.iter().any(|word| names(line, word)) {
                found.push(format!("{}:{at}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Whether a line has the word, not as a part of a longer one.
fn names(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    // A word that ends in a symbol (`portcullis::`) has its end there.
    let open =
        |edge: Option<char>, beside: Option<char>| !(edge.is_some_and(part) && beside.is_some_and(part));
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        open(word.chars().next(), before.chars().next_back())
            && open(word.chars().next_back(), after.chars().next())
    })
}

#[test]
fn every_file_says_what_is_in_the_room() {
    let bare: Vec<_> =
        sources().into_iter().filter(|s| !s.text.starts_with("//! ")).map(|s| s.path).collect();
    assert!(bare.is_empty(), "these do not open with `//! `: {bare:?}");
}

#[test]
fn no_file_is_longer_than_500_lines_and_none_is_called_utils() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines: it is two rooms", source.path);
        let name = source.path.rsplit('/').next().unwrap();
        assert!(
            !["utils.rs", "util.rs", "helpers.rs", "misc.rs"].contains(&name),
            "{}: name what is in it",
            source.path
        );
    }
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let mut long = Vec::new();
    for source in sources() {
        for (name, at, lines) in functions(&source.text) {
            if lines > 70 {
                long.push(format!("{}:{at}: {name} has {lines} lines", source.path));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Name, first line and length of each function, as rustfmt lays them out: the closing
/// brace stands where the line with `fn` begins.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(name) = function_name(trimmed) else { continue };
        let closing = format!("{}}}", &line[..line.len() - trimmed.len()]);
        if line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let end = lines[at..]
            .iter()
            .position(|l| *l == closing || l.starts_with(&format!("{closing})")))
            .unwrap_or(0);
        found.push((name, at + 1, end + 1));
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    loop {
        match words.next()? {
            "fn" => break,
            w if ["pub", "async", "const", "extern", "unsafe"].contains(&w) || w.starts_with("pub(") => {}
            _ => return None,
        }
    }
    let name = words.next()?;
    Some(name.split(['(', '<']).next().unwrap_or(name).to_owned())
}

#[test]
fn the_length_of_a_function_is_counted_right() {
    let text = "fn one() {\n    x();\n}\n\nimpl A {\n    pub async fn two(\n        a: B,\n    ) {\n        y();\n    }\n    fn three();\n}\n";
    let found = functions(text);
    let found: Vec<_> = found.iter().map(|(n, at, l)| (n.as_str(), *at, *l)).collect();
    assert_eq!(found[..2], [("one", 1, 3), ("two", 6, 5)]);
}

#[test]
fn a_word_is_found_only_as_a_word() {
    assert!(names("use portcullis::app;", "portcullis::") && names("x(tokio::spawn)", "tokio"));
    assert!(!names("use xportcullis::app;", "portcullis::") && !names("my_tokio_x", "tokio"));
}

#[test]
fn the_data_plane_imports_no_login_accounts_store_or_registry() {
    let words =
        ["crate::login", "crate::accounts", "crate::store", "crate::registry", "crate::control", "rusqlite"];
    never_named("what proxy may not see", |p| p.starts_with("gateway/src/proxy/"), &words);
    // The same in a nested `use crate::{…}`.
    for source in sources().iter().filter(|s| s.path.starts_with("gateway/src/proxy/")) {
        let all: String = code(&source.text).map(|(_, l)| l).collect::<Vec<_>>().join(" ");
        for group in all.split("use crate::{").skip(1) {
            let group = &group[..group.find("};").unwrap_or(group.len())];
            for room in ["login", "accounts", "store", "registry", "control"] {
                let inside = group.split(',').any(|item| {
                    let item = item.trim();
                    item == room || item.starts_with(&format!("{room}::"))
                });
                assert!(!inside, "{} imports {room}", source.path);
            }
        }
    }
}

#[test]
fn a_strategy_is_named_in_one_file() {
    never_named(
        "only registry/builtin.rs names a strategy's crate",
        |p| p.starts_with("gateway/") && p != "gateway/src/registry/builtin.rs",
        &["portcullis_strategy_local", "portcullis_strategy_oauth", "portcullis_strategy_ldap"],
    );
}

#[test]
fn strategies_and_configuration_know_the_plugin_api_only() {
    never_named(
        "strategies import plugin-api only",
        |p| p.starts_with("strategies/"),
        &["portcullis::", "use portcullis;", "portcullis_config"],
    );
    never_named(
        "config imports plugin-api only",
        |p| p.starts_with("config/"),
        &["portcullis::", "portcullis_strategy_local"],
    );
    never_named(
        "no runtime is in the face of plugin-api",
        |p| p.starts_with("plugin-api/src/") && !p.starts_with("plugin-api/src/sdk/"),
        &["tokio"],
    );
    never_named(
        "libloading is named in one file",
        |p| p != "gateway/src/registry/library.rs" && p != "tests/tidy.rs",
        &["libloading"],
    );
    never_named(
        "plugin-api stands alone",
        |p| p.starts_with("plugin-api/src/"),
        &["hyper", "libloading", "portcullis_config", "portcullis::", "portcullis_strategy_local"],
    );
    never_named(
        "openid stands alone",
        |p| p.starts_with("openid/src/"),
        &["portcullis_config", "portcullis_plugin_api", "portcullis::", "portcullis_strategy_oauth"],
    );
    for (manifest, allowed) in [
        // Of the threads of a library: `sdk/`.
        ("plugin-api/Cargo.toml", ["tokio"].as_slice()),
        ("config/Cargo.toml", &["portcullis-plugin-api"]),
        ("strategies/local/Cargo.toml", &["portcullis-plugin-api"]),
        ("strategies/oauth/Cargo.toml", &["portcullis-plugin-api", "portcullis-openid"]),
    ] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let section = text.split("\n[dependencies]").nth(1).unwrap_or_default();
        let section = &section[..section.find("\n[").unwrap_or(section.len())];
        for line in section
            .lines()
            .filter(|l| l.starts_with("portcullis") || l.starts_with("tokio") || l.starts_with("hyper"))
        {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&name), "{manifest} depends on {name}");
        }
    }
}

#[test]
fn nothing_is_unsafe_and_the_clock_is_read_in_one_file() {
    let this = |p: &str| p == "tests/tidy.rs";
    // Both sides of the boundary; a plugin that breaks its rules on purpose is a test.
    let boundary = |p: &str| {
        ["plugin-api/src/abi.rs", "plugin-api/src/export.rs", "gateway/src/registry/library.rs"].contains(&p)
            || p.starts_with("plugin-api/src/sdk/")
            || p.starts_with("gateway/src/registry/library/")
    };
    never_named(
        "unsafe is for the plugin boundary",
        |p| !this(p) && !boundary(p) && !p.starts_with("tests/plugins/"),
        &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code)"],
    );
    never_named(
        "the wall clock is read in clock.rs",
        |p| !this(p) && p != "gateway/src/clock.rs",
        &["SystemTime::now", "Utc::now", "OffsetDateTime::now_utc"],
    );
}

#[test]
fn docs_name_only_paths_that_exist() {
    let root = root();
    let mut docs = Vec::new();
    files(&root.join("docs"), ".md", &mut docs);
    for name in ["README.md", "CHANGELOG.md", "SECURITY.md"] {
        let text = fs::read_to_string(root.join(name)).unwrap_or_default();
        docs.push(Source { path: name.into(), text });
    }
    let mut wrong = Vec::new();
    for doc in &docs {
        let folder = root.join(&doc.path).parent().unwrap().to_owned();
        for path in doc.text.split('`').skip(1).step_by(2).filter(|word| is_repository_path(word)) {
            if !root.join(path).exists() && !folder.join(path).exists() {
                wrong.push(format!("{}: `{path}`", doc.path));
            }
        }
        for link in doc.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains(':') && !folder.join(path).exists() {
                wrong.push(format!("{}: link to {path}", doc.path));
            }
            if let Some((path, heading)) = link.split_once('#').filter(|(path, _)| !path.contains(':')) {
                let page = if path.is_empty() { root.join(&doc.path) } else { folder.join(path) };
                let text = fs::read_to_string(page).unwrap_or_default();
                if !text.lines().any(|line| line.starts_with('#') && anchor(line) == heading) {
                    wrong.push(format!("{}: link to the heading {link}", doc.path));
                }
            }
        }
        for mark in ["src=\"", "srcset=\""] {
            for path in doc.text.split(mark).skip(1).filter_map(|rest| rest.split('"').next()) {
                if !folder.join(path).exists() {
                    wrong.push(format!("{}: image {path}", doc.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "docs name what is not there:\n{}", wrong.join("\n"));
}

#[test]
fn every_test_that_the_table_of_capabilities_names_is_one() {
    let page = fs::read_to_string(root().join("docs/seeds.md")).unwrap();
    let all: String = sources().iter().map(|source| source.text.as_str()).collect();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let named: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 60, "only {} are named", named.len());
    for name in named {
        assert!(
            all.contains(&format!("fn {name}(")),
            "docs/seeds.md names {name}, and there is no such test"
        );
    }
}

#[test]
fn every_capability_and_every_mistake_has_its_row() {
    let page = fs::read_to_string(root().join("docs/seeds.md")).unwrap();
    let (capabilities, mistakes) = page.split_once("## Mistakes").unwrap();
    let elsewhere: Vec<u32> = (72..=79).chain([43, 44, 48, 82, 85, 88, 92]).collect();
    for (table, last, elsewhere) in [(capabilities, 95, elsewhere), (mistakes, 42, vec![40])] {
        let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
        let numbers = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|first| first.split(','));
        let there: Vec<u32> = numbers.filter_map(|number| number.trim().parse().ok()).collect();
        let missing: Vec<u32> =
            (1..=last).filter(|row| !there.contains(row) && !elsewhere.contains(row)).collect();
        assert!(missing.is_empty(), "docs/seeds.md has no row for {missing:?}");
    }
}

#[test]
fn every_page_is_in_the_summary_of_the_book() {
    let mut pages = Vec::new();
    files(&root().join("docs"), ".md", &mut pages);
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    for page in pages.iter().map(|page| page.path.trim_start_matches("docs/")) {
        assert!(
            page == "SUMMARY.md" || summary.contains(&format!("]({page})")),
            "{page} is not in SUMMARY.md"
        );
    }
}

/// What lies beside docs/ is in the repository and in no book made of docs/: pages name it
/// and do not link to it.
#[test]
fn no_link_of_the_book_leads_out_of_it() {
    let mut pages = Vec::new();
    files(&root().join("docs"), ".md", &mut pages);
    let book = root().join("docs");
    let mut wrong = Vec::new();
    for page in &pages {
        let folder = root().join(&page.path).parent().unwrap().to_owned();
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let inside = || folder.join(link).canonicalize().is_ok_and(|path| path.starts_with(&book));
            if !link.is_empty() && !link.contains(':') && !inside() {
                wrong.push(format!("{}: {link}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "links out of the book:\n{}", wrong.join("\n"));
}

/// The name under which a heading is linked to, as GitHub and mdbook make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A path that begins at a room of the repository.
fn is_repository_path(word: &str) -> bool {
    let rooms = [
        "gateway/",
        "openid/",
        "config/src",
        "config/examples/",
        "plugin-api/",
        "strategies/local",
        "strategies/oauth",
        "tests/",
        "docs/",
        ".ci/",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    rooms.iter().any(|room| word.starts_with(room)) && word.chars().all(plain)
}

/// T-05, Q-07, M-02: the first versions without what was found in those before.
const FLOORS: &[(&str, [u32; 3], &str)] = &[
    ("rustls", [0, 23, 45], "RUSTSEC-2026-0285"),
    ("rustls-webpki", [0, 103, 13], "RUSTSEC-2026-0049, -0098, -0099, -0104"),
    ("h2", [0, 4, 16], "RUSTSEC-2026-0258"),
    ("hyper", [1, 11, 0], "hyper #4124"),
    ("jsonwebtoken", [10, 3, 0], "CVE-2026-25537"),
];

#[test]
fn every_locked_version_is_above_those_with_known_holes() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for (name, floor, why) in FLOORS {
        let versions: Vec<&str> = lock
            .split("\n[[package]]\n")
            .filter(|package| package.lines().any(|line| line == format!("name = \"{name}\"")))
            .filter_map(|package| package.lines().find_map(|line| line.strip_prefix("version = \"")))
            .map(|version| version.trim_end_matches('"'))
            .collect();
        assert!(!versions.is_empty(), "{name} is locked");
        for version in versions {
            let numbers: Vec<u32> = version.split(['.', '-', '+']).map_while(|n| n.parse().ok()).collect();
            assert!(numbers.as_slice() >= floor, "{name} {version} is older than {floor:?}: {why}");
        }
    }
}
