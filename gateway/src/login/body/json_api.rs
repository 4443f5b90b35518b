//! The JSON:API envelope `{"data":{"type":"users","attributes":{…}}}` (jsonapi.org 1.1,
//! Resource Objects), opened to the flat fields inside.

use portcullis_plugin_api::Object;
use serde_json::Value;

/// The attributes. The error is for the client.
pub(super) fn open(mut envelope: Object) -> Result<Object, String> {
    let data = envelope.remove("data");
    if envelope.keys().any(|name| name != "jsonapi" && name != "meta") {
        return Err("data: a JSON:API envelope stands alone, without flat fields beside it".into());
    }
    let Some(Value::Object(mut data)) = data else {
        return Err("data: must be an object with type and attributes".into());
    };
    if data.get("type").and_then(Value::as_str) != Some("users") {
        return Err("data.type: must be \"users\"".into());
    }
    match data.remove("attributes") {
        Some(Value::Object(attributes)) => Ok(attributes),
        _ => Err("data.attributes: must be an object".into()),
    }
}
