//! What the service manager is told, over the socket that it names in `NOTIFY_SOCKET`.

use portcullis_tests::{Gateway, site::config};
use std::{fs, os::unix::net::UnixDatagram, sync::Arc, time::Duration};

fn told(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).expect("systemd is told within 30 s");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn systemd_hears_when_connections_are_accepted_and_when_the_end_begins() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    fs::write(folder.path().join("portcullis.toml"), config("http://127.0.0.1:1", "", "")).unwrap();
    let mut gateway = Gateway::start_in(folder, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert!(told(&socket).lines().any(|line| line == "READY=1"));
    gateway.connect();
    gateway.signal("HUP");
    let reloading = told(&socket);
    assert!(reloading.lines().any(|line| line == "RELOADING=1"), "{reloading}");
    assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
    assert!(told(&socket).lines().any(|line| line == "READY=1"), "after the reload again");
    gateway.signal("TERM");
    assert!(told(&socket).lines().any(|line| line == "STOPPING=1"));
    assert!(gateway.wait().success());
}
