//! Tokens that are given back to the provider when somebody signs out (RFC 7009): beside the
//! answer, for the session here has ended already; and tried again, for a provider may be out
//! of reach for a moment. What a gateway that stops has not given back by then ends by itself.

use crate::{OAuth, kept::State};
use portcullis_openid::{Client, Request, in_the_background, pause};
use portcullis_plugin_api::Call;
use std::{sync::Arc, time::Duration};
use url::Url;

/// How long each try waits after the one before. All of them end before an assertion of ours
/// does that says who asks.
const WAITS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(20)];

/// How many are under way at once.
const AT_ONCE: usize = 256;

/// The places for those that are under way.
#[derive(Default)]
pub(crate) struct Places(Arc<()>);

impl OAuth {
    /// Gives back what a session was looked at with. Nobody waits for it.
    pub(crate) fn give_back(&self, call: &Call, url: &Url, state: &State) {
        let (token, kind) = match (&state.refresh, &state.access) {
            (Some(refresh), _) => (refresh, "refresh_token"),
            (None, Some(access)) => (access, "access_token"),
            (None, None) => return,
        };
        let form = [("token", token.reveal()), ("token_type_hint", kind)];
        let form = || form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // Each says anew who asks: an assertion is good once.
        let tries: Vec<Request> = WAITS.iter().map(|_| self.authenticated(url, form())).collect();
        let (strategy, request_id) = (call.strategy.clone(), call.request_id.clone());
        // Whoever is under way holds one more of it.
        let place = self.leaving.0.clone();
        if Arc::strong_count(&place) > AT_ONCE + 1 {
            tracing::warn!(%strategy, %request_id, error = "too many at once", NOT_GIVEN);
            return;
        };
        let client = self.client.clone();
        in_the_background(async move {
            let _place = place;
            if let Err(error) = given(&client, tries).await {
                tracing::warn!(%strategy, %request_id, %error, NOT_GIVEN);
            }
        });
    }
}

const NOT_GIVEN: &str = "a token was not given back to the provider at sign-out";

/// Until it is taken, or cannot be.
async fn given(client: &Client, tries: Vec<Request>) -> Result<(), String> {
    let mut last = String::new();
    for (request, wait) in tries.into_iter().zip(WAITS) {
        pause(wait).await;
        last = match client.call(request).await {
            Ok(reply) if reply.status.is_success() => return Ok(()),
            // A no stays a no, but for "later".
            Ok(reply) if reply.status.is_client_error() && reply.status.as_u16() != 429 => {
                return Err(format!("it answers {}", reply.status.as_u16()));
            }
            Ok(reply) => format!("it answers {}", reply.status.as_u16()),
            Err(trouble) => trouble.to_string(),
        };
    }
    Err(format!("{last}, and did {} times", WAITS.len()))
}
