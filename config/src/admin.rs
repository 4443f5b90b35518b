//! `[admin]`: where an orchestrator and a monitor look in.

use crate::{problem::Book, section::Section, server::Server, tree::Table};
use std::net::SocketAddr;

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where `/livez`, `/readyz` and `/metrics` are; none: nowhere.
    pub listen: Option<SocketAddr>,
    /// Where `{auth}/admin` is.
    pub api: AdminApi,
}

/// `[admin] api`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminApi {
    /// Beside the other endpoints.
    Public,
    /// On the admin listener.
    Listener,
    /// Nowhere.
    Off,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["listen", "api"];

/// Reads the table.
pub(crate) fn read(root: &Table, server: &Server, book: &mut Book<'_>) -> Admin {
    let table = Section::open(root, "admin", KEYS, book);
    let words = [("public", AdminApi::Public), ("listener", AdminApi::Listener), ("off", AdminApi::Off)];
    let api = table.field("api").and_then(|field| field.one_of(&words, book)).unwrap_or(AdminApi::Public);
    let listen = listen(&table, server, book);
    if let Some(field) =
        table.field("api").filter(|_| api == AdminApi::Listener && table.field("listen").is_none())
    {
        let message = format!("{} is on a listener that is not there", field.label());
        book.refuse_with(field.at(), message, "write listen = \"127.0.0.1:9091\" beside it");
    }
    Admin { listen, api }
}

fn listen(table: &Section<'_>, server: &Server, book: &mut Book<'_>) -> Option<SocketAddr> {
    let field = table.field("listen")?;
    let text = field.text(book)?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("{} is not an address and a port: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, "write \"127.0.0.1:9091\"");
        return None;
    };
    if server.listen.iter().any(|public| meet(*public, address)) {
        let message = format!("{} is an address of [server] listen: {address}", field.label());
        book.refuse_with(field.at(), message, "give it a port of its own: \"127.0.0.1:9091\"");
    } else if !address.ip().is_loopback() {
        let message =
            format!("{} can be reached from other machines: it asks nobody who they are", field.label());
        book.warn(field.at(), message, "listen on loopback, or on a network that only your monitor reaches");
    }
    Some(address)
}

/// Whether both cannot be listened on.
fn meet(a: SocketAddr, b: SocketAddr) -> bool {
    let wide = |address: SocketAddr| address.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || wide(a) || wide(b))
}
