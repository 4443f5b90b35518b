//! What becomes of an upstream's name when its address changes or its look-up fails.
//! The gateway runs in a mount namespace of its own with its own `/etc/hosts`, which the
//! test writes; where the system allows no such thing the test is skipped loudly.

use portcullis_tests::{
    Gateway, Request, Upstream, ports::free_port, program::program, services::service, site::config,
    upstream::answer,
};
use std::{fs, net::TcpListener, process::Command, sync::Arc};

/// Two upstreams on one port of two addresses, each of which says its name and closes.
fn two() -> Option<(Upstream, Upstream, u16)> {
    let port = free_port();
    let one = TcpListener::bind(("127.0.0.1", port)).ok()?;
    let two = TcpListener::bind(("127.0.0.2", port)).ok()?;
    let say = |name: &'static [u8]| move |_: &_| answer(200, &[("Connection", "close")], name);
    Some((Upstream::answering_on(one, say(b"one")), Upstream::answering_on(two, say(b"two")), port))
}

#[test]
fn a_changed_address_counts_at_once_and_a_failed_look_up_keeps_the_last_one() {
    let Some(unshare) = service("unshare") else { return };
    let allowed =
        Command::new(&unshare).args(["-rm", "mount", "--bind", "/etc/hosts", "/etc/hosts"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this system allows no mount namespace");
        return;
    }
    let (_one, _two, port) = two().expect("two loopback addresses");
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    let point = |line: &str| fs::write(&hosts, format!("127.0.0.1 localhost\n{line}\n")).unwrap();
    point("127.0.0.1 api.portcullis.invalid");
    let routes = "[[routes]]\npath = \"/*\"\nupstream = \"api\"\npolicy = \"public\"\n";
    let text = config(&format!("http://api.portcullis.invalid:{port}"), "", routes);
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let script =
        format!("mount --bind {} /etc/hosts && exec \"$0\" serve -c portcullis.toml", hosts.display());
    let mut command = Command::new(unshare);
    command.args(["-rm", "sh", "-c", &script]).arg(program()).current_dir(folder.path());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PORTCULLIS_")) {
        command.env_remove(name);
    }
    let gateway = Gateway::spawn(Arc::new(folder), &mut command);
    let says = || gateway.send(&Request::get("/x")).expect(200, "").text();
    assert_eq!(says(), "one");
    point("127.0.0.2 api.portcullis.invalid");
    assert_eq!(says(), "two");
    point("# gone");
    assert_eq!(says(), "two", "its last address");
    point("127.0.0.1 api.portcullis.invalid");
    assert_eq!(says(), "one");
}
