//! `[login] templates` and `[login] logo`: an operator's pages over the built-in ones.

use portcullis_tests::{Gateway, Request, program::run, site::config, until};
use std::{fs, path::Path, sync::Arc};
use tempfile::TempDir;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n not much of a picture";

/// A folder with a configuration, and with these files.
fn folder(login: &str, files: &[(&str, &[u8])]) -> Arc<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let text = config("http://127.0.0.1:1", "", &format!("[login]\n{login}"));
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    Arc::new(folder)
}

fn check(folder: &Path) -> (i32, String) {
    let ended = run(folder, &["check", "-c", "portcullis.toml"], "");
    (ended.code, ended.stderr)
}

#[test]
fn a_file_of_the_folder_replaces_the_page_of_its_name_and_no_other() {
    let login = "{% extends 'layout.html' %}{% block content %}<h2>Mine</h2>\
                 <form method=post action=\"{{ action }}\"><input name=username><input name=password>\
                 <input type=hidden name=return_to value=\"{{ return_to }}\"></form>{{ error }}{% endblock %}";
    let css = "main { border: 3px solid }";
    let folder = folder(
        "templates = \"pages\"",
        &[
            ("pages/login.html", login.as_bytes()),
            ("pages/style.css", css.as_bytes()),
            ("pages/README", b"x"),
        ],
    );
    let gateway = Gateway::start_in(folder, &[]);
    let page = gateway.send(&Request::get("/login?return_to=/a%22b").navigation()).expect(200, "");
    let html = page.text();
    assert!(html.contains("<h2>Mine</h2>") && html.contains(css), "{html}");
    assert!(html.contains("value=\"/a&quot;b\"") || html.contains("value=\"/\""), "{html}");
    // The data plane's own pages are the same ones, with the same policy.
    let forbidden = gateway.send(&Request::get("/a//../%00").navigation()).expect(400, "");
    assert!(forbidden.text().contains("<svg") && forbidden.text().contains(css), "{}", forbidden.text());
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert_eq!(forbidden.header("content-security-policy"), Some(policy.as_str()));
    // What was typed is text in an operator's page too.
    let form = "username=%3Cscript%3E&password=x&return_to=%22%3E%3Cscript%3E";
    let failed = gateway.send(&Request::post("/login/local").navigation().form(form));
    assert_eq!(failed.status, 401);
    assert!(!failed.text().contains("<script"), "{}", failed.text());
}

#[test]
fn a_broken_template_is_a_problem_with_file_and_line_at_check_and_at_start() {
    let folder = folder("templates = \"pages\"", &[("pages/login.html", b"<p>\n<p>\n{{ nobody")]);
    let (code, said) = check(folder.path());
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("pages/login.html:3: the template does not work"), "{said}");
    let started = run(folder.path(), &["serve", "-c", "portcullis.toml"], "").with_code(1);
    assert!(started.stderr.contains("pages/login.html:3"), "{started:?}");
    fs::write(folder.path().join("pages/login.html"), "{{ heading }}").unwrap();
    let (code, said) = check(folder.path());
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_logo_is_shown_on_every_page_and_fetched_from_nowhere() {
    let gateway = Gateway::start_in(folder("logo = \"art/logo\"", &[("art/logo", PNG)]), &[]);
    for target in ["/login", "/auth/nothing", "/%00"] {
        let page = gateway.send(&Request::get(target).navigation());
        let html = page.text();
        assert!(html.contains("src=\"data:image/png;base64,iVBOR"), "{target}: {html}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'; img-src data:;"), "{target}: {policy}");
    }
}

#[test]
fn a_logo_that_is_none_is_refused_where_it_is_named() {
    let large = vec![b' '; 64 * 1024 + 1];
    let files: [(&str, &[u8]); 3] = [("page", b"<html>"), ("gif", b"GIF89a"), ("large", &large)];
    for (name, why) in [
        ("page", "is no image that browsers show"),
        ("gif", "is no image that browsers show"),
        ("large", "is larger than 64 KiB"),
        ("gone", "cannot be read"),
        (".", "is not a regular file"),
    ] {
        let folder = folder(&format!("logo = \"{name}\""), &files);
        let (code, said) = check(folder.path());
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("portcullis.toml:") && said.contains("[login] logo:") && said.contains(why),
            "{said}"
        );
    }
}

#[test]
fn a_template_that_breaks_before_a_reload_leaves_the_page_that_was_there() {
    let folder = folder("templates = \"pages\"", &[("pages/login.html", b"<p>first")]);
    let gateway = Gateway::start_in(folder, &[]);
    let page = || gateway.send(&Request::get("/login").navigation()).expect(200, "").text();
    fs::write(gateway.file("pages/login.html"), "<p>\n{{ nobody").unwrap();
    gateway.signal("HUP");
    until("why", || gateway.output().contains("pages/login.html:2").then_some(()));
    assert_eq!(page(), "<p>first");
    fs::write(gateway.file("pages/login.html"), "<p>second").unwrap();
    gateway.signal("HUP");
    until("the second page", || (page() == "<p>second").then_some(()));
}
