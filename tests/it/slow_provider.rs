//! A provider that answers too slowly, too much or nothing, and people who start logins and
//! leave: only its own people notice. What is measured is printed, and judged in `--long`.

use portcullis_tests::{
    Connection, Gateway, Request, Upstream, login::login, services::service, site::PASSWORD, until,
    upstream::read_head,
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Answers discovery as itself; the token endpoint is the test's.
fn provider(token: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Upstream {
    Upstream::scripted(move |stream, _| {
        let Some(head) = read_head(stream) else { return };
        let head = String::from_utf8_lossy(&head).into_owned();
        let issuer =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
        let issuer = format!("http://{}", issuer.unwrap_or_default());
        if head.starts_with("POST /token ") {
            return token(stream);
        }
        let body = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        });
        let _ = stream.write_all(&answer("", body.to_string().as_bytes()));
    })
}

fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn gateway(provider: &Upstream, upstream: &Upstream, more: &str) -> Gateway {
    Gateway::start(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]\n[strategies.local]\nkind = \"local\"\n\
         [strategies.op]\nkind = \"oauth\"\nissuer = \"{}\"\ndanger_plaintext = true\nclient_id = \"gw\"\n\
         client_secret = \"s\"\nadmit = \"anyone\"\n{more}\n[upstreams.api]\nurls = [\"{}\"]\n\
         [[routes]]\npath = \"/*\"\nupstream = \"api\"\n",
        provider.url(),
        upstream.url()
    ))
}

/// Somebody comes back from the provider, whose code is to be exchanged.
fn callback(gateway: &Gateway) -> Request {
    let started = gateway.send(&Request::get("/login/op").navigation());
    let url = started.header("location").unwrap_or_else(|| panic!("{started:?}")).to_owned();
    let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let cookie = format!("portcullis-flow={}", started.cookie("portcullis-flow").unwrap());
    Request::get(&format!("/login/op/callback?code=c&state={state}")).navigation().cookie(&cookie)
}

/// Kilobytes.
fn resident(gateway: &Gateway) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors(gateway: &Gateway) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count()
}

fn sessions(gateway: &Gateway) -> String {
    gateway.verb(&["session", "list", "--json"], "").with_code(0).stdout
}

/// How long the slowest but one in a hundred takes.
pub fn p99(gateway: &Gateway, request: &Request, count: usize) -> Duration {
    let mut connection = gateway.connect();
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(connection.send(request).status, 200);
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[count * 99 / 100]
}

/// So many, or as many as this variable of `tests/run --long` says.
pub fn count(variable: &str, short: usize) -> (usize, bool) {
    let long = std::env::var(variable).ok().map(|text| text.parse().unwrap());
    (long.unwrap_or(short), long.is_some())
}

/// Row O-15: a mebibyte and the time limit, whatever comes.
#[test]
fn an_answer_without_end_or_in_drops_costs_little_and_signs_nobody_in() {
    let upstream = Upstream::start();
    let elsewhere = Upstream::start();
    let target = elsewhere.url();
    let endless = provider(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"x\":\"");
        let piece = [b'x'; 64 * 1024];
        for _ in 0..16 * 1024 {
            if stream.write_all(&piece).is_err() {
                return;
            }
        }
    });
    let packed = provider(|stream| {
        let _ = stream.write_all(&answer("Content-Encoding: gzip\r\n", &[0x1f; 10_000]));
    });
    let drops = provider(|stream| {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n");
        // A rate, and no condition that could be waited for.
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let moved = provider(move |stream| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {target}/\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
    });
    for (name, provider, status) in
        [("endless", endless, 502), ("packed", packed, 502), ("drops", drops, 503), ("moved", moved, 502)]
    {
        // The others end by themselves, long before the usual limit.
        let gateway = gateway(&provider, &upstream, if name == "drops" { "timeout = \"2s\"" } else { "" });
        gateway.send(&callback(&gateway)).expect(status, "");
        let before = resident(&gateway);
        for _ in 0..3 {
            let begun = Instant::now();
            gateway.send(&callback(&gateway)).expect(status, "");
            assert!(begun.elapsed() < Duration::from_secs(20), "{name}");
        }
        let grown = resident(&gateway) - before;
        println!("O-15 {name}: {grown} kB");
        assert!(grown <= 4096, "{name}: {grown} kB more");
    }
    assert_eq!(elsewhere.connections(), 0, "no redirect is followed");
}

/// Row O-16: the call to the provider ends with whom it was made for.
#[test]
fn people_who_leave_while_their_code_is_exchanged_leave_nothing_behind() {
    // Until the gateway hangs up.
    let provider = provider(|stream| while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {});
    let upstream = Upstream::start();
    let gateway = gateway(&provider, &upstream, "");
    let (many, _) = count("PORTCULLIS_LEAVERS", 100);
    let leave = |batch: usize| {
        let (connections, ended) = (provider.connections(), provider.ended());
        let waiting: Vec<Connection> = (0..batch)
            .map(|_| {
                let mut connection = gateway.connect();
                connection.start(&callback(&gateway));
                connection
            })
            .collect();
        // The first of all asks for the metadata too.
        until("all codes", || (provider.connections() >= connections + batch).then_some(()));
        drop(waiting);
        until("all calls to end", || (provider.ended() >= ended + batch).then_some(()));
    };
    leave(20);
    let (memory, open) = (resident(&gateway), descriptors(&gateway));
    for _ in 0..many / 20 {
        leave(20);
    }
    let grown = resident(&gateway) - memory;
    println!(
        "O-16: {many} people left, {grown} kB, {open} descriptors before, {} after",
        descriptors(&gateway)
    );
    until("descriptors", || (descriptors(&gateway) <= open + 2).then_some(()));
    assert!(grown <= 4096, "{grown} kB more");
    let all = sessions(&gateway);
    assert!(!all.contains("sid"), "{all}");
    assert!(!gateway.output().contains("panic"), "{}", gateway.output());
}

/// Row R-22: those who wait for a slow provider hold nobody else up.
#[test]
fn a_provider_that_hangs_slows_down_no_other_route_and_no_other_strategy() {
    let provider = provider(|stream| while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {});
    let upstream = Upstream::start();
    let gateway = gateway(&provider, &upstream, "");
    gateway.add_user("ann", PASSWORD, &[]);
    let ann = Request::get("/x").cookie(&login(&gateway, "ann", PASSWORD).cookie);
    let quiet = p99(&gateway, &ann, 1000);
    let callbacks: Vec<Request> = (0..260).map(|_| callback(&gateway)).collect();
    let (last, first) = callbacks.split_last().unwrap();
    let waiting: Vec<Connection> = first
        .iter()
        .map(|callback| {
            let mut connection = gateway.connect();
            connection.start(callback);
            connection
        })
        .collect();
    until("as many as there are places", || (provider.connections() > 256).then_some(()));
    let busy = gateway.send(last);
    let busy = (busy.status, busy.header("retry-after").is_some());
    let under = p99(&gateway, &ann, 1000);
    println!("R-22: p99 {quiet:?} quiet, {under:?} while 256 logins hang");
    assert_eq!(busy, (503, true), "no more places with this strategy");
    login(&gateway, "ann", PASSWORD);
    if std::env::var_os("PORTCULLIS_LEAVERS").is_some() {
        assert!(under <= 3 * quiet.max(Duration::from_millis(1)), "{quiet:?} {under:?}");
    }
    drop(waiting);
    until("free places", || (provider.ended() > 256).then_some(()));
    let (mut next, before) = (gateway.connect(), provider.connections());
    next.start(&callback(&gateway));
    until("a call again", || (provider.connections() > before).then_some(()));
}

/// Rows D-04 and O-01: who starts logins and never comes back fills nothing up.
#[test]
fn started_logins_are_bounded_in_memory_and_in_the_store() {
    if service("python3").is_none() {
        return;
    }
    let provider = provider(|_| {});
    let upstream = Upstream::start();
    let gateway = gateway(&provider, &upstream, "");
    let (many, long) = count("PORTCULLIS_FLOWS", 1000);
    let start = |from: usize, count: usize| {
        let mut connection = gateway.connect();
        for n in from..from + count {
            let network = format!("10.{}.{}.7", n / 100 / 250, n / 100 % 250);
            let asked = Request::get("/login/op").navigation().with("X-Forwarded-For", &network);
            assert_eq!(connection.send(&asked).status, 302);
        }
    };
    let start = &start;
    start(0, 200);
    let before = resident(&gateway);
    thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || start(many / 4 * n, many / 4));
        }
    });
    let grown = resident(&gateway) - before;
    let program = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\nprint(d.execute('SELECT count(*) FROM flows').fetchone()[0])";
    let output =
        Command::new("python3").args(["-c", program]).arg(gateway.file("portcullis.db")).output().unwrap();
    let kept: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    println!("{many} logins started: {kept} kept, {grown} kB more");
    assert!(kept <= 20_000 && (!long || kept == 20_000), "{kept}");
    assert!(grown <= 16 * 1024, "{grown} kB more");
}
