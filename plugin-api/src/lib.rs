//! What the author of a login strategy reads: the [`Strategy`] trait, the messages
//! that cross it, and the workers that a strategy may hash on.
//!
//! A strategy computes; the gateway stores. It is given a form and, if it keeps one,
//! the credential that the gateway holds for it, and answers with an [`Outcome`]. It
//! has no store, no cookie and no account, so it can be tested without a gateway.
//!
//! # The smallest strategy
//!
//! One shared phrase for everybody. `kind = "phrase"` in the configuration names it, the
//! rest of that table is its settings.
//!
//! ```
//! use portcullis_plugin_api::*;
//!
//! pub struct Phrase {
//!     phrase: String,
//! }
//!
//! impl Strategy for Phrase {
//!     const KIND: &'static str = "phrase";
//!     const OPERATIONS: Operations = Operations::NONE;
//!
//!     async fn start(settings: Object, _host: Host) -> Result<Self, StartError> {
//!         match settings.get("phrase").and_then(|value| value.as_str()) {
//!             Some(phrase) => Ok(Self { phrase: phrase.to_owned() }),
//!             None => Err(StartError::Settings(vec![
//!                 SettingsProblem::at("phrase", "`phrase` is missing").expected("a string"),
//!             ])),
//!         }
//!     }
//!
//!     async fn begin(&self, _call: &Call, request: Begin) -> Answer<Outcome> {
//!         let label = "The phrase".to_owned();
//!         let field = Field { name: "phrase".into(), kind: FieldKind::Password, label, required: true };
//!         match request.form.get("phrase") {
//!             None => Ok(Outcome::Form(Form { fields: vec![field], ..Form::default() })),
//!             Some(given) if *given == self.phrase => Ok(Outcome::Authenticated(Box::new(Authenticated::of(
//!                 Subject::new("everybody").expect("1 to 255 bytes"),
//!             )))),
//!             Some(_) => Ok(Outcome::denied(Denial::BadCredentials)),
//!         }
//!     }
//! }
//! # fn main() {
//! #     use std::{pin::pin, sync::Arc, task::{Context, Poll, Waker}};
//! #     fn now<T>(work: impl Future<Output = T>) -> T {
//! #         match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
//! #             Poll::Ready(done) => done,
//! #             Poll::Pending => panic!("it waits for nothing"),
//! #         }
//! #     }
//! #     let host = Host { random: Arc::new(|_| ()), now: Arc::new(|| 0), cores: 1 };
//! #     assert!(now(start::<Phrase>(Object::new(), host.clone())).is_err());
//! #     let settings = Object::from_iter([("phrase".to_owned(), "open sesame".into())]);
//! #     let strategy = now(start::<Phrase>(settings, host)).ok().unwrap();
//! #     let call = Call::new("r", "door", [127, 0, 0, 1].into());
//! #     let answer = |phrase: Option<&str>| {
//! #         let form = phrase.map(|p| ("phrase".to_owned(), p.to_owned())).into_iter().collect();
//! #         now(strategy.begin(&call, Begin { form, ..Begin::default() })).unwrap()
//! #     };
//! #     assert!(matches!(answer(None), Outcome::Form(_)));
//! #     assert!(matches!(answer(Some("open")), Outcome::Denied(_)));
//! #     assert!(matches!(answer(Some("open sesame")), Outcome::Authenticated(_)));
//! # }
//! ```
//!
//! # What an author should know
//!
//! - A no is a value ([`Outcome::Denied`]), an error is an error ([`StrategyError`]). An
//!   error is answered with 503 and counts as nobody's failed attempt; a strategy that
//!   gives many in a row is set aside for a while.
//! - A strategy whose [`Operations`] say `credentials` is handed what the gateway keeps of
//!   the person ([`Begin::credential`]), and may authenticate that credential's subject and
//!   nobody else. Handed none, it must deny, at the cost of a wrong secret.
//! - A subject is for ever: not an address, not a name that may change.
//! - A call may be dropped at any `await`, and is after ten seconds. What blocks or computes
//!   for more than a millisecond belongs on [`workers::Workers`].
//! - In a library, `tokio` works as usual: each instance has a runtime of its own, on one thread.
//! - A panic is caught and is an error of that call. `exit`, a stack overflow and running
//!   out of memory are not: they end the gateway.
//! - Text in [`StrategyError::Failed`] is written to the log: no secret may be in it.
//!
//! # The same strategy as a library
//!
//! A package of one line, [`export_strategy!`], makes a crate like the one above a shared
//! library that the gateway loads. Nothing of Rust crosses that boundary ([`abi`]): the
//! messages do, as JSON ([`wire`]). Any other language can be used as well, with
//! `include/portcullis_plugin.h`. [`conformance`] holds checks that a strategy's own tests
//! can run.
//!
//! What may not come in: types of an async runtime, of HTTP, or of a dynamic loader.

pub mod abi;
mod claims;
pub mod conformance;
mod credentials;
mod error;
#[doc(hidden)]
pub mod export;
mod outcome;
mod request;
#[doc(hidden)]
pub mod sdk;
mod settings;
mod strategy;
pub mod wire;
pub mod workers;

pub use claims::{Claims, MOST_CLAIMS, MOST_GROUPS, Subject, claims_fit};
pub use credentials::{CredentialOp, CredentialReply};
pub use error::{StartError, StrategyError};
pub use outcome::{Authenticated, Denial, Denied, Field, FieldKind, Form, Outcome, Redirect};
pub use request::{
    Begin, Call, ChangeSecret, Diagnose, Health, Logout, LogoutReply, Notice, NoticeReply, Refresh, Resume,
    Step, StoredCredential, Via,
};
pub use settings::SettingsProblem;
pub use strategy::{Answer, DynStrategy, Host, Operations, RandomSource, Started, Strategy, start};

/// A JSON object: a strategy's settings, claims.
pub type Object = serde_json::Map<String, serde_json::Value>;
