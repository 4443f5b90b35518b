//! Claims that are asked with an access token (OpenID Connect Core §5.3).

use crate::{OAuth, exchange::Tokens, possession::Possession, trouble::Stop};
use http::{StatusCode, header};
use portcullis_openid::{Claims, Jws, NotVerified, Refused, Reply, Request, Trouble, object};
use serde_json::Value;
use url::Url;

impl OAuth {
    /// The person's claims as an object, plain or signed.
    pub(crate) async fn userinfo(
        &self,
        url: &Url,
        tokens: &Tokens,
        possession: Option<&Possession>,
    ) -> Result<Claims, Stop> {
        let reply = self.with_token(url, tokens, possession).await?;
        let invalid = |why: &str| Stop::from(Trouble::Invalid(why.to_owned()));
        if reply.media_type() == "application/jwt" {
            return Ok(self.signed_userinfo(&reply).await?);
        }
        if !reply.is_json() {
            return Err(invalid("its userinfo is not application/json"));
        }
        object(&reply.body).ok_or_else(|| invalid("its userinfo is no JSON object"))
    }

    /// GET with the access token. 401 is the provider's no.
    pub(crate) async fn with_token(
        &self,
        url: &Url,
        tokens: &Tokens,
        possession: Option<&Possession>,
    ) -> Result<Reply, Stop> {
        self.with_token_and(url, tokens, possession, None).await
    }

    /// The same with one more header field.
    pub(crate) async fn with_token_and(
        &self,
        url: &Url,
        tokens: &Tokens,
        possession: Option<&Possession>,
        more: Option<(&'static str, &str)>,
    ) -> Result<Reply, Stop> {
        let get = || {
            let request = Request::get(url);
            match more {
                Some((name, value)) => request.with(http::HeaderName::from_static(name), value),
                None => request,
            }
        };
        let mut nonce: Option<String> = None;
        loop {
            let token = tokens.access.reveal();
            let reply = match possession.filter(|_| tokens.bound) {
                None => {
                    let request = get().with(header::AUTHORIZATION, &format!("Bearer {token}"));
                    self.client.call(request).await?
                }
                Some(possession) => {
                    let request = get().with(header::AUTHORIZATION, &format!("DPoP {token}"));
                    let request = possession.prove(self, request, "GET", url, Some(token), nonce.as_deref());
                    self.client.call(request).await?
                }
            };
            let wanted = reply.field("dpop-nonce").map(str::to_owned);
            match reply.status {
                status if status.is_success() => return Ok(reply),
                StatusCode::UNAUTHORIZED if tokens.bound && nonce.is_none() && wanted.is_some() => {
                    nonce = wanted
                }
                StatusCode::UNAUTHORIZED => return Err(Stop::Denied("invalid_token".into())),
                StatusCode::TOO_MANY_REQUESTS => {
                    return Err(Trouble::Unreachable("it answers 429".into()).into());
                }
                status => {
                    return Err(
                        Trouble::Invalid(format!("it answers {} to its own token", status.as_u16())).into()
                    );
                }
            }
        }
    }

    async fn signed_userinfo(&self, reply: &Reply) -> Result<Claims, NotVerified> {
        let text = std::str::from_utf8(&reply.body).map_err(|_| Refused("userinfo is no text"))?;
        let token = Jws::parse(text.trim())?;
        let provider =
            self.provider.as_ref().ok_or(Refused("userinfo is signed, and nobody says by whom"))?;
        let claims = provider.open(&token).await?;
        // OpenID Connect Core §5.3.2.
        let fits = |name: &str, own: &str| match claims.get(name) {
            None => true,
            Some(Value::Array(all)) => all.iter().any(|one| one == own),
            Some(one) => one == own,
        };
        if !fits("iss", provider.issuer()) || !fits("aud", &self.settings.client_id) {
            return Err(Refused("userinfo is somebody else's").into());
        }
        Ok(claims)
    }
}
