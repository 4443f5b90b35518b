//! What the table promises, shown before a store that answers when the test lets it.

use super::{
    Account, Idle, LiveSession, Lookup, SessionRecord, Sessions, Transport, Unavailable,
    ask::{Asked, Question, Row, Source},
    hash_cookie,
};
use crate::{
    clock::{Clock, UnixMillis},
    store::StoreError,
};
use std::{
    future::Future,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};

const START: UnixMillis = UnixMillis(1_700_000_000_000);
const IDLE: Duration = Duration::from_secs(3_600);
const LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// After this a test is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads at once, as a database does, and answers when it gets a permit.
struct SlowStore {
    rows: Mutex<Result<Vec<Row>, StoreError>>,
    asked: watch::Sender<usize>,
    answers: Semaphore,
}

impl Source for Arc<SlowStore> {
    fn ask(&self, question: Question) -> Asked {
        let read = self.rows.lock().unwrap().clone().map(|rows| {
            rows.into_iter().find(|(record, ..)| match &question {
                Question::Cookie(hash) => {
                    record.cookie_hash == *hash
                        || record.former_cookie.is_some_and(|(former, _)| former == *hash)
                }
                Question::Sid(sid) => record.sid == **sid,
            })
        });
        self.asked.send_modify(|asked| *asked += 1);
        let store = self.clone();
        Box::pin(async move {
            tokio::time::timeout(PATIENCE, store.answers.acquire()).await.unwrap().unwrap().forget();
            read
        })
    }
}

impl SlowStore {
    fn new(rows: Vec<Row>) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::new(Ok(rows)),
            asked: watch::Sender::new(0),
            answers: Semaphore::new(0),
        })
    }

    /// One that never keeps anybody waiting.
    fn quick(rows: Vec<Row>) -> Arc<Self> {
        let store = Self::new(rows);
        store.answers.add_permits(100_000);
        store
    }

    fn table(self: &Arc<Self>) -> Arc<Sessions> {
        self.small_table(1_000)
    }

    fn small_table(self: &Arc<Self>, capacity: usize) -> Arc<Sessions> {
        Arc::new(Sessions::over(
            Arc::new(self.clone()),
            Idle { session: IDLE, family: IDLE },
            Handle::current(),
            capacity,
        ))
    }

    fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    async fn was_asked(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        let enough = asked.wait_for(|asked| *asked >= times);
        tokio::time::timeout(PATIENCE, enough).await.expect("the store was asked too seldom").unwrap();
    }

    fn holds(&self, rows: Vec<Row>) {
        *self.rows.lock().unwrap() = Ok(rows);
    }

    fn is_down(&self) {
        *self.rows.lock().unwrap() = Err(StoreError("down".into()));
    }
}

fn ann(version: u64) -> Account {
    Account { roles: vec![format!("role-{version}")], version, ..Account::for_tests("ann") }
}

fn cookie(n: usize) -> String {
    format!("{n:043}")
}

fn row(n: usize, account: Account, read_at: u64) -> Row {
    let record = SessionRecord {
        sid: format!("sid-{n}"),
        cookie_hash: hash_cookie(cookie(n).as_bytes()),
        cookie_number: 0,
        cookie_expires: START.plus(LIFETIME),
        cookie_used: START,
        former_cookie: None,
        family: false,
        account: account.uuid,
        strategy: "local".into(),
        transport: Transport::Both,
        created: START,
        last_used: START,
        expires: START.plus(LIFETIME),
        address: Ipv4Addr::LOCALHOST.into(),
        user_agent: String::new(),
        external: None,
    };
    (record, account, read_at)
}

async fn known(table: &Sessions, n: usize) -> Arc<LiveSession> {
    table.ask_cookie(cookie(n).as_bytes(), START).await.unwrap().unwrap()
}

fn seen(table: &Sessions, n: usize, now: UnixMillis) -> &'static str {
    match table.by_cookie(cookie(n).as_bytes(), now) {
        Lookup::Live(_) => "live",
        Lookup::None => "none",
        Lookup::Unknown => "unknown",
    }
}

/// Asks in the background; the question has reached the store when this returns.
async fn ask_slowly(
    store: &Arc<SlowStore>,
    table: &Arc<Sessions>,
) -> impl Future<Output = Result<Option<Arc<LiveSession>>, Unavailable>> {
    let before = store.asked();
    let asking = {
        let table = table.clone();
        tokio::spawn(async move { table.ask_cookie(cookie(1).as_bytes(), START).await })
    };
    store.was_asked(before + 1).await;
    async move { asking.await.unwrap() }
}

#[tokio::test]
async fn a_session_is_asked_for_once_and_then_known_by_cookie_and_by_sid() {
    let store = SlowStore::quick(vec![row(1, ann(1), 5)]);
    let table = store.table();
    assert_eq!(seen(&table, 1, START), "unknown");
    let session = known(&table, 1).await;
    assert_eq!(seen(&table, 1, START), "live");
    assert!(matches!(table.by_sid("sid-1", START), Lookup::Live(same) if same.serial() == session.serial()));
    assert_eq!((session.sid(), session.strategy(), session.transport()), ("sid-1", "local", Transport::Both));
    assert_eq!(store.asked(), 1);
}

#[tokio::test]
async fn a_hundred_askers_are_one_question() {
    let store = SlowStore::new(vec![row(1, ann(1), 5)]);
    let table = store.table();
    let under_way = Arc::new(AtomicUsize::new(0));
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let (table, under_way) = (table.clone(), under_way.clone());
            tokio::spawn(async move {
                under_way.fetch_add(1, SeqCst);
                table.ask_cookie(cookie(1).as_bytes(), START).await
            })
        })
        .collect();
    while under_way.load(SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    store.answers.add_permits(1);
    for asker in askers {
        assert_eq!(asker.await.unwrap().unwrap().unwrap().sid(), "sid-1");
    }
    assert_eq!(store.asked(), 1);
}

#[tokio::test]
async fn a_slow_look_up_does_not_revive_a_session_that_ended_meanwhile() {
    type End = fn(&Sessions);
    let ends: [End; 5] = [
        |table| table.shelf().clear(),
        |table| drop(table.end("sid-1")),
        |table| drop(table.end_all(ann(1).uuid)),
        |table| drop(table.end_all_before(ann(1).uuid, 6)),
        |table| table.account_changed(Account { active: false, ..ann(2) }),
    ];
    for end in ends {
        let store = SlowStore::new(vec![row(1, ann(1), 5)]);
        let table = store.table();
        let asking = ask_slowly(&store, &table).await;
        store.holds(vec![]);
        end(&table);
        store.answers.add_permits(2);
        assert!(asking.await.unwrap().is_none());
        assert_eq!(seen(&table, 1, START), "none");
        assert_eq!(store.asked(), 2, "the overtaken answer is asked again");
    }
}

#[tokio::test]
async fn a_slow_look_up_does_not_bring_back_an_account_as_it_was() {
    let store = SlowStore::new(vec![row(1, ann(1), 5)]);
    let table = store.table();
    let asking = ask_slowly(&store, &table).await;
    store.holds(vec![row(1, ann(2), 6)]);
    table.account_changed(ann(2));
    store.answers.add_permits(2);
    assert_eq!(asking.await.unwrap().unwrap().account().roles, ["role-2"]);
}

#[tokio::test]
async fn a_session_that_is_always_overtaken_is_no_yes_and_no_no() {
    let store = SlowStore::new(vec![row(1, ann(1), 5)]);
    let table = store.table();
    let asking = ask_slowly(&store, &table).await;
    for asked in 1..=4 {
        store.was_asked(asked).await;
        table.end_all(ann(1).uuid);
        store.answers.add_permits(1);
    }
    assert_eq!(asking.await.err(), Some(Unavailable));
    assert_eq!(seen(&table, 1, START), "unknown");
}

#[tokio::test]
async fn an_end_is_for_sessions_that_were_there_before_it() {
    let store = SlowStore::quick(vec![row(1, ann(1), 5), row(2, ann(1), 7)]);
    let table = store.table();
    let (old, new) = (known(&table, 1).await, known(&table, 2).await);
    table.end_all_before(ann(1).uuid, 6);
    assert!(!old.is_live(START) && new.is_live(START));
    table.end_all(ann(1).uuid);
    assert!(!new.is_live(START));
    assert!(table.is_empty());
}

#[tokio::test]
async fn a_changed_account_is_seen_by_all_its_sessions_and_an_older_state_by_none() {
    let store = SlowStore::quick(vec![row(1, ann(2), 5), row(2, ann(1), 5)]);
    let table = store.table();
    let (one, two) = (known(&table, 1).await, known(&table, 2).await);
    assert_eq!(two.account().version, 2, "the second look-up was older");
    table.account_changed(ann(3));
    assert_eq!((one.account().version, two.account().version), (3, 3));
    table.account_changed(ann(2));
    assert_eq!(one.account().version, 3);
    table.account_changed(Account { active: false, ..ann(4) });
    assert!(!one.is_live(START) && !two.is_live(START));
}

#[tokio::test]
async fn idleness_and_lifetime_end_at_their_millisecond() {
    let table = SlowStore::quick(vec![row(1, ann(1), 5)]).table();
    let session = known(&table, 1).await;
    let clock = Clock::manual(START);
    clock.advance(IDLE - Duration::from_millis(1));
    assert_eq!(seen(&table, 1, clock.now()), "live");
    clock.advance(Duration::from_millis(1));
    assert_eq!(seen(&table, 1, clock.now()), "none");

    let table = SlowStore::quick(vec![row(1, ann(1), 5)]).table();
    let session_again = known(&table, 1).await;
    assert_ne!(session.serial(), session_again.serial());
    let clock = Clock::manual(START);
    while clock.now() < UnixMillis(START.plus(LIFETIME).0 - 1) {
        session_again.touch_by_cookie(clock.now());
        let left = session_again.expires().since(clock.now()) - Duration::from_millis(1);
        clock.advance(left.min(IDLE - Duration::from_millis(1)));
    }
    session_again.touch_by_cookie(clock.now());
    assert_eq!(seen(&table, 1, clock.now()), "live");
    clock.advance(Duration::from_millis(1));
    assert_eq!(seen(&table, 1, clock.now()), "none");
}

#[tokio::test]
async fn a_session_that_is_over_by_its_time_is_not_found_in_the_store_either() {
    let table = SlowStore::quick(vec![row(1, ann(1), 5)]).table();
    let found = table.ask_cookie(cookie(1).as_bytes(), START.plus(IDLE)).await.unwrap();
    assert!(found.is_none());
}

// A reader looks without a lock: it may find a session while that is let go for room.
#[tokio::test]
async fn a_session_that_was_let_go_while_somebody_took_it_hears_of_its_end() {
    for over in [
        |table: &Sessions| drop(table.shelf().end("sid-1")),
        |table: &Sessions| drop(table.shelf().end_all(ann(1).uuid, None)),
        |table: &Sessions| table.shelf().account_changed(Account { active: false, ..ann(2) }),
        |table: &Sessions| table.shelf().clear(),
    ] {
        let table = SlowStore::quick(vec![row(1, ann(1), 5)]).table();
        let held = table.ask_sid("sid-1", START).await.unwrap().unwrap();
        table.shelf().let_go_for_room("sid-1");
        assert_eq!(seen(&table, 1, START), "unknown", "it is not here any more");
        assert!(held.is_live(START));
        over(&table);
        assert!(!held.is_live(START));
    }
}

#[tokio::test]
async fn a_no_is_remembered_for_a_moment() {
    let store = SlowStore::quick(vec![]);
    let table = store.table();
    assert!(table.ask_cookie(cookie(1).as_bytes(), START).await.unwrap().is_none());
    assert!(table.ask_sid("sid-1", START).await.unwrap().is_none());
    assert_eq!(seen(&table, 1, START.plus(Duration::from_millis(4_999))), "none");
    assert!(matches!(table.by_sid("sid-1", START), Lookup::None));
    assert_eq!(seen(&table, 1, START.plus(Duration::from_secs(5))), "unknown");
}

#[tokio::test]
async fn a_former_cookie_after_grace_does_not_reach_the_store_each_time() {
    let (mut record, account, read_at) = row(1, ann(1), 5);
    record.former_cookie = Some((record.cookie_hash, START));
    record.cookie_hash = hash_cookie(cookie(2).as_bytes());
    let store = SlowStore::quick(vec![(record, account, read_at)]);
    let table = store.table();
    assert!(table.ask_cookie(cookie(1).as_bytes(), START).await.unwrap().is_none());
    table.shelf().sweep(START);
    assert_eq!(seen(&table, 1, START), "none", "as of what the store did not have");
    assert_eq!(seen(&table, 1, START.plus(Duration::from_secs(5))), "unknown");
}

#[tokio::test]
async fn what_was_never_given_out_is_not_asked_for() {
    let store = SlowStore::quick(vec![]);
    let table = store.table();
    let long = "a".repeat(44);
    let other = format!("{}=", "a".repeat(42));
    for value in ["", "a", &long, &other, &"\u{e9}".repeat(21)] {
        assert!(matches!(table.by_cookie(value.as_bytes(), START), Lookup::None), "{value:?}");
        assert!(table.ask_cookie(value.as_bytes(), START).await.unwrap().is_none());
    }
    for sid in ["", "../x", "' OR 1", &"a".repeat(65)] {
        assert!(matches!(table.by_sid(sid, START), Lookup::None), "{sid:?}");
        assert!(table.ask_sid(sid, START).await.unwrap().is_none());
    }
    assert_eq!(store.asked(), 0);
}

#[tokio::test]
async fn with_the_store_down_known_sessions_go_on_and_others_are_undecided() {
    let store = SlowStore::quick(vec![row(1, ann(1), 5), row(2, ann(1), 5)]);
    let table = store.table();
    known(&table, 1).await;
    store.is_down();
    assert_eq!(seen(&table, 1, START), "live");
    assert_eq!(table.ask_cookie(cookie(2).as_bytes(), START).await.err(), Some(Unavailable));
    assert_eq!(seen(&table, 2, START), "unknown", "an error is not a no");
}

#[tokio::test]
async fn more_questions_than_can_be_under_way_are_refused_at_once() {
    let store = SlowStore::new(vec![]);
    let table = store.table();
    let asking: Vec<_> = (0..256)
        .map(|n| {
            let table = table.clone();
            tokio::spawn(async move { table.ask_cookie(cookie(n).as_bytes(), START).await })
        })
        .collect();
    store.was_asked(256).await;
    assert_eq!(table.ask_cookie(cookie(256).as_bytes(), START).await.err(), Some(Unavailable));
    store.answers.add_permits(1_000);
    for question in asking {
        assert!(question.await.unwrap().unwrap().is_none());
    }
    assert!(table.ask_cookie(cookie(256).as_bytes(), START).await.unwrap().is_none());
}

#[tokio::test]
async fn the_table_is_bounded_and_keeps_what_is_in_use() {
    let store = SlowStore::quick((0..100).map(|n| row(n, ann(1), 5)).collect());
    let table = store.small_table(8);
    let held = known(&table, 0).await;
    for n in 1..100 {
        known(&table, n).await.touch(START.plus(Duration::from_millis(n as u64)));
        assert!(table.len() <= 8);
    }
    assert!(held.is_live(START), "an open stream must hear of its end");
    assert_eq!(seen(&table, 0, START), "live");
    assert_eq!(seen(&table, 99, START), "live");
    assert_eq!(seen(&table, 1, START), "unknown", "it is in the store still");
    let written = table.shelf().unsaved();
    assert_eq!(written.len(), 99, "no last use is lost by leaving the table");
    table.shelf().saved(&written);
    assert!(table.shelf().unsaved().is_empty());
}

#[tokio::test]
async fn who_holds_a_session_hears_of_its_end() {
    let store = SlowStore::quick(vec![row(1, ann(1), 5), row(2, ann(1), 5)]);
    let table = store.table();
    let (one, two) = (known(&table, 1).await, known(&table, 2).await);
    let waiting = {
        let one = one.clone();
        tokio::spawn(async move { one.ended().await })
    };
    tokio::task::yield_now().await;
    table.end("sid-1");
    waiting.await.unwrap();
    one.ended().await;
    table.shelf().sweep(START.plus(IDLE));
    two.ended().await;
    assert!(table.is_empty());
}

#[tokio::test]
async fn a_session_just_made_is_at_hand_without_a_request_asking() {
    let store = SlowStore::quick(vec![row(1, ann(1), 5)]);
    let table = store.table();
    let (record, account, _) = row(1, ann(1), 5);
    let made = table.insert(&record, account);
    assert_eq!(made.sid(), "sid-1");
    while seen(&table, 1, START) != "live" {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.asked(), 1);
}
