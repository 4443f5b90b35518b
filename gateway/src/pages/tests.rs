//! What pages say and what they never do.

use super::*;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};

fn pages() -> Pages {
    let templates = environment();
    let endpoints = Endpoints { login: "/login".into(), logout: "/logout".into(), auth: "/auth".into() };
    Pages { templates, title: "Example & Sons".into(), endpoints }
}

fn form() -> Form {
    let field = |name: &str, kind, label: &str| Field {
        name: name.into(),
        kind,
        label: label.into(),
        required: true,
    };
    Form {
        fields: vec![
            field("username", FieldKind::Username, "Name or e-mail"),
            field("password", FieldKind::Password, "Password"),
        ],
        message: None,
    }
}

fn login(typed: &str, error: Option<&str>) -> String {
    let form = form();
    pages().login(&LoginView {
        action: "/login/local".into(),
        form: Some(&form),
        others: vec![Other { url: "/login/staff?return_to=%2F".into(), title: "Staff <b>".into() }],
        return_to: "/a?b=\"c\"",
        typed,
        error,
        request_id: "r-1",
    })
}

#[test]
fn the_policy_names_the_hash_of_the_style_sheet() {
    let page = login("", None);
    let start = page.find("<style>").unwrap() + "<style>".len();
    let end = page.find("</style>").unwrap();
    let hash = STANDARD.encode(digest(&SHA256, &page.as_bytes()[start..end]));
    let policy = FIELDS[0].1;
    assert!(policy.contains(&format!("'sha256-{hash}'")), "write sha256-{hash} into FIELDS");
    assert!(!policy.contains("unsafe"));
}

#[test]
fn what_is_typed_is_shown_as_text() {
    let page = login("<script>alert(1)</script>\"'", Some("<img src=x onerror=alert(1)>"));
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"));
    assert!(page.contains("&lt;script&gt;"));
    assert!(!page.contains("value=\"/a?b=\"c"));
    assert!(page.contains("Example &amp; Sons"));
    let problem = Problem::from(Code::Malformed).detail("<script>");
    assert!(!pages().problem(&problem, "<i>").contains("<script>"));
    assert!(!pages().problem(&problem, "<i>").contains("<i>"));
}

#[test]
fn an_error_is_tied_to_its_fields_and_shows_the_request_id() {
    let page = login("ann", Some("Name or password is wrong"));
    assert!(page.contains("role=\"alert\"") && page.contains("r-1"));
    assert_eq!(page.matches("aria-describedby=\"error\"").count(), 2);
    assert_eq!(page.matches("autofocus").count(), 1);
    assert!(page.contains("value=\"ann\""));
    let fresh = login("", None);
    assert!(!fresh.contains("aria-describedby") && !fresh.contains("role=\"alert\""));
    assert!(
        fresh.contains("autocomplete=\"username\"") && fresh.contains("autocomplete=\"current-password\"")
    );
}

#[test]
fn no_page_runs_or_fetches_anything() {
    let problems = Code::ALL.iter().map(|code| pages().problem(&Problem::from(*code), "r-1"));
    let others = [login("", None), pages().sign_out(true), pages().sign_out(false)];
    for page in problems.chain(others) {
        assert!(page.starts_with("<!doctype html>") && page.contains("<html lang=\"en\">"), "{page}");
        for bad in ["<script", "src=", "http://", "https://", "javascript:", " style=", "@import", "url("] {
            assert!(!page.contains(bad), "{bad} in {page}");
        }
    }
}

#[test]
fn the_sign_out_page_posts_what_was_asked() {
    let page = pages().sign_out(true);
    assert!(page.contains("method=\"post\" action=\"/logout?global=true\""));
    assert!(pages().sign_out(false).contains("action=\"/logout\""));
}

#[test]
fn a_strategy_that_is_out_of_order_leaves_the_others_and_says_so() {
    let page = pages().login(&LoginView {
        action: "/login/local".into(),
        form: None,
        others: vec![Other { url: "/login/staff?return_to=%2F".into(), title: "Staff".into() }],
        return_to: "/",
        typed: "",
        error: Some(Code::StrategyUnavailable.title()),
        request_id: "r-1",
    });
    assert!(page.contains("out of order") && page.contains(">Staff</a>") && !page.contains("<form"));
}
