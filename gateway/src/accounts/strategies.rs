//! The ways to sign in, as clients list them.

use crate::control::{Ask, Reply, reply};
use serde_json::{Value, json};

/// `{"data":[{"id","kind","title","url"}]}`
pub(crate) fn list(ask: &Ask<'_>) -> Reply {
    let login = &ask.control.config.endpoints.login;
    let of = |one: &crate::registry::Instance| {
        let url = format!("{login}/{}", one.id());
        json!({ "id": one.id(), "kind": one.kind(), "title": one.title(), "url": url })
    };
    let data: Vec<Value> = ask.control.registry.list().iter().map(of).collect();
    reply::list(ask, "strategies", "id", data)
}
