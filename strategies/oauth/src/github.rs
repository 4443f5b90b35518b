//! What GitHub keeps elsewhere: the addresses that are proven, organisations and teams.

use crate::{OAuth, exchange::Tokens, trouble::Stop};
use portcullis_openid::{Claims, Trouble};
use serde_json::Value;
use url::Url;

/// The most pages of a hundred that are read.
const MOST_PAGES: usize = 10;

impl OAuth {
    /// Adds to the claims of `/user`.
    pub(crate) async fn ask_github(
        &self,
        userinfo: &Url,
        tokens: &Tokens,
        claims: &mut Claims,
    ) -> Result<(), Stop> {
        let scopes = &self.settings.scopes;
        let has = |scope: &str| scopes.iter().any(|own| own == scope);
        let base = self.settings.api.clone().unwrap_or_else(|| userinfo.clone());
        let below = |path: &str| {
            let mut url = base.clone();
            let root = base.path().trim_end_matches('/').trim_end_matches("/user").to_owned();
            url.set_path(&format!("{root}/{path}"));
            url
        };
        if has("user:email") || has("user") {
            let all = self.pages(&below("user/emails"), tokens).await?;
            claims.remove("email");
            if let Some(address) = primary(&all) {
                claims.insert("email".into(), address.into());
            }
        }
        if has("read:org") || has("admin:org") {
            let mut groups: Vec<Value> = Vec::new();
            for organisation in self.pages(&below("user/orgs"), tokens).await? {
                groups.extend(organisation.get("login").filter(|login| login.is_string()).cloned());
            }
            for team in self.pages(&below("user/teams"), tokens).await? {
                let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
                let organisation = text(team.get("organization").and_then(|of| of.get("login")));
                if let (Some(organisation), Some(slug)) = (organisation, text(team.get("slug"))) {
                    groups.push(format!("{organisation}/{slug}").into());
                }
            }
            claims.insert("groups".into(), Value::Array(groups));
        }
        Ok(())
    }

    async fn pages(&self, url: &Url, tokens: &Tokens) -> Result<Vec<Value>, Stop> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES + 1 {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair("per_page", "100").append_pair("page", &page.to_string());
            let reply = self.with_token(&url, tokens, None).await?;
            let found: Vec<Value> = serde_json::from_slice(&reply.body)
                .map_err(|_| Trouble::Invalid("its API answers with no JSON array".into()))?;
            if page > MOST_PAGES && !found.is_empty() {
                // Some of them would be arbitrary, and a policy may ask for the absence of one.
                let why = format!("one of its lists has more than {MOST_PAGES} pages");
                return Err(Trouble::Invalid(why).into());
            }
            let full = found.len() >= 100;
            all.extend(found);
            if !full {
                break;
            }
        }
        Ok(all)
    }
}

/// The address that is the person's first and proven; none if there is no such one.
fn primary(all: &[Value]) -> Option<&str> {
    let yes = |of: &Value, name: &str| of.get(name) == Some(&Value::Bool(true));
    all.iter().find(|one| yes(one, "primary") && yes(one, "verified"))?.get("email")?.as_str()
}
