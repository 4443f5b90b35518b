//! Every door to a password has the same controls (N-51, W-02): what fails at one counts at all.

use portcullis_tests::{
    Request, Site, Upstream,
    site::{PASSWORD, ROUTES},
};
use serde_json::json;

const ALIASES: &str = "[[aliases]]\nfrom = \"POST /old/login\"\nto = \"login\"\n\
                       [[aliases]]\nfrom = \"POST /old/password\"\nto = \"password\"\nfields = { old = \"current\" }\n";

/// Every way to say alice's password, and whether it is said by who is signed in as her.
fn doors(site: &Site, password: &str) -> Vec<(&'static str, Request)> {
    let form = format!("username=alice&password={}", password.replace(' ', "+"));
    let who = json!({ "username": "alice", "password": password });
    let envelope = json!({ "data": { "type": "users", "attributes": {
        "email": "alice@example.org", "password": password } } });
    let signed_in = |method: &str, path: &str| Request::new(method, path).bearer(&site.alice.token);
    let next = "another phrase of new words";
    let api = "application/vnd.api+json";
    vec![
        ("json", Request::post("/login/local").json(&who)),
        ("form", Request::post("/login").form(&form)),
        ("browser", Request::post("/login/local").form(&form).navigation()),
        ("json:api", Request::post("/login").with("Content-Type", api).body(envelope.to_string())),
        ("alias", Request::post("/old/login").json(&who)),
        (
            "password",
            signed_in("PATCH", "/auth/password").json(&json!({ "current": password, "next": next })),
        ),
        ("old password", signed_in("POST", "/old/password").json(&json!({ "old": password, "next": next }))),
        ("address", signed_in("PATCH", "/auth/me").json(&json!({ "email": "n@x.io", "current": password }))),
    ]
}

// N-51, W-02
#[test]
fn failures_at_all_doors_are_one_count_and_its_lock_closes_all_of_them() {
    for first in [0, 3, 5] {
        let more = format!("{ROUTES}\n{ALIASES}[mail]\nurl = \"file:mail\"\nfrom = \"us@x.test\"\n");
        let site = Site::before(Upstream::start(), "", &more);
        // Basic is no door: it is refused without a look, and is no failure of anybody.
        for _ in 0..6 {
            let basic = Request::get("/app").with("Authorization", "Basic YWxpY2U6d3Jvbmc=");
            site.send(&basic).expect(401, "login_required");
        }
        let wrong = doors(&site, "wrong");
        for (door, request) in wrong.iter().cycle().skip(first).take(5) {
            let status = site.send(request).status;
            assert!(matches!(status, 401 | 403), "{door}: {status}");
        }
        for (door, request) in doors(&site, PASSWORD) {
            let answer = site.send(&request);
            assert_eq!(answer.status, 403, "{door} after {first}: {answer:?}");
            match door {
                "browser" => assert!(answer.text().contains("Too many failed"), "{door}: {answer:?}"),
                _ => assert_eq!(answer.json()["code"], "locked", "{door} after {first}"),
            }
        }
    }
}

// W-02: two hundred at once, at all doors, are five tries.
#[test]
fn two_hundred_guesses_at_once_at_all_doors_are_five_tries() {
    let more = format!(
        "{ROUTES}\n{ALIASES}[mail]\nurl = \"file:mail\"\nfrom = \"us@x.test\"\n\
                        [lockout]\nper_address = 1000000\n"
    );
    let site = Site::before(Upstream::start(), "", &more);
    let wrong = doors(&site, "wrong");
    let tried: usize = std::thread::scope(|scope| {
        let one = |n: usize| {
            let (door, request) = &wrong[n % wrong.len()];
            let answer = site.send(request);
            let text = answer.text();
            assert!(matches!(answer.status, 401 | 403 | 503), "{door}: {answer:?}");
            usize::from(answer.status != 503 && !text.contains("locked") && !text.contains("Too many failed"))
        };
        let all: Vec<_> = (0..200).map(|n| scope.spawn(move || one(n))).collect();
        all.into_iter().map(|one| one.join().expect("answered")).sum()
    });
    assert!(tried <= 5, "{tried} guesses were looked at");
    site.send(&wrong[0].1).expect(403, "locked");
}
