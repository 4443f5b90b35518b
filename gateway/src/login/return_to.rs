//! Where a login leads: a path of our own origin, and nothing else (contract section 5,
//! Pages). Total on any text.

use portcullis_config::{Config, Endpoints};

/// The most bytes of a path that is followed.
const MAX: usize = 2048;

/// The path to go to: `asked` if it is safe, else `/`.
pub fn path<'a>(asked: Option<&'a str>, endpoints: &Endpoints) -> &'a str {
    asked.filter(|path| is_safe(path, endpoints)).unwrap_or("/")
}

/// The same where old clients' names lead to endpoints, too: a login must not end in a
/// logout by another name.
pub fn landing<'a>(asked: Option<&'a str>, config: &Config) -> &'a str {
    let path = path(asked, &config.endpoints);
    let bare = path.split('?').next().unwrap_or_default();
    let is_alias = config.aliases.iter().any(|alias| alias.leads("GET", bare).is_some());
    if is_alias { "/" } else { path }
}

/// One leading `/`, and nothing that a browser or a proxy would read as something else
/// (WHATWG URL, path state: a backslash counts as a slash, tabs and line ends vanish; in a
/// query it is one character of many).
fn is_safe(target: &str, endpoints: &Endpoints) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let plain = |text: &str| text.bytes().all(|b| matches!(b, b'!'..=b'~') && !b"#\"<>".contains(&b));
    // A route may keep an escaped slash; whoever takes it for a slash must not be led away either.
    let separated = path.replace("%2F", "/").replace("%2f", "/");
    target.len() <= MAX
        && plain(path)
        && !path.contains('\\')
        && plain(query)
        && path.starts_with('/')
        && escapes_are_normal(path)
        && [path, &separated].into_iter().all(|path| {
            segments_are_normal(path)
                && !is_within(path, &endpoints.login)
                && !is_within(path, &endpoints.logout)
                && !is_within(path, &endpoints.auth)
        })
}

/// Whether normalisation would leave the segments as they are: none is empty or dots.
fn segments_are_normal(path: &str) -> bool {
    path.split('/').skip(1).enumerate().all(|(index, segment)| {
        let last = index + 1 == path.matches('/').count();
        let bare = segment.split(';').next().unwrap_or_default();
        (last || !segment.is_empty()) && bare != "." && bare != ".."
    })
}

/// Whether it would leave the escapes: none of what needs none, none that hides a backslash
/// or a control character.
fn escapes_are_normal(path: &str) -> bool {
    path.split('%').skip(1).all(|after| {
        let byte = after.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            None | Some(0..=0x1f | 0x7f | b'\\') => false,
            // Unreserved characters (RFC 3986 §2.3) are written as themselves.
            Some(b'-' | b'.' | b'_' | b'~') => false,
            // Another escape could hide behind `%25` from whoever decodes twice.
            Some(b'%') => !after.get(2..4).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())),
            Some(byte) => !byte.is_ascii_alphanumeric(),
        }
    })
}

/// On whole segments, without case: a route that compares so must not lead there either.
fn is_within(path: &str, endpoint: &str) -> bool {
    let head = path.get(..endpoint.len());
    let rest = path.get(endpoint.len()..).unwrap_or_default();
    head.is_some_and(|head| head.eq_ignore_ascii_case(endpoint))
        && (rest.is_empty() || rest.starts_with(['/', ';']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoints() -> Endpoints {
        Endpoints { login: "/login".into(), logout: "/logout".into(), auth: "/auth".into() }
    }

    fn lands(asked: &str) -> String {
        path(Some(asked), &endpoints()).to_owned()
    }

    #[test]
    fn a_path_of_our_own_is_followed() {
        for asked in [
            "/",
            "/x",
            "/x/",
            "/a/b?c=d&e=%2Ff",
            "/loginx",
            "/a%20b",
            "/100%25.txt",
            "/x?u=https://e.test/",
            "/@x",
            "/a:b",
            "/group/app/-/tree/feature%2Fx",
            "/files?dir=C:\\data",
        ] {
            assert_eq!(lands(asked), asked);
        }
        assert_eq!(path(None, &endpoints()), "/");
    }

    // Contract section 5, Pages: never to an endpoint, by whatever name.
    #[test]
    fn an_alias_of_an_endpoint_is_no_place_to_land() {
        let file = "[strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"http://127.0.0.1:1\"]\n\
                    [[routes]]\npath = \"/*\"\nupstream = \"api\"\n\
                    [[aliases]]\nfrom = \"GET /old/logout\"\nto = \"logout\"\n\
                    [[aliases]]\nfrom = \"POST /old/login\"\nto = \"login\"\n";
        let config = portcullis_config::parse(file, std::path::Path::new("p"), &[]).unwrap();
        for (asked, lands) in [
            ("/old/logout", "/"),
            ("/old/logout?global=true", "/"),
            ("/old/logout/x", "/old/logout/x"),
            ("/old/login", "/old/login"),
            ("/x?y", "/x?y"),
            ("/login", "/"),
        ] {
            assert_eq!(landing(Some(asked), &config), lands, "{asked}");
        }
    }

    #[test]
    fn whatever_could_leave_the_origin_becomes_the_root() {
        let long = format!("/{}", "x".repeat(MAX));
        for asked in [
            "",
            "x",
            "//e.test",
            "///e.test",
            "/\\e.test",
            "\\\\e.test",
            "/\t/e.test",
            "/\n/e.test",
            " /x",
            "https://e.test",
            "https:e.test",
            "javascript:alert(1)",
            "/%09/e.test",
            "/%2Fe.test",
            "/%5Ce.test",
            "/x%2F..%2Fy",
            "/x/%2Fy",
            "/login%2Flocal",
            "/x/..%2Flogin",
            "/./x",
            "/../x",
            "/x/..",
            "/x/%2e%2e/y",
            "/.;/x",
            "/x//y",
            "/x#y",
            "/%",
            "/%4",
            "/%41",
            "/%252Fx",
            "/x\u{e9}",
            "/x y",
            "/login",
            "/login/local",
            "/LOGIN",
            "/logout?global=true",
            "/auth/current",
            "/login;x",
            "/a\"b",
            "?x",
            &long,
        ] {
            assert_eq!(lands(asked), "/", "{asked:?}");
        }
    }

    proptest! {
        #[test]
        fn the_result_always_stays_here(asked in "[/\\\\a-z.%@:?#;\t\n ]{0,24}|\\PC{0,40}|(/|//|/\\\\|/%2f|/\\.\\.)[a-z./%]{0,20}") {
            let landed = lands(&asked);
            prop_assert!(landed.starts_with('/'));
            prop_assert!(!landed.contains("//") || landed.find("//") > landed.find('?'));
            let path = landed.split('?').next().unwrap();
            prop_assert!(!path.contains('\\') && !landed.contains('#'));
            prop_assert!(!landed.chars().any(|c| c.is_control() || c == ' '));
            prop_assert!(landed.len() <= MAX);
            prop_assert!(landed == "/" || landed == asked);
        }
    }
}
