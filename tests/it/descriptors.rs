//! How many connections a gateway can hold is for the machine to say, not for the shell
//! that happened to start it.

use portcullis_tests::{
    Gateway, Request, Upstream,
    program::{command, program},
    site::{ROUTES, config},
};
use std::{fs, process::Command, sync::Arc};

fn started_with(limits: &str, more: &str, upstream: &Upstream) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.toml"), config(&upstream.url(), "", &format!("{ROUTES}{more}")))
        .unwrap();
    let mut clean: Command = command(folder.path());
    let variables: Vec<_> = clean.get_envs().map(|(name, _)| name.to_owned()).collect();
    clean = Command::new("sh");
    for name in variables {
        clean.env_remove(name);
    }
    clean.current_dir(folder.path());
    clean.args(["-c", &format!("{limits} && exec \"$0\" serve -c portcullis.toml")]).arg(program());
    Gateway::spawn(Arc::new(folder), &mut clean)
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
    portcullis_tests::until("its word", || {
        gateway.output().contains("cannot accept a connection").then_some(())
    });
    open.truncate(5);
    gateway.send(&Request::get("/public/x")).expect(200, "");
    open[0].send(&Request::get("/public/x")).expect(200, "");
}
