//! `{auth}/current`: who am I.

use super::view;
use crate::{
    control::{Ask, Reply, presented, reply},
    problem::Problem,
};
use serde_json::json;

/// Nobody is an answer, not an error; a bad token is.
pub(crate) async fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let Some(session) = presented(ask).await?.signed_in()? else {
        return Ok(reply::json(&json!({ "success": true, "authenticated": false })));
    };
    let account = view::of(&session.account());
    Ok(reply::json(&json!({ "success": true, "authenticated": account })))
}
