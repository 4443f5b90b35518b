//! An OpenLDAP server on ports of its own, with the people of `tests/data/ldap/seed.ldif`.
//! It refuses binds without TLS, so a client that leaves TLS out is caught, and lets the
//! service account alone search, so a connection with anybody else's bind is caught too.

use crate::{
    certificates::Authority, gateway::Guard, ports::free_port, program, services::service, wait::until,
};
use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};
use tempfile::TempDir;

/// A running server.
pub struct Directory {
    folder: TempDir,
    /// For `ldap://`.
    pub plain: u16,
    /// For `ldaps://`.
    pub tls: u16,
    running: Mutex<Option<(Child, Guard)>>,
}

/// The service account and its password.
pub const SERVICE: (&str, &str) = ("cn=svc,dc=example,dc=org", "svc-pass");
const ADMIN: (&str, &str) = ("cn=admin,dc=example,dc=org", "admin-pass");

impl Directory {
    /// One that all tests share which change nothing that another reads; none, after a
    /// loud word, where slapd is not installed.
    #[track_caller]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Directory>> = OnceLock::new();
        SHARED.get_or_init(Self::own).as_ref()
    }

    /// One for this test alone.
    #[track_caller]
    pub fn own() -> Option<Self> {
        let (slapd, _) = (service("slapd")?, service("ldapmodify")?);
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = folder.path();
        let authority = Authority::new();
        authority.write(at);
        authority.issue(at, "server", &["localhost", "127.0.0.1"]);
        authority.issue(at, "client", &["gateway"]);
        authority.issue_until(at, "expired", &["localhost", "127.0.0.1"], 2001);
        authority.issue(at, "other", &["ldap.other.test"]);
        fs::create_dir(at.join("db")).expect("a folder can be made");
        let (plain, tls) = (free_port(), free_port());
        fs::write(at.join("slapd.conf"), configuration(at)).expect("it can be written");
        let seed = program::root().join("tests/data/ldap/seed.ldif");
        let added = Command::new(slapd.with_file_name("slapadd"))
            .args(["-q", "-f"])
            .arg(at.join("slapd.conf"))
            .arg("-l")
            .arg(seed)
            .output()
            .expect("slapadd runs");
        assert!(added.status.success(), "slapadd: {}", String::from_utf8_lossy(&added.stderr));
        let directory = Self { folder, plain, tls, running: Mutex::new(None) };
        directory.start();
        Some(directory)
    }

    /// Starts it again after [`Self::kill`], on the same ports.
    #[track_caller]
    pub fn start(&self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"));
        let urls = format!("ldap://127.0.0.1:{} ldaps://127.0.0.1:{}", self.plain, self.tls);
        let child = Command::new(service("slapd").expect("it was there"))
            // In the foreground, with a line for each operation.
            .args(["-d", "stats", "-h", &urls, "-f"])
            .arg(self.folder.path().join("slapd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log can be opened"))
            .spawn()
            .expect("slapd starts");
        let guard = Guard::over(&child);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((child, guard));
        until("slapd listens", || TcpStream::connect(("127.0.0.1", self.tls)).ok());
    }

    /// Ends it at once.
    pub fn kill(&self) {
        let ended = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, mut guard)) = ended {
            guard.leave();
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal by its name: `STOP` makes it silent, `CONT` lets it go on.
    pub fn signal(&self, name: &str) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = running.as_ref().expect("it runs").0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success(), "kill -s {name}");
        if name == "STOP" {
            // The threads of a busy process stop one after the other.
            until("every thread to stop", || stopped(&pid).then_some(()));
        }
    }

    /// `ldaps://…`
    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls)
    }

    /// A file of its folder: `ca.pem`, `client.pem`, `client.key`.
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What it has logged: a line for each operation.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("it logs")
    }

    /// Changes entries, as its administrator: LDIF of changes.
    #[track_caller]
    pub fn modify(&self, ldif: &str) {
        self.tool("ldapmodify", &[], ldif);
    }

    /// Runs a tool of OpenLDAP as the administrator.
    #[track_caller]
    pub fn tool(&self, name: &str, arguments: &[&str], input: &str) -> String {
        let mut child = Command::new(service(name).expect("it was there"))
            .args(["-x", "-H", &self.url(), "-D", ADMIN.0, "-w", ADMIN.1])
            .args(arguments)
            .env("LDAPTLS_CACERT", self.file("ca.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        child.stdin.take().expect("it was piped").write_all(input.as_bytes()).expect("it reads");
        let ended = child.wait_with_output().expect("it ends");
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.kill();
    }
}

fn configuration(at: &Path) -> String {
    let at = at.display();
    format!(
        r#"include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
TLSCACertificateFile {at}/ca.pem
TLSCertificateFile {at}/server.pem
TLSCertificateKeyFile {at}/server.key
TLSVerifyClient try
security simple_bind=64
database mdb
maxsize 67108864
suffix "dc=example,dc=org"
rootdn "{admin}"
rootpw {password}
directory {at}/db
dbnosync
index uid,member,memberUid,entryUUID eq
limits dn.exact="{service}" size=2000
access to attrs=userPassword by dn.exact="{service}" write by self write by anonymous auth by * none
access to * by dn.exact="{service}" read by self read by anonymous auth by * none
overlay memberof
memberof-group-oc groupOfNames
overlay ppolicy
ppolicy_default "cn=default,ou=policies,dc=example,dc=org"
ppolicy_use_lockout
"#,
        admin = ADMIN.0,
        password = ADMIN.1,
        service = SERVICE.0,
    )
}

/// Whether no thread of a process runs any more.
fn stopped(pid: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is there");
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    })
}
