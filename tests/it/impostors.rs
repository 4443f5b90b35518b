//! Whoever takes a name or an address that is somebody else's is told to applications as
//! nobody else (contract section 1, E-mail).

use portcullis_tests::{
    Gateway, Request, Upstream,
    site::{PASSWORD, config},
    until,
};
use serde_json::json;
use std::fs;

struct Place {
    gateway: Gateway,
    upstream: Upstream,
}

impl Place {
    fn start() -> Self {
        let upstream = Upstream::start();
        let more = "[[routes]]\npath = \"/*\"\nupstream = \"api\"\n[accounts]\nregistration = \"open\"\n\
                    [mail]\nurl = \"file:mail\"\nfrom = \"us@x.test\"\n";
        Self { gateway: Gateway::start(&config(&upstream.url(), "", more)), upstream }
    }

    fn register(&self, name: &str, email: &str) -> String {
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        let answer = self.gateway.send(&Request::post("/auth/register").json(&body)).expect(201, "");
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Uses the link in the newest mail to this address.
    fn prove(&self, email: &str) {
        let token: String = until(&format!("a link to {email}"), || {
            let entries = fs::read_dir(self.gateway.folder().join("mail")).ok()?;
            let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            files.retain(|path| path.extension().is_some_and(|e| e == "eml"));
            files.sort();
            let texts = files.iter().rev().map(|path| fs::read_to_string(path).unwrap());
            let mail = texts.into_iter().find(|text| text.contains(&format!("To: {email}\r\n")))?;
            let flat = mail.replace("=\r\n", "").replace("=3D", "=");
            let (_, rest) = flat.split_once("?token=")?;
            Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect())
        });
        let body = json!({ "token": token });
        self.gateway.send(&Request::post("/auth/verify-email").json(&body)).expect(200, "");
    }

    /// `Remote-User` and `Remote-Id` as the application sees them.
    fn seen(&self, path: &str, token: &str) -> (String, String) {
        self.gateway.send(&Request::get(path).bearer(token)).expect(200, "");
        let seen = self.upstream.requests().into_iter().rfind(|r| r.target == path).unwrap();
        (seen.header("remote-user").unwrap().to_owned(), seen.header("remote-id").unwrap().to_owned())
    }
}

#[test]
fn a_name_that_is_an_address_is_told_only_when_it_was_proved_to_be_the_own_one() {
    let place = Place::start();
    // A name that is somebody else's address, and an own address that is proved.
    let mallory = place.register("ceo@corp.test", "mallory@evil.test");
    let (user, id) = place.seen("/1", &mallory);
    assert_eq!(user, id);
    place.prove("mallory@evil.test");
    let (user, id) = place.seen("/2", &mallory);
    assert_eq!(user, id, "the address that is proved is not the name");

    // An address that is somebody else's, and then an own one in its place.
    let other = place.register("cfo@corp.test", "cfo@corp.test");
    let change = json!({ "email": "other@evil.test", "current": PASSWORD });
    place.gateway.send(&Request::new("PATCH", "/auth/me").bearer(&other).json(&change)).expect(200, "");
    place.prove("other@evil.test");
    let (user, id) = place.seen("/3", &other);
    assert_eq!(user, id);

    // Whoever proves it is told by it, and stays so.
    let ann = place.register("ann@x.test", "ann@x.test");
    let (user, id) = place.seen("/4", &ann);
    assert_eq!(user, id);
    place.prove("ann@x.test");
    assert_eq!(place.seen("/5", &ann).0, "ann@x.test");
    let change = json!({ "email": "ann@y.test", "current": PASSWORD });
    place.gateway.send(&Request::new("PATCH", "/auth/me").bearer(&ann).json(&change)).expect(200, "");
    place.prove("ann@y.test");
    assert_eq!(place.seen("/6", &ann).0, "ann@x.test");
}
