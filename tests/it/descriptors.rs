//! How many connections a gateway can hold is for the machine to say, not for the shell
//! that happened to start it.

use crate::{http2::request, tls::Secured};
use portcullis_tests::{
    Gateway, Request, Upstream,
    frames::{DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, block, frame},
    program::{command, program},
    services::service,
    site::{ROUTES, config},
    until,
    upstream::{answer, read_head},
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;

fn started_with(limits: &str, more: &str, upstream: &Upstream) -> Gateway {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    fs::write(folder.path().join("portcullis.toml"), config(&upstream.url(), "", &format!("{ROUTES}{more}")))
        .unwrap();
    Gateway::spawn(folder.clone(), &mut under(&folder, limits))
}

/// The gateway, started in this folder by a shell that says this first.
pub fn under(folder: &TempDir, limits: &str) -> Command {
    let clean: Command = command(folder.path());
    let mut shell = Command::new("sh");
    for (name, _) in clean.get_envs() {
        shell.env_remove(name);
    }
    shell.current_dir(folder.path());
    shell.args(["-c", &format!("{limits} && exec \"$0\" serve -c portcullis.toml")]).arg(program());
    shell
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let upstream = Upstream::start();
    let gateway = started_with("ulimit -Sn 64", "", &upstream);
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    assert!(numbers.len() == 2 && numbers[0] == numbers[1], "{line}");
    let mut open: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    for connection in &mut open {
        connection.send(&Request::get("/public/x")).expect(200, "");
    }
}

// with none left it waits for others to close, and goes on.
#[test]
fn a_gateway_out_of_descriptors_serves_again_when_some_are_free() {
    let upstream = Upstream::start();
    let gateway = started_with("ulimit -n 80", "\n[limits]\nconnections = 1000\n", &upstream);
    let mut open: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    until("its word", || gateway.output().contains("cannot accept a connection").then_some(()));
    open.truncate(5);
    gateway.send(&Request::get("/public/x")).expect(200, "");
    open[0].send(&Request::get("/public/x")).expect(200, "");
}

/// Answers a GET, and waits for ever for the body of a POST.
fn patient(posts: Arc<AtomicUsize>) -> impl Fn(&mut TcpStream, usize) + Send + Sync {
    move |stream, _| {
        let Some(head) = read_head(stream) else { return };
        if head.starts_with(b"GET") {
            let _ = stream.write_all(&answer(200, &[("Connection", "close")], b"ok"));
            return;
        }
        posts.fetch_add(1, Ordering::SeqCst);
        while matches!(stream.read(&mut [0; 16]), Ok(1..)) {}
        posts.fetch_sub(1, Ordering::SeqCst);
    }
}

// each stream has a connection of its own to the upstream, and a client a hundred streams.
#[test]
fn streams_take_no_descriptor_that_a_connection_needs() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let posts = Arc::new(AtomicUsize::new(0));
    let one = Upstream::scripted(patient(posts.clone()));
    let other = Upstream::scripted(patient(posts.clone()));
    let site = Secured::confined(one, &other, "ulimit -n 400");
    let usual = [(":scheme", "https"), (":authority", "gw.test"), ("content-length", "9")];
    let post = |n: u32| {
        let fields = [(":method", "POST"), (":path", "/public/x"), usual[0], usual[1], usual[2]];
        [frame(HEADERS, END_HEADERS, n, &block(&fields)), frame(DATA, 0, n, b"x")].concat()
    };
    let asks: Vec<u8> = (0..100).flat_map(|n| post(2 * n + 1)).collect();
    let all = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &asks].concat();
    let held: Vec<_> = (0..5).map(|_| site.hold(&all)).collect();
    until("streams to be refused", || {
        (site.gateway.output().matches("streams are refused").count() == 5).then_some(())
    });
    // 144 descriptors are for clients and upstreams, and half of them for streams.
    until("the others upstream", || (posts.load(Ordering::SeqCst) >= 60).then_some(()));
    for version in ["--http1.1", "--http2"].repeat(5) {
        assert_eq!(site.status("gw.test", &[version], "/public/x"), "200", "{version}");
    }
    assert!(posts.load(Ordering::SeqCst) <= 77, "{posts:?} streams upstream");
    let said = site.gateway.output();
    assert!(!said.contains("set aside") && !said.contains("cannot connect"), "{said}");
    drop(held);
    until("all to be let go", || (posts.load(Ordering::SeqCst) == 0).then_some(()));
    let gets: Vec<u8> = (0..20).flat_map(|n| request(2 * n + 1, &usual[..2])).collect();
    let _other = site.hold(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &gets].concat());
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
}

// what we lack says nothing about the upstream.
#[test]
fn without_a_descriptor_for_an_upstream_the_answer_is_503_and_no_server_is_set_aside() {
    let upstream = Upstream::scripted(patient(Arc::default()));
    let gateway = started_with("ulimit -n 80", "\n[limits]\nconnections = 1000\n", &upstream);
    let mut known = gateway.connect();
    known.send(&Request::get("/public/x")).expect(200, "");
    let idle: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    until("none to be left", || gateway.output().contains("cannot accept a connection").then_some(()));
    known.send(&Request::get("/public/x")).expect(503, "busy");
    let told = "no room for another connection to an upstream";
    until("its line of the log", || gateway.output().contains(told).then_some(()));
    let said = gateway.output();
    assert!(!said.contains("set aside") && !said.contains("cannot connect"), "{said}");
    drop(idle);
    until("an answer", || (known.send(&Request::get("/public/x")).status == 200).then_some(()));
}
