//! Properties over generated requests, at the front door: what is matched is what is
//! forwarded, and whatever fields a client sends, the upstream reads the gateway's values
//! and no others (rows H-01 to H-08, M-06, M-08, P-05 to P-18).

use portcullis_tests::{
    Connection, Recorded, Request, Site,
    readers::{all_see, fold, folding},
    rng::Rng,
    site::mark,
};

/// Pieces of paths that some reader somewhere takes for something else.
const PIECES: &[&str] = &[
    "/", "/", "/", "//", "/.", "/..", "/./", "/../", "public", "public", "admin", "staff", "PUBLIC", "Admin",
    "x", "%2e", "%2E%2e", "%2f", "%5c", "%252e", "%252f", "%25", "%23", "%3f", "%3B", "%00", "%61dmin",
    "%70ublic", "%c0%af", "%zz", "%", ";", ";x=1", ".", "..", "...", "\\", "~", "é", "%C3%A9", "a.css", "+",
    "%20", ",", "=",
];

fn path(rng: &mut Rng) -> String {
    let mut path = String::from(*rng.pick(&["/", "/public/", "/public", "/admin/", "//", "/public/x/"]));
    for _ in 0..rng.below(7) {
        path.push_str(PIECES[rng.below(PIECES.len())]);
    }
    path
}

/// Whether a path is its own normal form, by the words of the contract.
fn is_normal(path: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let escapes_needed = path.match_indices('%').all(|(at, _)| {
        let code = path.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        code.is_some_and(|code| !unreserved(code) && code != 0 && code != b'\\' && code != b'/')
    });
    path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|s| matches!(s, "." | ".."))
        && path.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'#' && b != b'\\')
        && escapes_needed
}

/// On a kept connection; a new one after a refusal has closed it.
struct Asker {
    connection: Option<Connection>,
}

impl Asker {
    fn ask(&mut self, bytes: &[u8]) -> u16 {
        let mut connection = self.connection.take().unwrap_or_else(|| Site::shared().gateway.connect());
        let answer = connection.write(bytes).response();
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        answer.status
    }
}

// M-06, P-05 to P-18
#[test]
fn a_generated_path_reaches_the_upstream_in_normal_form_below_its_route_or_not_at_all() {
    let site = Site::shared();
    let mut asker = Asker { connection: None };
    let mut rng = Rng::new(7);
    let (mut forwarded, mut guarded, mut refused) = (0, 0, 0);
    for _ in 0..3000 {
        let (path, mark) = (path(&mut rng), mark());
        let request = format!("GET {path}?{mark} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        match asker.ask(request.as_bytes()) {
            200 => {
                let seen = site.upstream.marked(&mark).target;
                let seen = seen.strip_suffix(&format!("?{mark}")).expect("the query is as it was").to_owned();
                assert!(is_normal(&seen), "{path} arrived as {seen}");
                assert!(seen == "/public" || seen.starts_with("/public/"), "{path} arrived as {seen}");
                // Sent again in that form it is the same request.
                let again = format!("GET {seen}?again-{mark} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
                assert_eq!(asker.ask(again.as_bytes()), 200, "{path}, then {seen}");
                assert_eq!(
                    site.upstream.marked(&format!("again-{mark}")).target,
                    format!("{seen}?again-{mark}")
                );
                forwarded += 1;
            }
            status @ (400 | 401) => {
                assert!(site.upstream.all_marked(&mark).is_empty(), "{path}: {status}, and it was heard");
                if status == 401 { guarded += 1 } else { refused += 1 }
            }
            status => panic!("{path}: {status}"),
        }
    }
    assert!(forwarded > 100 && guarded > 100 && refused > 100, "{forwarded} {guarded} {refused}");
}

/// Names that some upstream believes, and some that nobody should touch.
const BELIEVED: &[&str] = &[
    "Remote-User",
    "Remote-Groups",
    "Remote-Email",
    "Remote-Id",
    "Remote-Name",
    "X-Portcullis-Assertion",
    "X-Forwarded-User",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Auth-Request-User",
    "Forwarded",
    "X-Real-IP",
    "X-Original-URL",
    "Proxy",
    "Client-Cert",
    "Ssl-Client-Verify",
    "X-Request-Id",
    "X-Webauth-User",
];
const INNOCENT: &[&str] = &["X-Custom", "Accept-Language", "X-Trace", "Cache-Control", "If-None-Match"];

fn respell(name: &str, rng: &mut Rng) -> String {
    let symbols = b"-_.!~|`^*'&%$#+";
    name.bytes()
        .map(|b| match (b, rng.below(3)) {
            (b'-', 0) => '-',
            (b'-', _) => char::from(*rng.pick(symbols)),
            (_, 0) => char::from(b.to_ascii_uppercase()),
            _ => char::from(b.to_ascii_lowercase()),
        })
        .collect()
}

/// What the gateway alone may say, as a request of alice's has it.
#[track_caller]
fn only_ours(seen: &Recorded, user: Option<&str>) {
    assert!(!seen.text().contains("attacker"), "{}", seen.text());
    all_see(seen, "Remote-User", user);
    all_see(seen, "Remote-Groups", user.map(|_| "staff"));
    all_see(seen, "X-Forwarded-For", Some("127.0.0.1"));
    all_see(seen, "X-Forwarded-Proto", Some("http"));
    let folded = folding(seen);
    assert_eq!(folded.contains_key("X_PORTCULLIS_ASSERTION"), user.is_some(), "{}", seen.text());
    for name in BELIEVED.iter().filter(|n| !seen.fields.iter().any(|(m, _)| m.eq_ignore_ascii_case(n))) {
        assert!(!folded.contains_key(&fold(name)), "{name}: {}", seen.text());
    }
}

// H-01 to H-08, H-11, M-08, M-09
#[test]
fn whatever_fields_a_client_sends_the_upstream_reads_exactly_the_gateways() {
    let site = Site::shared();
    let mut connection = site.gateway.connect();
    let mut rng = Rng::new(11);
    for round in 0..600 {
        let mark = mark();
        let signed_in = round % 2 == 0;
        let target = if signed_in { format!("/app/{mark}") } else { format!("/public/{mark}") };
        let mut request = if signed_in { site.as_alice(&target) } else { Request::get(&target) };
        let mut innocent = Vec::new();
        for number in 0..rng.below(12) {
            match rng.below(4) {
                0 => {
                    let (name, value) = (*rng.pick(INNOCENT), format!("kept-{number}"));
                    request = request.with(name, &value);
                    innocent.push((name, value));
                }
                1 => {
                    let named: Vec<String> = (0..1 + rng.below(3))
                        .map(|_| respell(BELIEVED[rng.below(BELIEVED.len())], &mut rng))
                        .collect();
                    request = request.with("Connection", &named.join(", "));
                }
                _ => {
                    let name = respell(BELIEVED[rng.below(BELIEVED.len())], &mut rng);
                    request = request.with(&name, &format!("attacker-{number}"));
                }
            }
        }
        connection.send(&request).expect(200, "");
        let seen = site.upstream.marked(&mark);
        only_ours(&seen, signed_in.then_some("alice"));
        for (name, value) in innocent {
            assert!(seen.headers(name).contains(&value.as_str()), "{name} was lost: {}", seen.text());
        }
    }
}
