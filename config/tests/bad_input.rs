//! Every problem of a file is named at its place, with what to write instead.

use portcullis_config::{Problem, parse};
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
    parse(text, Path::new("p.toml"), &[]).err().unwrap_or_default()
}

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_file() {
    let found = problems(&format!("{SEVEN_LINES}[server]\nlisen = \"x\"\n[mail]\n"));
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "p.toml:9:1: unknown key `lisen` in [server]\n    help: did you mean `listen`?",
            "p.toml:10:2: [mail] is not built yet"
        ]
    );
}
