//! The pages in Debian's Chromium: `tests/browser/*.mjs` says what a person does and sees,
//! here stands what they run against. Radicale, a calendar server from PyPI, is the
//! application: with `auth type = http_remote_user` it believes the field `Remote-User`.

use crate::openid;
use portcullis_tests::{
    Gateway, Upstream,
    ports::{free_port, nobody},
    program::{command, root},
    provider::Provider,
    services::{required, service},
    site::{PASSWORD, ROUTES, config},
    until,
};
use serde_json::{Value, json};
use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

/// One browser at a time: each is several processes.
static BROWSER: Mutex<()> = Mutex::new(());

/// What `tests/run` installs for these tests; nothing after a loud word when it is not there.
fn installed() -> Option<PathBuf> {
    let chromium = service("chromium");
    let node = service("node");
    let packages = required(&root().join("tests/browser/node_modules/playwright-core"));
    (chromium.is_some() && packages).then_some(node).flatten()
}

/// Runs a script to its end.
fn script(node: &Path, name: &str, site: &Value) {
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(node)
        .arg(root().join("tests/browser").join(name))
        .env("SITE", site.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:\n{}{said}", String::from_utf8_lossy(&output.stdout));
}

fn site(upstream: &str, more: &str) -> Gateway {
    let gateway = Gateway::start(&config(upstream, "", more));
    gateway.add_user("alice", PASSWORD, &["--email", "alice@example.org", "--role", "staff"]);
    gateway
}

/// A login page that has no default form.
fn chooser() -> Gateway {
    Gateway::start(
        "[server]\nlisten = \"127.0.0.1:0\"\n[strategies.zoe]\nkind = \"local\"\ntitle = \"Zoe\"\n\
         [strategies.ann]\nkind = \"local\"\ntitle = \"Ann\"\n",
    )
}

/// The application, ended with the test.
struct Radicale(Child, u16);

impl Radicale {
    fn start(folder: &Path) -> Option<Self> {
        let python = service("python3")?;
        let packages = root().join("tests/.env/radicale");
        if !required(&packages) {
            return None;
        }
        let port = free_port();
        let text = format!(
            "[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = http_remote_user\n\
             [storage]\nfilesystem_folder = {}\n",
            folder.join("collections").display()
        );
        fs::write(folder.join("radicale.conf"), text).unwrap();
        let child = Command::new(python)
            .args(["-m", "radicale", "-C"])
            .arg(folder.join("radicale.conf"))
            .env("PYTHONPATH", packages)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("radicale.log")).unwrap())
            .spawn()
            .unwrap();
        let radicale = Self(child, port);
        until("radicale", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(radicale)
    }
}

impl Drop for Radicale {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_person_signs_in_uses_radicale_and_signs_out() {
    let Some(node) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(radicale) = Radicale::start(folder.path()) else { return };
    let routes = "[[routes]]\npath = \"/*\"\nupstream = \"api\"\n";
    let gateway = site(&format!("http://127.0.0.1:{}", radicale.1), routes);
    script(&node, "radicale.mjs", &json!({"url": gateway.url(), "password": PASSWORD}));
}

/// The same with answers in the address and with answers that are posted.
#[test]
fn a_person_goes_the_whole_way_through_a_provider_and_back() {
    let Some(node) = installed() else { return };
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let start = |id: &str, more: &str| {
        let settings = format!("title = \"Example ID\"\n{more}\n[strategies.local]\nkind = \"local\"\n");
        openid::gateway(provider, &upstream, id, &settings, &json!({}))
    };
    let (query, posted) =
        (start("browser-query", ""), start("browser-post", "response_mode = \"form_post\""));
    let site = json!({"url": query.url(), "posted": posted.url(), "provider": provider.issuer});
    script(&node, "provider.mjs", &site);
}

/// Row O-07.
#[test]
fn no_address_of_hundreds_leaves_the_origin_as_a_browser_reads_it() {
    let Some(node) = installed() else { return };
    let upstream = Upstream::start();
    let gateway = site(&upstream.url(), ROUTES);
    script(&node, "leaving.mjs", &json!({"url": gateway.url()}));
}

#[test]
fn everything_works_without_scripts_and_a_password_manager_finds_its_fields() {
    let Some(node) = installed() else { return };
    let upstream = Upstream::start();
    let (gateway, chooser) = (site(&upstream.url(), ROUTES), chooser());
    let site = json!({"url": gateway.url(), "password": PASSWORD, "chooser": chooser.url()});
    script(&node, "without_scripts.mjs", &site);
}

#[test]
fn axe_finds_nothing_on_any_page_in_light_in_dark_and_at_320_px() {
    let Some(node) = installed() else { return };
    let upstream = Upstream::start();
    let nobody = nobody();
    let down = format!(
        "{ROUTES}\n[upstreams.down]\nurls = [\"http://{nobody}\"]\n\
         [[routes]]\npath = \"/down/*\"\nupstream = \"down\"\n[accounts]\nregistration = \"open\"\n\
         [mail]\nurl = \"file:mail\"\nfrom = \"us@x.test\"\n"
    );
    let (gateway, chooser) = (site(&upstream.url(), &down), chooser());
    let mut demo = command(tempfile::tempdir().unwrap().path());
    let folder = Arc::new(tempfile::tempdir().unwrap());
    demo.current_dir(folder.path()).args(["demo", "--listen", "127.0.0.1:0", "--json"]);
    let demo = Gateway::spawn(folder, &mut demo);
    let line = until("the line of JSON", || {
        let lines = demo.output();
        lines
            .lines()
            .find_map(|line| serde_json::from_str::<Value>(line).ok().filter(|v| v["url"].is_string()))
    });
    let site = json!({"url": gateway.url(), "password": PASSWORD, "chooser": chooser.url(), "demo": line});
    script(&node, "axe.mjs", &site);
}
