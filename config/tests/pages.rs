//! The configurations that the README and the pages of `docs/` quote are accepted as they
//! stand, so that nobody copies a file that does not load.

use portcullis_config::parse;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A fenced block of TOML: the page, the line it begins at, its text.
struct Quote {
    page: String,
    line: usize,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            pages(&path, into);
        } else if path.extension().is_some_and(|e| e == "md") {
            into.push(path);
        }
    }
}

/// Every block of a page. One inside a list is indented by what its fence is.
fn quotes(page: &Path) -> Vec<Quote> {
    let text = fs::read_to_string(page).expect("a page of the repository");
    let mut lines = text.lines().enumerate();
    let mut found = Vec::new();
    while let Some((at, line)) = lines.next() {
        if line.trim_start() != "```toml" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line.get(indent..).unwrap_or_default())
            .take_while(|line| !line.starts_with("```"))
            .collect();
        found.push(Quote { page: page.display().to_string(), line: at + 1, text: block.join("\n") + "\n" });
    }
    found
}

fn quickstart() -> String {
    let text = fs::read_to_string(root().join("config/examples/quickstart.toml")).expect("the example");
    text.split_once("\n\n").expect("a comment, then the file").1.to_owned()
}

#[test]
fn every_quoted_configuration_loads() {
    // Secrets that pages keep in variables.
    let env = [("GOOGLE_CLIENT_SECRET".to_owned(), "s".to_owned())];
    let mut all = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    pages(&root().join("docs"), &mut all);
    let quotes: Vec<Quote> = all.iter().flat_map(|page| quotes(page)).collect();
    assert!(quotes.len() >= 3, "the pages quote configurations");
    for Quote { page, line, text } in quotes {
        // A few tables alone are what one would add to the quickstart.
        let whole =
            if text.contains("[[routes]]") { text.clone() } else { format!("{}\n{text}", quickstart()) };
        if let Err(problems) = parse(&whole, Path::new("quoted.toml"), &env) {
            // The files that a page names are the reader's.
            let here = |message: &str| message.ends_with("No such file or directory (os error 2)");
            let messages: Vec<_> = problems.iter().map(|p| &p.message).filter(|m| !here(m)).collect();
            assert!(messages.is_empty(), "{page}:{line}: {messages:?}");
        }
    }
}

#[test]
fn the_readme_shows_the_quickstart_first_and_it_has_seven_lines() {
    let readme = quotes(&root().join("README.md"));
    assert_eq!(readme[0].text, quickstart());
    assert_eq!(quickstart().lines().filter(|line| !line.is_empty()).count(), 7);
}
