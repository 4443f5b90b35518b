//! TLS towards upstreams: nginx and the Python `websockets` server behind the gateway, and
//! every certificate that does not hold. T-01, T-03, T-04 of the security anchors.

use crate::{
    nginx::Nginx,
    reload::{DONE, KEPT, reload},
    websockets::Peer,
};
use portcullis_tests::{
    Gateway, Request, Upstream,
    certificates::Authority,
    program,
    services::{package, service},
    until,
    websocket::handshake,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    sync::Arc,
};
use tempfile::TempDir;

/// One upstream `ID` reached under `/ID/*`, for everybody.
fn upstream(id: &str, url: &str, more: &str) -> String {
    format!(
        "[upstreams.{id}]\nurls = [\"{url}\"]\n{more}\n\
         [[routes]]\npath = \"/{id}/*\"\nupstream = \"{id}\"\npolicy = \"public\"\nstrip_prefix = \"/{id}\"\n"
    )
}

fn config(upstreams: &[String]) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[strategies.local]\nkind = \"local\"\n{}",
        upstreams.concat()
    )
}

fn at(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

/// A site of nginx with this certificate.
fn site(folder: &Path, name: &str, more: &str) -> String {
    let at = folder.display();
    format!(" ssl; ssl_certificate {at}/{name}.pem; ssl_certificate_key {at}/{name}.key; {more}")
}

fn start(folder: TempDir, text: &str) -> Gateway {
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    Gateway::start_in(Arc::new(folder), &[])
}

fn nginx_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("access.log")).unwrap_or_default()
}

#[test]
fn nginx_is_reached_over_tls_under_its_name_and_its_connection_is_kept() {
    let Some(program) = service("nginx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(folder.path(), "api", &["api.test"]);
    authority.issue(folder.path(), "address", &["127.0.0.1"]);
    authority.write(folder.path());
    let sites = [site(folder.path(), "api", "ssl_protocols TLSv1.3;"), site(folder.path(), "address", "")];
    let nginx = Nginx::start(&program, folder.path(), &sites);
    let text = config(&[
        upstream("named", &at(nginx.ports[0]), "tls = { ca = \"ca.pem\", server_name = \"api.test\" }"),
        upstream(
            "plain",
            &at(nginx.ports[1]),
            "tls = { ca = \"ca.pem\" }\nhealth = { path = \"/hello.txt\", interval = \"1s\" }",
        ),
    ]);
    let gateway = start(folder, &text);
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.send(&Request::get("/named/hello.txt")).expect(200, "");
        assert_eq!(answer.text(), "hello from nginx\n");
    }
    client.send(&Request::get("/plain/hello.txt")).expect(200, "");
    let named = |log: String| {
        log.lines().filter(|l| l.contains("name=api.test")).map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = until("nginx's log", || Some(named(nginx_log(gateway.folder()))).filter(|l| l.len() == 3));
    assert!(lines.iter().all(|line| line.contains("tls=TLSv1.3")), "{lines:?}");
    let connection = |line: &str| line.split(' ').next().unwrap().to_owned();
    let mut connections: Vec<_> = lines.iter().map(|line| connection(line)).collect();
    connections.sort();
    // One for each worker at most; this client has one.
    connections.dedup();
    assert_eq!(connections.len(), 1, "{lines:?}");
    until("the health check over TLS", || {
        nginx_log(gateway.folder()).contains("tls=TLSv1.2 name=- GET /hello.txt").then_some(())
    });
    assert!(!gateway.output().contains("set aside"), "{}", gateway.output());
}

// T-03, T-04
#[test]
fn a_certificate_that_does_not_hold_is_502_and_nothing_is_sent() {
    let Some(program) = service("nginx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::named("A stranger"));
    let here = folder.path();
    authority.write(here);
    authority.issue(here, "other", &["other.test"]);
    authority.issue_until(here, "old", &["127.0.0.1"], 2020);
    stranger.issue(here, "strange", &["127.0.0.1"]);
    authority.issue_exactly(here, "nul", "api.test\0.evil.test");
    authority.issue(here, "good", &["127.0.0.1"]);
    let sites = ["other", "old", "strange", "nul", "good"].map(|name| site(here, name, ""));
    let nginx = Nginx::start(&program, here, &sites);
    let plain = Upstream::scripted(|stream, _| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let ca = "tls = { ca = \"ca.pem\" }";
    let cases = [
        ("name", nginx.ports[0], ca, "not valid for name"),
        ("expired", nginx.ports[1], ca, "expired"),
        ("unknown", nginx.ports[2], ca, "of no authority that is believed here"),
        ("nul", nginx.ports[3], "tls = { ca = \"ca.pem\", server_name = \"api.test\" }", "certificate"),
        ("system", nginx.ports[4], "", "of no authority that is believed here"),
        (
            "override",
            nginx.ports[4],
            "tls = { ca = \"ca.pem\", server_name = \"api.test\" }",
            "not valid for name",
        ),
        ("plain", plain.address.port(), ca, "does not speak TLS"),
        (
            "silent",
            silent_port,
            "tls = { ca = \"ca.pem\" }\nconnect_timeout = \"300ms\"",
            "no connection in time",
        ),
    ];
    let upstreams = cases.map(|(id, port, tls, _)| upstream(id, &at(port), tls));
    let gateway = start(folder, &config(&upstreams));
    for (id, _, _, reason) in cases {
        for request in [Request::get(&format!("/{id}/hello.txt")), handshake(&format!("/{id}/hello.txt"))] {
            // The only server of an upstream is set aside for a moment when it was silent.
            let answer = gateway.send(&request);
            let codes = ["upstream_unreachable", "upstream_unavailable"];
            assert!(codes.iter().any(|code| answer.text().contains(code)), "{id}: {}", answer.text());
            assert!(!answer.text().contains("ertificate"), "{id}: {}", answer.text());
        }
        let line = format!("\"upstream\":\"{id}\"");
        let said = until("the log", || {
            let said = gateway.output();
            said.lines().find(|l| l.contains(&line) && l.contains("cannot connect")).map(str::to_owned)
        });
        assert!(said.contains(reason), "{id}: {said}");
    }
    assert_eq!(nginx_log(gateway.folder()), "", "nothing was asked for");
}

#[test]
fn the_authorities_of_the_system_are_believed_where_no_others_are_named() {
    let Some(program) = service("nginx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(folder.path(), "api", &["127.0.0.1"]);
    let ca = authority.write(folder.path());
    let nginx = Nginx::start(&program, folder.path(), &[site(folder.path(), "api", "")]);
    let text = config(&[upstream("api", &at(nginx.ports[0]), "")]);
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let gateway = Gateway::start_in(Arc::new(folder), &[("SSL_CERT_FILE", &ca)]);
    gateway.send(&Request::get("/api/hello.txt")).expect(200, "");
}

// T-04, and no connection changes hands between two settings.
#[test]
fn a_client_certificate_is_shown_and_its_connections_serve_no_upstream_without_it() {
    let Some(program) = service("nginx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(folder.path(), "api", &["127.0.0.1"]);
    authority.issue(folder.path(), "us", &["gateway.test"]);
    let ca = authority.write(folder.path());
    let demand = format!("ssl_client_certificate {ca}; ssl_verify_client on;");
    let nginx = Nginx::start(&program, folder.path(), &[site(folder.path(), "api", &demand)]);
    let url = at(nginx.ports[0]);
    let with = "tls = { ca = \"ca.pem\", certificate = \"us.pem\", key = \"us.key\" }";
    let text =
        config(&[upstream("with", &url, with), upstream("without", &url, "tls = { ca = \"ca.pem\" }")])
            .replace("[server]\n", "[server]\nthreads = 1\n");
    let gateway = start(folder, &text);
    for _ in 0..2 {
        gateway.send(&Request::get("/with/hello.txt")).expect(200, "");
        let answer = gateway.send(&Request::get("/without/hello.txt"));
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("No required SSL certificate was sent"), "{}", answer.text());
    }
}

#[test]
fn after_a_reload_no_connection_of_before_is_used() {
    let Some(program) = service("nginx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(folder.path(), "api", &["127.0.0.1"]);
    authority.write(folder.path());
    let nginx = Nginx::start(&program, folder.path(), &[site(folder.path(), "api", "")]);
    let text = config(&[upstream("api", &at(nginx.ports[0]), "tls = { ca = \"ca.pem\" }")])
        .replace("[server]\n", "[server]\nthreads = 1\n");
    let gateway = start(folder, &text);
    let mut client = gateway.connect();
    client.send(&Request::get("/api/hello.txt")).expect(200, "");
    Authority::new().write(gateway.folder());
    reload(&gateway, &text, DONE);
    client.send(&Request::get("/api/hello.txt")).expect(502, "upstream_unreachable");
    // T-01: what cannot be read keeps what is in force.
    fs::write(gateway.file("ca.pem"), "").unwrap();
    reload(&gateway, &text, KEPT);
    gateway.says("ca.pem: holds no certificate");
    authority.write(gateway.folder());
    reload(&gateway, &text, DONE);
    client.send(&Request::get("/api/hello.txt")).expect(200, "");
}

// T-04
#[test]
fn websockets_pass_over_tls_and_a_server_that_wants_our_certificate_gets_it() {
    let Some(packages) = package("websockets") else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(folder.path(), "api", &["127.0.0.1"]);
    authority.issue(folder.path(), "us", &["gateway.test"]);
    let ca = authority.write(folder.path());
    let [certificate, key] =
        ["api.pem", "api.key"].map(|name| folder.path().join(name).display().to_string());
    let mut open = Peer::start(&packages, &["serve", &certificate, &key]);
    let mut demanding = Peer::start(&packages, &["serve", &certificate, &key, &ca]);
    let port = |peer: &mut Peer| peer.says().split(' ').next().unwrap().parse::<u16>().unwrap();
    let (open, demanding) = (at(port(&mut open)), at(port(&mut demanding)));
    let us = "tls = { ca = \"ca.pem\", certificate = \"us.pem\", key = \"us.key\" }";
    let ca_only = "tls = { ca = \"ca.pem\" }";
    let text = config(&[
        upstream("open", &open, ca_only),
        upstream("known", &demanding, us),
        upstream("unknown", &demanding, ca_only),
        upstream("wrong", &open, "tls = { ca = \"ca.pem\", server_name = \"api.test\" }"),
    ]);
    let gateway = start(folder, &text);
    for id in ["open", "known"] {
        let url = format!("ws://{}/{id}/x", gateway.address);
        let mut client = Peer::start(&packages, &["client", &url, &gateway.url(), "a=b"]);
        assert_eq!(client.says(), "hello None");
        let text = "x".repeat(300_000);
        client.send(&text);
        assert!(client.says() == text, "{id}");
    }
    gateway.send(&handshake("/wrong/x")).expect(502, "upstream_unreachable");
    let refused = gateway.send(&handshake("/unknown/x"));
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(!refused.text().contains("lert"), "{}", refused.text());
}

// T-01
#[test]
fn files_that_cannot_be_used_are_one_clear_line_at_check_and_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let authority = Authority::new();
    authority.write(here);
    authority.issue(here, "us", &["gw.test"]);
    authority.issue(here, "other", &["gw.test"]);
    fs::write(here.join("empty.pem"), "").unwrap();
    let ca = fs::read_to_string(here.join("ca.pem")).unwrap();
    fs::write(here.join("cut.pem"), &ca[..ca.len() / 2]).unwrap();
    let mut half = fs::File::create(here.join("half.pem")).unwrap();
    half.write_all(ca.as_bytes()).unwrap();
    half.write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for (tls, file, reason, place) in [
        ("ca = \"missing.pem\"", "missing.pem", "there is no such file", "7:14"),
        ("ca = \"empty.pem\"", "empty.pem", "holds no certificate", "7:14"),
        ("ca = \"us.key\"", "us.key", "holds no certificate", "7:14"),
        ("ca = \"cut.pem\"", "cut.pem", "is malformed", "7:14"),
        ("ca = \"half.pem\"", "half.pem", "one of its certificates is malformed", "7:14"),
        ("certificate = \"us.pem\", key = \"other.key\"", "other.key", "is not the key of", "7:7"),
        ("certificate = \"us.pem\", key = \"gone.key\"", "gone.key", "there is no such file", "7:7"),
    ] {
        let text = config(&[upstream("api", "https://127.0.0.1:1", &format!("tls = {{ {tls} }}"))]);
        fs::write(here.join("portcullis.toml"), text).unwrap();
        for verb in ["check", "serve"] {
            let ended = program::run(here, &[verb, "-c", "portcullis.toml"], "").with_code(1);
            let line = ended.stderr.lines().find(|l| l.contains(file) && l.contains(reason));
            let line = line.unwrap_or_else(|| panic!("{verb} {tls}: {}", ended.stderr));
            assert!(line.contains(&format!("portcullis.toml:{place}")), "{line}");
        }
    }
}
