//! What the store promises, asked through its public face.

mod accounts;
mod changes;
mod families;
mod faults;
mod flows;
mod lockout;
mod opening;
mod sessions;

use super::*;
use crate::sessions::{Account, SessionRecord, Transport, Used};
use std::time::Duration;
use tempfile::TempDir;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn store() -> Store {
    Store::open_temporary(Random::system(), Clock::manual(NOW))
}

fn options(folder: &TempDir, mode: OpenMode) -> StoreOptions {
    StoreOptions {
        path: folder.path().join("portcullis.db"),
        key: StoreKey::File(folder.path().join("portcullis.key")),
        mode,
        clock: Clock::manual(NOW),
        random: Random::system(),
    }
}

fn new_account(name: &str, email: Option<&str>) -> NewAccount {
    NewAccount {
        active: true,
        uuid: Random::system().uuid(),
        name: name.into(),
        name_proved: true,
        email: email.map(str::to_owned),
        email_verified: true,
        display_name: Some("Ada Lovelace".into()),
        roles: vec!["staff".into()],
        metadata: serde_json::from_str(r#"{"colour":"blue"}"#).unwrap(),
        app: serde_json::from_str(r#"{"tier":3}"#).unwrap(),
    }
}

fn local(subject: &str, secret: &str) -> NewCredential {
    NewCredential {
        strategy: "local".into(),
        realm: "local".into(),
        subject: subject.into(),
        secret: Some(secret.into()),
    }
}

async fn made(store: &Store, name: &str) -> Account {
    let credentials = vec![local(name, "hash")];
    store.create_account(new_account(name, None), credentials, NOW).await.unwrap().unwrap()
}

fn used(sid: &str, at: UnixMillis) -> Used {
    Used { sid: sid.into(), at, by_cookie: at }
}

fn session(account: Uuid, sid: &str) -> SessionRecord {
    SessionRecord {
        sid: sid.into(),
        cookie_hash: Random::system().bytes(),
        cookie_number: 0,
        cookie_expires: NOW.plus(Duration::from_secs(3600)),
        cookie_used: NOW,
        former_cookie: None,
        family: false,
        account,
        strategy: "local".into(),
        transport: Transport::Both,
        created: NOW,
        last_used: NOW,
        expires: NOW.plus(Duration::from_secs(3600)),
        address: "2001:db8::1".parse().unwrap(),
        user_agent: "curl/8".into(),
        external: None,
    }
}
