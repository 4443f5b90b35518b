//! Endpoints of accounts, on the real store and the real strategy. Letters are read out
//! of the queue.
//!
//! `registering.rs` · `recovering.rs` · `changing.rs` · `noticing.rs` ·
//! `strangers.rs` · `elsewhere.rs`

mod changing;
mod elsewhere;
mod noticing;
mod recovering;
mod registering;
mod strangers;

use crate::{
    control::testing::{Answer, Gateway},
    mail::PURPOSE,
};
use serde_json::{Value, json};

/// With mail, registration open and the account `ann`.
async fn gateway(more: &str) -> Gateway {
    let mail = "[mail]\nurl = \"file:/nowhere/mail\"\nfrom = \"us@x.test\"\n";
    Gateway::start(&format!("[accounts]\nregistration = \"open\"\n{more}\n{mail}")).await
}

/// A letter that waits, and to whom.
#[derive(Debug)]
struct Waiting {
    to: Option<String>,
    subject: String,
    text: String,
}

impl Waiting {
    /// The one-time value of its link.
    fn token(&self) -> String {
        let (_, rest) = self.text.split_once("?token=").unwrap_or_else(|| panic!("no link: {self:?}"));
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

/// Takes all letters out of the queue, also those to nobody.
async fn letters(gateway: &Gateway) -> Vec<Waiting> {
    let store = &gateway.control.store;
    // Before their time is over: a letter to nobody is over at once.
    let due = store.due_mails(100, gateway.control.clock.now()).await.unwrap();
    let mut letters = Vec::new();
    for mail in due {
        let plain = store.sealer().unwrap().open(PURPOSE, &mail.sealed).unwrap();
        let kept: Value = serde_json::from_slice(&plain).unwrap();
        let text = |name: &str| kept[name].as_str().unwrap_or_default().to_owned();
        let to = kept["to"].as_str().map(str::to_owned);
        letters.push(Waiting { to, subject: text("subject"), text: text("text") });
        store.forget_mail(mail.id).await.unwrap();
    }
    letters
}

async fn one_letter(gateway: &Gateway) -> Waiting {
    let mut all = letters(gateway).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn post(gateway: &Gateway, path: &str, body: Value) -> Answer {
    gateway.post(path).json(&body.to_string()).send().await
}

/// The pairs of the cookies that it sets.
fn cookies(answer: &Answer) -> String {
    let all = answer.headers.get_all("set-cookie").iter();
    let pairs: Vec<_> = all.map(|value| value.to_str().unwrap().split(';').next().unwrap()).collect();
    pairs.join("; ")
}

fn reset(token: &str, password: &str) -> Value {
    json!({ "token": token, "password": password })
}
