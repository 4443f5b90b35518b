//! Composition root: a checked configuration becomes a running gateway, and a running
//! gateway ends. What may not come in: arguments, prompts, exit codes (they are the
//! command line's), and decisions about requests.
//!
//! `reload.rs` the next configuration in the place of this one · `keep.rs` what of it needs
//! a restart · `draining.rs` the flag of a gateway that ends · `signals.rs` what the
//! operating system asks for · `supervisor.rs` what systemd is told · `url.rs` the port that
//! "any free port" has become.

mod draining;
mod keep;
#[cfg(test)]
mod panics;
mod reload;
mod signals;
mod supervisor;
mod url;

pub use draining::Draining;
pub use reload::Loader;

use crate::{
    admin::{Door, Open, Standing},
    clock::Clock,
    control::{self, Control},
    mail,
    metrics::{Metrics, Sources},
    pages::Pages,
    proxy::{
        listen::{Listeners, raise_descriptor_limit},
        worker::{self, Plane, Workers},
    },
    random::Random,
    registry::Registry,
    sessions::{Feed, Idle, Sessions},
    snapshot::Snapshot,
    store::{OpenMode, Store, StoreError, StoreOptions},
    telemetry::Logger,
    tls::Tls,
    tokens::{Foreign, Keeper, Tokens},
};
use arc_swap::ArcSwap;
use portcullis_config::{Config, Problem};
use portcullis_plugin_api::Host;
use reload::InForce;
use signals::{Signal, Signals};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinHandle,
};

/// Threads of the control plane. It waits for the store and for strategies, and the
/// hashing of passwords has threads of its own.
const CONTROL_THREADS: usize = 2;

/// How long the store may take for the last words of a gateway that ends.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Why there is no gateway.
#[derive(Debug)]
pub enum Failed {
    /// The configuration is wrong after all: a strategy says so.
    Configuration(Vec<Problem>),
    /// It cannot listen there.
    Address(String),
    /// Something else that it needs is not there; the text says what to do.
    Start(String),
}

/// How a gateway came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Asked to end, and what was in flight has ended, or `[server] drain` was over.
    Drained,
    /// Asked a second time, by this signal.
    AtOnce(i32),
}

/// What SIGHUP means.
pub enum Hangup {
    /// To read the configuration again.
    Reloads(Loader),
    /// The terminal is gone, and with it whoever wanted this gateway.
    Ends,
}

/// The runtime of the control plane.
pub fn runtime() -> Result<Runtime, Failed> {
    Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| Failed::Start(format!("cannot start the control plane: {error}")))
}

/// Everything that does not serve requests yet.
pub struct Ready {
    /// The checked configuration, with the ports that it listens on.
    pub config: Config,
    /// The open store.
    pub store: Store,
    /// The strategies, started.
    pub registry: Registry,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    asked: Vec<SocketAddr>,
    tls: Tls,
    listeners: Listeners,
    admin: Option<Door>,
    signals: Signals,
}

impl Ready {
    /// Opens the store, starts the strategies and takes the addresses.
    pub async fn new(mut config: Config, clock: Clock, random: Random) -> Result<Self, Failed> {
        let tls = Tls::load(&config, &clock).map_err(Failed::Configuration)?;
        for warning in config.warnings.iter().chain(&tls.warnings) {
            tracing::warn!(place = %warning.place, help = warning.help.as_deref(), "{}", warning.message);
        }
        // From here on a signal is ours: an end in the middle of a start is a clean one.
        let signals =
            Signals::new().map_err(|error| Failed::Start(format!("cannot listen to signals: {error}")))?;
        let store = Store::open(StoreOptions {
            path: config.store.path.clone(),
            key: config.store.key.clone(),
            mode: OpenMode::Serve,
            clock: clock.clone(),
            random: random.clone(),
        })
        .map_err(|error| Failed::Start(error.to_string()))?;
        let host = Host { random: random.shared(), now: clock.shared(), cores: config.server.threads };
        let registry = Registry::serve(&config, host).await.map_err(Failed::Configuration)?;
        raise_descriptor_limit();
        let listeners = Listeners::bind(&config.server.listen, config.server.threads)
            .map_err(|(at, why)| no_address(at, &why))?;
        let asked = config.server.listen.clone();
        let at_admin = |address| Door::bind(address).map_err(|why| no_address(address, &why));
        let admin = config.admin.listen.map(at_admin).transpose()?;
        url::settle(&mut config, listeners.addresses());
        Ok(Self { config, asked, store, registry, clock, random, tls, listeners, admin, signals })
    }

    /// Begins to serve.
    pub async fn serve(self, log: &Logger) -> Result<Gateway, Failed> {
        let Self { config, asked, store, registry, clock, random, tls, listeners, admin, signals } = self;
        let metrics = Arc::new(Metrics::default());
        let stuck = |error: StoreError| Failed::Start(format!("the store did not answer: {error}"));
        let config = Arc::new(config);
        let sealer = store.sealer().map_err(|error| Failed::Start(error.to_string()))?;
        let tokens = Tokens::load(&store, &sealer, &config.token, &config.assertion, random.clone(), &clock)
            .await
            .map_err(|error| Failed::Start(error.to_string()))?;
        tokens.trust(Arc::new(Foreign::load(&config, &clock).map_err(Failed::Configuration)?));
        let tokens = Arc::new(tokens);
        let (token, assertion) = (&config.token, &config.assertion);
        let keeper = Keeper::new(store.clone(), sealer, token, assertion, random.clone(), clock.clone());
        let keeper = Arc::new(keeper);
        tokio::spawn(keeper.clone().run());
        let sessions = Arc::new(Sessions::new(store.clone(), Idle::of(&config), Handle::current()));
        let feed = Feed::new(store.clone(), sessions.clone(), tokens.clone(), clock.clone()).await;
        let feed = Following::start(feed.map_err(stuck)?);
        let pages = Arc::new(Pages::new(&config).map_err(Failed::Configuration)?);
        let control = Arc::new(ArcSwap::from_pointee(Control {
            config: config.clone(),
            store: store.clone(),
            sessions: sessions.clone(),
            tokens: tokens.clone(),
            registry: registry.clone(),
            pages: pages.clone(),
            clock: clock.clone(),
            random: random.clone(),
            metrics: metrics.clone(),
            outbox: Arc::default(),
        }));
        mail::start(control.clone());
        let addresses = listeners.addresses().to_vec();
        let plane = Plane {
            snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::new(&config, &tls))),
            sessions,
            tokens,
            pages: Arc::new(ArcSwap::new(pages)),
            endpoints: control::handler(control.clone()),
            control: Handle::current(),
            clock,
            random,
            metrics: metrics.clone(),
            log: config.log.access.then(|| log.clone()),
        };
        let workers = worker::start(&plane, listeners)
            .map_err(|error| Failed::Start(format!("cannot start the data plane: {error}")))?;
        for address in &addresses {
            tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "accepting connections");
        }
        let sources = Sources { store, connections: workers.admission() };
        let draining = Draining::default();
        let standing = Arc::new(Standing::new(sources, metrics, control.clone(), draining.clone()));
        let admin = admin.map(|door| door.open(standing.clone())).transpose();
        let admin =
            admin.map_err(|error| Failed::Start(format!("cannot open the admin listener: {error}")))?;
        tokio::spawn(crate::login::look_again::run(control.clone()));
        let in_force = InForce { config, asked, generation: 1, plane, keeper, control };
        Ok(Gateway { in_force, addresses, feed, workers, standing, admin, signals, draining })
    }
}

fn no_address(address: SocketAddr, why: &io::Error) -> Failed {
    Failed::Address(match why.kind() {
        io::ErrorKind::AddrInUse => format!("the address {address} is in use by another process"),
        io::ErrorKind::AddrNotAvailable => format!("the address {address} is none of this machine's"),
        _ => format!("cannot listen on {address}: {why}"),
    })
}

/// The task that follows the store's events.
struct Following {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Following {
    fn start(feed: Feed) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(feed.run(async move { drop(stopped.await) }));
        Self { stop, task }
    }

    /// Writes what is still to be written: when sessions were used last.
    async fn end(self) {
        drop(self.stop);
        if tokio::time::timeout(LAST_WRITES, self.task).await.is_err() {
            tracing::warn!("the store did not take the last uses of sessions in time");
        }
    }
}

/// A gateway that accepts connections.
pub struct Gateway {
    in_force: InForce,
    addresses: Vec<SocketAddr>,
    feed: Following,
    workers: Workers,
    standing: Arc<Standing>,
    admin: Option<Open>,
    signals: Signals,
    draining: Draining,
}

impl Gateway {
    /// Its origin, as browsers see it.
    pub fn origin(&self) -> &str {
        &self.in_force.config.server.public_url.origin
    }

    /// Set once it is asked to end.
    pub fn draining(&self) -> Draining {
        self.draining.clone()
    }

    /// Where it listens.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        let scheme = if self.in_force.config.server.tls.is_empty() { "http" } else { "https" };
        self.addresses.iter().map(move |address| format!("{scheme}://{address}"))
    }

    /// Where its metrics are, if anywhere.
    pub fn metrics_url(&self) -> Option<String> {
        self.admin.as_ref().map(|open| format!("http://{}/metrics", open.address))
    }

    /// Serves until it is asked to end, and then until nothing is in flight.
    pub async fn run(mut self, hangup: Hangup) -> End {
        supervisor::ready();
        self.until_asked_to_end(&hangup).await;
        supervisor::stopping();
        self.draining.set();
        let limit = self.in_force.config.server.drain;
        tracing::info!(
            limit_s = limit.as_secs(),
            "draining: no new connections, what is in flight may finish"
        );
        let end = tokio::select! {
            () = self.workers.drain(limit) => End::Drained,
            number = self.signals.end() => End::AtOnce(number),
        };
        if end != End::Drained {
            tracing::warn!("a second signal: what is in flight is cut off");
        }
        self.feed.end().await;
        tracing::info!("stopped");
        end
    }

    async fn until_asked_to_end(&mut self, hangup: &Hangup) {
        while let (Signal::Hangup, Hangup::Reloads(load)) = (self.signals.next().await, hangup) {
            // One at a time; a strategy that is slow to start does not put off an end. What
            // is asked for meanwhile is done next, however often it was asked for.
            supervisor::reloading();
            tokio::select! {
                taken = self.in_force.reload(load) => {
                    self.standing.reloaded(taken);
                    supervisor::ready();
                }
                _ = self.signals.end() => return,
            }
        }
    }
}
