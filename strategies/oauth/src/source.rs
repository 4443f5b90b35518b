//! Whom we ask: an issuer that says the rest itself, or single addresses.

use crate::{
    presets::{Preset, Quirk},
    reader::Reader,
};
use serde_json::Value;
use url::Url;

/// Whom we ask.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// By discovery: the issuer as its metadata has it, and where that is.
    OpenId { issuer: String, base: Url },
    /// Plain OAuth 2.
    Plain { authorize: Url, token: Url, userinfo: Url },
}

/// From `issuer`, from a preset, or from three addresses.
pub(crate) fn read(reader: &mut Reader<'_>, preset: &Preset, plaintext: bool) -> Option<Source> {
    const PLAIN: [&str; 3] = ["authorize_url", "token_url", "userinfo_url"];
    let given = PLAIN.iter().filter(|key| reader.has(key)).count();
    if reader.has("issuer") {
        if given > 0 {
            reader.lacks(
                "issuer and single endpoints exclude each other",
                "issuer alone: the rest is found out",
            );
            return None;
        }
        let base = reader.url("issuer", plaintext)?;
        let issuer = reader.text("issuer")?;
        if base.query().is_some() {
            return reader.wrong("issuer", &Value::from(issuer), "an address without a query");
        }
        return Some(Source::OpenId { issuer, base });
    }
    if let Some(pattern) = preset.issuer.filter(|_| given == 0) {
        return known_issuer(reader, preset, pattern);
    }
    let mut urls = Vec::new();
    for (at, key) in PLAIN.iter().enumerate() {
        match (reader.url(key, plaintext), preset.endpoints) {
            (Some(url), _) => urls.push(url),
            (None, Some(known)) if !reader.has(key) => {
                urls.push(Url::parse(known[at]).expect("presets hold addresses"))
            }
            (None, _) if reader.has(key) => {}
            (None, _) if given > 0 => reader.lacks(
                &format!("the strategy has no {key}"),
                "all of authorize_url, token_url and userinfo_url",
            ),
            (None, _) => {}
        }
    }
    if given == 0 && preset.endpoints.is_none() {
        let help = match preset.name {
            "keycloak" => "issuer = \"https://HOST/realms/REALM\"",
            "auth0" => "issuer = \"https://TENANT.auth0.com/\", with the slash at its end",
            "okta" => "issuer = \"https://ORG.okta.com\"",
            _ => {
                "issuer = \"https://…\", or provider = \"google\" (or another preset), or authorize_url, token_url and userinfo_url"
            }
        };
        reader.lacks("the strategy names no provider", help);
    }
    let [authorize, token, userinfo] = <[Url; 3]>::try_from(urls).ok()?;
    Some(Source::Plain { authorize, token, userinfo })
}

/// The issuer of a preset, with its tenant.
fn known_issuer(reader: &mut Reader<'_>, preset: &Preset, pattern: &str) -> Option<Source> {
    let parsed = |text: &str| Url::parse(text).expect("presets hold addresses");
    if preset.quirk != Quirk::Microsoft {
        return Some(Source::OpenId { issuer: pattern.to_owned(), base: parsed(pattern) });
    }
    let Some(tenant) = reader.text("tenant") else {
        reader.lacks(
            "the strategy does not say which tenant may sign in",
            "tenant = the directory's GUID; or \"organizations\" or \"common\" for those of all the world, with tenants = [\"GUID\"]",
        );
        return None;
    };
    let plain = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let shared = ["common", "organizations"].contains(&tenant.as_str());
    let personal = tenant == "consumers";
    if !plain || !(shared || personal || tenant.len() == 36) {
        return reader.wrong(
            "tenant",
            &Value::from(tenant),
            "the directory's GUID, \"organizations\", \"common\" or \"consumers\"",
        );
    }
    if shared && !reader.has("tenants") {
        reader.lacks(
            "anybody's tenant could sign in",
            "tenants = [\"GUID\", …]; or tenants = [] if that is meant, and admit decides",
        );
    }
    let base = parsed(&pattern.replace("{tenant}", &tenant));
    let issuer = match (shared, personal) {
        (true, _) => pattern.replace("{tenant}", "{tenantid}"),
        // Personal accounts have one tenant of their own.
        (_, true) => pattern.replace("{tenant}", "9188040d-6c67-4c5b-b112-36a304b66dad"),
        _ => pattern.replace("{tenant}", &tenant),
    };
    Some(Source::OpenId { issuer, base })
}

/// The addresses that the operator wrote, or a preset for them.
pub(crate) fn written(source: Option<&Source>, api: Option<&Url>) -> Vec<Url> {
    let own = match source {
        None => Vec::new(),
        Some(Source::OpenId { base, .. }) => vec![base.clone()],
        Some(Source::Plain { authorize, token, userinfo }) => {
            vec![authorize.clone(), token.clone(), userinfo.clone()]
        }
    };
    own.into_iter().chain(api.cloned()).collect()
}
