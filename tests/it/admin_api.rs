//! `{auth}/admin/users` (contract, section 5; capability rows 35, 42, 47, 64, 67 to 69, 85 to 87).

use portcullis_tests::{
    Gateway, Request, Response,
    login::{Login, login, try_login},
    site::{PASSWORD, ROUTES, config},
    until,
};
use serde_json::{Value, json};

const USERS: &str = "/auth/admin/users";

struct House {
    gateway: Gateway,
    root: Login,
}

impl House {
    fn new(more: &str) -> Self {
        let more = format!("{ROUTES}\n[strategies.guests]\nkind = \"local\"\n{more}");
        let gateway = Gateway::start(&config("http://127.0.0.1:9", "", &more));
        gateway.add_user("root", PASSWORD, &["--role", "admin", "--strategy", "local"]);
        let root = login(&gateway, "root", PASSWORD);
        Self { gateway, root }
    }

    fn ask(&self, method: &str, target: &str) -> Request {
        Request::new(method, target).bearer(&self.root.token)
    }

    #[track_caller]
    fn get(&self, target: &str) -> Value {
        self.gateway.send(&self.ask("GET", target)).expect(200, "").json()
    }

    #[track_caller]
    fn make(&self, body: Value) -> Response {
        self.gateway.send(&self.ask("POST", USERS).json(&body))
    }

    /// Its path.
    #[track_caller]
    fn made(&self, body: Value) -> String {
        let made = self.make(body).expect(201, "").json();
        format!("{USERS}/{}", made["uuid"].as_str().unwrap())
    }

    #[track_caller]
    fn change(&self, path: &str, body: Value) -> Response {
        self.gateway.send(&self.ask("PATCH", path).json(&body))
    }

    fn signs_in(&self, name: &str, password: &str) -> bool {
        try_login(&self.gateway, name, password).status == 200
    }
}

#[test]
fn only_the_role_admin_may_and_only_by_authorization() {
    let house = House::new("");
    house.gateway.add_user("ann", PASSWORD, &["--role", "staff", "--strategy", "local"]);
    let ann = login(&house.gateway, "ann", PASSWORD);
    let uuid = house.root.body["authenticated"]["uuid"].as_str().unwrap().to_owned();
    for (method, path) in [
        ("GET", USERS.to_owned()),
        ("POST", USERS.to_owned()),
        ("GET", format!("{USERS}/{uuid}")),
        ("PATCH", format!("{USERS}/{uuid}")),
        ("DELETE", format!("{USERS}/{uuid}")),
        ("DELETE", format!("{USERS}/{uuid}/sessions")),
        ("GET", format!("{USERS}/{uuid}/credentials")),
        ("POST", format!("{USERS}/{uuid}/credentials")),
        ("PATCH", format!("{USERS}/{uuid}/credentials/local")),
        ("DELETE", format!("{USERS}/{uuid}/credentials/local")),
    ] {
        let send = |request: Request| house.gateway.send(&request);
        let request = || Request::new(method, &path);
        send(request()).expect(401, "login_required");
        send(request().cookie(&house.root.cookie)).expect(401, "login_required");
        send(request().bearer("x")).expect(401, "invalid_token");
        send(request().bearer(&ann.token)).expect(403, "forbidden");
        let foreign = request().bearer(&house.root.token).with("Origin", "https://evil.test");
        if method != "GET" {
            send(foreign).expect(403, "foreign_origin");
        }
    }
    assert_eq!(house.get(&format!("{USERS}/{uuid}"))["roles"], json!(["admin"]), "nothing was done");
}

#[test]
fn an_account_is_made_shown_changed_and_deleted() {
    let house = House::new("");
    let body = json!({
        "name": "Ann", "email": "Ann@X.io", "display_name": "Ann E.", "password": "a phrase of length nine",
        "roles": ["staff"], "app": { "tier": 3 }, "metadata": { "hat": "red" },
    });
    let made = house.make(body).expect(201, "").json();
    assert_eq!((&made["name"], &made["email"]), (&json!("ann"), &json!("ann@x.io")));
    assert_eq!((&made["email_verified"], &made["active"]), (&json!(true), &json!(true)));
    assert_eq!((&made["app"]["tier"], &made["metadata"]["hat"]), (&json!(3), &json!("red")));
    assert!(!made.to_string().contains("argon2"), "{made}");
    let path = format!("{USERS}/{}", made["uuid"].as_str().unwrap());
    assert_eq!(house.get(&path), made);
    let ann = login(&house.gateway, "ann", "a phrase of length nine");
    let token: Value = {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let payload = URL_SAFE_NO_PAD.decode(ann.token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    };
    assert_eq!((&token["app"]["tier"], &token["email"]), (&json!(3), &json!("ann@x.io")));

    let changed =
        house.change(&path, json!({ "roles": ["admin"], "email": "new@x.io", "display_name": null }));
    let changed = changed.expect(200, "").json();
    assert_eq!((&changed["roles"], &changed["email"]), (&json!(["admin"]), &json!("new@x.io")));
    assert_eq!((&changed["display_name"], &changed["app"]["tier"]), (&Value::Null, &json!(3)));
    let current = Request::get("/auth/current").bearer(&ann.token);
    let roles = house.gateway.send(&current).expect(200, "").json()["authenticated"]["roles"].clone();
    assert_eq!(roles, json!(["admin"]), "on the next request");
    assert!(house.signs_in("new@x.io", "a phrase of length nine"));
    assert!(!house.signs_in("ann@x.io", "a phrase of length nine"));

    house.change(&path, json!({ "password": "another phrase of ten" })).expect(200, "");
    house.gateway.send(&current).expect(401, "invalid_token");
    let again = login(&house.gateway, "ann", "another phrase of ten");
    let current = Request::get("/auth/current").bearer(&again.token);
    house.change(&path, json!({ "active": false })).expect(200, "");
    house.gateway.send(&current).expect(401, "invalid_token");
    assert!(!house.signs_in("ann", "another phrase of ten"));
    house.change(&path, json!({ "active": 1 })).expect(200, "");
    let last = login(&house.gateway, "ann", "another phrase of ten");
    house.gateway.send(&house.ask("DELETE", &path)).expect(204, "");
    house.gateway.send(&Request::get("/auth/current").bearer(&last.token)).expect(401, "invalid_token");
    house.gateway.send(&house.ask("GET", &path)).expect(404, "not_found");
    house.gateway.send(&house.ask("DELETE", &path)).expect(404, "not_found");
    assert!(!house.signs_in("ann", "another phrase of ten"));
}

#[test]
fn an_account_that_is_made_disabled_signs_in_once_it_is_switched_on() {
    let house = House::new("");
    let password = "a phrase of length nine";
    let made = house.make(json!({ "name": "later", "password": password, "active": false }));
    let made = made.expect(201, "").json();
    assert_eq!(made["active"], json!(false));
    assert!(!house.signs_in("later", password));
    house
        .change(&format!("{USERS}/{}", made["uuid"].as_str().unwrap()), json!({ "active": true }))
        .expect(200, "");
    assert!(house.signs_in("later", password));
}

#[test]
fn a_new_account_has_the_form_of_the_strategy_that_keeps_its_password_or_there_is_none() {
    let more = |second: &str| format!("{ROUTES}\n[strategies.ext]\nkind = \"{second}\"\n");
    let staff = |second: &str| {
        config("http://127.0.0.1:9", "", &more(second)).replace("[strategies.local]", "[strategies.staff]")
    };
    let gateway = Gateway::start(&staff("local"));
    gateway.add_user("root", PASSWORD, &["--role", "admin", "--strategy", "staff"]);
    let body = json!({ "username": "root", "password": PASSWORD });
    let root = gateway.send(&Request::post("/login/staff").json(&body)).expect(200, "").json();
    let make =
        |body: Value| gateway.send(&Request::post(USERS).bearer(root["token"].as_str().unwrap()).json(&body));
    for body in [json!({ "name": "ann" }), json!({ "name": "ann", "password": PASSWORD })] {
        make(body).expect(400, "malformed");
    }
    let credentials = json!([{ "strategy": "ext", "password": PASSWORD }]);
    let made = make(json!({ "name": "ann", "credentials": credentials })).expect(201, "").json();
    assert_eq!(made["name"], "ann@ext");
}

#[test]
fn who_did_what_to_whom_is_in_the_audit_trail_and_who_was_refused() {
    let house = House::new("");
    house.gateway.add_user("eve", PASSWORD, &["--strategy", "local"]);
    let eve = login(&house.gateway, "eve", PASSWORD);
    let made = house.make(json!({ "name": "ann" })).expect(201, "").json();
    let uuid = made["uuid"].as_str().unwrap();
    let path = format!("{USERS}/{uuid}");
    house.change(&path, json!({ "roles": ["admin"] })).expect(200, "");
    house.gateway.send(&Request::new("DELETE", &path).bearer(&eve.token)).expect(403, "forbidden");
    let second = json!({ "strategy": "guests", "password": "another phrase of ten" });
    let first = json!({ "strategy": "local", "password": PASSWORD });
    for credential in [first, second] {
        house
            .gateway
            .send(&house.ask("POST", &format!("{path}/credentials")).json(&credential))
            .expect(201, "");
    }
    house.gateway.send(&house.ask("DELETE", &format!("{path}/sessions"))).expect(204, "");
    house.gateway.send(&house.ask("DELETE", &format!("{path}/credentials/guests"))).expect(204, "");
    for (event, reason, account) in [
        ("admin", "account_made", "root"),
        ("admin", "account_changed", "root"),
        ("admin", "credential_made", "root"),
        ("admin", "sessions_ended", "root"),
        ("admin", "credential_removed", "root"),
        ("admin_refused", "account_deleted", "eve"),
    ] {
        until(reason, || {
            let said = house.gateway.output();
            let has = |line: &str| {
                [event, reason, account, uuid].iter().all(|part| line.contains(&format!("\"{part}\"")))
            };
            said.lines().any(has).then_some(())
        });
    }
}

#[test]
fn what_nobody_would_read_is_refused() {
    let house = House::new("");
    for body in [
        json!({ "username": "ann", "email": "ann@x.io" }),
        json!({ "data": { "type": "users", "attributes": { "username": "ann", "display_name": "Ann" } } }),
        json!({ "name": "ann", "credentials": [{ "strategy": "local", "password": PASSWORD, "subject": "x" }] }),
        json!({ "name": "ann", "credentials": [
            { "strategy": "local", "password": PASSWORD }, { "strategy": "local", "password": PASSWORD },
        ] }),
        json!({ "name": "ann", "password": PASSWORD, "credentials": [{ "strategy": "local", "password": PASSWORD }] }),
        json!({ "name": "carl\n" }),
    ] {
        house.make(body.clone()).expect(400, "malformed");
    }
    assert_eq!(
        house.get(&format!("{USERS}?page[size]=99999999999999999999999"))["data"].as_array().unwrap().len(),
        1
    );
    assert_eq!(house.get(&format!("{USERS}?page[number]=99999999999999999999999"))["data"], json!([]));
}

#[test]
fn what_is_not_acceptable_makes_and_changes_nothing() {
    let house = House::new("");
    let path =
        house.made(json!({ "name": "ann", "email": "ann@x.io", "password": "a phrase of length nine" }));
    let good = || json!({ "name": "bob", "password": "a phrase of length nine" });
    let with = |name: &str, value: Value| {
        let mut body = good();
        body[name] = value;
        body
    };
    for (body, status, code) in [
        (json!({}), 400, "malformed"),
        (with("name", json!("a b")), 400, "malformed"),
        (with("name", json!(7)), 400, "malformed"),
        (with("name", json!("x@guests")), 400, "malformed"),
        (with("email", json!("nobody")), 400, "malformed"),
        (with("roles", json!("staff")), 400, "malformed"),
        (with("roles", json!(["a,b"])), 400, "malformed"),
        (with("roles", json!([1])), 400, "malformed"),
        (with("app", json!([])), 400, "malformed"),
        (with("app", json!({ "x": "y".repeat(3000) })), 400, "malformed"),
        (with("active", json!("yes")), 400, "malformed"),
        (with("uuid", json!("x")), 400, "malformed"),
        (with("password", json!("short")), 400, "weak_password"),
        (with("credentials", json!([{ "strategy": "nothing" }])), 400, "malformed"),
        (with("credentials", json!([7])), 400, "malformed"),
        (with("name", json!("ann")), 409, "name_taken"),
        (with("name", json!("ann@x.io")), 409, "name_taken"),
        (with("email", json!("ANN@x.io")), 409, "email_taken"),
    ] {
        house.make(body).expect(status, code);
    }
    for (body, status, code) in [
        (json!({ "name": "other" }), 400, "malformed"),
        (json!({ "activ": false }), 400, "malformed"),
        (json!({ "email": "root" }), 400, "malformed"),
        (json!({ "password": "ann" }), 400, "weak_password"),
    ] {
        house.change(&path, body).expect(status, code);
    }
    house.made(json!({ "name": "cid", "email": "cid@x.io" }));
    house.change(&path, json!({ "email": "cid@x.io" })).expect(409, "email_taken");
    assert_eq!(house.get(&path)["email"], "ann@x.io");
    assert_eq!(house.get(USERS)["meta"]["pagination"]["total"], 3, "root, ann and cid");
}

// Rows 67, 68
#[test]
fn an_account_with_several_credentials_is_made_whole_or_not_at_all() {
    let house = House::new("");
    let body = |second: &str| {
        json!({
            "name": "ann", "password": "a phrase of length nine",
            "credentials": [{ "strategy": "guests", "password": second }],
        })
    };
    house.make(body("short")).expect(400, "weak_password");
    assert_eq!(house.get(USERS)["meta"]["pagination"]["total"], 1, "nothing was made");
    let path = house.made(body("another phrase of ten"));
    let strategies = |list: Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|c| c["strategy"].as_str().unwrap().to_owned()).collect()
    };
    let credentials = format!("{path}/credentials");
    let list = house.get(&credentials);
    assert!(!list.to_string().contains("argon2"), "{list}");
    assert_eq!(strategies(list), ["guests", "local"]);
    let at = |id: &str, password: &str| {
        let body = json!({ "username": "ann", "password": password });
        house.gateway.send(&Request::post(&format!("/login/{id}")).json(&body)).status
    };
    assert_eq!((at("local", "a phrase of length nine"), at("guests", "another phrase of ten")), (200, 200));
    let one = format!("{credentials}/guests");
    let body = json!({ "password": "a third phrase, longer" });
    house.gateway.send(&house.ask("PATCH", &one).json(&body)).expect(204, "");
    assert_eq!((at("guests", "another phrase of ten"), at("guests", "a third phrase, longer")), (401, 200));
    house.gateway.send(&house.ask("DELETE", &one)).expect(204, "");
    house.gateway.send(&house.ask("DELETE", &one)).expect(404, "not_found");
    house.gateway.send(&house.ask("DELETE", &format!("{credentials}/local"))).expect(409, "last_credential");
    let again = json!({ "strategy": "guests", "password": "another phrase of ten" });
    house.gateway.send(&house.ask("POST", &credentials).json(&again)).expect(201, "");
    house.gateway.send(&house.ask("POST", &credentials).json(&again)).expect(409, "subject_taken");
    assert_eq!(strategies(house.get(&credentials)), ["guests", "local"]);
}

// Row 86
#[test]
fn the_list_has_pages_totals_links_and_a_search() {
    let house = House::new("");
    for n in 0..24 {
        house.made(json!({ "name": format!("user-{n:02}"), "email": format!("u{n:02}@x.io") }));
    }
    house.made(json!({ "name": "per_cent", "display_name": "100% Odd" }));
    let names = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = house.get(USERS);
    assert_eq!(first["meta"]["pagination"], json!({ "current": 1, "total": 26, "pages": 3, "size": 10 }));
    assert_eq!((names(&first).len(), &first["links"]["prev"]), (10, &Value::Null));
    let mut seen = names(&first);
    let mut page = first.clone();
    while let Some(next) = page["links"]["next"].as_str() {
        page = house.get(next);
        seen.extend(names(&page));
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), sorted), (26, seen.clone()), "each once, by name");
    assert_eq!(house.get(page["links"]["first"].as_str().unwrap()), first);
    assert_eq!(house.get(first["links"]["last"].as_str().unwrap()), page);
    let most = house.get(&format!("{USERS}?page[size]=1000"));
    assert_eq!((&most["meta"]["pagination"]["size"], names(&most).len()), (&json!(100), 26));
    assert!(names(&house.get(&format!("{USERS}?page[number]=99"))).is_empty());
    for (search, found) in [
        ("search=user-1", 10),
        ("search=U07@X", 1),
        ("search=100%25", 1),
        ("search=_", 1),
        ("search%5Bemail%5D=u23", 1),
        ("search=nobody", 0),
        ("search=%27+OR+1%3D1--", 0),
    ] {
        let list = house.get(&format!("{USERS}?{search}&page[size]=100"));
        assert_eq!(
            (names(&list).len(), &list["meta"]["pagination"]["total"]),
            (found, &json!(found)),
            "{search}"
        );
    }
    for bad in ["page[number]=0", "page[size]=-1", "page[size]=x", "page[number]=1.5"] {
        house.gateway.send(&house.ask("GET", &format!("{USERS}?{bad}"))).expect(400, "malformed");
    }
}

// Row 87
#[test]
fn an_admin_ends_all_sessions_of_somebody() {
    let house = House::new("");
    let path = house.made(json!({ "name": "ann", "password": "a phrase of length nine" }));
    let (one, two) = (login(&house.gateway, "ann", "a phrase of length nine"), house.root.clone());
    house.gateway.send(&house.ask("DELETE", &format!("{path}/sessions"))).expect(204, "");
    house.gateway.send(&Request::get("/auth/current").bearer(&one.token)).expect(401, "invalid_token");
    house.gateway.send(&Request::get("/auth/current").bearer(&two.token)).expect(200, "");
}

#[test]
fn json_api_and_forms_work_as_well() {
    let house = House::new("");
    let attributes = json!({
        "name": "Ann Example", "email": "ann@x.io", "password": "a phrase of length nine", "active": 1,
        "roles": ["staff"],
    });
    let body = json!({ "data": { "type": "users", "attributes": attributes } });
    let made = house.make(body).expect(201, "");
    assert_eq!(made.header("content-type"), Some("application/vnd.api+json"));
    let made = made.json()["data"].clone();
    assert_eq!((&made["type"], &made["attributes"]["name"]), (&json!("users"), &json!("Ann Example")));
    assert_eq!(made["attributes"]["username"], "ann@x.io", "without a name the address is the name");
    let path = format!("{USERS}/{}", made["id"].as_str().unwrap());
    let shown = house.gateway.send(&house.ask("GET", &path).with("Accept", "application/vnd.api+json"));
    assert_eq!(shown.expect(200, "").json()["data"], made);
    let list = house.gateway.send(&house.ask("GET", USERS).with("Accept", "application/vnd.api+json"));
    assert_eq!(list.expect(200, "").json()["data"][0], made);
    let form = house.ask("PATCH", &path).form("roles=a,b&active=false&display_name=Ann");
    let changed = house.gateway.send(&form).expect(200, "").json();
    assert_eq!((&changed["roles"], &changed["active"]), (&json!(["a", "b"]), &json!(false)));
}

#[test]
fn the_api_can_be_moved_to_the_admin_listener() {
    use std::io::{Read, Write};
    let house = House::new("[admin]\nlisten = \"127.0.0.1:0\"\napi = \"listener\"\n");
    house.gateway.send(&house.ask("GET", USERS)).expect(404, "not_found");
    let address = crate::admin::admin(&house.gateway).to_string();
    let address = address.as_str();
    let ask = |request: Request| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(&request.bytes(address)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let made = ask(house.ask("POST", USERS).json(&json!({ "name": "ann" })));
    assert!(made.starts_with("HTTP/1.1 201") && made.contains("\"name\":\"ann\""), "{made}");
    assert!(ask(house.ask("GET", USERS)).contains("\"total\":2"));
    assert!(ask(Request::get(USERS)).starts_with("HTTP/1.1 401"));
    assert!(ask(house.ask("GET", "/auth/current")).starts_with("HTTP/1.1 404"), "nothing else is there");
    assert!(ask(Request::get("/livez")).starts_with("HTTP/1.1 200"));
}

#[test]
fn the_api_can_be_switched_off() {
    let house = House::new("[admin]\napi = \"off\"\n");
    house.gateway.send(&house.ask("GET", USERS)).expect(404, "not_found");
}
