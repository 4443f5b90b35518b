//! 2,000 logins, 8 at a time, beside Apache's mod_authnz_ldap before the same server:
//! `tests/ldap-bench`. It prints and asserts nothing but that every login worked.

use crate::support::{good, ldap, login};
use portcullis_tests::{
    directory::{Directory, SERVICE},
    ports::free_port,
};
use serde_json::json;
use std::{
    fs,
    net::TcpStream,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const LOGINS: usize = 2000;
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: tests/ldap-bench"]
async fn two_thousand_logins_beside_apache() {
    let directory = Directory::own().expect("slapd is installed");
    let ours = Arc::new(ldap(&directory, json!({"pool": AT_ONCE, "preset": null})).await);
    for round in 1..=2 {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE {
            let ours = ours.clone();
            tasks.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..LOGINS / AT_ONCE {
                    let start = Instant::now();
                    good(login(&ours, "alice", "alice-pass").await);
                    times.push(start.elapsed());
                }
                times
            });
        }
        let mut times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
        times.sort();
        println!(
            "portcullis, round {round}: {:.0} logins/s, p50 {:?}, p99 {:?}",
            LOGINS as f64 / start.elapsed().as_secs_f64(),
            times[LOGINS / 2],
            times[LOGINS * 99 / 100]
        );
        println!("apache, round {round}: {}", apache(&directory));
    }
}

/// Apache without its caches, or it would not ask.
fn apache(directory: &Directory) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (at, port) = (folder.path(), free_port());
    fs::create_dir(at.join("htdocs")).unwrap();
    fs::write(at.join("htdocs/index.html"), "ok").unwrap();
    let modules =
        ["mpm_event", "authn_core", "authz_core", "authz_user", "auth_basic", "ldap", "authnz_ldap"];
    let modules: String = modules
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let conf = format!(
        "ServerRoot {at}\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {at}/pid\nErrorLog {at}/error\n\
         DefaultRuntimeDir {at}\nMutex pthread\n{modules}\nUser www-data\nGroup www-data\n\
         LDAPTrustedGlobalCert CA_BASE64 {ca}\nLDAPCacheEntries 0\nLDAPOpCacheEntries 0\nLDAPSharedCacheSize 0\n\
         DocumentRoot {at}/htdocs\n<Location />\nAuthType Basic\nAuthName x\nAuthBasicProvider ldap\n\
         AuthLDAPURL \"{url}/dc=example,dc=org?uid?sub\"\nAuthLDAPBindDN \"{dn}\"\nAuthLDAPBindPassword {password}\n\
         Require valid-user\n</Location>\n",
        at = at.display(),
        ca = directory.file("ca.pem"),
        url = directory.url(),
        dn = SERVICE.0,
        password = SERVICE.1,
    );
    fs::write(at.join("httpd.conf"), conf).unwrap();
    Command::new("chmod").arg("-R").arg("a+rX").args([at, directory.file("").as_ref()]).status().unwrap();
    let mut running =
        Command::new("/usr/sbin/apache2").args(["-X", "-f"]).arg(at.join("httpd.conf")).spawn().unwrap();
    portcullis_tests::until("apache listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    let url = format!("http://127.0.0.1:{port}/index.html");
    let told = Command::new("ab")
        .args([
            "-q",
            "-k",
            "-n",
            &LOGINS.to_string(),
            "-c",
            &AT_ONCE.to_string(),
            "-A",
            "alice:alice-pass",
            &url,
        ])
        .output()
        .unwrap();
    let _ = running.kill();
    let _ = running.wait();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let line = |word: &str| told.lines().find(|line| line.contains(word)).unwrap_or("?").trim().to_owned();
    let refused = told.lines().find(|line| line.contains("Non-2xx")).unwrap_or("");
    let error = fs::read_to_string(at.join("error")).unwrap_or_default();
    assert!(refused.is_empty(), "{refused}: {}", error.lines().rev().take(8).collect::<Vec<_>>().join("\n"));
    [line("Requests per second"), line(" 50%"), line(" 99%")].join(", ")
}
