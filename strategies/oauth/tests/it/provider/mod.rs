//! A provider that answers as each test wants: one thread, plain HTTP on loopback, and a
//! record of what it was asked. What it signs with changes when a test says so.

use portcullis_openid::Signer;
use portcullis_plugin_api::{
    Authenticated, Begin, Call, Denied, DynStrategy, Host, Logout, Notice, Object, Outcome, Refresh, Resume,
    StrategyError, Via, start,
};
use portcullis_strategy_oauth::OAuth;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

const JSON: &str = "Content-Type: application/json\r\n";

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    /// With its query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub form: BTreeMap<String, String>,
}

/// What is answered instead of the right thing: status, headers, body. Status 0: nothing, ever.
pub type Answer = (u16, String, String);

pub struct World {
    pub issuer: String,
    pub signer: Signer,
    pub kid: String,
    /// Claims of the next ID token, over the right ones. Null takes one away.
    pub claims: Value,
    pub typ: String,
    pub userinfo: Value,
    pub metadata: Value,
    pub tokens: Value,
    /// By target, or else by path.
    pub instead: BTreeMap<String, Answer>,
    pub asked: Vec<Asked>,
    /// What Microsoft's Graph says the person is in.
    pub member_of: Vec<Value>,
    nonce: String,
    scope: String,
}

pub struct Op {
    pub world: Arc<Mutex<World>>,
    pub issuer: String,
    pub now: Arc<AtomicU64>,
}

impl Op {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let now = Arc::new(AtomicU64::new(1_700_000_000_000));
        let world = World {
            issuer: issuer.clone(),
            signer: signer("k1"),
            kid: "k1".into(),
            claims: json!({}),
            typ: "JWT".into(),
            userinfo: json!({ "sub": "ann" }),
            metadata: json!({}),
            tokens: json!({}),
            instead: BTreeMap::new(),
            asked: Vec::new(),
            member_of: Vec::new(),
            scope: String::new(),
            nonce: String::new(),
        };
        let world = Arc::new(Mutex::new(world));
        let (shared, time) = (world.clone(), now.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &shared, time.load(SeqCst));
            }
        });
        Self { world, issuer, now }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn wait(&self, milliseconds: u64) {
        self.now.fetch_add(milliseconds, SeqCst);
    }

    /// How often a path was asked.
    pub fn count(&self, path: &str) -> usize {
        self.world().asked.iter().filter(|asked| asked.path == path).count()
    }

    /// Waits until a path was asked so often.
    pub async fn asked(&self, path: &str, times: usize) {
        while self.count(path) < times {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    pub fn last(&self, path: &str) -> Asked {
        self.world().asked.iter().rev().find(|asked| asked.path == path).unwrap().clone()
    }

    /// The strategy, with these settings over the least.
    pub async fn strategy(&self, more: Value) -> Arc<dyn DynStrategy> {
        let mut settings = json!({
            "issuer": self.issuer, "danger_plaintext": true, "client_id": "gw", "client_secret": "CANARY-client-secret",
        });
        for (name, value) in more.as_object().unwrap() {
            settings[name.as_str()] = value.clone();
        }
        let settings = settings.as_object().unwrap().clone();
        started(settings.into_iter().filter(|(_, v)| !v.is_null()).collect(), &self.now).await
    }

    /// A login through, with what the provider adds to its answer.
    pub async fn login_with(
        &self,
        strategy: &Arc<dyn DynStrategy>,
        extra: &[(&str, &str)],
    ) -> Result<Outcome, StrategyError> {
        let Outcome::Redirect(away) = strategy.begin(&call(), begin()).await? else { panic!("no redirect") };
        let url = url::Url::parse(&away.url).unwrap();
        let sent: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        self.world().scope = sent.get("scope").cloned().unwrap_or_default();
        self.world().nonce = sent.get("nonce").cloned().unwrap_or_default();
        let mut params = BTreeMap::from([
            ("code".to_owned(), "CANARY-code".to_owned()),
            ("state".to_owned(), "s".to_owned()),
        ]);
        for (name, value) in extra {
            match value.is_empty() {
                true => drop(params.remove(*name)),
                false => drop(params.insert((*name).to_owned(), (*value).to_owned())),
            }
        }
        let resume = Resume {
            params,
            flow: away.flow,
            via: Via::Redirect,
            resume_url: begin().resume_url,
            state: "s2".into(),
        };
        strategy.resume(&call(), resume).await
    }

    pub async fn login(&self, strategy: &Arc<dyn DynStrategy>) -> Result<Outcome, StrategyError> {
        self.login_with(strategy, &[]).await
    }
}

pub async fn started(settings: Object, now: &Arc<AtomicU64>) -> Arc<dyn DynStrategy> {
    start::<OAuth>(settings, host(now)).await.unwrap_or_else(|error| panic!("{error:?}"))
}

pub fn host(now: &Arc<AtomicU64>) -> Host {
    let now = now.clone();
    let count = AtomicU64::new(1);
    let random = move |bytes: &mut [u8]| {
        let n = count.fetch_add(1, SeqCst).to_le_bytes();
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = n[at % 8] ^ at as u8);
    };
    Host { random: Arc::new(random), now: Arc::new(move || now.load(SeqCst)), cores: 1 }
}

pub fn call() -> Call {
    Call::new("r", "corp", "127.0.0.1".parse().unwrap())
}

pub fn begin() -> Begin {
    Begin { resume_url: "https://gw.test/login/corp/callback".into(), state: "s".into(), ..Begin::default() }
}

#[track_caller]
pub fn signed_in(outcome: Result<Outcome, StrategyError>) -> Authenticated {
    match outcome {
        Ok(Outcome::Authenticated(authenticated)) => *authenticated,
        other => panic!("not signed in: {other:?}"),
    }
}

#[track_caller]
pub fn denied(outcome: Result<Outcome, StrategyError>) -> Denied {
    match outcome {
        Ok(Outcome::Denied(denied)) => denied,
        other => panic!("not denied: {other:?}"),
    }
}

/// The code of a no, without what the operator is told beside it.
#[track_caller]
pub fn code(outcome: Result<Outcome, StrategyError>) -> String {
    let message = denied(outcome).message.unwrap_or_default();
    message.split(" (for whoever").next().unwrap_or_default().to_owned()
}

#[track_caller]
pub fn invalid(outcome: Result<Outcome, StrategyError>) -> String {
    match outcome {
        Err(StrategyError::ProviderInvalid(why)) => why,
        other => panic!("not invalid: {other:?}"),
    }
}

pub async fn refreshed(
    strategy: &Arc<dyn DynStrategy>,
    of: &Authenticated,
) -> Result<Outcome, StrategyError> {
    strategy.refresh(&call(), Refresh { subject: of.subject.clone(), state: of.state.clone() }).await
}

pub async fn left(strategy: &Arc<dyn DynStrategy>, of: &Authenticated) -> Option<String> {
    let request = Logout {
        subject: of.subject.clone(),
        state: of.state.clone(),
        return_url: "https://gw.test/login".into(),
    };
    strategy.logout(&call(), request).await.unwrap().redirect
}

pub fn notice(front_channel: bool, params: &[(&str, &str)]) -> Notice {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Notice { params, front_channel }
}

impl World {
    pub fn jwk(&self) -> Value {
        let mut jwk = self.signer.jwk().unwrap();
        jwk["kid"] = self.kid.as_str().into();
        jwk
    }

    /// Another key signs from now on, and only it is published.
    pub fn rotate(&mut self, kid: &str) {
        self.signer = signer(kid);
        self.kid = kid.into();
    }

    /// A token of these claims, with the name of the key.
    pub fn signed(&self, typ: &str, claims: &Value) -> String {
        self.signer.sign(typ, claims)
    }

    fn id_token(&self, now: u64) -> String {
        let mut claims = json!({
            "iss": self.issuer, "sub": "ann", "aud": "gw", "nonce": self.nonce, "iat": now / 1000, "exp": now / 1000 + 300,
            "sid": "op-session", "email": "CANARY-ann@example.com", "email_verified": true, "name": "Ann Example",
        });
        over(&mut claims, &self.claims);
        self.signed(&self.typ, &claims)
    }

    /// As Microsoft documents it: a cast and the size of pages want the header field and
    /// `$count=true` (400), and the person has to have let us read who they are (403).
    fn graph(&self, asked: &Asked) -> Answer {
        const PAGE: usize = 999;
        let query = asked.target.split_once('?').unwrap_or_default().1;
        let query: BTreeMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is = |name: &str, value: &str| query.get(name).is_some_and(|found| found == value);
        let no =
            |status, code: &str| (status, JSON.to_owned(), json!({ "error": { "code": code } }).to_string());
        let eventual = asked.headers.get("consistencylevel").is_some_and(|level| level == "eventual");
        if !eventual || !is("$count", "true") {
            return no(400, "Request_UnsupportedQuery");
        }
        if !self.scope.split(' ').any(|scope| scope == "User.Read") {
            return no(403, "Authorization_RequestDenied");
        }
        let from: usize = query.get("$skiptoken").map_or(0, |from| from.parse().unwrap());
        let page: Vec<_> = self.member_of.iter().skip(from).take(PAGE).collect();
        let mut answer =
            json!({ "@odata.context": "x", "@odata.count": self.member_of.len(), "value": page });
        if from + PAGE < self.member_of.len() {
            let at = &asked.path;
            let next = format!("{}{at}?$count=true&$skiptoken={}", self.issuer, from + PAGE);
            answer["@odata.nextLink"] = next.into();
        }
        (200, JSON.to_owned(), answer.to_string())
    }

    fn answer(&mut self, asked: &Asked, now: u64) -> Answer {
        self.asked.push(asked.clone());
        let instead = self.instead.get(&asked.target).or_else(|| self.instead.get(&asked.path));
        if let Some(instead) = instead {
            return instead.clone();
        }
        let at = |path: &str| format!("{}{path}", self.issuer);
        let body = match asked.path.as_str() {
            "/.well-known/openid-configuration" => {
                let mut metadata = json!({
                    "issuer": self.issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
                    "userinfo_endpoint": at("/userinfo"), "jwks_uri": at("/keys"), "end_session_endpoint": at("/end"),
                    "revocation_endpoint": at("/revoke"), "pushed_authorization_request_endpoint": at("/par"),
                    "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                });
                over(&mut metadata, &self.metadata);
                metadata
            }
            "/keys" => json!({ "keys": [self.jwk()] }),
            "/token" => {
                let mut tokens = json!({
                    "access_token": "CANARY-access", "refresh_token": "CANARY-refresh", "token_type": "Bearer",
                    "expires_in": 600, "id_token": self.id_token(now),
                });
                over(&mut tokens, &self.tokens);
                tokens
            }
            "/userinfo" => self.userinfo.clone(),
            "/par" => json!({ "request_uri": "urn:par:1", "expires_in": 60 }),
            "/revoke" => json!({}),
            "/graph/me/transitiveMemberOf/microsoft.graph.group" => return self.graph(asked),
            _ => return (404, String::new(), String::new()),
        };
        (200, "Content-Type: application/json\r\n".into(), body.to_string())
    }
}

fn signer(kid: &str) -> Signer {
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    Signer::from_pem(pem.as_bytes(), Some(kid.into())).unwrap()
}

/// Null takes a member away.
fn over(base: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        match value.is_null() {
            true => drop(base.as_object_mut().unwrap().remove(name)),
            false => base[name.as_str()] = value.clone(),
        }
    }
}

fn serve(mut stream: std::net::TcpStream, world: &Mutex<World>, now: u64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let form = url::form_urlencoded::parse(&body).into_owned().collect();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let (status, fields, body) = world.lock().unwrap().answer(&Asked { path, target, headers, form }, now);
    if status == 0 {
        std::mem::forget(stream);
        return Ok(());
    }
    let length = if fields.contains("Content-Length") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    write!(stream, "HTTP/1.1 {status} X\r\n{fields}{length}Connection: close\r\n\r\n{body}")
}
