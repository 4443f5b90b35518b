//! Groups that are too many for a token: Microsoft says where else they are, and Graph is
//! asked. Elsewhere nobody knows, and a login with half of its groups is none.

use crate::{OAuth, exchange::Tokens, presets::Quirk, trouble::Stop};
use portcullis_openid::{Claims, Trouble, object};
use serde_json::Value;
use url::Url;

const GRAPH: &str =
    "https://graph.microsoft.com/v1.0/me/transitiveMemberOf/microsoft.graph.group?$select=id&$top=999";

/// The most pages that are read.
const MOST_PAGES: usize = 10;

impl OAuth {
    /// Completes the claims, if their groups are kept elsewhere (OpenID Connect Core §5.6.2).
    pub(crate) async fn fetch_overage(&self, tokens: &Tokens, claims: &mut Claims) -> Result<(), Stop> {
        let elsewhere = claims.get("_claim_names").and_then(|names| names.get("groups")).is_some();
        if !elsewhere || self.settings.claims.groups.is_empty() {
            return Ok(());
        }
        if self.settings.preset.quirk != Quirk::Microsoft {
            return Err(Trouble::Invalid("the person's groups are too many for its token".into()).into());
        }
        let first =
            self.settings.api.clone().unwrap_or_else(|| Url::parse(GRAPH).expect("this is an address"));
        let mut next = Some(first.clone());
        let mut groups: Vec<Value> = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { break };
            // A page of somebody else's would get the token.
            if url.origin() != first.origin() {
                return Err(Trouble::Invalid("the next page of groups is somewhere else".into()).into());
            }
            let reply = self.with_token(&url, tokens, None).await?;
            let page = object(&reply.body)
                .ok_or_else(|| Trouble::Invalid("its groups are no JSON object".into()))?;
            let found = page.get("value").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            groups.extend(
                found.iter().filter_map(|group| group.get("id")).filter(|id| id.is_string()).cloned(),
            );
            next = page.get("@odata.nextLink").and_then(Value::as_str).and_then(|link| Url::parse(link).ok());
        }
        claims.insert("groups".into(), Value::Array(groups));
        Ok(())
    }
}
