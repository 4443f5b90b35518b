//! `portcullis demo`: the first minute of a stranger (contract section 2).

use portcullis_tests::{Gateway, Request, login::login, program::command, services::service};
use serde_json::Value;
use std::{process::Command, sync::Arc};

fn demo(more: &[&str]) -> Gateway {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut command = command(folder.path());
    command.args(["demo", "--listen", "127.0.0.1:0"]).args(more);
    Gateway::spawn(folder, &mut command)
}

/// The line of `--json`.
fn line(gateway: &Gateway) -> Value {
    portcullis_tests::until("the line of JSON", || {
        gateway
            .output()
            .lines()
            .find_map(|l| serde_json::from_str::<Value>(l).ok().filter(|v| v.get("password").is_some()))
    })
}

#[test]
fn json_gives_url_name_and_password_that_work() {
    let gateway = demo(&["--json"]);
    let line = line(&gateway);
    let (url, name, password) =
        (line["url"].as_str().unwrap(), line["name"].as_str().unwrap(), line["password"].as_str().unwrap());
    assert_eq!(url.trim_end_matches('/'), gateway.url());
    assert_eq!(line.as_object().unwrap().len(), 3, "{line}");
    gateway.send(&Request::get("/anything")).expect(401, "login_required");
    let login = login(&gateway, name, password);
    // The built-in upstream answers with what it received.
    let answer = gateway
        .send(&Request::get("/anything?x=1").cookie(&login.cookie).with("X-Mine", "hello"))
        .expect(200, "");
    let text = answer.text();
    for wanted in ["/anything?x=1", "GET", "hello", name] {
        assert!(text.contains(wanted), "no {wanted}: {text}");
    }
    assert!(text.to_lowercase().contains("remote-user") && !text.contains(&login.cookie), "{text}");
    let page = gateway.send(&Request::get("/").cookie(&login.cookie).navigation()).expect(200, "");
    assert!(page.header("content-type").is_some_and(|t| t.starts_with("text/html")), "{page:?}");
}

#[test]
fn two_demos_have_two_passwords() {
    let (one, other) = (demo(&["--json"]), demo(&["--json"]));
    assert_ne!(line(&one)["password"], line(&other)["password"]);
}

#[test]
fn the_three_curl_lines_work_as_printed() {
    if service("curl").is_none() {
        return;
    }
    let gateway = demo(&[]);
    let lines: Vec<String> = portcullis_tests::until("three curl lines", || {
        let output = gateway.output();
        let lines: Vec<String> = output
            .lines()
            .map(|l| l.trim().trim_start_matches("$ "))
            .filter(|l| l.starts_with("curl "))
            .map(Into::into)
            .collect();
        (lines.len() >= 3).then_some(lines)
    });
    assert_eq!(lines.len(), 3, "{lines:?}");
    let folder = tempfile::tempdir().unwrap();
    // One shell, as a person would paste them; whatever they leave lies in the folder.
    let script = lines.join("\necho; echo ---\n");
    let output = Command::new("sh").args(["-e", "-c", &script]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.to_lowercase().contains("remote-user"), "identity is seen in\n{script}\n{said}");
    assert!(!said.contains("invalid_token") && !said.contains("bad_credentials"), "{script}\n{said}");
}

#[test]
fn data_keeps_the_store_where_it_was_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo-data");
    let _gateway = demo(&["--data", data.to_str().unwrap()]);
    assert!(std::fs::read_dir(&data).is_ok_and(|mut d| d.next().is_some()));
}
