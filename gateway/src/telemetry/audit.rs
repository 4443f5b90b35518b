//! The audit trail: who signed in, who could not, whose session ended. Never filtered out.

use super::{AUDIT, Line, Logger};
use portcullis_config::{Level, LogFormat};
use std::net::IpAddr;

/// One line of the audit trail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit<'a> {
    /// `login`, `login_failed`, `locked`, `logout`, `revoked`, …
    pub event: &'static str,
    /// The account's name, as it is known or as it was given.
    pub account: Option<&'a str>,
    /// The strategy instance.
    pub strategy: Option<&'a str>,
    /// The session.
    pub sid: Option<&'a str>,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// During which request.
    pub request_id: Option<&'a str>,
    /// Why: a stable word.
    pub reason: Option<&'a str>,
    /// The account that an operator did something to.
    pub target: Option<uuid::Uuid>,
}

/// Writes one, if a gateway runs in this process.
pub fn audit(entry: &Audit<'_>) {
    if let Some(logger) = AUDIT.get() {
        logger.sink.write(line(logger, entry));
    }
}

fn line(logger: &Logger, entry: &Audit<'_>) -> Vec<u8> {
    let mut line = Line::new(logger.format, logger.clock.now(), Some(Level::Info));
    match logger.format {
        LogFormat::Json => line.field("audit", entry.event),
        LogFormat::Text => line.message("audit", "audit").message("audit", entry.event),
    };
    let client = entry.client.map(|ip| ip.to_string());
    let target = entry.target.map(|uuid| uuid.to_string());
    // What the client chose comes last, so that no length of it can push the rest out.
    for (name, value) in [
        ("strategy", entry.strategy),
        ("sid", entry.sid),
        ("client_ip", client.as_deref()),
        ("request_id", entry.request_id),
        ("reason", entry.reason),
        ("target", target.as_deref()),
        ("account", entry.account),
    ] {
        if let Some(value) = value {
            line.field(name, value);
        }
    }
    line.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, UnixMillis},
        telemetry::{Sink, Target},
    };

    fn written(format: LogFormat, account: &str) -> String {
        let clock = Clock::manual(UnixMillis(0));
        let sink = Sink::start(Target::Writer(Box::new(std::io::sink())), format, clock.clone());
        let entry = Audit {
            event: "login_failed",
            account: Some(account),
            client: Some([192, 0, 2, 1].into()),
            ..Audit::default()
        };
        String::from_utf8(line(&Logger { sink, format, clock }, &entry)).unwrap()
    }

    #[test]
    fn an_entry_is_one_line_that_names_event_client_and_account() {
        let text = written(LogFormat::Text, "ann");
        assert_eq!(
            text,
            "1970-01-01T00:00:00.000Z INFO  audit login_failed client_ip=192.0.2.1 account=ann\n"
        );
        let json: serde_json::Value = serde_json::from_str(&written(LogFormat::Json, "ann")).unwrap();
        assert_eq!(json["audit"], "login_failed");
        assert_eq!(json["account"], "ann");
        assert_eq!(json["client_ip"], "192.0.2.1");
    }

    #[test]
    fn an_endless_name_pushes_nothing_else_out() {
        let line = written(LogFormat::Json, &"x".repeat(1 << 20));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["client_ip"], "192.0.2.1");
        assert!(line.len() <= 8192);
    }
}
