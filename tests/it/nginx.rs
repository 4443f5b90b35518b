//! A real server behind the gateway: nginx serving files, curl as the client.

use portcullis_tests::{
    Gateway,
    ports::free_port,
    services::{curl, service},
    site::{PASSWORD, config},
    until,
};
use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

/// nginx, ended with the test.
pub struct Nginx {
    child: Child,
    /// One for each of its sites.
    pub ports: Vec<u16>,
}

impl Nginx {
    /// One site for each text: what follows `listen 127.0.0.1:PORT`. All serve `www`, and
    /// each request is a line of `access.log`.
    pub fn start(program: &Path, folder: &Path, sites: &[String]) -> Self {
        // nginx cannot say which port it got.
        let ports: Vec<u16> = sites.iter().map(|_| free_port()).collect();
        fs::create_dir_all(folder.join("www")).unwrap();
        fs::write(folder.join("www/hello.txt"), "hello from nginx\n").unwrap();
        let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
            .concat();
        let server = |(port, site): (&u16, &String)| {
            format!("server {{ listen 127.0.0.1:{port}{site} root {}/www; }}\n", folder.display())
        };
        let servers: String = ports.iter().zip(sites).map(server).collect();
        let text = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\nhttp {{\n{temp}\
             log_format who 'on=$connection tls=$ssl_protocol name=$ssl_server_name $request \
             user=$http_remote_user email=$http_remote_email groups=$http_remote_groups';\n\
             access_log {0}/access.log who;\n{servers}}}\n",
            folder.display()
        );
        fs::write(folder.join("nginx.conf"), text).unwrap();
        let child = Command::new(program)
            .args(["-e", "stderr", "-p"])
            .arg(folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, ports };
        for port in &nginx.ports {
            until("nginx", || TcpStream::connect(("127.0.0.1", *port)).ok());
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn login_by_curl_fetch_a_file_be_seen_in_nginx_log_log_out_and_be_refused() {
    let (Some(program), Some(_)) = (service("nginx"), service("curl")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(&program, folder.path(), &[";".to_owned()]);
    let routes = "[[routes]]\npath = \"/*\"\nupstream = \"api\"\n";
    let gateway = Gateway::start(&config(&format!("http://127.0.0.1:{}", nginx.ports[0]), "", routes));
    gateway.add_user("alice", PASSWORD, &["--email", "alice@example.org", "--role", "staff"]);
    let jar = folder.path().join("jar");
    let jar = jar.to_str().unwrap();
    let at = |path: &str| format!("{}{path}", gateway.url());
    let status = |arguments: &[&str]| {
        let mut all = vec!["-o", "/dev/null", "-w", "%{http_code}"];
        all.extend(arguments);
        curl(&all).unwrap()
    };

    assert_eq!(status(&[&at("/hello.txt")]), "401");
    let password = format!("password={PASSWORD}");
    let login = curl(&[
        "-c",
        jar,
        "--data-urlencode",
        "username=alice",
        "--data-urlencode",
        &password,
        &at("/login/local"),
    ])
    .unwrap();
    assert!(login.contains("\"success\":true"), "{login}");
    assert_eq!(curl(&["-b", jar, &at("/hello.txt")]).unwrap(), "hello from nginx\n");
    let forged = ["-b", jar, "-H", "Remote-User: admin", "-H", "Remote_User: admin"];
    assert_eq!(status(&[forged.as_slice(), &[&at("/hello.txt?2")]].concat()), "200");
    let log = until("nginx's log", || {
        fs::read_to_string(folder.path().join("access.log")).ok().filter(|t| t.lines().count() >= 2)
    });
    for line in log.lines() {
        assert!(line.ends_with("user=alice email=alice@example.org groups=staff"), "{log}");
    }
    let token =
        serde_json::from_str::<serde_json::Value>(&login).unwrap()["token"].as_str().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {token}");
    assert_eq!(status(&["-H", &bearer, &at("/hello.txt")]), "200");
    let jar_before = fs::read_to_string(jar).unwrap();
    assert_eq!(status(&["-b", jar, "-c", jar, "-X", "POST", &at("/logout")]), "200");
    assert_eq!(status(&["-b", jar, &at("/hello.txt")]), "401");
    fs::write(jar, jar_before).unwrap();
    assert_eq!(status(&["-b", jar, &at("/hello.txt")]), "401", "the old cookie opens nothing");
    assert_eq!(status(&["-H", &bearer, &at("/hello.txt")]), "401");
}
