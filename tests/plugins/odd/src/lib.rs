//! A strategy that does what the field `do` of a form tells it, also what none should:
//! panic in every place, block, hang, answer too much. For tests of the boundary alone.
#![allow(clippy::unwrap_used)] // a strategy of the tests

use portcullis_plugin_api::{
    Answer, Authenticated, Begin, Call, ChangeSecret, Claims, CredentialOp, CredentialReply, Denial, Denied,
    Diagnose, Field, FieldKind, Form, Health, Host, Logout, LogoutReply, Notice, NoticeReply, Object,
    Operations, Outcome, Redirect, Refresh, Resume, SettingsProblem, StartError, Step, Strategy,
    StrategyError, Subject,
};
use std::{future::pending, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Has every operation.
pub struct Odd {
    host: Host,
    panics_in_drop: bool,
    does_less: bool,
}

/// Its drop panics, wherever it is dropped.
pub struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        // Two at once would abort: the rule of every Rust program.
        if !std::thread::panicking() {
            panic!("dropped on purpose");
        }
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        if self.panics_in_drop {
            panic!("ended on purpose");
        }
    }
}

impl Strategy for Odd {
    const KIND: &'static str = "odd";
    const OPERATIONS: Operations = Operations {
        resume: true,
        credentials: true,
        refresh: true,
        logout: true,
        notice: true,
        change_secret: true,
        diagnose: true,
    };

    fn offered(&self) -> Operations {
        Operations { change_secret: !self.does_less, ..Self::OPERATIONS }
    }

    async fn start(settings: Object, host: Host) -> Result<Self, StartError> {
        match settings.get("start").and_then(|how| how.as_str()) {
            Some("panic") => panic!("start on purpose"),
            Some("hang") => pending().await,
            Some("block") => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            Some("fail") => Err(StartError::Failed("nothing to stand on".into())),
            Some("wrong") => Err(StartError::Settings(vec![
                SettingsProblem::at("start", "`start` is wrong").expected("another"),
                SettingsProblem {
                    path: vec!["inner".into(), "key".into()],
                    message: "is odd".into(),
                    expected: None,
                },
            ])),
            how => Ok(Self { host, panics_in_drop: how == Some("end"), does_less: how == Some("less") }),
        }
    }

    async fn begin(&self, call: &Call, request: Begin) -> Answer<Outcome> {
        let what = request.form.get("do").cloned().unwrap_or_default();
        let with = request.form.get("with").cloned().unwrap_or_default();
        match what.as_str() {
            "" | "form" => Ok(form()),
            "deny" => {
                Ok(Outcome::Denied(Denied { reason: Denial::Locked, message: Some(with), subject: None }))
            }
            "redirect" => Ok(Outcome::Redirect(Redirect { url: with + &request.state, flow: vec![1, 2, 3] })),
            "echo" => {
                Ok(who(&[("with", with), ("id", call.request_id.clone()), ("at", call.strategy.clone())]))
            }
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(with.parse().unwrap())).await;
                Ok(who(&[]))
            }
            "get" => get(&with).await,
            "random" => {
                let mut bytes = [0; 4];
                (self.host.random)(&mut bytes);
                Ok(who(&[("bytes", format!("{bytes:?}")), ("now", (self.host.now)().to_string())]))
            }
            "log" => {
                tracing::warn!(count = 3, "{with}");
                Ok(who(&[]))
            }
            "flood" => {
                (0..100_000).for_each(|line| tracing::warn!(line, "a flood"));
                Ok(who(&[]))
            }
            "fail" => Err(StrategyError::Failed(with)),
            "busy" => Err(StrategyError::Busy),
            "bad" => Err(StrategyError::BadRequest { field: "do".into(), message: with }),
            "invalid" => Err(StrategyError::ProviderInvalid(with)),
            "unusable" => Err(StrategyError::UnusableCredential(with)),
            "large" => Ok(large(with.parse().unwrap())),
            "panic" => panic!("on purpose: {with}"),
            "panic any" => std::panic::panic_any(7),
            "panic grenade" => std::panic::panic_any(Grenade),
            "drop" => {
                let _held = Grenade;
                Ok(who(&[]))
            }
            "hang" => {
                tracing::info!("it hangs");
                let _held = Grenade;
                pending().await
            }
            "block" => {
                std::thread::sleep(Duration::from_millis(with.parse().unwrap()));
                Ok(who(&[]))
            }
            "abort" => std::process::abort(),
            "exit" => std::process::exit(3),
            "overflow" => Ok(who(&[("depth", deep(0).to_string())])),
            other => panic!("nobody told it how to {other}"),
        }
    }

    async fn resume(&self, call: &Call, request: Resume) -> Answer<Outcome> {
        tracing::warn!("resumed {}", call.strategy);
        Ok(who(&[("flow", format!("{:?}", request.flow)), ("via", format!("{:?}", request.via))]))
    }

    async fn credentials(&self, _: &Call, op: CredentialOp) -> Answer<CredentialReply> {
        match op {
            CredentialOp::Create { form, about } => {
                Ok(CredentialReply { secret: format!("{form:?} {about:?}") })
            }
            CredentialOp::Import { secret } if secret == "weak" => {
                Err(StrategyError::WeakSecret("longer".into()))
            }
            CredentialOp::Import { secret } => Ok(CredentialReply { secret }),
        }
    }

    async fn refresh(&self, _: &Call, request: Refresh) -> Answer<Outcome> {
        let mut next = request.state.clone();
        next.push(9);
        let refresh_after = Some(Duration::from_secs(60));
        let of = Authenticated { state: next, refresh_after, ..Authenticated::of(request.subject) };
        Ok(Outcome::Authenticated(Box::new(of)))
    }

    async fn logout(&self, _: &Call, request: Logout) -> Answer<LogoutReply> {
        Ok(LogoutReply { redirect: Some(format!("{}#{:?}", request.return_url, request.state)) })
    }

    async fn notice(&self, _: &Call, request: Notice) -> Answer<NoticeReply> {
        let once = Some((format!("{:?}", request.params), Duration::from_secs(600)));
        Ok(NoticeReply { subject: Subject::new("ada"), realm: "r".into(), provider_session: None, once })
    }

    async fn change_secret(&self, _: &Call, request: ChangeSecret) -> Answer<Outcome> {
        if request.current != "old" {
            return Ok(Outcome::denied(Denial::BadCredentials));
        }
        let renewed_secret = Some(request.next);
        Ok(Outcome::Authenticated(Box::new(Authenticated {
            renewed_secret,
            ..Authenticated::of(request.subject)
        })))
    }

    async fn diagnose(&self, _: &Call, request: Diagnose) -> Answer<Vec<Step>> {
        let detail = format!("{:?}", request.user);
        Ok(vec![Step { name: "look".into(), ok: Some(true), detail, advice: None, claims: None }])
    }

    async fn health(&self, _: &Call) -> Answer<Health> {
        Ok(Health::Degraded("as far as it knows".into()))
    }

    fn queued(&self) -> usize {
        3
    }
}

/// Has nothing but `begin`, and panics in it.
pub struct Broken;

impl Strategy for Broken {
    const KIND: &'static str = "broken";
    const OPERATIONS: Operations = Operations::NONE;

    async fn start(_: Object, _: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn begin(&self, _: &Call, _: Begin) -> Answer<Outcome> {
        panic!("begin on purpose")
    }

    async fn health(&self, _: &Call) -> Answer<Health> {
        panic!("health on purpose")
    }
}

fn who(claims: &[(&str, String)]) -> Outcome {
    let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
    let claims: Claims = claims.collect();
    Outcome::Authenticated(Box::new(Authenticated {
        claims,
        ..Authenticated::of(Subject::new("ada").unwrap())
    }))
}

fn form() -> Outcome {
    let field = Field { name: "do".into(), kind: FieldKind::Text, label: "What".into(), required: true };
    Outcome::Form(Form { fields: vec![field], message: Some("é <b>".into()), flow: vec![], subject: None })
}

/// An answer of nearly so many bytes.
fn large(bytes: usize) -> Outcome {
    Outcome::Denied(Denied { reason: Denial::Locked, message: Some("x".repeat(bytes)), subject: None })
}

/// The first line of what a server says, by the runtime of this strategy.
async fn get(address: &str) -> Answer<Outcome> {
    let failed = |error: std::io::Error| StrategyError::Failed(error.to_string());
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.map_err(failed)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.map_err(failed)?;
    Ok(who(&[("said", text.lines().next().unwrap_or_default().to_owned())]))
}

/// Until there is no stack left.
fn deep(level: u64) -> u64 {
    let here = std::hint::black_box([level; 64]);
    if here[7] == u64::MAX { 0 } else { here[7] + std::hint::black_box(deep(level + 1)) }
}
