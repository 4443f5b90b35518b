//! `[server]`: where the gateway listens and what it is called.

use crate::{
    address::{self, Origin},
    certificate::{self, Certificate},
    load::Surroundings,
    network, origins,
    problem::Book,
    section::{Field, Section},
    tree::Table,
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens; at least one.
    pub listen: Vec<SocketAddr>,
    /// What its listeners show of themselves, the first where no other fits; empty: they
    /// are plain.
    pub tls: Vec<Certificate>,
    /// One origin without a path and without a trailing slash, lower case: `https://gw.example.com`.
    pub public_url: PublicUrl,
    /// More host names that it answers to, lower case, without ports.
    pub hosts: Vec<String>,
    /// Other origins that may use endpoints and cookies, as browsers spell them.
    pub origins: Vec<String>,
    /// CIDRs whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Data-plane threads.
    pub threads: usize,
    /// How long what is in flight may take after SIGTERM.
    pub drain: Duration,
    /// `public_url` is http on a host that is not loopback, on purpose.
    pub danger_plaintext: bool,
}

/// An origin, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `http://127.0.0.1:8080`
    pub origin: String,
    /// Whether the scheme is https: it alone decides cookie names and `Secure`.
    pub https: bool,
    /// The host without port, lower case (an IPv6 address in brackets).
    pub host: String,
    /// The port, also when it is the scheme's own.
    pub port: u16,
}

impl From<Origin> for PublicUrl {
    fn from(origin: Origin) -> Self {
        Self { origin: origin.text(), https: origin.https, host: origin.host, port: origin.port }
    }
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &[
    "listen",
    "tls",
    "public_url",
    "trusted_proxies",
    "origins",
    "hosts",
    "threads",
    "drain",
    "danger_plaintext",
];

/// Reads the table.
pub(crate) fn read(root: &Table, around: &Surroundings<'_>, book: &mut Book<'_>) -> Server {
    let table = Section::open(root, "server", KEYS, book);
    let listen = table.field("listen").and_then(|field| listen(field, book));
    let listen = listen.unwrap_or_else(|| vec![SocketAddr::from(([127, 0, 0, 1], 8080))]);
    let danger_plaintext =
        table.field("danger_plaintext").and_then(|field| field.boolean(book)).unwrap_or(false);
    Server {
        public_url: public_url(&table, &listen, danger_plaintext, book),
        tls: table.field("tls").map(|field| certificate::list(field, around, book)).unwrap_or_default(),
        listen,
        hosts: table.field("hosts").and_then(|field| hosts(field, book)).unwrap_or_default(),
        origins: table.field("origins").and_then(|field| origins::read(field, book)).unwrap_or_default(),
        trusted_proxies: table
            .field("trusted_proxies")
            .and_then(|field| networks(field, book))
            .unwrap_or_default(),
        threads: table
            .field("threads")
            .and_then(|field| field.count(1024, book))
            .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |n| n as usize),
        drain: table
            .field("drain")
            .and_then(|field| field.duration(Duration::ZERO, book))
            .unwrap_or(Duration::from_secs(30)),
        danger_plaintext,
    }
}

fn listen(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let given = field.text_or_texts(book)?;
    if given.is_empty() {
        book.refuse(field.at(), format!("{} must name at least one address", field.label()));
    }
    for entry in given {
        let shown = entry.text.escape_debug();
        match entry.text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 && addresses.contains(&address) => {
                book.refuse(&entry.at, format!("{} names {shown} twice", field.label()));
            }
            Ok(address) => addresses.push(address),
            Err(_) => book.refuse_with(
                &entry.at,
                format!("{} is not an address and a port: \"{shown}\"", field.label()),
                "write \"127.0.0.1:8080\", \"[::1]:8080\", or \"0.0.0.0:8080\" for every interface",
            ),
        }
    }
    (!addresses.is_empty()).then_some(addresses)
}

/// Given, or made from the first listener when all of them are loopback.
fn public_url(
    table: &Section<'_>,
    listen: &[SocketAddr],
    danger_plaintext: bool,
    book: &mut Book<'_>,
) -> PublicUrl {
    let first = Origin {
        https: false,
        host: match listen[0].ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        },
        port: listen[0].port(),
    };
    let Some(field) = table.field("public_url") else {
        if let Some(tls) = table.field("tls") {
            book.refuse_with(
                tls.at(),
                "[server] public_url is required with tls",
                "write public_url = \"https://…\", with a name that the certificate was made for",
            );
        } else if !listen.iter().all(|address| address.ip().is_loopback()) {
            let at = table.field("listen").map_or(&table.at, |field| field.at());
            book.refuse_with(
                at,
                "[server] public_url is required where a listener can be reached from other machines",
                "write public_url = \"https://…\", the origin that people's browsers see",
            );
        }
        return first.into();
    };
    let Some(text) = field.text(book) else { return first.into() };
    let origin = match Origin::read(&text) {
        Ok(origin) => origin,
        Err((fault, help)) => {
            let help =
                help.unwrap_or_else(|| "write one origin, as in \"https://gw.example.com\"".to_owned());
            book.refuse_with(field.at(), format!("{} {fault}", field.label()), help);
            return first.into();
        }
    };
    if let (false, Some(_)) = (origin.https, table.field("tls")) {
        book.refuse_with(
            field.at(),
            "[server] public_url is http, and the listeners speak TLS",
            "write https, or remove tls",
        );
    } else if !origin.https && !origin.is_loopback() {
        if danger_plaintext {
            book.warn(
                field.at(),
                "[server] public_url is http: passwords and cookies can be read on the way",
                "put TLS before the gateway and write https",
            );
        } else {
            book.refuse_with(
                field.at(),
                "[server] public_url is http on a host that is not loopback",
                "write https, or danger_plaintext = true if passwords may be read on the way",
            );
        }
    }
    origin.into()
}

fn hosts(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for entry in field.texts(book)? {
        match address::host(&entry.text) {
            Some(host) => hosts.push(host),
            None => book.refuse_with(
                &entry.at,
                format!("{} is not a host name: \"{}\"", field.label(), entry.text.escape_debug()),
                "write a name or an address without scheme and port",
            ),
        }
    }
    Some(hosts)
}

fn networks(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<IpNet>> {
    let mut networks = Vec::new();
    for entry in field.texts(book)? {
        match network::read(&entry.text) {
            Some(network) => {
                if network.prefix_len() == 0 {
                    book.warn(
                        &entry.at,
                        "[server] trusted_proxies holds every address: any client can claim another's",
                        "name the addresses of your proxies",
                    );
                }
                networks.push(network);
            }
            None => book.refuse_with(
                &entry.at,
                format!(
                    "{} is not an address or a network: \"{}\"",
                    field.label(),
                    entry.text.escape_debug()
                ),
                network::SHAPE,
            ),
        }
    }
    Some(networks)
}
