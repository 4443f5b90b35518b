//! The token endpoint: a code or a refresh token becomes tokens (RFC 6749 §5).

use crate::{
    OAuth,
    possession::Possession,
    secret::Secret,
    trouble::{Stop, code},
};
use portcullis_openid::{Claims, Reply, Trouble, object};
use serde_json::Value;
use url::Url;

/// The longest token that is kept or sent on.
const LONGEST_TOKEN: usize = 16 * 1024;

/// What a provider gives.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: Secret,
    pub(crate) id: Option<Secret>,
    pub(crate) refresh: Option<Secret>,
    /// How long the access token is good, in seconds.
    pub(crate) lifetime: Option<u64>,
    /// Whether it is good only with a proof of possession.
    pub(crate) bound: bool,
}

impl OAuth {
    /// Asks for tokens. A server that wants a nonce in the proof is asked once more
    /// (RFC 9449 §8).
    pub(crate) async fn tokens(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        possession: Option<&Possession>,
    ) -> Result<Tokens, Stop> {
        let form: Vec<_> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut nonce = None;
        loop {
            let mut request = self.authenticated(url, form.clone());
            if let Some(possession) = possession {
                request = possession.prove(self, request, "POST", url, None, nonce.as_deref());
            }
            let reply = self.client.call(request).await?;
            let wanted = reply.field("dpop-nonce").map(str::to_owned);
            match json_answer(&reply) {
                Err(Stop::Denied(code))
                    if code == "use_dpop_nonce" && nonce.is_none() && wanted.is_some() =>
                {
                    nonce = wanted;
                }
                answer => return read(&answer?, possession.is_some()),
            }
        }
    }
}

/// The object that was answered; an `error` in it is the provider's no, whatever the
/// status (GitHub says no with 200).
pub(crate) fn json_answer(reply: &Reply) -> Result<Claims, Stop> {
    let status = reply.status.as_u16();
    if status == 429 {
        return Err(Trouble::Unreachable("it answers 429".into()).into());
    }
    if !reply.is_json() {
        return Err(Trouble::Invalid(format!("it answers {status}, and not as application/json")).into());
    }
    let answer = object(&reply.body)
        .ok_or_else(|| Trouble::Invalid(format!("it answers {status}, and with no JSON object")))?;
    match answer.get("error") {
        Some(Value::String(found)) => {
            let found = code(found);
            let busy = found == "temporarily_unavailable" || found == "server_error";
            Err(if busy {
                Trouble::Unreachable(format!("it answers {found}")).into()
            } else {
                Stop::Denied(found)
            })
        }
        // Facebook's is an object.
        Some(_) => Err(Stop::Denied("unreadable_error".into())),
        None if reply.status.is_success() => Ok(answer),
        None => Err(Trouble::Invalid(format!("it answers {status} without an error code")).into()),
    }
}

fn read(answer: &Claims, proven: bool) -> Result<Tokens, Stop> {
    let invalid = |why: &str| Stop::from(Trouble::Invalid(why.to_owned()));
    let token = |name: &str| match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= LONGEST_TOKEN => {
            Ok(Some(Secret::new(text.clone())))
        }
        Some(_) => Err(invalid(&format!("its `{name}` is no text that a token can be"))),
    };
    let kind = answer.get("token_type").and_then(Value::as_str).unwrap_or_default();
    let bound = kind.eq_ignore_ascii_case("dpop");
    if !(kind.eq_ignore_ascii_case("bearer") || (bound && proven)) {
        return Err(invalid("its `token_type` is neither Bearer nor what was asked for"));
    }
    let lifetime = answer.get("expires_in").and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    Ok(Tokens {
        access: token("access_token")?.ok_or_else(|| invalid("it gave no `access_token`"))?,
        id: token("id_token")?,
        refresh: token("refresh_token")?,
        lifetime,
        bound,
    })
}
