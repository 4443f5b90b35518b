//! What a client was told is on disk (architecture, Store): a small loop here, a long
//! one in `./tests/run --long`.

use portcullis_tests::{
    Gateway, Request,
    login::{Login, login},
    site::{PASSWORD, ROUTES, config},
};

fn rounds() -> usize {
    std::env::var("PORTCULLIS_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

fn is_in(gateway: &Gateway, login: &Login) -> bool {
    let answer = gateway.send(&Request::get("/auth/current").cookie(&login.cookie)).expect(200, "");
    answer.json()["authenticated"] != false
}

// C-10
#[test]
fn what_was_answered_survives_kill_9() {
    let mut gateway =
        Gateway::start(&config("http://127.0.0.1:9", "public_url = \"http://127.0.0.1:8080\"", ROUTES));
    gateway.add_user("ann", PASSWORD, &[]);
    let mut live: Vec<Login> = Vec::new();
    let mut ended: Vec<Login> = Vec::new();
    for round in 0..rounds() {
        let name = format!("user-{round}");
        gateway.add_user(&name, PASSWORD, &[]);
        live.push(login(&gateway, &name, PASSWORD));
        if round % 2 == 1 {
            let last = live.remove(0);
            gateway.send(&Request::post("/logout").cookie(&last.cookie)).expect(200, "");
            ended.push(last);
        }
        gateway = gateway.kill_and_restart();
        for login in live.iter().rev().take(20) {
            assert!(is_in(&gateway, login), "round {round}: a session is lost");
        }
        for login in ended.iter().rev().take(20) {
            assert!(!is_in(&gateway, login), "round {round}: an ended session is back");
        }
        gateway.verb(&["user", "show", &name], "").with_code(0);
    }
}
