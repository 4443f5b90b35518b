//! Groups that are too many for a token: Microsoft says where else they are, and Graph is
//! asked. Elsewhere nobody knows, and a login with half of its groups is none.

use crate::{OAuth, exchange::Tokens, presets::Quirk, trouble::Stop};
use portcullis_openid::{Claims, Trouble, object};
use serde_json::Value;
use url::Url;

const GRAPH: &str = "https://graph.microsoft.com/v1.0";

/// Below that, everything that the person is in by way of whatever else, but only groups. A cast
/// and a size of the pages want `$count=true` and the field [`EVENTUAL`] beside them
/// (user-list-transitivememberof in Microsoft's reference), and the permission `User.Read`.
const GROUPS: &str = "me/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id&$top=999";
const EVENTUAL: (&str, &str) = ("consistencylevel", "eventual");

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
        let base = self.settings.api.as_ref().map_or(GRAPH, Url::as_str).trim_end_matches('/');
        let first = Url::parse(&format!("{base}/{GROUPS}"))
            .map_err(|_| Trouble::Invalid("`api_url` is no address of Graph".into()))?;
        let mut next = Some(first.clone());
        let mut groups: Vec<Value> = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { break };
            // A page of somebody else's would get the token.
            if url.origin() != first.origin() {
                return Err(Trouble::Invalid("the next page of groups is somewhere else".into()).into());
            }
            let reply = self.with_token_and(&url, tokens, None, Some(EVENTUAL)).await?;
            let page = object(&reply.body)
                .ok_or_else(|| Trouble::Invalid("its groups are no JSON object".into()))?;
            let found = page.get("value").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let ids = found.iter().filter(is_group).filter_map(|group| group.get("id"));
            groups.extend(ids.filter(|id| id.is_string()).cloned());
            next = page.get("@odata.nextLink").and_then(Value::as_str).and_then(|link| Url::parse(link).ok());
        }
        // Some of them would be arbitrary, and a policy may ask for the absence of one.
        if next.is_some() {
            return Err(Trouble::Invalid("the person is in more than 9,990 groups".into()).into());
        }
        claims.insert("groups".into(), Value::Array(groups));
        Ok(())
    }
}

/// Not a role in the directory, if an answer should hold one in spite of the cast.
fn is_group(found: &&Value) -> bool {
    found.get("@odata.type").is_none_or(|of| of == "#microsoft.graph.group")
}
