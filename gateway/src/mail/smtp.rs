//! A conversation with a mail server, step by step, so that it is known at which step it
//! was refused. lettre's own `send` says one number for all of them, and whether the mail
//! or the gateway was refused decides whether the mail is lost.
//!
//! What may not come in: what a mail says, and when it is tried again.

use super::transport::Failed;
use lettre::{
    Message,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use portcullis_config::{MailSecurity, Smtp};
use std::{error::Error as _, fs, time::Duration};

/// For each step of a conversation: lettre bounds the connecting alone.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The way to one server.
pub(super) struct Client {
    host: String,
    port: u16,
    security: Security,
    login: Option<Credentials>,
}

enum Security {
    Plain,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

/// Whose refusal an answer is.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// Of the gateway: greeting, TLS, AUTH, and who writes.
    Us,
    /// Of this mail: to whom it is, or what it is.
    This,
}

impl Client {
    /// Reads the authorities' certificates.
    pub(super) fn new(smtp: &Smtp) -> Result<Self, Failed> {
        let security = match smtp.security {
            MailSecurity::Plain => Security::Plain,
            MailSecurity::StartTls => Security::StartTls(tls(smtp)?),
            MailSecurity::Tls => Security::Tls(tls(smtp)?),
        };
        let login =
            smtp.login.as_ref().map(|(user, pass)| Credentials::new(user.clone(), pass.reveal().to_owned()));
        Ok(Self { host: smtp.host.clone(), port: smtp.port, security, login })
    }

    /// One mail in a connection of its own.
    pub(super) async fn send(&self, message: &Message) -> Result<(), Failed> {
        let mut connection = self.connect().await?;
        let sent = converse(&mut connection, message).await;
        // The mail is taken or not: how the server says goodbye changes nothing.
        let _ = tokio::time::timeout(TIMEOUT, connection.abort()).await;
        sent
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failed> {
        let name = ClientId::default();
        let from_the_start = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::Plain | Security::StartTls(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(server, Some(TIMEOUT), &name, from_the_start, None);
        let mut connection = step(Step::Us, connecting).await?;
        if let Security::StartTls(parameters) = &self.security {
            step(Step::Us, connection.starttls(parameters.clone(), &name)).await?;
        }
        if let Some(login) = &self.login {
            step(Step::Us, connection.auth(DEFAULT_MECHANISMS, login)).await?;
        }
        Ok(connection)
    }
}

/// RFC 5321 §3.3: MAIL, RCPT, DATA.
async fn converse(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Failed> {
    let (envelope, bytes) = (message.envelope(), message.formatted());
    let mut parameters = Vec::new();
    let addresses = || envelope.from().into_iter().chain(envelope.to());
    if !addresses().all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
        needs(connection, Extension::SmtpUtfEight, "SMTPUTF8")?;
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !bytes.is_ascii() {
        needs(connection, Extension::EightBitMime, "8BITMIME")?;
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    step(Step::Us, connection.command(Mail::new(envelope.from().cloned(), parameters))).await?;
    for to in envelope.to() {
        step(Step::This, connection.command(Rcpt::new(to.clone(), Vec::new()))).await?;
    }
    step(Step::This, connection.command(Data)).await?;
    step(Step::This, connection.message(&bytes)).await?;
    Ok(())
}

fn needs(connection: &AsyncSmtpConnection, extension: Extension, name: &str) -> Result<(), Failed> {
    match connection.server_info().supports_feature(extension) {
        true => Ok(()),
        false => Err(Failed::ForNow(format!("the server cannot do what this mail needs ({name})"))),
    }
}

async fn step<T>(whose: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failed> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(done) => done.map_err(|error| failed(whose, &error)),
        Err(_) => Err(Failed::ForNow("the server took too long".to_owned())),
    }
}

fn tls(smtp: &Smtp) -> Result<TlsParameters, Failed> {
    let now = |what: &str, error: &dyn std::fmt::Display| Failed::ForNow(format!("{what}: {error}"));
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(ca) = &smtp.ca {
        let pem = fs::read(&ca.file).map_err(|error| now("[mail] tls ca cannot be read", &error))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| now("[mail] tls ca", &error))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build().map_err(|error| now("TLS", &error))
}

/// A server's words may hold the address: only their numbers are told.
fn failed(whose: Step, error: &Error) -> Failed {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if let Some(code) = error.status() {
        let number = enhanced(&cause).map_or(String::new(), |number| format!(" {number}"));
        let told = format!("the server answered {code}{number}");
        let for_ever = error.is_permanent() && whose == Step::This && is_of_this_mail(&cause);
        return if for_ever { Failed::ForEver(told) } else { Failed::ForNow(told) };
    }
    let what = match error {
        error if error.is_timeout() => "the server took too long",
        error if error.is_tls() => "TLS with the server failed",
        error if error.is_client() => "the server cannot do what is asked of it (STARTTLS, AUTH)",
        _ => "the server cannot be reached",
    };
    Failed::ForNow(format!("{what}: {cause}"))
}

/// Whether a refusal for good is of this recipient or this text, by its enhanced status
/// (RFC 3463): a mailbox that is not there (5.1, 5.2), a mail that is too large (5.3.4) or of
/// a wrong form (5.6). Relaying denied, a daily limit, a blocked sender (5.7, 5.1.7, 5.1.8) are
/// of us, and an operator may correct them while the mail is still good. So is what has no
/// such number: its own end bounds how often it is tried.
fn is_of_this_mail(words: &str) -> bool {
    enhanced(words).is_some_and(|number| {
        let of_us = ["5.1.7", "5.1.8"].contains(&number);
        let of_this = ["5.1.", "5.2.", "5.6."].iter().any(|class| number.starts_with(class));
        (of_this && !of_us) || number == "5.3.4"
    })
}

/// The enhanced status at the beginning of an answer (RFC 2034 §4).
fn enhanced(words: &str) -> Option<&str> {
    let number = words.split_ascii_whitespace().next()?;
    let parts: Vec<&str> = number.split('.').collect();
    let digits = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(digits)).then_some(number)
}
