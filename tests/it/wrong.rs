//! Wrong command lines and wrong configurations, each with the exact answer: the exit code,
//! the place, and what to type or write instead. The cases are in `wrong.txt`: a command,
//! variables, lines that follow the seven of the contract (so the first of them is line 8),
//! the code, and everything that is said. `DIR` is the folder it was said in.

use portcullis_tests::program::{Ended, command, finish};
use std::fs;

const SEVEN_LINES: &str = "[strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n\
                           [[routes]]\npath = \"/*\"\nupstream = \"api\"\n";

const TABLE: &str = include_str!("wrong.txt");

#[derive(Default)]
struct Case<'a> {
    command: &'a str,
    variables: Vec<(&'a str, &'a str)>,
    file: String,
    code: i32,
    said: String,
}

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in TABLE.lines() {
        if let Some(command) = line.strip_prefix("## command:") {
            cases.push(Case { command, ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with its command");
        if let Some(variable) = line.strip_prefix("## env: ") {
            case.variables.push(variable.split_once('=').expect("it has a value"));
        } else if let Some(more) = line.strip_prefix("## file: ") {
            case.file += &format!("{more}\n");
        } else if let Some(code) = line.strip_prefix("## answer: ") {
            case.code = code.parse().expect("an exit code");
        } else {
            case.said += &format!("{line}\n");
        }
    }
    cases
}

fn answer(case: &Case<'_>) -> (Ended, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.toml"), format!("{SEVEN_LINES}{}", case.file)).unwrap();
    let mut command = command(folder.path());
    command.args(case.command.split_whitespace()).envs(case.variables.iter().copied());
    let ended = finish(&mut command, "");
    let said = ended.stderr.replace(&folder.path().display().to_string(), "DIR");
    (ended, said)
}

#[test]
fn each_wrong_command_line_and_configuration_is_answered_exactly_so() {
    let cases = cases();
    assert!(cases.len() >= 100, "only {} cases were read", cases.len());
    let mut different = Vec::new();
    for case in &cases {
        let (ended, said) = answer(case);
        let said = said.trim_end();
        if (ended.code, said, ended.stdout.as_str()) != (case.code, case.said.trim_end(), "") {
            different.push(format!(
                "portcullis{}\n{}--- {} expected\n{}\n--- {} found\n{said}\n{}",
                case.command,
                case.file,
                case.code,
                case.said.trim_end(),
                ended.code,
                ended.stdout
            ));
        }
    }
    assert!(different.is_empty(), "{} differ:\n\n{}", different.len(), different.join("\n\n"));
}

#[test]
fn no_answer_has_a_panic_a_stack_a_secret_or_a_control_character_and_each_says_what_to_do() {
    for case in cases() {
        let said = case.said.as_str();
        assert!(matches!(case.code, 1 | 2), "{}: {}", case.command, case.code);
        for never in ["panicked", "RUST_BACKTRACE", "stack backtrace", ".rs:", "hunter2"] {
            assert!(!said.contains(never), "{never}: {said}");
        }
        assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
        let remedy = match case.code {
            2 => said.contains("--help") || said.contains("Usage:"),
            _ => said.trim().lines().count() > 0,
        };
        assert!(remedy, "{}: {said}", case.command);
    }
}
