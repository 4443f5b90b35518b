//! Every problem of a file is named at its place, with what to write instead. The cases
//! are in `bad_input/*.txt`: some lines of a file, then, indented, exactly what `check`
//! says of them. Lines that begin with a table follow the seven lines of the contract
//! (so the first of them is line 8); others come before.

use portcullis_config::{Problem, load, parse};
use std::path::Path;

const SEVEN_LINES: &str = r#"[strategies.local]
kind = "local"
[upstreams.api]
urls = ["http://127.0.0.1:3000"]
[[routes]]
path = "/*"
upstream = "api"
"#;

fn problems(text: &str) -> Vec<Problem> {
    parse(text, Path::new("p"), &[]).err().unwrap_or_default()
}

/// What `check` prints, as a case has it.
fn said(text: &str) -> String {
    let shown = problems(text).iter().map(|problem| format!("{problem}\n")).collect::<String>();
    let lines = shown.lines().map(|line| line.strip_prefix("p:").unwrap_or(line.trim_start()));
    lines.map(|line| format!("    {line}\n")).collect()
}

#[test]
fn each_bad_input_is_answered_with_its_place_and_what_to_write() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input");
    let mut cases = 0;
    let mut differences = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for case in text.split("\n\n") {
            let (expected, input): (Vec<&str>, Vec<&str>) =
                case.lines().partition(|line| line.starts_with("    "));
            let input = input.join("\n");
            let whole = match input.starts_with('[') {
                true => format!("{SEVEN_LINES}{input}"),
                false => format!("{input}\n{SEVEN_LINES}"),
            };
            let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
            let found = said(&whole);
            cases += 1;
            if expected.is_empty() || found != expected {
                differences.push(format!("{input}\n  expected\n{expected}  found\n{found}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(cases > 100, "only {cases} cases were read");
}

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_file() {
    let found =
        problems(&format!("{SEVEN_LINES}[server]\nlisen = \"x\"\n[[token.trusted]]\n[log]\naccess = 1\n"));
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "p:9:1: unknown key `lisen` in [server]\n    help: did you mean `listen`?",
            "p:10:1: [[token.trusted]] has no id",
            "p:10:1: [[token.trusted]] has no issuer",
            "p:10:1: [[token.trusted]] has no audience",
            "p:12:10: [log] access must be true or false, not an integer",
        ]
    );
}

#[test]
fn a_column_counts_characters_and_the_place_has_the_path_as_it_was_given() {
    let found = parse("[server]\nhosts = [\"é\", \"b\", 3]", Path::new("../gw/p.toml"), &[]).unwrap_err();
    let places: Vec<&str> = found.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["../gw/p.toml:2:10", "../gw/p.toml:2:20"]);
}

#[test]
fn two_faults_of_syntax_are_two_problems() {
    let found = problems("a = \n[server]\nb = ]\n");
    let places: Vec<&str> = found.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["p:1:5", "p:3:5"]);
}

#[test]
fn a_file_that_cannot_be_read_or_is_no_text_is_a_problem_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    let found = load(&file, &[]).unwrap_err();
    assert!(found[0].message.starts_with("cannot be read"), "{found:?}");
    std::fs::write(&file, b"[server]\n# \xff\n").unwrap();
    let found = load(&file, &[]).unwrap_err();
    assert_eq!(found[0].place, format!("{}:2:3", file.display()));
    assert_eq!(found[0].message, "this is not UTF-8");
}

#[test]
fn what_works_but_deserves_a_look_is_a_warning() {
    let text = format!(
        "{SEVEN_LINES}[server]\npublic_url = \"http://gw.example.com\"\ndanger_plaintext = true\n\
         trusted_proxies = [\"0.0.0.0/0\"]\n[[routes]]\npath = \"/login/x\"\nupstream = \"api\"\n"
    );
    let config = parse(&text, Path::new("p"), &[]).unwrap();
    let said: Vec<String> = config.warnings.iter().map(|w| format!("{}: {}", w.place, w.message)).collect();
    assert_eq!(
        said,
        [
            "p:9:14: [server] public_url is http: passwords and cookies can be read on the way",
            "p:11:20: [server] trusted_proxies holds every address: any client can claim another's",
            "p:13:8: [[routes]] \"/login/x\" is never used: [endpoints] login lies there",
        ]
    );
    assert_eq!(parse("", Path::new("p"), &[]).unwrap().warnings.len(), 2);
}
