//! The admin listener (contract section 3, `[admin]`; security rows G-01 and G-02): whether
//! the gateway is ready, what it counts, and that neither is on the public listener. The
//! dashboard, the alerts and the page about metrics are compared with a live scrape.

use portcullis_tests::{
    Gateway, Request, Response, Site, Upstream, login,
    program::root,
    site::{ROUTES, config},
    until,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

pub const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

/// Where the gateway says its metrics are.
pub fn admin(gateway: &Gateway) -> SocketAddr {
    until("the admin listener", || {
        let said = gateway.output();
        let rest = said.split("metrics at http://").nth(1)?;
        rest.split("/metrics").next()?.parse().ok()
    })
}

/// What the admin listener answers to these bytes, whole.
fn raw(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub fn get(at: SocketAddr, path: &str) -> String {
    raw(at, &format!("GET {path} HTTP/1.1\r\nHost: anything.test\r\n\r\n"))
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

fn site() -> Site {
    Site::before(Upstream::start(), "", &format!("{ROUTES}{DEAD}{ADMIN}"))
}

const DEAD: &str = "[upstreams.dead]\nurls = [\"http://127.0.0.1:9\"]\n\
    [[routes]]\nid = \"dead one\"\npath = \"/dead/*\"\nupstream = \"dead\"\npolicy = \"public\"\n";

/// The value of a sample, by its name with labels.
fn value(scrape: &str, sample: &str) -> Option<f64> {
    let line =
        scrape.lines().find(|line| line.strip_prefix(sample).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_gateway_that_serves_is_alive_and_ready_and_a_draining_one_is_not() {
    let site = site();
    let at = admin(&site.gateway);
    assert!(get(at, "/livez").starts_with("HTTP/1.1 200 "));
    let ready = get(at, "/readyz?verbose");
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    let said: Value = serde_json::from_str(body(&ready)).unwrap();
    assert_eq!(
        (&said["ready"], &said["store"], &said["listeners"]),
        (&true.into(), &"ok".into(), &"ok".into())
    );

    // A request in flight holds the drain.
    let mut slow = site.gateway.connect();
    slow.write(b"POST /public/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nab");
    until("the request in flight", || {
        let scrape = get(at, "/metrics");
        (value(body(&scrape), "portcullis_connections")? >= 1.0).then_some(())
    });
    site.gateway.signal("TERM");
    let answer = until("the drain", || Some(get(at, "/readyz")).filter(|a| !a.starts_with("HTTP/1.1 200 ")));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("draining"), "{answer}");
    assert!(get(at, "/livez").starts_with("HTTP/1.1 200 "), "it lives until it ends");
}

#[test]
fn requests_logins_and_failures_are_counted_by_route_and_class() {
    let site = site();
    let at = admin(&site.gateway);
    for (request, status) in [
        (site.as_alice("/app"), 200),
        (site.as_alice("/app"), 200),
        (Request::get("/app"), 401),
        (site.as_alice("/admin/x"), 403),
        (Request::get("/dead/x"), 502),
        (Request::get("/auth/strategies"), 200),
        (Request::get("/%00"), 400),
    ] {
        assert_eq!(site.send(&request).status, status);
    }
    let wrong = login::try_login(&site.gateway, "alice", "not the password 1");
    assert_eq!(wrong.status, 401);
    for (sample, expected) in [
        ("portcullis_requests_total{route=\"/*\",class=\"2xx\"}", 2.0),
        ("portcullis_requests_total{route=\"/*\",class=\"4xx\"}", 1.0),
        ("portcullis_requests_total{route=\"/admin/*\",class=\"4xx\"}", 1.0),
        ("portcullis_requests_total{route=\"dead one\",class=\"5xx\"}", 1.0),
        ("portcullis_requests_total{route=\"(none)\",class=\"4xx\"}", 1.0),
        ("portcullis_request_duration_seconds_count{route=\"/*\",class=\"2xx\"}", 2.0),
        ("portcullis_upstream_failures_total{upstream=\"dead\",code=\"upstream_unreachable\"}", 1.0),
        ("portcullis_logins_total{strategy=\"local\",result=\"success\"}", 1.0),
        ("portcullis_logins_total{strategy=\"local\",result=\"bad_credentials\"}", 1.0),
        ("portcullis_sessions", 1.0),
        ("portcullis_store_errors_total", 0.0),
        ("portcullis_strategy_degraded{strategy=\"local\"}", 0.0),
        ("portcullis_strategy_queue{strategy=\"local\"}", 0.0),
    ] {
        until(sample, || (value(body(&get(at, "/metrics")), sample)? == expected).then_some(()));
    }
    site.gateway.signal("HUP");
    let reloads = "portcullis_config_reloads_total{result=\"taken\"}";
    until(reloads, || (value(body(&get(at, "/metrics")), reloads)? == 1.0).then_some(()));
    let scrape = get(at, "/metrics");
    assert!(scrape.contains("application/openmetrics-text; version=1.0.0"), "{scrape}");
    assert!(body(&scrape).ends_with("# EOF\n"));
    for private in ["alice", "/app", "127.0.0.1", &site.alice.cookie] {
        assert!(!body(&scrape).contains(private), "{private}: {scrape}");
    }
}

#[test]
fn a_scrape_is_openmetrics_every_sample_in_its_family() {
    let site = site();
    let scrape = get(admin(&site.gateway), "/metrics");
    let (mut family, mut kind) = ("", "");
    let mut seen = BTreeSet::new();
    for line in body(&scrape).lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            (family, kind) = rest.split_once(' ').unwrap();
            assert!(seen.insert(family), "{family} is there twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{name} is not in {family}"));
            let allowed: &[&str] = match kind {
                "counter" => &["_total"],
                "gauge" => &[""],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_count", "_sum"],
                other => panic!("{family} is a {other}"),
            };
            assert!(allowed.contains(&suffix), "{line}");
        }
    }
}

#[test]
fn the_admin_listener_only_reads_and_says_nothing_else() {
    let site = site();
    let at = admin(&site.gateway);
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"),
        ("DELETE /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET /debug/pprof HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET /metrics/../config HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET //metrics HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET /auth/strategies HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET /metrics\n\n", "400"),
        ("GET /metrics HTTP/1.1\r\n\r\n", "400"),
    ] {
        let answer = raw(at, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    let long = raw(at, &format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(7 * 1024)));
    assert!(long.starts_with("HTTP/1.1 200 "), "{long}");
}

// G-01
#[test]
fn a_page_of_somebody_elses_reads_nothing_of_it_and_probes_by_any_name_do() {
    let site = Site::before(Upstream::start(), "hosts = [\"ops.test\"]", &format!("{ROUTES}{ADMIN}"));
    let at = admin(&site.gateway);
    let own = format!("http://{at}");
    let ask = |host: &str, lines: &str| {
        let answers = ["/livez", "/readyz", "/metrics"]
            .map(|path| raw(at, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")));
        let statuses = answers.map(|answer| answer.split(' ').nth(1).unwrap().to_owned());
        assert!(statuses.iter().all(|status| *status == statuses[0]), "{host} {lines:?}: {statuses:?}");
        statuses[0].clone()
    };
    let names = ["localhost", "127.0.0.1:9091", "[::1]:9091", "10.1.2.3", "ops.test", "OPS.test.:9091"];
    let browser = "User-Agent: Mozilla/5.0\r\nAccept-Language: en\r\n";
    for host in names {
        for lines in ["", browser, "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n"] {
            assert_eq!(ask(host, lines), "200", "{host} {lines:?}");
        }
        for lines in [
            "Origin: http://evil.test\r\n",
            "Origin: null\r\n",
            "Origin: https://ops.test\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
        ] {
            assert_eq!(ask(host, lines), "403", "{host} {lines:?}");
        }
    }
    assert_eq!(ask(&at.to_string(), &format!("Origin: {own}\r\nSec-Fetch-Site: same-origin\r\n")), "200");
    // A service's name in a cluster; and a page that gave its own name this address.
    for host in ["gateway.monitoring.svc.cluster.local:9091", "gateway", "evil.test"] {
        assert_eq!(ask(host, "User-Agent: Prometheus/3.0\r\nAccept: text/plain\r\n"), "200", "{host}");
        assert_eq!(ask(host, "User-Agent: kube-probe/1.29\r\n"), "200", "{host}");
        for lines in [browser, "accept-language:\r\n", "Referer: http://x/\r\n", "Cookie: a=b\r\n"] {
            assert_eq!(ask(host, lines), "421", "{host} {lines:?}");
        }
    }
}

#[test]
fn nothing_of_it_is_on_the_public_listener() {
    let upstream = Upstream::start();
    let route = "[[routes]]\npath = \"/app/*\"\nupstream = \"api\"\npolicy = \"public\"\n";
    let gateway = Gateway::start(&config(&upstream.url(), "", &format!("{route}{ADMIN}")));
    for path in ["/metrics", "/livez", "/readyz", "/debug/pprof", "/debug/vars", "/config/", "/auth/metrics"]
    {
        let answer: Response = gateway.send(&Request::get(path));
        assert_eq!(answer.status, 404, "{path}");
    }
    let without = Gateway::start(&config(&upstream.url(), "", route));
    assert!(!without.output().contains("metrics at"));
}

#[test]
fn an_admin_address_in_use_stops_the_start_and_is_named() {
    let site = site();
    let text = config("http://127.0.0.1:1", "", ROUTES);
    let text = format!("{text}[admin]\nlisten = \"{}\"\n", admin(&site.gateway));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let ended = portcullis_tests::program::run(folder.path(), &["serve"], "").with_code(1);
    assert!(ended.stderr.contains(&admin(&site.gateway).to_string()), "{ended:?}");
}

/// The names and labels of all samples after some of everything.
fn names_of_a_live_scrape() -> BTreeMap<String, BTreeSet<String>> {
    let site = site();
    assert_eq!(site.send(&site.as_alice("/app")).status, 200);
    assert_eq!(site.send(&Request::get("/dead/x")).status, 502);
    let link = serde_json::json!({ "token": "x", "password": "x" });
    site.send(&Request::post("/auth/reset").json(&link)).expect(400, "invalid_token");
    let at = admin(&site.gateway);
    let scrape = until("the failure", || {
        Some(get(at, "/metrics")).filter(|scrape| scrape.contains("portcullis_upstream_failures_total{"))
    });
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in body(&scrape).lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = line.split('{').nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
        let labels = labels.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        names.entry(name.to_owned()).or_default().extend(labels);
    }
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Every metric that a query asks for, and the labels beside it.
fn check_query(query: &str, names: &BTreeMap<String, BTreeSet<String>>) -> usize {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut asked = 0;
    let mut labels: BTreeSet<&str> = BTreeSet::new();
    for (at, _) in query.match_indices("portcullis_") {
        let rest = &query[at..];
        let name = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
        let known = names.get(name).unwrap_or_else(|| panic!("no scrape has {name}: {query}"));
        labels.extend(known.iter().map(String::as_str));
        asked += 1;
    }
    for by in query.split("by (").skip(1) {
        for label in by.split(')').next().unwrap().split(',') {
            assert!(labels.contains(label.trim()), "nothing has the label {label}: {query}");
        }
    }
    asked
}

#[test]
fn the_dashboard_the_alerts_and_the_page_speak_of_what_a_scrape_has() {
    let names = names_of_a_live_scrape();
    let read = |name: &str| fs::read_to_string(root().join("docs").join(name)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap_or(&Vec::new()) {
            asked += check_query(target["expr"].as_str().unwrap(), &names);
        }
    }
    let alerts = read("alerts.yml");
    for line in alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
        asked += check_query(line, &names);
    }
    assert!(asked >= 12, "only {asked} metrics are asked for");
    let page = read("metrics.md");
    for name in names.keys() {
        let base =
            ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(page.contains(&format!("`{base}`")), "{base} is not on the page");
    }
    for name in page.split('`').filter(|word| word.starts_with("portcullis_")) {
        let known = names.keys().any(|known| known == name || known.strip_suffix("_bucket") == Some(name));
        assert!(known, "the page speaks of {name}, which no scrape has");
    }
}
