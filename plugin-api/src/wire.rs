//! The messages as bytes: JSON in UTF-8, keys in snake_case, unknown ones ignored, absent
//! ones at their default, at most [`MOST_BYTES`] and nested at most [`MOST_DEEP`]. Bytes
//! (a flow, a state) are base64 text. `docs/plugin-abi.md` lists every message.
//!
//! What may not come in: pointers, and what a message means.

use crate::{Call, Object, SettingsProblem, StartError, StrategyError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The largest message, either way.
pub const MOST_BYTES: usize = 1 << 20;

/// The deepest nesting: a message, and claims of 32 levels in it.
pub const MOST_DEEP: usize = 33;

/// A question and its circumstances.
#[derive(Serialize, Deserialize)]
pub struct Asked<T> {
    /// Who asks, and for which instance.
    pub call: Call,
    /// The question.
    pub request: T,
}

/// What an instance is made of.
#[derive(Serialize, Deserialize)]
pub struct Start {
    /// The id of `[strategies.ID]`.
    pub strategy: String,
    /// The strategy's own keys of that table.
    #[serde(default)]
    pub settings: Object,
    /// How many cores the gateway may use.
    #[serde(default = "one")]
    pub cores: usize,
}

/// What a new instance says of itself. A library of the first gateways says nothing.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Begun {
    /// What it does beyond `begin`, where its settings leave something of its kind out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
}

fn one() -> usize {
    1
}

/// A message as bytes; the error says why it is none.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, String> {
    let bytes = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    fits(&bytes)?;
    Ok(bytes)
}

/// A message out of bytes; the error says what is wrong with them and quotes none of them.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    fits(bytes)?;
    // The whole of it: what nobody asks for is skipped without a look by the reader below.
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8, at byte {}", error.valid_up_to()))?;
    serde_json::from_str(text).map_err(|error| match error.classify() {
        // The texts of these name keys and types, but a value may be in them.
        serde_json::error::Category::Data => {
            format!("not the expected message, at column {}", error.column())
        }
        _ => format!("not JSON, at column {}", error.column()),
    })
}

fn fits(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > MOST_BYTES {
        return Err(format!("{} bytes, more than {MOST_BYTES}", bytes.len()));
    }
    if depth(bytes) > MOST_DEEP {
        return Err(format!("nested more than {MOST_DEEP} deep"));
    }
    Ok(())
}

/// How deep brackets nest outside of strings. Right for JSON; for anything else a number
/// that nobody needs, as it is refused afterwards.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut most, mut inside, mut escaped) = (0usize, 0, false, false);
    for byte in bytes {
        if inside {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => inside = true,
            b'[' | b'{' => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// An error on its way across. `code` is one of `busy`, `unsupported`, `bad_request`
/// (with `field`), `weak_secret`, `unusable_credential`, `provider_invalid`, `settings`
/// (with `problems`), `panic`, `failed`; any other counts as `failed`.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub struct Fault {
    /// What kind of error.
    pub code: String,
    /// For the log, or for the client where [`StrategyError`] says so.
    pub message: String,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong with the settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SettingsProblem>,
}

impl Fault {
    /// An error of this code.
    pub fn of(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), ..Self::default() }
    }
}

impl From<StrategyError> for Fault {
    fn from(error: StrategyError) -> Self {
        match error {
            StrategyError::Busy => Self::of("busy", ""),
            StrategyError::Unsupported => Self::of("unsupported", ""),
            StrategyError::BadRequest { field, message } => {
                Self { field: Some(field), ..Self::of("bad_request", message) }
            }
            StrategyError::WeakSecret(message) => Self::of("weak_secret", message),
            StrategyError::UnusableCredential(message) => Self::of("unusable_credential", message),
            StrategyError::ProviderInvalid(message) => Self::of("provider_invalid", message),
            StrategyError::Failed(message) => Self::of("failed", message),
        }
    }
}

impl From<Fault> for StrategyError {
    fn from(fault: Fault) -> Self {
        let Fault { code, message, field, .. } = fault;
        match code.as_str() {
            "busy" => Self::Busy,
            "unsupported" => Self::Unsupported,
            "bad_request" => Self::BadRequest { field: field.unwrap_or_default(), message },
            "weak_secret" => Self::WeakSecret(message),
            "unusable_credential" => Self::UnusableCredential(message),
            "provider_invalid" => Self::ProviderInvalid(message),
            "failed" => Self::Failed(message),
            "panic" => Self::Failed(format!("panicked: {message}")),
            other => Self::Failed(format!("{other}: {message}")),
        }
    }
}

impl From<StartError> for Fault {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Settings(problems) => Self { problems, ..Self::of("settings", "") },
            StartError::Failed(message) => Self::of("failed", message),
        }
    }
}

impl From<Fault> for StartError {
    fn from(fault: Fault) -> Self {
        match fault.code.as_str() {
            "settings" => Self::Settings(fault.problems),
            "failed" => Self::Failed(fault.message),
            "panic" => Self::Failed(format!("panicked: {}", fault.message)),
            other => Self::Failed(format!("{other}: {}", fault.message)),
        }
    }
}

/// Bytes as base64 text.
pub(crate) mod base64_text {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(|_| D::Error::custom("not base64"))
    }
}

/// A time as whole seconds, or null.
pub(crate) mod maybe_seconds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    #[allow(clippy::ref_option)] // the shape that `serde(with)` calls
    pub(crate) fn serialize<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs()).serialize(to)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}

/// A one-time value and how many seconds it must be remembered: `["jti", 600]`.
pub(crate) mod once {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    type Once = Option<(String, Duration)>;

    #[allow(clippy::ref_option)] // the shape that `serde(with)` calls
    pub(crate) fn serialize<S: Serializer>(once: &Once, to: S) -> Result<S::Ok, S::Error> {
        once.as_ref().map(|(value, time)| (value, time.as_secs())).serialize(to)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Once, D::Error> {
        let once = Option::<(String, u64)>::deserialize(from)?;
        Ok(once.map(|(value, seconds)| (value, Duration::from_secs(seconds))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authenticated, Begin, Denial, Outcome, Redirect, Subject};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn an_outcome_is_one_flat_object_and_its_bytes_are_base64() {
        let who = Authenticated {
            state: vec![0, 255],
            refresh_after: Some(Duration::from_secs(60)),
            ..Authenticated::of(Subject::new("ada").unwrap())
        };
        for (outcome, wanted) in [
            (
                Outcome::Authenticated(Box::new(who)),
                json!({"outcome": "authenticated", "subject": "ada", "realm": "", "claims": {}, "methods": [],
                    "state": "AP8=", "refresh_after_s": 60, "provider_session": null, "renewed_secret": null,
                    "session_max_s": null, "secret_changed": false}),
            ),
            (
                Outcome::Redirect(Redirect { url: "https://idp.test".into(), flow: vec![1] }),
                json!({"outcome": "redirect", "url": "https://idp.test", "flow": "AQ=="}),
            ),
            (
                Outcome::denied(Denial::BadCredentials),
                json!({"outcome": "denied", "reason": "bad_credentials", "message": null}),
            ),
        ] {
            let bytes = encode(&outcome).unwrap();
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap(), wanted);
            let again: Outcome = decode(&bytes).unwrap();
            assert_eq!(encode(&again).unwrap(), bytes);
        }
    }

    #[test]
    fn absent_members_are_defaulted_and_unknown_ones_ignored() {
        let outcome = decode(br#"{"outcome": "authenticated", "subject": "ada", "from": "tomorrow"}"#);
        assert!(matches!(outcome, Ok(Outcome::Authenticated(who)) if who.subject.as_str() == "ada"));
        let asked: Asked<Begin> = decode(br#"{"call": {"client_ip": "::1"}, "request": {}}"#).unwrap();
        assert!(asked.request.form.is_empty() && asked.request.credential.is_none());
    }

    #[test]
    fn limits_are_checked_on_reading() {
        let read = |text: String| decode::<Outcome>(text.as_bytes()).err();
        let with = |subject: &str| format!(r#"{{"outcome": "authenticated", "subject": "{subject}"}}"#);
        assert_eq!(read(with("ada")), None);
        for wrong in ["", "a\\n", &"a".repeat(256), &"a".repeat(10_240)] {
            assert!(read(with(wrong)).unwrap().starts_with("not the expected message"), "{wrong}");
        }
        assert!(read("[".repeat(MOST_BYTES)).unwrap().contains("deep"));
        assert!(read(" ".repeat(MOST_BYTES + 1)).unwrap().contains("1048577 bytes"));
        for wrong in ["", "{", r#"{"outcome": "blessed"}"#, r#"{"outcome": "denied", "reason": "mood"}"#] {
            assert!(read(wrong.into()).is_some(), "{wrong}");
        }
        assert!(read(format!("{} x", with("ada"))).is_some(), "something behind the message");
        assert!(decode::<Outcome>(b"{\"outcome\": \"\xff\"}").is_err());
        let ignored = b"{\"outcome\": \"denied\", \"reason\": \"locked\", \"other\": \"\xff\"}";
        assert_eq!(decode::<Outcome>(ignored).err().as_deref(), Some("not UTF-8, at byte 52"));
        let claims = |levels: usize| {
            let inner = format!("{}{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
            format!(r#"{{"outcome": "authenticated", "subject": "a", "claims": {{"x": {inner}}}}}"#)
        };
        assert_eq!((read(claims(32)), read(claims(33)).is_some()), (None, true));
    }

    #[test]
    fn brackets_inside_a_string_are_not_nesting() {
        assert_eq!(depth(br#"{"a": "[[[\"[[", "b": [1]}"#), 2);
    }

    #[test]
    fn an_error_arrives_as_it_left() {
        let field = "password".to_owned();
        for error in [
            StrategyError::Busy,
            StrategyError::Unsupported,
            StrategyError::BadRequest { field, message: "m".into() },
            StrategyError::WeakSecret("m".into()),
            StrategyError::UnusableCredential("m".into()),
            StrategyError::ProviderInvalid("m".into()),
            StrategyError::Failed("m".into()),
        ] {
            let bytes = encode(&Fault::from(error.clone())).unwrap();
            assert_eq!(StrategyError::from(decode::<Fault>(&bytes).unwrap()), error);
        }
        let odd = StrategyError::from(Fault::of("moon", "full"));
        assert_eq!(odd, StrategyError::Failed("moon: full".into()));
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let why = decode::<Asked<Begin>>(br#"{"call": {"client_ip": "hunter2"}}"#).err().unwrap();
        assert!(!why.contains("hunter2"), "{why}");
    }
}
