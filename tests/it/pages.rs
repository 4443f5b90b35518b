//! The pages that the gateway shows: usable without a script, by a screen reader, and
//! with nothing from elsewhere (contract section 5, Pages).

use portcullis_tests::{Request, Response, Site, site::mark};

fn login_page(query: &str) -> Response {
    Site::shared().send(&Request::get(&format!("/login{query}")).navigation()).expect(200, "")
}

/// Every tag of a name, with its attributes.
fn tags<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!("<{name}");
    html.match_indices(&opening)
        .map(|(at, _)| &html[at..])
        .filter(|rest| rest[opening.len()..].starts_with([' ', '>', '\n', '/']))
        .map(|rest| &rest[..rest.find('>').map_or(rest.len(), |end| end + 1)])
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let rest = tag.split(&format!(" {name}=\"")).nth(1)?;
    rest.split('"').next()
}

#[test]
fn each_field_has_its_label_and_its_hint_to_password_managers() {
    let html = login_page("").text();
    for (name, kind, hint) in [("username", "text", "username"), ("password", "password", "current-password")]
    {
        let input = tags(&html, "input").into_iter().find(|t| attribute(t, "name") == Some(name));
        let input = input.unwrap_or_else(|| panic!("no field {name}: {html}"));
        assert_eq!(attribute(input, "autocomplete"), Some(hint), "{input}");
        assert_eq!(attribute(input, "type").unwrap_or("text"), kind, "{input}");
        let id = attribute(input, "id").unwrap_or_else(|| panic!("no id: {input}"));
        assert!(html.contains(&format!("for=\"{id}\"")), "no label for {id}: {html}");
    }
    let form = tags(&html, "form")[0];
    assert_eq!(attribute(form, "method").map(str::to_lowercase).as_deref(), Some("post"));
    assert!(
        tags(&html, "html")[0].contains("lang=")
            && html.contains("<title>")
            && html.contains("name=\"viewport\"")
    );
}

#[test]
fn no_script_and_nothing_from_elsewhere() {
    let site = Site::shared();
    let pages = [
        login_page(""),
        site.send(&Request::get("/login/local").navigation()),
        site.send(&site.as_alice("/admin").navigation()),
        site.send(&Request::get("/auth/nothing").navigation()),
        site.send(
            &Request::get("/logout")
                .cookie(&site.alice.cookie)
                .with("Accept", "text/html")
                .with("Sec-Fetch-Mode", "navigate")
                .with("Sec-Fetch-Site", "cross-site"),
        ),
    ];
    for page in pages {
        let html = page.text();
        assert!(html.to_lowercase().starts_with("<!doctype html>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("javascript:"), "{html}");
        assert!(
            !html.contains("https://") && !html.contains("http://") && !html.contains("src=\"//"),
            "{html}"
        );
        assert!(tags(&html, "a").iter().chain(&tags(&html, "form")).all(|t| !t.contains(" on")), "{html}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe-eval") && !policy.contains("unsafe-inline") && !policy.contains('*'),
            "{policy}"
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(login_page("").header("referrer-policy"), Some("same-origin"));
}

#[test]
fn what_a_client_says_is_text_on_a_page() {
    let site = Site::shared();
    let evil = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let answer = site.send(&Request::get(&format!("/login?return_to=/app/{evil}")).navigation());
    assert!(!answer.text().contains("<script"), "{}", answer.text());
    let form = format!("username={evil}&password=x");
    let answer = site.send(&Request::post("/login/local").navigation().form(&form));
    assert!(!answer.text().contains("<script"), "{}", answer.text());
    let answer = site.send(&Request::get(&format!("/auth/{evil}")).navigation());
    assert!(!answer.text().contains("<script"), "{}", answer.text());
    // P-23: a refused form shows the login and nothing of the application.
    let mark = mark();
    let answer = site.send(&Request::post(&format!("/app/{mark}")).navigation().form("a=b"));
    assert_eq!(answer.status, 401);
    assert!(site.upstream.all_marked(&mark).is_empty());
}

#[test]
fn a_message_is_tied_to_the_form_for_those_who_hear_it() {
    let site = Site::own();
    let request = Request::post("/login/local").navigation().form("username=alice&password=wrong");
    let html = site.send(&request).expect(401, "").text();
    assert!(html.contains("role=\"alert\"") || html.contains("aria-live"), "{html}");
    let described = tags(&html, "input").into_iter().find_map(|t| attribute(t, "aria-describedby"));
    let id = described.unwrap_or_else(|| panic!("no field is described by the message: {html}"));
    assert!(html.contains(&format!("id=\"{id}\"")), "{html}");
}

#[test]
fn the_page_knows_light_and_dark() {
    let html = login_page("").text();
    assert!(
        html.contains("color-scheme") || html.contains("prefers-color-scheme") || html.contains("stylesheet"),
        "{html}"
    );
}
