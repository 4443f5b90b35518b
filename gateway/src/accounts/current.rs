//! `{auth}/current`: who am I.

use super::view;
use crate::{
    control::{Ask, Reply, presented, reply},
    problem::Problem,
};
use serde_json::json;

/// Nobody is an answer, not an error; a bad token is.
pub(crate) async fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let session = presented(ask).await?.signed_in()?;
    let account = session.map(|session| session.account());
    if ask.takes_json_api() {
        // JSON:API's word for nobody is null (jsonapi.org 1.1, Fetching Resources).
        let nobody = || json!({ "data": null });
        return Ok(reply::json_api(&account.map_or_else(nobody, |account| view::resource(&account, None))));
    }
    let account = account.map_or(false.into(), |account| view::of(&account));
    Ok(reply::json(&json!({ "success": true, "authenticated": account })))
}
