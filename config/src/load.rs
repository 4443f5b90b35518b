//! From a file to a [`Config`]: where to look, reading, the tables in order. What may
//! not come in: the rules of one table.

use crate::{
    Config, accounts, admin, aliases, assertion, endpoints, environment, identity_headers, include, limits,
    lockout, log, login, mail, nearest, plugins,
    problem::{At, Book, Problem},
    routes, server, session, store, strategies, token,
    tree::{self, Table, Value},
    unbuilt, upstreams,
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// What a table may need beside its own text.
pub(crate) struct Surroundings<'e> {
    /// The folder that relative paths belong to.
    pub(crate) folder: PathBuf,
    /// The folders of included files, and where their text begins.
    pub(crate) included: Vec<(usize, PathBuf)>,
    /// The environment.
    pub(crate) env: &'e [(String, String)],
    /// Those of the files that everybody on this machine can read, and where their text begins
    /// and ends.
    pub(crate) open_files: Vec<(Range<usize>, PathBuf)>,
}

impl Surroundings<'_> {
    /// The file in which this was written, if everybody on this machine can read it.
    pub(crate) fn open_file_at(&self, at: &At) -> Option<&Path> {
        let At::File(offset) = at else { return None };
        self.open_files.iter().find(|(range, _)| range.contains(offset)).map(|(_, file)| file.as_path())
    }

    /// The folder that a path belongs to which was written here.
    pub(crate) fn folder_at(&self, at: &At) -> &Path {
        let part = match at {
            At::File(offset) => self.included.iter().rev().find(|(start, _)| start <= offset),
            At::Variable(_) => None,
        };
        part.map_or(&self.folder, |(_, folder)| folder)
    }
}

/// The tables whose keys are fixed.
pub(crate) const TABLES: &[(&str, &[&str])] = &[
    ("server", server::KEYS),
    ("admin", admin::KEYS),
    ("store", store::KEYS),
    ("endpoints", endpoints::KEYS),
    ("login", login::KEYS),
    ("session", session::KEYS),
    ("token", token::KEYS),
    ("accounts", accounts::KEYS),
    ("mail", mail::KEYS),
    ("lockout", lockout::KEYS),
    ("assertion", assertion::KEYS),
    ("limits", limits::KEYS),
    ("log", log::KEYS),
];

/// The tables whose next keys are the operator's.
pub(crate) const OPEN_TABLES: &[&str] =
    &["strategies", "plugins", "upstreams", "routes", "aliases", "identity_headers"];

/// Where a configuration is looked for when nobody says where.
const USUAL: [&str; 2] = ["./portcullis.toml", "/etc/portcullis/portcullis.toml"];

/// Where to look, in this order: `flag`, `$PORTCULLIS_CONFIG`, `./portcullis.toml`,
/// `/etc/portcullis/portcullis.toml`. The error says all places that were tried. A file
/// that was named is not replaced by another when it is missing.
pub fn find(flag: Option<PathBuf>, env: &[(String, String)]) -> Result<PathBuf, String> {
    find_among(flag, env, &USUAL.map(PathBuf::from))
}

fn find_among(flag: Option<PathBuf>, env: &[(String, String)], usual: &[PathBuf]) -> Result<PathBuf, String> {
    let named = env.iter().find(|(name, value)| name == "PORTCULLIS_CONFIG" && !value.is_empty());
    let named = named.map(|(_, value)| (PathBuf::from(value), "$PORTCULLIS_CONFIG"));
    if let Some((file, by)) = flag.map(|file| (file, "-c")).or(named) {
        let at = |what: &str| format!("{what} at {} (named by {by})", file.display());
        return match file.try_exists() {
            Ok(true) => Ok(file),
            Ok(false) => Err(at("there is no configuration")),
            Err(error) => Err(format!("{}: {error}", at("the configuration cannot be reached"))),
        };
    }
    if let Some(file) = usual.iter().find(|file| file.exists()) {
        return Ok(file.clone());
    }
    let tried: Vec<String> = usual.iter().map(|file| file.display().to_string()).collect();
    Err(format!(
        "there is no configuration: -c was not given, $PORTCULLIS_CONFIG is not set, and neither {} exists\n    \
         help: write one (docs/configuration.md begins with seven lines), or name it with -c FILE",
        tried.join(" nor ")
    ))
}

/// Reads `file`, lays the `PORTCULLIS_TABLE__KEY` variables of `env` over it, and checks
/// the whole. All problems are reported at once.
pub fn load(file: &Path, env: &[(String, String)]) -> Result<Config, Vec<Problem>> {
    whole(load_anyway(file, env))
}

/// The same, and what could be read beside the problems: whoever looks for more of them goes
/// on with that. It is not fit to be served, because what is wrong in it has its default.
pub fn load_anyway(file: &Path, env: &[(String, String)]) -> (Option<Config>, Vec<Problem>) {
    let name = file.display().to_string();
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("cannot be read: {error}");
            return (None, vec![Problem { place: name, message, help: None, excerpt: None }]);
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => parse_file(&text, file, env, true),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let place = Book::new(name, &text).place(&At::File(valid));
            let help = Some("save the file as UTF-8".to_owned());
            let message = "this is not UTF-8".to_owned();
            (None, vec![Problem { place, message, help, excerpt: None }])
        }
    }
}

fn whole((config, problems): (Option<Config>, Vec<Problem>)) -> Result<Config, Vec<Problem>> {
    config.filter(|_| problems.is_empty()).ok_or(problems)
}

/// The same for text that is not in a file (the demo).
pub fn parse(text: &str, file: &Path, env: &[(String, String)]) -> Result<Config, Vec<Problem>> {
    whole(parse_file(text, file, env, false))
}

fn parse_file(
    text: &str,
    file: &Path,
    env: &[(String, String)],
    is_on_disk: bool,
) -> (Option<Config>, Vec<Problem>) {
    let name = file.display().to_string();
    let mut root = match tree::read(text) {
        Ok(root) => root,
        Err(faults) => return (None, syntax(faults, Book::new(name, text))),
    };
    let gathered = include::gather(&root, file, text);
    let mut book = Book::with_parts(name, &gathered.text, &gathered.parts);
    include::join(&mut root, &gathered, &mut book);
    environment::lay_over(&mut root, env, &mut book);
    check_tables(&root, &mut book);
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let folder = file.parent().unwrap_or(Path::new("/")).to_path_buf();
    let open_files = if is_on_disk { gathered.open_files(&file) } else { Vec::new() };
    let around = Surroundings { folder, included: gathered.folders(), env, open_files };
    let mut config = read(&root, file, &around, &mut book);
    match book.close() {
        Ok(warnings) => {
            config.warnings = warnings;
            (Some(config), Vec::new())
        }
        Err(problems) => {
            // Its kind is one of the problems: nobody can say more about it.
            config.strategies.retain(|strategy| !strategy.kind.is_empty());
            (Some(config), problems)
        }
    }
}

/// A fault often brings more on its own line; the first says it.
fn syntax(faults: Vec<(usize, String)>, mut book: Book<'_>) -> Vec<Problem> {
    let mut lines: Vec<String> = Vec::new();
    for (offset, message) in faults {
        let place = book.place(&At::File(offset));
        let line = place.rsplit_once(':').map_or(place.as_str(), |(line, _)| line).to_owned();
        if !lines.contains(&line) {
            lines.push(line);
            book.refuse(&At::File(offset), message);
        }
    }
    book.close().err().unwrap_or_default()
}

/// Each table is known, or not built yet, or unknown with its nearest name.
fn check_tables(root: &Table, book: &mut Book<'_>) {
    let known: Vec<&str> = TABLES.iter().map(|(name, _)| *name).chain(OPEN_TABLES.iter().copied()).collect();
    for entry in &root.entries {
        let key = entry.key.as_str();
        if known.contains(&key) {
            continue;
        }
        if unbuilt::keys("").contains(&key) {
            book.refuse(&entry.at, unbuilt::line(key));
        } else if let Some(written) = unbuilt::table(key) {
            book.refuse(&entry.at, unbuilt::line(written));
        } else {
            let later: Vec<&str> = unbuilt::tables().chain(unbuilt::keys("").iter().copied()).collect();
            let shown = key.escape_debug();
            let what = match entry.node.value {
                Value::Table(_) => format!("unknown table [{shown}]"),
                _ => format!("unknown key `{shown}`"),
            };
            book.refuse_with(&entry.at, what, nearest::help(key, &known, &later));
        }
    }
}

fn read(root: &Table, file: PathBuf, around: &Surroundings<'_>, book: &mut Book<'_>) -> Config {
    let server = server::read(root, around, book);
    let plugins = plugins::read(root, around, book);
    let read = strategies::read(root, around, book);
    let strategies = &read.strategies;
    let login = login::read(root, strategies, around, book);
    let upstreams = upstreams::read(root, around, book);
    let endpoints = endpoints::read(root, book);
    let ids: Vec<&str> = strategies.iter().map(|strategy| strategy.id.as_str()).collect();
    let token = token::read(root, &server.public_url, &ids, around, book);
    // A policy may name an issuer of bearers as it names a strategy.
    let known: Vec<&str> =
        ids.iter().copied().chain(token.trusted.iter().map(|issuer| issuer.id.as_str())).collect();
    let routes = routes::read(root, &upstreams, &known, &endpoints, book);
    let accounts = accounts::read(root, strategies, login.default.as_deref(), book);
    let (strategies, settings_places) = read.over(&accounts);
    let (identity_headers, strip_headers) = identity_headers::read(root, book);
    let assertion = assertion::read(root, book);
    identity_headers::check_assertion(root, &assertion.header, &identity_headers, book);
    if strategies.is_empty() {
        let help = "write [strategies.local] and kind = \"local\"";
        book.warn(&At::File(0), "no [strategies.ID]: nobody can sign in", help);
    }
    if routes.is_empty() {
        let help = "write [[routes]] with a path and an upstream";
        book.warn(
            &At::File(0),
            "no [[routes]]: every request beside the gateway's own is answered 404",
            help,
        );
    }
    Config {
        file,
        admin: admin::read(root, &server, book),
        aliases: aliases::read(root, &endpoints, &routes, &strategies, book),
        store: store::read(root, around, book),
        session: session::read(root, book),
        token,
        mail: mail::read(root, around, book),
        lockout: lockout::read(root, book),
        limits: limits::read(root, book),
        log: log::read(root, book),
        server,
        accounts,
        endpoints,
        login,
        strategies,
        plugins,
        upstreams,
        routes,
        identity_headers,
        strip_headers,
        assertion,
        warnings: Vec::new(),
        settings_places,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_before_the_variable_and_both_before_the_usual_places() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").expect("it is written");
            path
        };
        let (flag, named, here, system) = (file("flag"), file("named"), file("here"), file("system"));
        let env = vec![("PORTCULLIS_CONFIG".to_owned(), named.display().to_string())];
        let usual = [here.clone(), system.clone()];
        assert_eq!(find_among(Some(flag.clone()), &env, &usual), Ok(flag));
        assert_eq!(find_among(None, &env, &usual), Ok(named));
        assert_eq!(find_among(None, &[], &usual), Ok(here.clone()));
        std::fs::remove_file(here).expect("it is removed");
        assert_eq!(find_among(None, &[], &usual), Ok(system));
    }

    #[test]
    fn a_file_that_was_named_and_is_missing_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let (gone, here) = (folder.path().join("gone"), folder.path().join("here"));
        std::fs::write(&here, "").expect("it is written");
        let error =
            find_among(Some(gone.clone()), &[], std::slice::from_ref(&here)).expect_err("it is missing");
        assert_eq!(error, format!("there is no configuration at {} (named by -c)", gone.display()));
        let nowhere = find_among(None, &[], &[gone.clone(), gone.clone()]).expect_err("there is none");
        assert!(nowhere.contains(&format!("neither {0} nor {0} exists", gone.display())), "{nowhere}");
        assert!(nowhere.contains("-c FILE"), "{nowhere}");
    }
}
