//! How a mail leaves: by SMTP, or into a folder.

use crate::clock::UnixMillis;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use portcullis_config::{Mail, MailRoute, MailSecurity, Smtp};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// For each step of a conversation with a server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a mail did not leave. The text is for the log and names nobody.
#[derive(Clone, Debug)]
pub(super) enum Failed {
    /// It may leave later.
    ForNow(String),
    /// It never will.
    ForEver(String),
}

/// A mail to be sent.
pub(super) struct Outgoing {
    pub(super) id: String,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    pub(super) now: UnixMillis,
}

/// The way out.
pub(super) struct Transport {
    from: Mailbox,
    way: Way,
}

enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

impl Transport {
    /// Reads the authorities' certificates.
    pub(super) async fn new(mail: &Mail) -> Result<Self, Failed> {
        let address: Address = mail
            .from_address
            .parse()
            .map_err(|_| Failed::ForNow("[mail] from is not an address that can be written".to_owned()))?;
        let way = match &mail.route {
            MailRoute::Folder(folder) => Way::Folder(folder.clone()),
            MailRoute::Smtp(smtp) => Way::Smtp(blocking(smtp.clone(), |smtp| client(&smtp)).await?),
        };
        Ok(Self { from: Mailbox::new(mail.from_name.clone(), address), way })
    }

    pub(super) async fn send(&self, mail: Outgoing) -> Result<(), Failed> {
        let name = format!("{:013}-{}.eml", mail.now.0, mail.id);
        let message = self.message(mail)?;
        match &self.way {
            Way::Smtp(client) => client.send(message).await.map(|_| ()).map_err(|error| failed(&error)),
            Way::Folder(folder) => {
                let work = (folder.clone(), name, message.formatted());
                blocking(work, |(folder, name, bytes)| {
                    write(&folder, &name, &bytes).map_err(|error| Failed::ForNow(error.to_string()))
                })
                .await
            }
        }
    }

    fn message(&self, mail: Outgoing) -> Result<Message, Failed> {
        let unwritable = |what: &str| Failed::ForEver(format!("{what} cannot be written into a mail"));
        let to: Address = mail.to.parse().map_err(|_| unwritable("the address"))?;
        let date = SystemTime::UNIX_EPOCH + Duration::from_millis(mail.now.0);
        let host = self.from.email.domain();
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .date(date)
            .message_id(Some(format!("<{}@{host}>", mail.id)))
            // RFC 3834 §5: holiday notices and the like are not to answer.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .map_err(|_| unwritable("it"))
    }
}

/// Whether a mail can be addressed so: an account whose address it is could never be proved
/// otherwise.
pub(crate) fn can_be_written_to(address: &str) -> bool {
    address.parse::<Address>().is_ok()
}

/// Files are read off the runtime.
async fn blocking<A: Send + 'static, T: Send + 'static>(
    input: A,
    work: impl FnOnce(A) -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    tokio::task::spawn_blocking(move || work(input))
        .await
        .unwrap_or_else(|_| Err(Failed::ForNow("a job of the sender panicked".to_owned())))
}

fn client(smtp: &Smtp) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failed> {
    let now = |what: &str, error: &dyn std::fmt::Display| Failed::ForNow(format!("{what}: {error}"));
    let parameters = || {
        let mut builder = TlsParameters::builder(smtp.host.clone());
        if let Some(ca) = &smtp.ca {
            let pem = fs::read(&ca.file).map_err(|error| now("[mail] tls ca cannot be read", &error))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| now("[mail] tls ca", &error))?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
        }
        builder.build().map_err(|error| now("TLS", &error))
    };
    let tls = match smtp.security {
        MailSecurity::Plain => Tls::None,
        MailSecurity::StartTls => Tls::Required(parameters()?),
        MailSecurity::Tls => Tls::Wrapper(parameters()?),
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(smtp.host.clone())
        .port(smtp.port)
        .timeout(Some(TIMEOUT))
        .tls(tls);
    Ok(match &smtp.login {
        Some((user, password)) => {
            builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned())).build()
        }
        None => builder.build(),
    })
}

/// A server's words may hold the address: only their number is told.
fn failed(error: &lettre::transport::smtp::Error) -> Failed {
    match error.status() {
        Some(code) if error.is_permanent() => Failed::ForEver(format!("the server answered {code}")),
        Some(code) => Failed::ForNow(format!("the server answered {code}")),
        None => {
            let what = match error {
                error if error.is_timeout() => "the server took too long",
                error if error.is_tls() => "TLS with the server failed",
                error if error.is_client() => "the server cannot do what is asked of it (STARTTLS, AUTH)",
                _ => "the server cannot be reached",
            };
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            Failed::ForNow(format!("{what}: {cause}"))
        }
    }
}

/// Whole or not at all: whoever watches the folder never sees half a mail.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = folder.join(format!(".{name}.new"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))
}
