//! People sign in with a real OpenID provider, and out again: here, there, and everywhere.

use portcullis_tests::{
    Gateway, Request, Upstream,
    certificates::Authority,
    libraries, program,
    provider::{Person, Provider, SECRET},
};
use serde_json::{Value, json};

/// A gateway whose strategy `op` is that provider; `id` is the client's name there.
pub fn gateway(
    provider: &Provider,
    upstream: &Upstream,
    id: &str,
    settings: &str,
    registration: &Value,
) -> Gateway {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n\
         [strategies.op]\nkind = \"oauth\"\nissuer = \"{}\"\nclient_id = \"{id}\"\nclient_secret = \"{SECRET}\"\n\
         scopes = [\"openid\", \"profile\", \"email\", \"groups\", \"offline_access\"]\ntls = {{ ca = \"{}\" }}\n\
         admit = \"anyone\"\nroles = {{ \"gw-admins\" = \"admin\", \"staff\" = \"staff\" }}\n{settings}\n\
         [upstreams.api]\nurls = [\"{}\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n",
        provider.issuer,
        provider.ca,
        upstream.url(),
    );
    let gateway = Gateway::start(&config);
    provider.register(id, &gateway.url(), registration);
    gateway
}

#[test]
fn a_person_signs_in_at_the_provider_and_lands_where_they_wanted_to_go() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "plain", "", &json!({}));
    let alice = Person::new(provider);
    let page = alice.sign_in(&gateway.url(), "alice", "/calendar");
    assert_eq!(
        (page.status, page.url.as_str()),
        (200, format!("{}/calendar", gateway.url()).as_str()),
        "{page:?}"
    );
    let current = &alice.current(&gateway.url())["authenticated"];
    assert_eq!(current["email"], "alice@example.org");
    assert_eq!(current["name"], "alice", "no preferred name: the local part of her address");
    let roles = current["roles"].to_string();
    assert!(roles.contains("admin") && roles.contains("staff"), "{current}");
    // The provider knows her already; a second login asks her nothing.
    let again = Person::new(provider);
    let second = again.sign_in(&gateway.url(), "alice", "/");
    assert_eq!(second.status, 200);
    assert_eq!(again.current(&gateway.url())["authenticated"]["uuid"], current["uuid"]);
}

#[test]
fn every_way_to_ask_and_every_algorithm_leads_in() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    for (id, settings, registration) in [
        ("par", "par = true", json!({})),
        ("dpop", "dpop = true", json!({})),
        ("form", "response_mode = \"form_post\"", json!({})),
        ("post", "client_auth = \"post\"", json!({ "token_endpoint_auth_method": "client_secret_post" })),
        ("ed", "par = true\ndpop = true", json!({ "id_token_signed_response_alg": "Ed25519" })),
        ("eddsa", "", json!({ "id_token_signed_response_alg": "EdDSA" })),
        ("es", "", json!({ "id_token_signed_response_alg": "ES256" })),
        ("ps", "", json!({ "id_token_signed_response_alg": "PS256" })),
    ] {
        let gateway = gateway(provider, &upstream, id, settings, &registration);
        let alice = Person::new(provider);
        let mut page = alice.sign_in(&gateway.url(), "alice", "/");
        if id == "form" {
            // The provider's page posts itself in a browser; here it is done by hand.
            page = alice.post(&format!("{}/login/op/callback", gateway.url()), &hidden(&page.body));
        }
        assert_eq!(page.status, 200, "{id}: {page:?}\n{}", gateway.output());
        assert_eq!(alice.current(&gateway.url())["authenticated"]["email"], "alice@example.org", "{id}");
    }
}

/// The fields of a form that a page posts by itself.
fn hidden(page: &str) -> Vec<(&str, &str)> {
    let value = |tag: &'_ str, name: &str| -> Option<usize> {
        tag.find(&format!("{name}=\"")).map(|at| at + name.len() + 2)
    };
    page.split("<input ")
        .skip(1)
        .filter_map(|tag| {
            let (n, v) = (value(tag, "name")?, value(tag, "value")?);
            Some((tag[n..].split('"').next()?, tag[v..].split('"').next()?))
        })
        .collect()
}

#[test]
fn an_unproven_address_and_the_providers_no_give_nothing_away() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "no", "", &json!({}));
    let nobody = Person::new(provider);
    let page = nobody.sign_in(&gateway.url(), "nobody", "/");
    assert_eq!(page.status, 403, "{page:?}");
    assert!(page.body.contains("access_denied") && !page.body.contains("CANARY"), "{}", page.body);
    assert!(!gateway.output().contains("CANARY") && !gateway.output().contains(SECRET));
    let bob = Person::new(provider);
    assert_eq!(bob.sign_in(&gateway.url(), "bob", "/").status, 200);
    let current = &bob.current(&gateway.url())["authenticated"];
    assert_ne!(current["name"], "bob@example.org", "an unproven address is no name: {current}");
}

/// Row O-02 and the rest of a stale callback.
#[test]
fn a_callback_is_good_for_one_login_in_one_browser() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "stale", "", &json!({}));
    let alice = Person::new(provider);
    for query in ["", "?state=x&code=y", "?code=a&code=b&state=s", "?state=a&state=b&code=c"] {
        let page = alice.get(&format!("{}/login/op/callback{query}", gateway.url()));
        assert_eq!(page.status, 400, "{query}: {page:?}");
    }
    assert_eq!(alice.current(&gateway.url())["authenticated"], false);
}

#[test]
fn signing_out_at_the_gateway_goes_by_the_provider() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "rp", "", &json!({}));
    let alice = Person::new(provider);
    assert_eq!(alice.sign_in(&gateway.url(), "alice", "/").status, 200);
    let asked = alice.post(&format!("{}/logout", gateway.url()), &[]);
    assert!(asked.url.starts_with(&format!("{}/session/end?", provider.issuer)), "{asked:?}");
    assert_eq!(alice.current(&gateway.url())["authenticated"], false);
    let back = alice.post(&format!("{}/session/end/confirm", provider.issuer), &with_yes(&asked.body));
    assert!(back.url.starts_with(&format!("{}/login", gateway.url())), "{back:?}");
    // She is signed out there too: the next login shows the provider's form.
    let form = alice.get(&format!("{}/login/op", gateway.url()));
    assert!(form.url.contains("/interaction/"), "{form:?}");
}

fn with_yes(page: &str) -> Vec<(&str, &str)> {
    let mut fields = hidden(page);
    fields.retain(|(name, _)| *name != "logout");
    fields.push(("logout", "yes"));
    fields
}

/// Every session of that login ends, though nobody was at the gateway.
#[test]
fn signing_out_at_the_provider_ends_the_session_here() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "bc", "", &json!({}));
    let alice = Person::new(provider);
    let other = Person::new(provider);
    assert_eq!(alice.sign_in(&gateway.url(), "alice", "/").status, 200);
    assert_eq!(other.sign_in(&gateway.url(), "alice", "/").status, 200);
    let asked = alice.get(&format!("{}/session/end", provider.issuer));
    let done = alice.post(&format!("{}/session/end/confirm", provider.issuer), &with_yes(&asked.body));
    assert!(done.status < 400, "{done:?}");
    alice.signed_out(&gateway.url());
    assert_ne!(other.current(&gateway.url())["authenticated"], false, "another login of hers goes on");
}

#[test]
fn the_check_prints_the_redirect_url_and_the_test_says_what_works() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let gateway = gateway(provider, &upstream, "check", "", &json!({}));
    let checked = gateway.verb(&["check"], "").with_code(0);
    assert!(checked.stdout.contains("/login/op/callback as the redirect URL of op"), "{}", checked.stdout);
}

/// Row T-04: a provider that cannot show who it is gets no code and no secret.
#[test]
fn a_provider_whose_certificate_does_not_hold_is_told_nothing() {
    let Some(provider) = Provider::shared() else { return };
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::new().write(folder.path());
    let gateway = Gateway::start(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[strategies.op]\nkind = \"oauth\"\nissuer = \"{}\"\nclient_id = \"gw\"\n\
         client_secret = \"{SECRET}\"\nadmit = \"anyone\"\ntls = {{ ca = \"{other}\" }}\n\
         [upstreams.api]\nurls = [\"{}\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n",
        provider.issuer,
        upstream.url()
    ));
    gateway.send(&Request::get("/login/op").navigation()).expect(503, "");
    let said = gateway.verb(&["strategy", "test", "op"], "");
    assert!(
        said.stdout.contains("discovery") && said.stdout.contains("TLS"),
        "{}{}",
        said.stdout,
        said.stderr
    );
}

/// Each with its line and column.
#[test]
fn the_problems_of_a_providers_settings_are_the_same_out_of_a_library() {
    let strategy = "[strategies.op]\nkind = \"oauth\"\nadmit = \"anyone\"\nissuer = \"http://idp.test\"\n\
        client_idd = \"x\"\nclient_auth = \"mtls\"\nscopes = [\"profile\"]\ntls = { ca = 3, kay = \"k\" }\n\
        max_age = \"10\"\nparameters = { state = \"x\" }\nclaims = { subject = \"id\" }\n";
    let forms = [String::new(), libraries::replacing("oauth", libraries::oauth())];
    let said = forms.map(|plugins| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("portcullis.toml"), strategy.to_owned() + &plugins).unwrap();
        let said = program::run(folder.path(), &["check", "-c", "portcullis.toml"], "").with_code(1).stderr;
        let problems = said.lines().filter(|line| line.contains(": [strategies.op]")).map(str::to_owned);
        problems.collect::<Vec<_>>()
    });
    assert_eq!(said[0], said[1]);
    assert!(
        said[1].len() >= 8 && said[1].iter().all(|line| line.starts_with("portcullis.toml:")),
        "{said:?}"
    );
}
