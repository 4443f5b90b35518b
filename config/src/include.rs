//! `include`: further files that are laid beside the first, as if all were one (contract
//! section 3). Tables join, arrays of tables append, and a key that is given twice is an
//! error that names both places. What may not come in: what any key means.

use crate::{
    problem::{At, Book},
    section::Text,
    tree::{self, Entry, Node, Table, Value},
};
use std::{
    fs, io,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A file that was included, where its text begins in the text of all of them, and its
/// path for messages.
pub(crate) struct Part {
    pub(crate) start: usize,
    pub(crate) name: String,
}

/// What one word of `include` led to.
struct Found {
    at: At,
    fault: String,
}

/// The texts of all files, and what could not be read.
pub(crate) struct Gathered {
    pub(crate) text: String,
    pub(crate) parts: Vec<Part>,
    faults: Vec<Found>,
}

impl Gathered {
    /// Those of the files that everybody can read, and what of the text is theirs. `first` is
    /// the one that includes the others.
    pub(crate) fn open_files(&self, first: &Path) -> Vec<(Range<usize>, PathBuf)> {
        let first = Some((0, first.to_owned()));
        let starts = first.into_iter().chain(self.parts.iter().map(|part| (part.start, (&part.name).into())));
        let starts: Vec<(usize, PathBuf)> = starts.collect();
        let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([usize::MAX]);
        let is_open = |file: &PathBuf| fs::metadata(file).is_ok_and(|found| found.mode() & 0o004 != 0);
        let all = starts.iter().zip(ends).filter(|((_, file), _)| is_open(file));
        all.map(|((start, file), end)| (*start..end, file.clone())).collect()
    }

    /// The folder of each included file, and where its text begins.
    pub(crate) fn folders(&self) -> Vec<(usize, PathBuf)> {
        let folder = |part: &Part| {
            let file = std::path::absolute(&part.name).unwrap_or_else(|_| PathBuf::from(&part.name));
            (part.start, file.parent().unwrap_or(Path::new("/")).to_owned())
        };
        self.parts.iter().map(folder).collect()
    }
}

/// Reads what the first file includes. `file` is its path as the user gave it.
pub(crate) fn gather(root: &Table, file: &Path, text: &str) -> Gathered {
    let mut all = Gathered { text: text.to_owned(), parts: Vec::new(), faults: Vec::new() };
    let folder = file.parent().unwrap_or(Path::new(""));
    for pattern in patterns(root) {
        let found = match expand(&folder.join(&pattern.text)) {
            Ok(found) => found,
            Err(error) => {
                let fault = format!("include \"{}\" cannot be read: {error}", pattern.text.escape_debug());
                all.faults.push(Found { at: pattern.at, fault });
                continue;
            }
        };
        for path in found {
            let name = path.display().to_string();
            if path == file || all.parts.iter().any(|part| part.name == name) {
                continue;
            }
            match fs::read_to_string(&path) {
                Ok(more) => {
                    // A file may end without a newline; the next begins on a line of its own.
                    all.text.push('\n');
                    all.parts.push(Part { start: all.text.len(), name });
                    all.text.push_str(&more);
                }
                Err(error) => {
                    let fault = format!("include: {name} cannot be read: {error}");
                    all.faults.push(Found { at: pattern.at.clone(), fault });
                }
            }
        }
    }
    all
}

/// A word or a list of words; what else it is, is a problem of [`join`].
fn patterns(root: &Table) -> Vec<Text> {
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Some(Text { at: node.at.clone(), text: text.clone() }),
        _ => None,
    };
    match root.get("include").map(|entry| &entry.node) {
        Some(Node { value: Value::List(items), .. }) => items.iter().filter_map(text).collect(),
        Some(node) => text(node).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Lays the included files beside the first; `include` itself is then done with.
pub(crate) fn join(root: &mut Table, gathered: &Gathered, book: &mut Book<'_>) {
    for found in &gathered.faults {
        book.refuse(&found.at, found.fault.clone());
    }
    if let Some(entry) = root.get("include") {
        let is_text = |node: &Node| matches!(node.value, Value::Text(_));
        let right = match &entry.node.value {
            Value::List(items) => items.iter().all(is_text),
            _ => is_text(&entry.node),
        };
        if !right {
            book.refuse(&entry.node.at, "include must be a string or a list of strings");
        }
    }
    root.entries.retain(|entry| entry.key != "include");
    for (index, part) in gathered.parts.iter().enumerate() {
        let end = gathered.parts.get(index + 1).map_or(gathered.text.len(), |next| next.start - 1);
        match tree::read_from(&gathered.text[part.start..end], part.start) {
            Ok(table) => lay_beside(root, table, true, book),
            Err(faults) => {
                for (offset, message) in faults {
                    book.refuse(&At::File(part.start + offset), message);
                }
            }
        }
    }
}

fn lay_beside(into: &mut Table, more: Table, is_root: bool, book: &mut Book<'_>) {
    for Entry { key, at, node } in more.entries {
        if is_root && key == "include" {
            book.refuse_with(&at, "an included file includes no others", "name them in the first file");
            continue;
        }
        let Some(there) = into.get_mut(&key) else {
            into.entries.push(Entry { key, at, node });
            continue;
        };
        let before = there.at.clone();
        match (&mut there.node.value, node.value) {
            (Value::Table(there), Value::Table(more)) => lay_beside(there, more, false, book),
            (Value::List(there), Value::List(more)) if are_tables(there) && are_tables(&more) => {
                there.extend(more);
            }
            _ => {
                let message =
                    format!("`{}` is given twice: also at {}", key.escape_debug(), book.place(&before));
                book.refuse(&at, message);
            }
        }
    }
}

fn are_tables(items: &[Node]) -> bool {
    items.iter().all(|item| matches!(item.value, Value::Table(_)))
}

/// The files that a pattern names, in the order of their names. `*` and `?` stand in the
/// last part of a path only. A pattern that nothing matches is no fault; a name is.
fn expand(path: &Path) -> io::Result<Vec<PathBuf>> {
    let pattern = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !pattern.contains(['*', '?']) {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        let hidden = text.starts_with('.') && !pattern.starts_with('.');
        if !hidden && matches(pattern.as_bytes(), text.as_bytes()) {
            found.push(path.with_file_name(&name));
        }
    }
    found.sort();
    Ok(found)
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
        (Some((b'?', rest)), Some((_, others))) => matches(rest, others),
        (Some((a, rest)), Some((b, others))) => a == b && matches(rest, others),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_number_of_letters_and_a_question_mark_is_one() {
        for (pattern, name, is) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml~", false),
            ("a?.toml", "ab.toml", true),
            ("a?.toml", "a.toml", false),
            ("*a*b*", "xaxxbx", true),
            ("*a*b*", "xbxxax", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), is, "{pattern} {name}");
        }
    }
}
