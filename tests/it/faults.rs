//! What a client was told is on disk, whatever happens to the process or the disk (rows R-06
//! to R-10). A short loop of kills here, a long one in `./tests/run --long`.

use portcullis_tests::{
    Connection, Gateway, Request, Response, Site, Upstream,
    login::{login, try_login},
    program,
    site::{PASSWORD, ROUTES, config},
    until,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Long enough for a gateway to come back, however busy the machine is.
const MORE: &str = "[token]\nrefresh_grace = \"5m\"\nlifetime = \"1h\"\n[lockout]\nper_address = 1000000\n";

fn rounds() -> usize {
    std::env::var("PORTCULLIS_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// Whether `./tests/run --long` runs, on a machine that does nothing else: the times of the
/// fault table are asserted there alone.
fn is_long() -> bool {
    std::env::var("PORTCULLIS_KILL_ROUNDS").is_ok() || std::env::var("PORTCULLIS_HELD").is_ok()
}

/// SQLite's own judgement of the whole store.
fn is_sound(folder: &Path) {
    let ask = "import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
    let said = Command::new("python3").args(["-c", ask]).arg(folder.join("portcullis.db")).output();
    let said = said.expect("python3 runs");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "ok\n", "{said:?}");
}

/// How many accounts there are.
fn total(gateway: &Gateway, admin: &str, search: &str) -> u64 {
    let all = Request::get(&format!("/auth/admin/users?page[size]=1&search={search}")).bearer(admin);
    gateway.send(&all).expect(200, "").json()["meta"]["pagination"]["total"].as_u64().unwrap()
}

/// a second, and as much again for the debug build and the test's own start of a process.
const RESTART: Duration = Duration::from_secs(2);

/// What was acknowledged: the newest refresh token of each family, the ended ones, and names
/// of accounts.
#[derive(Default)]
struct Told {
    good: Vec<String>,
    ended: Vec<String>,
    accounts: Vec<String>,
}

/// The answer, if there is still somebody who gives one.
fn try_send(address: std::net::SocketAddr, request: &Request) -> Option<Response> {
    let stream = TcpStream::connect(address).ok()?;
    stream.peer_addr().ok()?;
    let mut connection = Connection::over(stream);
    connection.write(&request.bytes(&address.to_string())).try_response_to("POST").ok()
}

/// One who writes until the gateway is gone.
fn write(address: std::net::SocketAddr, admin: &str, number: usize, told: &Mutex<Told>, stop: &AtomicBool) {
    let mut turn = 0;
    while !stop.load(Relaxed) {
        turn += 1;
        let send = |request: Request| try_send(address, &request);
        let value = told.lock().unwrap().good[number].clone();
        let body = json!({ "refresh_token": value });
        let Some(answer) = send(Request::post("/auth/refresh").json(&body)) else { return };
        assert_eq!(answer.status, 200, "{answer:?}");
        told.lock().unwrap().good[number] = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        let name = format!("n{number}-{turn}-{}", admin.len() + value.len() + turn);
        let name = format!("{name}-{}", &value[value.len() - 6..].to_lowercase().replace(['_', '-'], "x"));
        let body = json!({ "name": name, "email": format!("{name}@x.io"), "roles": ["a", "b"], "app": { "n": turn } });
        let Some(answer) = send(Request::post("/auth/admin/users").bearer(admin).json(&body)) else { return };
        if answer.status == 201 {
            told.lock().unwrap().accounts.push(answer.json()["uuid"].as_str().unwrap().to_owned());
        }
    }
}

fn token_login(gateway: &Gateway) -> Value {
    let body = json!({ "username": "root", "password": PASSWORD, "transport": "token" });
    gateway.send(&Request::post("/login").json(&body)).expect(200, "").json()
}

//
#[test]
fn a_kill_in_the_middle_of_writes_loses_nothing_that_was_told_and_tears_nothing() {
    let text =
        config("http://127.0.0.1:9", "public_url = \"http://127.0.0.1:8080\"", &format!("{ROUTES}\n{MORE}"));
    let mut gateway = Gateway::start(&text);
    gateway.add_user("root", PASSWORD, &["--role", "admin"]);
    let admin = token_login(&gateway)["token"].as_str().unwrap().to_owned();
    let refresh = |gateway: &Gateway| token_login(gateway)["refresh_token"].as_str().unwrap().to_owned();
    let told = Arc::new(Mutex::new(Told::default()));
    for _ in 0..3 {
        told.lock().unwrap().good.push(refresh(&gateway));
    }
    let mut slowest = Duration::ZERO;
    for round in 0..rounds() {
        let ended = refresh(&gateway);
        let end = Request::new("DELETE", "/auth/refresh").json(&json!({ "refresh_token": ended }));
        gateway.send(&end).expect(204, "");
        told.lock().unwrap().ended.push(ended);
        let (stop, address) = (AtomicBool::new(false), gateway.address);
        let began = std::thread::scope(|scope| {
            for number in 0..3 {
                let (admin, told, stop) = (&admin, &told, &stop);
                scope.spawn(move || write(address, admin, number, told, stop));
            }
            // At another moment each time; the writers do not wait for it.
            std::thread::sleep(Duration::from_millis((round * 7 % 50) as u64));
            gateway.signal("KILL");
            stop.store(true, Relaxed);
            Instant::now()
        });
        gateway = gateway.kill_and_restart();
        slowest = slowest.max(began.elapsed());
        check(&gateway, &admin, &told.lock().unwrap(), round);
        let (there, answered) =
            (total(&gateway, &admin, "@x.io"), told.lock().unwrap().accounts.len() as u64);
        // Each writer may have been cut off once a round before it was answered.
        let most = answered + 3 * (round as u64 + 1);
        assert!((answered..=most).contains(&there), "round {round}: {answered} were told, {there} are there");
    }
    is_sound(gateway.folder());
    if is_long() {
        assert!(slowest < RESTART, "the slowest restart took {slowest:?}");
    }
    println!(
        "{} rounds, slowest recovery {slowest:?}, {} accounts",
        rounds(),
        told.lock().unwrap().accounts.len()
    );
}

/// A value that was told is good, or the one before the good one and within grace: the same
/// successor comes again.
fn check(gateway: &Gateway, admin: &str, told: &Told, round: usize) {
    let ask =
        |value: &str| gateway.send(&Request::post("/auth/refresh").json(&json!({ "refresh_token": value })));
    for value in &told.good {
        assert_eq!(ask(value).status, 200, "round {round}: an acknowledged rotation is lost");
    }
    for value in told.ended.iter().rev().take(3) {
        assert_eq!(ask(value).status, 401, "round {round}: an ended session is back");
    }
    for uuid in told.accounts.iter().rev().take(10) {
        let one = gateway.send(&Request::get(&format!("/auth/admin/users/{uuid}")).bearer(admin));
        let one = one.expect(200, "").json();
        assert_eq!(one["roles"], json!(["a", "b"]), "round {round}: torn: {one}");
        assert_eq!(one["email"], format!("{}@x.io", one["name"].as_str().unwrap()), "round {round}");
    }
}

/// A disk that fails when told to, and a folder on it.
struct BadDisk {
    folder: Arc<tempfile::TempDir>,
    library: PathBuf,
}

impl BadDisk {
    fn faults(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self) -> Gateway {
        let variables =
            [("LD_PRELOAD", self.library.to_str().unwrap()), ("FAULTS", self.faults().to_str().unwrap())];
        Gateway::start_in(self.folder.clone(), &variables)
    }
}

fn bad_disk(upstream: &str) -> Option<BadDisk> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let library = folder.path().join("disk.so");
    let source = program::root().join("tests/faults/disk.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    if !built.is_ok_and(|status| status.success()) {
        assert!(std::env::var("PORTCULLIS_REQUIRE_SERVICES").is_err(), "cc must be there");
        eprintln!("SKIPPED: no cc, so no disk that fails");
        return None;
    }
    let open = format!("{ROUTES}\n[accounts]\nregistration = \"open\"\n[token]\nlifetime = \"1h\"\n");
    let text = config(upstream, "public_url = \"http://127.0.0.1:8080\"", &open);
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    Some(BadDisk { folder, library })
}

/// A site whose disk fails when told to.
fn on_a_bad_disk() -> Option<(Site, PathBuf)> {
    let upstream = Upstream::start();
    let disk = bad_disk(&upstream.url())?;
    let (gateway, faults) = (disk.start(), disk.faults().to_path_buf());
    gateway.add_user("alice", PASSWORD, &["--role", "staff", "--role", "admin"]);
    let alice = login(&gateway, "alice", PASSWORD);
    Some((Site { gateway, upstream, alice }, faults))
}

// the moments that matter are just before and just after what was written is on disk.
#[test]
fn killed_at_any_sync_it_has_what_it_told_and_nothing_by_halves() {
    let Some(disk) = bad_disk("http://127.0.0.1:9") else { return };
    let mut gateway = disk.start();
    gateway.add_user("root", PASSWORD, &["--role", "admin"]);
    let admin = token_login(&gateway)["token"].as_str().unwrap().to_owned();
    let mut told = Vec::new();
    let moments = rounds().div_ceil(4);
    for (when, count) in (1..=moments).flat_map(|count| [("before", count), ("after", count)]) {
        fs::write(disk.faults().join("kill"), format!("{when} {count}")).unwrap();
        for turn in 0.. {
            let name = format!("{when}-{count}-{turn}");
            let body = json!({ "name": name, "email": format!("{name}@x.io"), "roles": ["a", "b"] });
            let create = Request::post("/auth/admin/users").bearer(&admin).json(&body);
            let Some(answer) = try_send(gateway.address, &create) else { break };
            told.push(answer.expect(201, "").json()["uuid"].as_str().unwrap().to_owned());
        }
        fs::remove_file(disk.faults().join("kill")).unwrap();
        drop(gateway);
        gateway = disk.start();
        check(&gateway, &admin, &Told { accounts: told.clone(), ..Told::default() }, count);
        is_sound(gateway.folder());
        let all = Request::get("/auth/admin/users?search=-&page[size]=100").bearer(&admin);
        let all = gateway.send(&all).expect(200, "").json();
        let there = all["meta"]["pagination"]["total"].as_u64().unwrap();
        // The one that was not answered may be there or not.
        assert!((told.len() as u64..=(told.len() + 2 * moments) as u64).contains(&there), "{all}");
        for one in all["data"].as_array().unwrap() {
            assert_eq!((&one["roles"], one["email"].is_string()), (&json!(["a", "b"]), true), "torn: {one}");
        }
    }
    println!("{} kills at a sync, {} accounts", 2 * moments, told.len());
}

//
#[test]
fn a_full_or_failing_disk_is_503_for_writes_and_nothing_else_and_gets_well_by_itself() {
    for fault in ["full", "sync"] {
        let Some((site, faults)) = on_a_bad_disk() else { return };
        site.send(&site.as_alice("/app")).expect(200, "");
        fs::write(faults.join(fault), "").unwrap();
        for _ in 0..3 {
            try_login(&site.gateway, "alice", PASSWORD).expect(503, "store_unavailable");
        }
        for write in writes(&site) {
            site.send(&write).expect(503, "store_unavailable");
        }
        site.send(&site.as_alice("/app")).expect(200, "");
        site.send(&Request::get("/public/x")).expect(200, "");
        fs::remove_file(faults.join(fault)).unwrap();
        let freed = Instant::now();
        let told = until("the store writes again", || {
            let answer = try_login(&site.gateway, "alice", PASSWORD);
            (answer.status == 200).then_some(answer)
        });
        if is_long() {
            assert!(freed.elapsed() < Duration::from_secs(2), "{fault}: well after {:?}", freed.elapsed());
        }
        let statuses: Vec<u16> = writes(&site).iter().map(|write| site.send(write).status).collect();
        assert_eq!(statuses, [201, 200, 201], "{fault}");
        let cookie = format!("portcullis={}", told.cookie("portcullis").unwrap());
        let Site { gateway, upstream: _upstream, alice } = site;
        let gateway = gateway.kill_and_restart();
        for cookie in [&cookie, &alice.cookie] {
            let answer = gateway.send(&Request::get("/auth/current").cookie(cookie)).expect(200, "");
            assert_eq!(answer.json()["authenticated"]["name"], "alice", "{fault}: what was told is there");
        }
        assert_eq!(total(&gateway, &alice.token, "x.io"), 2, "{fault}: who was refused is not there");
        is_sound(gateway.folder());
    }
}

/// What else writes: a registration, a change of one's own, an account by an admin.
fn writes(site: &Site) -> [Request; 3] {
    let account = |name: &str| json!({ "name": name, "email": format!("{name}@x.io"), "password": PASSWORD });
    let signed_in = |method: &str, path: &str| Request::new(method, path).bearer(&site.alice.token);
    [
        Request::post("/auth/register").json(&account("rene")),
        signed_in("PATCH", "/auth/me").json(&json!({ "display_name": "Alice" })),
        signed_in("POST", "/auth/admin/users").json(&account("adam")),
    ]
}

/// Logins for so long, each refused within what the store waits.
fn refusals(site: &Site, start: Instant, held: Duration) -> Vec<Duration> {
    let mut times = Vec::new();
    while times.is_empty() || start.elapsed() < held {
        let sent = Instant::now();
        try_login(&site.gateway, "alice", PASSWORD).expect(503, "store_unavailable");
        times.push(sent.elapsed());
    }
    times
}

// R-10; ten seconds of it in `tests/run --long`
#[test]
fn a_store_that_somebody_has_locked_is_503_within_two_seconds_and_known_sessions_go_on() {
    let site = Site::own();
    site.send(&site.as_alice("/app")).expect(200, "");
    let hold = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                c.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\nsys.stdin.read()\n";
    let mut holder = Command::new("python3")
        .args(["-c", hold, site.gateway.file("portcullis.db").to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let start = Instant::now();
    let held = Duration::from_secs(std::env::var("PORTCULLIS_HELD").map_or(0, |text| text.parse().unwrap()));
    let (mut served, mut refused) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| refusals(&site, start, held))).collect();
        while served.is_empty() || start.elapsed() < held {
            let sent = Instant::now();
            site.send(&site.as_alice("/app")).expect(200, "");
            served.push(sent.elapsed());
        }
        refused.extend(asked.into_iter().flat_map(|one| one.join().unwrap()));
    });
    assert!(start.elapsed() < held + Duration::from_secs(40), "no pile-up: {:?}", start.elapsed());
    for (what, mut times) in [("served", served), ("refused", refused)] {
        times.sort_unstable();
        let p99 = times[times.len() * 99 / 100];
        println!("while the store was locked: {} {what}, p99 {p99:?}", times.len());
        assert!(!is_long() || p99 < Duration::from_millis(2500), "{what}: {p99:?}");
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
    until("the store writes again", || {
        (try_login(&site.gateway, "alice", PASSWORD).status == 200).then_some(())
    });
}
