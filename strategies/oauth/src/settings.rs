//! The keys of `[strategies.ID]` that are this kind's own, checked all at once.

use crate::{
    presets::{self, Preset, Quirk},
    reader::Reader,
    secret::Secret,
    source::{self, Source},
};
use portcullis_openid::{Algorithm, ClientSettings, Identity, Signer};
use portcullis_plugin_api::{Object, SettingsProblem};
use serde_json::Value;
use std::time::Duration;
use url::Url;

const KNOWN: &[&str] = &[
    "issuer",
    "provider",
    "authorize_url",
    "token_url",
    "userinfo_url",
    "client_id",
    "client_secret",
    "client_auth",
    "scopes",
    "claims",
    "tls",
    "timeout",
    "danger_plaintext",
    "client_key",
    "client_key_id",
    "team_id",
    "tenant",
    "tenants",
    "algorithms",
    "response_mode",
    "prompt",
    "max_age",
    "acr_values",
    "login_hint",
    "domain_hint",
    "parameters",
    "par",
    "jar",
    "dpop",
    "userinfo",
    "refresh",
    "refresh_grace",
    "api_url",
];

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than that the gateway waits for no answer.
const MOST_TIMEOUT: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);
/// For longer the gateway keeps no session of a strategy that cannot answer.
const MOST_GRACE: Duration = Duration::from_secs(6 * 3600);

/// How we say who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    Basic,
    Post,
    PrivateKeyJwt,
    Tls,
    None,
}

/// Who is expected to sign in, as the provider is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoginHint {
    /// Nothing is sent.
    None,
    /// The operator's own text.
    Text(String),
    /// What the request for the login says.
    PassedOn,
}

/// Where claims are.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) subject: String,
    pub(crate) name: Vec<String>,
    pub(crate) display_name: Vec<String>,
    pub(crate) email: Vec<String>,
    pub(crate) groups: Vec<String>,
}

pub(crate) struct Settings {
    pub(crate) preset: &'static Preset,
    pub(crate) source: Source,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) signer: Option<Signer>,
    /// Apple's name for who signs the secret.
    pub(crate) team: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) claims: Claims,
    pub(crate) http: ClientSettings,
    /// Tenants that may sign in through a shared issuer; empty: all.
    pub(crate) tenants: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) form_post: bool,
    pub(crate) prompt: Option<String>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) acr_values: Vec<String>,
    pub(crate) login_hint: LoginHint,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) par: bool,
    pub(crate) jar: bool,
    pub(crate) dpop: bool,
    pub(crate) userinfo: bool,
    /// None: never.
    pub(crate) refresh: Option<Duration>,
    pub(crate) refresh_grace: Duration,
    /// Where GitHub's API is.
    pub(crate) api: Option<Url>,
}

impl Settings {
    /// Collects every problem.
    pub(crate) fn read(table: &Object) -> Result<Self, Vec<SettingsProblem>> {
        let mut reader = Reader::open(table, &[], KNOWN);
        let read = read(&mut reader, table);
        match read {
            Some(settings) if reader.problems.is_empty() => Ok(settings),
            _ => Err(reader.problems),
        }
    }
}

fn read(reader: &mut Reader<'_>, table: &Object) -> Option<Settings> {
    let plaintext = reader.flag("danger_plaintext");
    let preset = preset(reader)?;
    let source = source::read(reader, preset, plaintext);
    let client_id = reader.text("client_id");
    if client_id.is_none() && !reader.has("client_id") {
        reader
            .lacks("the strategy has no client_id", "the client's name as it is registered at the provider");
    }
    let client_auth = client_auth(reader, preset);
    let signer = signer(reader);
    let mut http = http(reader, plaintext);
    check_client_auth(reader, client_auth, preset, http.identity.is_some());
    let api = reader.url("api_url", plaintext);
    http.written = source::written(source.as_ref(), api.as_ref());
    without_effect(reader, source.as_ref());
    let scopes = scopes(reader, preset, source.as_ref());
    let claims = claims(reader, preset, table);
    let algorithms = algorithms(reader);
    let refresh = match table.get("refresh").and_then(Value::as_str) {
        Some("never") => None,
        _ => Some(reader.duration("refresh", MINUTE, DAY).unwrap_or(Duration::from_secs(preset.refresh))),
    };
    Some(Settings {
        preset,
        client_secret: reader.text("client_secret").map(Secret::new),
        client_auth,
        signer,
        team: reader.text("team_id"),
        scopes,
        claims,
        http,
        tenants: reader.texts("tenants").unwrap_or_default(),
        algorithms,
        form_post: response_mode(reader, preset),
        prompt: reader.text("prompt"),
        max_age: reader.duration("max_age", Duration::ZERO, 365 * DAY),
        acr_values: reader.texts("acr_values").unwrap_or_default(),
        login_hint: login_hint(reader, table),
        parameters: parameters(reader, preset),
        par: reader.flag("par"),
        jar: reader.flag("jar"),
        dpop: reader.flag("dpop"),
        userinfo: !reader.has("userinfo") || reader.flag("userinfo"),
        refresh,
        refresh_grace: reader.duration("refresh_grace", Duration::ZERO, MOST_GRACE).unwrap_or(MOST_GRACE),
        api,
        // Last, so that the problems of all the others are found too.
        source: source?,
        client_id: client_id?,
    })
}

/// What would be asked for and never checked, or never be read: silence would look like a rule.
fn without_effect(reader: &mut Reader<'_>, source: Option<&Source>) {
    const OPENID: [&str; 4] = ["max_age", "acr_values", "algorithms", "userinfo"];
    let refuse = |reader: &mut Reader<'_>, key: &str, why: &str, expected: &str| {
        if reader.has(key) {
            let problem = SettingsProblem::at(key, format!("`{key}` does nothing here: {why}"));
            reader.push(problem.expected(expected));
        }
    };
    match source {
        Some(Source::Plain { .. }) => {
            for key in OPENID {
                refuse(reader, key, "plain OAuth 2 has no ID token to check it by", "no such key");
            }
            refuse(reader, "par", "there is no metadata that says where to", "no such key");
            refuse(reader, "tenants", "only Microsoft's shared issuers have tenants", "a rule in `admit`");
        }
        Some(Source::OpenId { issuer, .. }) if !issuer.contains('{') => {
            let why = "it is for \"organizations\" and \"common\" of the preset microsoft";
            refuse(reader, "tenants", why, "no such key; whose people get in, `admit` decides");
        }
        _ => {}
    }
}

fn preset(reader: &mut Reader<'_>) -> Option<&'static Preset> {
    let Some(name) = reader.text("provider") else { return Some(presets::generic()) };
    let found = presets::named(&name);
    if found.is_none() {
        let names: Vec<_> = presets::PRESETS.iter().map(|preset| preset.name).collect();
        reader.wrong::<()>("provider", &Value::from(name), &format!("one of {}", names.join(", ")));
    }
    found
}

fn client_auth(reader: &mut Reader<'_>, preset: &Preset) -> ClientAuth {
    let words = ["basic", "post", "private_key_jwt", "tls", "none"];
    match reader.word("client_auth", &words) {
        Some("post") => ClientAuth::Post,
        Some("private_key_jwt") => ClientAuth::PrivateKeyJwt,
        Some("tls") => ClientAuth::Tls,
        Some("none") => ClientAuth::None,
        // GitHub, Discord, Facebook and LinkedIn read the body; so does Apple.
        _ if preset.endpoints.is_some() || preset.quirk == Quirk::Apple => ClientAuth::Post,
        _ => ClientAuth::Basic,
    }
}

fn check_client_auth(reader: &mut Reader<'_>, auth: ClientAuth, preset: &Preset, has_certificate: bool) {
    let (secret, key) = (reader.has("client_secret"), reader.has("client_key"));
    if preset.quirk == Quirk::Apple {
        if !key || !reader.has("client_key_id") || !reader.has("team_id") {
            reader.lacks(
                "Apple's secret is signed with a key",
                "client_key = { file = \"AuthKey.p8\" }, client_key_id and team_id",
            );
        }
        return;
    }
    match auth {
        ClientAuth::Basic | ClientAuth::Post if !secret => {
            reader.lacks(
                "the strategy has no client_secret",
                "client_secret = { file = \"…\" }; or client_auth = \"none\" for a public client",
            );
        }
        ClientAuth::PrivateKeyJwt if !key => {
            reader.lacks(
                "client_auth = \"private_key_jwt\" needs a key",
                "client_key = { file = \"key.pem\" }",
            );
        }
        ClientAuth::Tls if !has_certificate => {
            reader.lacks(
                "client_auth = \"tls\" needs a certificate",
                "tls = { certificate = \"…\", key = \"…\" }",
            );
        }
        ClientAuth::None if secret => {
            reader.lacks("client_auth = \"none\" sends no secret", "one of the two");
        }
        _ => {}
    }
    if reader.flag("jar") && !key {
        reader.lacks("jar signs requests with a key", "client_key = { file = \"key.pem\" }");
    }
}

fn signer(reader: &mut Reader<'_>) -> Option<Signer> {
    let pem = reader.text("client_key")?;
    let kid = reader.text("client_key_id");
    match Signer::from_pem(pem.as_bytes(), kid) {
        Ok(signer) => Some(signer),
        Err(why) => {
            reader.push(SettingsProblem::at("client_key", format!("`client_key` cannot be used: {why}")));
            None
        }
    }
}

fn http(reader: &mut Reader<'_>, plaintext: bool) -> ClientSettings {
    let timeout = reader
        .duration("timeout", Duration::from_millis(100), MOST_TIMEOUT)
        .unwrap_or(Duration::from_secs(10));
    let mut http = ClientSettings { timeout, plaintext, ..ClientSettings::default() };
    let Some(table) = reader.table("tls") else { return http };
    let mut tls = Reader::open(table, &["tls"], &["ca", "certificate", "key"]);
    let file = |tls: &mut Reader<'_>, key: &str| {
        let path = tls.text(key)?;
        std::fs::read(&path)
            .map_err(|error| tls.push(SettingsProblem::at(key, format!("{path} cannot be read: {error}"))))
            .ok()
    };
    http.ca = file(&mut tls, "ca");
    match (file(&mut tls, "certificate"), file(&mut tls, "key")) {
        (Some(certificate), Some(key)) => http.identity = Some(Identity { certificate, key }),
        _ if tls.has("certificate") != tls.has("key") => {
            tls.lacks("a certificate and its key go together", "both `certificate` and `key`");
        }
        _ => {}
    }
    let found = std::mem::take(&mut tls.problems);
    reader.problems.extend(found);
    http
}

fn scopes(reader: &mut Reader<'_>, preset: &Preset, source: Option<&Source>) -> Vec<String> {
    let plain = matches!(source, Some(Source::Plain { .. }));
    let Some(scopes) = reader.texts("scopes") else {
        return preset
            .scopes
            .iter()
            .filter(|s| !plain || preset.endpoints.is_some() || **s != "openid")
            .map(|s| (*s).to_owned())
            .collect();
    };
    // RFC 6749 §3.3: printable, without quotes and backslashes.
    let fits = |s: &String| s.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !scopes.iter().all(fits) {
        reader.wrong::<()>("scopes", &Value::from(scopes.clone()), "one scope in each text, without spaces");
    }
    if !plain && !scopes.iter().any(|scope| scope == "openid") {
        reader.wrong::<()>(
            "scopes",
            &Value::from(scopes.clone()),
            "\"openid\" among them: without it there is no ID token",
        );
    }
    scopes
}

fn claims(reader: &mut Reader<'_>, preset: &Preset, table: &Object) -> Claims {
    let of = |path: &str| if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
    let known = preset.claims;
    let mut claims = Claims {
        subject: known.subject.to_owned(),
        name: of(known.name),
        display_name: of(known.display_name),
        email: of(known.email),
        groups: of(known.groups),
    };
    let Some(found) = reader.table("claims") else { return claims };
    let openid = table.contains_key("issuer") || preset.issuer.is_some();
    let mut own = Reader::open(found, &["claims"], &["subject", "name", "email", "display_name", "groups"]);
    for (key, into) in [
        ("name", &mut claims.name),
        ("email", &mut claims.email),
        ("display_name", &mut claims.display_name),
        ("groups", &mut claims.groups),
    ] {
        // A list of paths: the first that is there counts; of groups, all.
        let paths = match found.get(key) {
            Some(Value::Array(_)) => own.texts(key),
            _ => own.text(key).map(|path| vec![path]),
        };
        if let Some(paths) = paths {
            *into = paths;
        }
    }
    if let Some(subject) = own.text("subject") {
        if openid {
            own.wrong::<()>(
                "subject",
                &Value::from(subject),
                "no such key: with OpenID Connect it is always `sub`",
            );
        } else {
            claims.subject = subject;
        }
    }
    let problems = std::mem::take(&mut own.problems);
    reader.problems.extend(problems);
    claims
}

fn algorithms(reader: &mut Reader<'_>) -> Vec<Algorithm> {
    let names = reader.texts("algorithms").unwrap_or_default();
    let found: Vec<_> = names.iter().filter_map(|name| Algorithm::named(name)).collect();
    if found.len() != names.len() {
        let all: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        reader.wrong::<()>("algorithms", &Value::from(names), &format!("of {}", all.join(", ")));
    }
    found
}

fn response_mode(reader: &mut Reader<'_>, preset: &Preset) -> bool {
    reader.word("response_mode", &["query", "form_post"]).map_or(preset.form_post, |mode| mode == "form_post")
}

/// A text of the operator's, or `true`: what the request says.
fn login_hint(reader: &mut Reader<'_>, table: &Object) -> LoginHint {
    match table.get("login_hint") {
        None | Some(Value::Null | Value::Bool(false)) => LoginHint::None,
        Some(Value::Bool(true)) => LoginHint::PassedOn,
        Some(Value::String(text)) if !text.is_empty() && !text.contains(char::is_control) => {
            LoginHint::Text(text.clone())
        }
        Some(other) => {
            let expected = "a text that is sent as it is, or true to pass on what a request for a login says";
            reader.wrong::<()>("login_hint", other, expected);
            LoginHint::None
        }
    }
}

/// What else is sent with a request for a login. What the protocol needs is not theirs.
fn parameters(reader: &mut Reader<'_>, preset: &Preset) -> Vec<(String, String)> {
    const OURS: &[&str] = &[
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "response_mode",
        "request",
        "request_uri",
        "client_secret",
        "prompt",
        "max_age",
        "acr_values",
        "login_hint",
    ];
    let mut all: Vec<(String, String)> =
        preset.parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if let Some(domain) = reader.text("domain_hint") {
        all.push((preset.domain_hint.to_owned(), domain));
    }
    for (name, value) in reader.table("parameters").into_iter().flatten() {
        match value.as_str() {
            Some(value) if !OURS.contains(&name.as_str()) => {
                all.retain(|(known, _)| known != name);
                all.push((name.clone(), value.to_owned()));
            }
            _ => {
                let problem = SettingsProblem {
                    path: vec!["parameters".into(), name.clone()],
                    message: format!("`{name}` cannot be set here"),
                    expected: None,
                };
                reader.push(problem.expected("a text, for a parameter that no other key sets"));
            }
        }
    }
    all
}
