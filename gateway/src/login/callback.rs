//! `{login}/:strategy/callback`: the way back from a provider. What is missing, foreign,
//! used, over or of another strategy never reaches the strategy (contract section 5).

use super::{
    body::parameters,
    counted,
    decide::{self, call, undecided, unless_left},
    finish,
    kept::{Kept, park, take},
};
use crate::{
    control::{Ask, Reply, reply},
    problem::{Code, Problem},
    registry::Instance,
    sessions::Transport,
};
use http::{HeaderValue, Method, header::REFERRER_POLICY};
use portcullis_config::SameSite;
use portcullis_plugin_api::{Resume, Via};
use std::collections::BTreeMap;

/// The most bytes of parameters that a provider may post.
const MOST: usize = 8 * 1024;

/// Where a provider sends people back to: one fixed address for each strategy.
pub(crate) fn url(ask: &Ask<'_>, strategy: &Instance) -> String {
    let config = &ask.control.config;
    format!("{}{}/{}/callback", config.server.public_url.origin, config.endpoints.login, strategy.id())
}

/// Whether it is the return leg of a login: another site has sent the browser here.
pub(super) fn is_way_back(ask: &Ask<'_>) -> bool {
    ask.request.path.ends_with("/callback")
}

/// A login that is no more, and where it starts again.
pub(super) fn stale(ask: &Ask<'_>, strategy: &Instance) -> Problem {
    let mut problem = Problem::from(Code::StaleLogin)
        .detail("This login was left open too long, was used before, or began in another browser.");
    problem.login_url = Some(format!("{}/{}", ask.control.config.endpoints.login, strategy.id()));
    problem
}

/// Answers with a page for browsers also where it refuses, and never with a referrer.
pub(crate) async fn answer(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    if !strategy.operations().resume {
        return Err(Code::NotFound.into());
    }
    let answer = match ask.method() == Method::POST {
        true => posted(ask, strategy).await,
        false => counted(ask, strategy, came(ask, strategy).await),
    };
    let mut answer = answer.unwrap_or_else(|problem| ask.refuse(&problem));
    // RFC 9700 section 4.2: the address of this page holds a code.
    answer.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(answer)
}

/// `response_mode=form_post`: the browser comes from another site, so our cookie is not with
/// it. It is sent here once more, by its own navigation, and the cookie is looked at then.
async fn posted(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    if ask.request.body.len() > MOST {
        return Err(Code::BodyTooLarge.into());
    }
    let posted = parameters(&ask.request.body)?;
    let Some(state) = posted.get("state") else { return Err(stale(ask, strategy)) };
    if !park(ask, strategy.id(), state, &posted).await? {
        return Err(stale(ask, strategy));
    }
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    Ok(reply::see_other(&format!("{}?{query}", ask.request.path)))
}

async fn came(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    let params = parameters(ask.request.query.as_deref().unwrap_or_default().as_bytes())?;
    let Some(state) = params.get("state") else { return Err(stale(ask, strategy)) };
    let taken = take(ask, strategy.id(), state, Via::Redirect).await?;
    let (kept, params) = match taken {
        None => return Err(stale(ask, strategy)),
        Some((kept, None)) => (kept, params),
        // What was posted counts alone: nothing may be mixed into it.
        Some((kept, Some(posted))) if params.len() == 1 => (kept, posted),
        Some(_) => return Err(stale(ask, strategy)),
    };
    let answer = resume(ask, strategy, &kept, params).await?;
    Ok(moved_on(ask, &kept, answer))
}

async fn resume(
    ask: &Ask<'_>,
    strategy: &Instance,
    kept: &Kept,
    params: BTreeMap<String, String>,
) -> Result<Reply, Problem> {
    let mut asked = kept.asked(BTreeMap::new(), Vec::new());
    // Whoever began it by a script comes back by a navigation.
    asked.browser = true;
    asked.transport = Transport::Cookie;
    let next = ask.control.random.opaque();
    let resume = Resume {
        params,
        flow: kept.flow(),
        via: Via::Redirect,
        resume_url: url(ask, strategy),
        state: next.clone(),
    };
    let decided = match unless_left(ask, strategy.resume(call(ask, strategy), resume)).await {
        Ok(outcome) => {
            let link = asked.link.as_ref();
            decide::on(ask, strategy, None, outcome, "bad_credentials", link, Via::Redirect).await
        }
        Err(error) => Err(undecided(error, &asked)),
    };
    finish(ask, strategy, &asked, None, &next, decided).await
}

/// A browser does not send a strict cookie along while it is being sent on from another site:
/// the last step is a page of ours, and going on from there is a navigation of our own.
fn moved_on(ask: &Ask<'_>, kept: &Kept, answer: Reply) -> Reply {
    let strict = ask.control.config.session.same_site == SameSite::Strict;
    let to_here =
        answer.headers().get("location").is_some_and(|to| to.as_bytes() == kept.return_to.as_bytes());
    if !strict || !to_here {
        return answer;
    }
    let html = ask.control.pages.moved_on(&kept.return_to);
    let mut page = reply::page(&ask.control.pages, 200, html);
    for cookie in answer.headers().get_all("set-cookie") {
        page.headers_mut().append("set-cookie", cookie.clone());
    }
    page
}
