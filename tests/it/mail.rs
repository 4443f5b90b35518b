//! Mail through a real server (aiosmtpd, from PyPI) with STARTTLS, TLS and AUTH, started once
//! for all tests of this file, and into a folder.

use portcullis_tests::{
    Gateway, Request,
    certificates::Authority,
    program::{root, run},
    services::package,
    site::{PASSWORD, config},
    until,
};
use serde_json::json;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, OnceLock},
};

/// The server, which ends with this process.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    /// Where STARTTLS is asked for, and where TLS comes first.
    ports: [u16; 2],
    _child: Child,
    _input: ChildStdin,
}

impl Server {
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    fn start() -> Option<Self> {
        let packages = package("aiosmtpd")?;
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.write(folder.path());
        authority.issue(folder.path(), "server", &["127.0.0.1"]);
        fs::create_dir(folder.path().join("mail")).unwrap();
        // A shell that waits for the end of its input ends the server with this process.
        let script = "\"$0\" \"$@\" & pid=$!; read -r _ <&3; kill $pid";
        let mut child = Command::new("bash")
            .env("PYTHONPATH", packages)
            .args(["-c", &format!("exec 3<&0; {script}"), "python3", "-Wignore"])
            .arg(root().join("tests/it/smtp_server.py"))
            .args([
                folder.path().join("mail"),
                folder.path().join("server.pem"),
                folder.path().join("server.key"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It tells of each client that turns away from its certificate, as some must here.
            .stderr(fs::File::create(folder.path().join("server.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut ports = line.split_whitespace().map(|port| port.parse().unwrap());
        let ports = [ports.next().unwrap(), ports.next().unwrap()];
        Some(Self { folder, ports, _input: child.stdin.take().unwrap(), _child: child })
    }

    pub(crate) fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// `[mail]` for this server, by STARTTLS.
    pub(crate) fn table(&self, login: &str, ca: &str) -> String {
        self.at(&format!("smtp://{login}127.0.0.1:{}", self.ports[0]), ca)
    }

    fn at(&self, url: &str, ca: &str) -> String {
        format!("[mail]\nurl = \"{url}\"\nfrom = \"Us <us@x.test>\"\ntls = {{ ca = \"{ca}\" }}\n")
    }

    /// The mail to this address, once it is there.
    fn mail_to(&self, address: &str) -> String {
        until(&format!("a mail to {address}"), || self.look(address))
    }

    /// The one-time value of the link in the first mail to this address that has one.
    pub(crate) fn link_to(&self, address: &str) -> String {
        until(&format!("a link to {address}"), || {
            let to = format!("X-Envelope: {address}\r\n");
            let found =
                |mail: &String| mail.starts_with(&to) && mail.replace("=\r\n", "").contains("?token=3D");
            mails(&self.folder.path().join("mail")).iter().find(|mail| found(mail)).map(|mail| token(mail))
        })
    }

    fn look(&self, address: &str) -> Option<String> {
        mails(&self.folder.path().join("mail"))
            .into_iter()
            .find(|mail| mail.starts_with(&format!("X-Envelope: {address}\r\n")))
    }
}

fn mails(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "eml"));
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The one-time value of the link in a mail: quoted-printable puts `=3D` for `=`, and may
/// break a line at `=`.
fn token(mail: &str) -> String {
    let mail = mail.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = mail.split_once("?token=").unwrap_or_else(|| panic!("no link: {mail}"));
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

pub(crate) const GOOD: &str = "gateway:p%40ss%2Fword@";

fn gateway(mail: &str, email: &str) -> Gateway {
    let open = "[accounts]\nregistration = \"open\"\n";
    let gateway = Gateway::start(&config("http://127.0.0.1:1", "", &format!("{open}{mail}")));
    gateway.add_user("alice", PASSWORD, &["--email", email]);
    gateway
}

fn recover(gateway: &Gateway, email: &str) {
    gateway.send(&Request::post("/auth/recovery").json(&json!({ "email": email }))).expect(200, "");
}

#[test]
fn an_authority_that_is_no_certificate_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let mail = "[mail]\nurl = \"smtps://mail.test\"\nfrom = \"us@x.test\"\ntls = { ca = \"ca.pem\" }\n";
    fs::write(folder.path().join("portcullis.toml"), config("http://127.0.0.1:1", "", mail)).unwrap();
    let checked = run(folder.path(), &["check"], "").with_code(1);
    assert!(checked.stderr.contains("ca.pem: one of its certificates is malformed"), "{checked:?}");
}

#[test]
fn a_link_comes_by_a_real_mail_server_after_starttls_and_auth() {
    let Some(server) = Server::shared() else { return };
    let gateway = gateway(&server.table(GOOD, &server.ca()), "alice@starttls.test");
    recover(&gateway, "alice@starttls.test");
    let mail = server.mail_to("alice@starttls.test");
    for line in [
        "From: Us <us@x.test>",
        "To: alice@starttls.test",
        "Subject: Your new password for Portcullis",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/html; charset=utf-8",
    ] {
        assert!(mail.contains(line), "{line}:\n{mail}");
    }
    let next = "another horse entirely 7";
    let reset = json!({ "token": token(&mail), "password": next });
    gateway.send(&Request::post("/auth/reset").json(&reset)).expect(200, "");
    gateway
        .send(&Request::post("/login").json(&json!({ "username": "alice", "password": next })))
        .expect(200, "");
    assert!(!gateway.output().contains("alice@starttls.test") && !gateway.output().contains(&token(&mail)));
}

#[test]
fn over_smtps_tls_comes_before_everything_else_and_only_a_known_authority_will_do() {
    let Some(server) = Server::shared() else { return };
    let [starttls, smtps] = server.ports;
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::named("Another authority").write(folder.path());
    let url = |scheme: &str, port: u16| format!("{scheme}://{GOOD}127.0.0.1:{port}");
    for (url, ca, email) in [
        (url("smtps", smtps), &other, "alice@stranger.test"),
        (url("smtps", starttls), &server.ca(), "alice@plain-first.test"),
    ] {
        let gateway = gateway(&server.at(&url, ca), email);
        recover(&gateway, email);
        until("the failure", || gateway.output().contains("mail not sent").then_some(()));
        assert!(server.look(email).is_none());
    }
    let gateway = gateway(&server.at(&url("smtps", smtps), &server.ca()), "alice@smtps.test");
    recover(&gateway, "alice@smtps.test");
    assert!(!token(&server.mail_to("alice@smtps.test")).is_empty());
}

#[test]
fn nothing_is_sent_to_a_server_with_a_certificate_of_somebody_else_or_that_refuses_us() {
    let Some(server) = Server::shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::named("Another authority").write(folder.path());
    for (login, ca, email, said) in [
        (GOOD, other.as_str(), "alice@foreign.test", "mail not sent"),
        ("gateway:wrong@", &server.ca(), "alice@wrong.test", "535"),
    ] {
        let gateway = gateway(&server.table(login, ca), email);
        recover(&gateway, email);
        until(said, || gateway.output().contains(said).then_some(()));
        assert!(server.look(email).is_none());
        // The answer told nothing of it, and neither does the log.
        assert!(!gateway.output().contains(email) && !gateway.output().contains("p@ss"));
    }
}

#[test]
fn a_password_of_ours_that_is_wrong_costs_no_mail() {
    let Some(server) = Server::shared() else { return };
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let write = |login: &str| {
        let text = config("http://127.0.0.1:1", "", &server.table(login, &server.ca()));
        fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    };
    write("gateway:wrong@");
    let gateway = Gateway::start_in(folder.clone(), &[]);
    gateway.add_user("alice", PASSWORD, &["--email", "alice@rotated.test"]);
    recover(&gateway, "alice@rotated.test");
    until("the refusal", || gateway.output().contains("535").then_some(()));
    write(GOOD);
    gateway.signal("HUP");
    assert!(!token(&server.mail_to("alice@rotated.test")).is_empty());
}

#[test]
fn a_refusal_for_good_drops_the_mail_and_one_for_now_is_tried_again() {
    let Some(server) = Server::shared() else { return };
    let gateway = gateway(&server.table(GOOD, &server.ca()), "later@x.test");
    for name in ["refused", "later2"] {
        let body = json!({ "email": format!("{name}@y.test"), "password": PASSWORD });
        gateway.send(&Request::post("/auth/register").json(&body)).expect(201, "");
    }
    until("the refusal", || gateway.output().contains("mail refused: it is dropped").then_some(()));
    server.mail_to("later2@y.test");
}

#[test]
fn what_waits_survives_kill_9_and_goes_out_when_the_way_is_free() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let text = |mail: &str| {
        config("http://127.0.0.1:1", "", &format!("[mail]\nurl = \"{mail}\"\nfrom = \"us@x.test\"\n"))
    };
    let file = folder.path().join("portcullis.toml");
    // Nobody listens there.
    fs::write(&file, text("smtp://127.0.0.1:1")).unwrap();
    let gateway = Gateway::start_in(folder.clone(), &[]);
    gateway.add_user("alice", PASSWORD, &["--email", "alice@x.test"]);
    recover(&gateway, "alice@x.test");
    until("the failure", || gateway.output().contains("mail not sent").then_some(()));
    drop(gateway);

    fs::write(&file, text("file:sent")).unwrap();
    let gateway = Gateway::start_in(folder.clone(), &[]);
    let sent = until("the mail", || mails(&folder.path().join("sent")).into_iter().next());
    let reset = json!({ "token": token(&sent), "password": "another horse entirely 7" });
    gateway.send(&Request::post("/auth/reset").json(&reset)).expect(200, "");
}

#[test]
fn a_reload_changes_how_mail_leaves_and_what_it_says() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("pages")).unwrap();
    fs::write(folder.path().join("pages/mail_reset.txt"), "Subject: Hello from {{ site }}\n\n{{ link }}\n")
        .unwrap();
    let base = config("http://127.0.0.1:1", "", "");
    fs::write(folder.path().join("portcullis.toml"), &base).unwrap();
    let gateway = Gateway::start_in(folder.clone(), &[]);
    gateway.add_user("alice", PASSWORD, &["--email", "alice@x.test"]);
    let ask = Request::post("/auth/recovery").json(&json!({ "email": "alice@x.test" }));
    gateway.send(&ask).expect(503, "mail_unavailable");
    let more = "[login]\ntemplates = \"pages\"\ntitle = \"Example\"\n[mail]\nurl = \"file:sent\"\nfrom = \"us@x.test\"\n";
    fs::write(folder.path().join("portcullis.toml"), format!("{base}{more}")).unwrap();
    gateway.signal("HUP");
    until("the reload", || gateway.output().contains("configuration reloaded").then_some(()));
    gateway.send(&ask).expect(200, "");
    let sent = until("the mail", || mails(&folder.path().join("sent")).into_iter().next());
    assert!(sent.contains("Subject: Hello from Example\r\n"), "{sent}");
}

#[test]
fn a_fault_in_a_mail_template_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pages")).unwrap();
    let text = config("http://127.0.0.1:1", "", "[login]\ntemplates = \"pages\"\n");
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    for (name, text, said) in [
        ("mail_reset.txt", "Subject: x\n\n{{ lnk }}\n", "mail_reset.txt:3"),
        ("mail_taken.txt", "No subject\n", "mail_taken.txt"),
        ("mail_verify.html", "{% if %}", "mail_verify.html:1"),
        ("profile.html", "{{ nothing }}", "profile.html:1"),
    ] {
        let file = folder.path().join("pages").join(name);
        fs::write(&file, text).unwrap();
        let ended = portcullis_tests::program::run(folder.path(), &["check"], "").with_code(1);
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(said), "{name}: {ended:?}");
        fs::remove_file(file).unwrap();
    }
}
