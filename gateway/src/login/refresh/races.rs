//! A logout against refreshes and a slow look-up, in every order that their steps can come
//! in: whatever the order, nothing of the session is left. The steps are the real ones;
//! each is one transaction of the store or one operation on the table.

use super::{
    super::open::{Wanted, open},
    Replaced, in_store, in_table, live, opened,
};
use crate::{
    control::testing::Gateway,
    sessions::{LiveSession, Lookup, Transport},
    tokens::RefreshValue,
};
use std::sync::Arc;

/// One who takes part, and how far it has come.
enum Actor {
    Refresh { value: RefreshValue, live: Option<Arc<LiveSession>>, replaced: Option<Replaced> },
    Logout,
    LookUp { begun: u64, row: Option<crate::sessions::Row> },
}

/// How many steps each has.
const REFRESH: usize = 3;
const LOGOUT: usize = 2;
const LOOK_UP: usize = 2;

/// All orders of `left[i]` steps of actor `i`.
fn orders(left: &mut [usize], so_far: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    if left.iter().all(|left| *left == 0) {
        found.push(so_far.clone());
    }
    for actor in 0..left.len() {
        if left[actor] > 0 {
            left[actor] -= 1;
            so_far.push(actor);
            orders(left, so_far, found);
            so_far.pop();
            left[actor] += 1;
        }
    }
}

/// A race: one order of the steps over a session of its own.
async fn race(gateway: &Gateway, order: &[usize], kinds: &[usize]) {
    let (keys, control) = (gateway.control.tokens.refresh(), &gateway.control);
    let request = gateway.request();
    let ask = gateway.real_ask(&request);
    let account = control.store.account_by_name("ann").await.unwrap().unwrap();
    let transport = Transport::Both;
    let wanted = Wanted {
        account: &account,
        strategy: "local",
        transport,
        family: true,
        secret: None,
        external: None,
        session_max: None,
    };
    let login = open(&ask, wanted).await.unwrap().unwrap();
    let value = keys.read(login.refresh.as_deref().unwrap()).unwrap();
    let sid = control.store.family_sid(value.family()).await.unwrap().unwrap();
    let now = control.clock.now();
    assert!(control.sessions.ask_sid(&sid, now).await.unwrap().is_some(), "it is at hand");
    let mut actors: Vec<Actor> = kinds
        .iter()
        .map(|steps| match *steps {
            REFRESH => Actor::Refresh { value: value.clone(), live: None, replaced: None },
            _ => Actor::LookUp { begun: 0, row: None },
        })
        .collect();
    actors[0] = Actor::Logout;
    let (mut done, mut ended, mut cookies) =
        (vec![0; actors.len()], false, vec![format!("portcullis={}", login.cookie)]);
    for actor in order {
        let step = done[*actor];
        done[*actor] += 1;
        match (&mut actors[*actor], step) {
            (Actor::Logout, 0) => drop(control.store.end_session(&sid).await.unwrap()),
            (Actor::Logout, _) => {
                control.sessions.end(&sid);
                ended = true;
            }
            (Actor::LookUp { begun, row }, 0) => {
                *begun = control.sessions.begin_look_up();
                *row = control.store.session_by_sid(&sid).await.unwrap();
            }
            (Actor::LookUp { begun, row }, _) => control.sessions.finish_look_up(*begun, row.take()),
            (Actor::Refresh { value, live: found, .. }, 0) => *found = live(&ask, value).await.unwrap(),
            (Actor::Refresh { value, live, replaced }, 1) => {
                if let Some(live) = live {
                    *replaced = in_store(&ask, value, live).await.unwrap();
                }
            }
            (Actor::Refresh { value, live, replaced }, _) => {
                if let (Some(live), Some(replaced)) = (live, replaced) {
                    let answered = in_table(&ask, live, replaced);
                    assert!(!(answered && ended), "{order:?}: answered after the logout was");
                    cookies
                        .push(format!("portcullis={}", opened(&ask, live.clone(), value, replaced).cookie));
                }
            }
        }
    }
    nothing_is_left(gateway, &sid, &value, &cookies, order).await;
}

async fn nothing_is_left(
    gateway: &Gateway,
    sid: &str,
    value: &RefreshValue,
    cookies: &[String],
    order: &[usize],
) {
    let (control, now) = (&gateway.control, gateway.control.clock.now());
    assert!(!matches!(control.sessions.by_sid(sid, now), Lookup::Live(_)), "{order:?}");
    assert!(control.sessions.ask_sid(sid, now).await.unwrap().is_none(), "{order:?}");
    assert!(control.store.family_sid(value.family()).await.unwrap().is_none(), "{order:?}");
    for cookie in cookies {
        assert_eq!(gateway.who(cookie).await, false, "{order:?}");
    }
}

async fn all_races(kinds: &[usize], expected: usize) {
    let gateway = Gateway::start("").await;
    let mut found = Vec::new();
    orders(&mut kinds.to_vec(), &mut Vec::new(), &mut found);
    assert_eq!(found.len(), expected);
    for order in &found {
        race(&gateway, order, kinds).await;
    }
}

#[tokio::test]
async fn a_logout_wins_against_a_refresh_and_a_slow_look_up_in_every_order() {
    all_races(&[LOGOUT, REFRESH, LOOK_UP], 210).await;
}

#[tokio::test]
async fn a_logout_wins_against_two_refreshes_in_every_order() {
    all_races(&[LOGOUT, REFRESH, REFRESH], 560).await;
}
