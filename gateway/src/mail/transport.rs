//! How a mail leaves: by SMTP, or into a folder.

use super::smtp::Client;
use crate::clock::UnixMillis;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use portcullis_config::{Mail, MailRoute};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

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
    Smtp(Box<Client>),
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
            MailRoute::Smtp(smtp) => {
                Way::Smtp(Box::new(blocking(smtp.clone(), |smtp| Client::new(&smtp)).await?))
            }
        };
        Ok(Self { from: Mailbox::new(mail.from_name.clone(), address), way })
    }

    pub(super) async fn send(&self, mail: Outgoing) -> Result<(), Failed> {
        let name = format!("{:013}-{}.eml", mail.now.0, mail.id);
        let message = self.message(mail)?;
        match &self.way {
            Way::Smtp(client) => client.send(&message).await,
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

/// Whole or not at all: whoever watches the folder never sees half a mail.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = folder.join(format!(".{name}.new"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))
}
