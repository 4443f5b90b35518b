//! The library's side through its table, as the gateway meets it: what Miri runs.

use crate::{
    Answer, Authenticated, Begin, Call, Denial, Host, Object, Operations, Outcome, StartError, Strategy,
    StrategyError, Subject,
    abi::{self, Bytes, HostTable, PluginTable, op},
    wire::{self, Asked, Fault, Start},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    ffi::c_void,
    future::pending,
    ptr,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

type Answers = HashMap<u64, Vec<(u32, Vec<u8>)>>;

static ANSWERS: Mutex<Option<Answers>> = Mutex::new(None);
static ANSWERED: Condvar = Condvar::new();
static NEXT: AtomicU64 = AtomicU64::new(1);

unsafe extern "C" fn complete(_: u64, ticket: u64, status: u32, body: Bytes) {
    // SAFETY: borrowed for this call.
    let body = unsafe { body.as_slice() }.unwrap().to_vec();
    ANSWERS.lock().unwrap().get_or_insert_default().entry(ticket).or_default().push((status, body));
    ANSWERED.notify_all();
}

unsafe extern "C" fn random(_: u64, out: *mut u8, len: usize) -> i32 {
    // SAFETY: the pointer and the length are of one buffer.
    unsafe { ptr::write_bytes(out, 7, len) };
    0
}

unsafe extern "C" fn now(_: u64) -> u64 {
    42
}

unsafe extern "C" fn log(_: u64, _: u32, _: Bytes, message: Bytes, _: Bytes) {
    // SAFETY: borrowed for this call.
    assert!(unsafe { message.as_slice() }.is_some());
}

static HOST: HostTable = HostTable {
    struct_size: size_of::<HostTable>(),
    abi_major: 1,
    abi_minor: 0,
    reserved: 0,
    complete: Some(complete),
    log: Some(log),
    now_unix_ms: Some(now),
    random: Some(random),
    service: None,
};

/// Does what the field `do` says.
struct Told(Host);

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("dropped on purpose");
    }
}

impl Strategy for Told {
    const KIND: &'static str = "told";
    const OPERATIONS: Operations = Operations::NONE;

    async fn start(settings: Object, host: Host) -> Result<Self, StartError> {
        match settings.get("start").and_then(Value::as_str) {
            Some("panic") => panic!("start on purpose"),
            Some("hang") => pending().await,
            Some(_) => Err(StartError::Failed("nothing there".into())),
            None => Ok(Self(host)),
        }
    }

    async fn begin(&self, _: &Call, request: Begin) -> Answer<Outcome> {
        match request.form.get("do").map(String::as_str) {
            Some("panic") => panic!("on purpose"),
            Some("odd panic") => std::panic::panic_any(PanicsInDrop),
            Some("hang") => {
                let _held = PanicsInDrop;
                pending().await
            }
            Some("sleep") => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                Ok(Outcome::denied(Denial::Locked))
            }
            Some("random") => {
                let mut bytes = [0; 2];
                (self.0.random)(&mut bytes);
                Err(StrategyError::Failed(format!("{bytes:?} at {}", (self.0.now)())))
            }
            _ => Ok(Outcome::Authenticated(Box::new(Authenticated::of(Subject::new("ada").unwrap())))),
        }
    }
}

/// The table as `export_strategy!` makes it.
fn library() -> &'static PluginTable {
    static KINDS: &[super::Kind] = &[super::Kind::of::<Told>()];
    unsafe extern "C" fn create(
        host: *const HostTable,
        instance: u64,
        ticket: u64,
        kind: Bytes,
        settings: Bytes,
        out: *mut *mut c_void,
    ) -> i32 {
        // SAFETY: handed on.
        unsafe { super::create(KINDS, host, instance, ticket, kind, settings, out) }
    }
    static TABLE: PluginTable = super::table(Bytes::of(b"{}"), create);
    // SAFETY: the table is static.
    unsafe { super::enter(&raw const HOST, &TABLE).as_ref() }.unwrap()
}

struct Made(*mut c_void);

fn ticket() -> u64 {
    NEXT.fetch_add(1, SeqCst)
}

/// The one answer to a ticket.
fn answered(ticket: u64) -> (u32, Value) {
    let mut all = ANSWERS.lock().unwrap();
    loop {
        if let Some(answers) = all.as_ref().and_then(|all| all.get(&ticket)) {
            assert_eq!(answers.len(), 1, "one answer for one ticket");
            let (status, body) = &answers[0];
            return (*status, serde_json::from_slice(body).unwrap_or(Value::Null));
        }
        all = ANSWERED.wait(all).unwrap();
    }
}

impl Made {
    fn begin(kind: &str, settings: Value) -> (i32, u64, Self) {
        let Value::Object(settings) = settings else { panic!() };
        let settings = wire::encode(&Start { strategy: "it".into(), settings, cores: 1 }).unwrap();
        let (ticket, mut out) = (ticket(), ptr::null_mut());
        let create = library().create.unwrap();
        // SAFETY: as the header says.
        let code = unsafe {
            create(&raw const HOST, 9, ticket, Bytes::of(kind.as_bytes()), Bytes::of(&settings), &raw mut out)
        };
        (code, ticket, Self(out))
    }

    fn new() -> Self {
        let (code, ticket, made) = Self::begin("told", json!({}));
        assert_eq!((code, answered(ticket).0), (0, abi::STATUS_OK));
        made
    }

    fn call(&self, what: &str) -> u64 {
        let form = [("do".to_owned(), what.to_owned())].into();
        let call = Call::new("r", "it", [127, 0, 0, 1].into());
        let asked = Asked { call, request: Begin { form, ..Begin::default() } };
        self.raw(op::BEGIN, &wire::encode(&asked).unwrap())
    }

    fn raw(&self, op: u32, request: &[u8]) -> u64 {
        let ticket = ticket();
        // SAFETY: as the header says.
        unsafe { library().call.unwrap()(self.0, ticket, op, Bytes::of(request)) };
        ticket
    }

    fn cancel(&self, ticket: u64) {
        // SAFETY: as the header says.
        unsafe { library().cancel.unwrap()(self.0, ticket) };
    }

    fn destroy(self) -> u64 {
        let ticket = ticket();
        // SAFETY: as the header says.
        unsafe { library().destroy.unwrap()(self.0, ticket) };
        ticket
    }
}

#[test]
fn an_instance_starts_answers_and_ends() {
    let made = Made::new();
    let (status, body) = answered(made.call("any"));
    assert_eq!(
        (status, body["outcome"].as_str(), body["subject"].as_str()),
        (0, Some("authenticated"), Some("ada"))
    );
    assert_eq!(answered(made.call("sleep")).1["reason"], "locked");
    let (status, body) = answered(made.call("random"));
    assert_eq!((status, &body["message"]), (abi::STATUS_ERROR, &json!("[7, 7] at 42")));
    assert_eq!(
        answered(made.raw(op::HEALTH, br#"{"call":{"client_ip":"::1"},"request":{}}"#)).1["health"],
        "healthy"
    );
    assert_eq!(answered(made.destroy()).0, abi::STATUS_OK);
}

#[test]
fn what_it_does_not_have_or_cannot_read_is_said() {
    let made = Made::new();
    let asked = br#"{"call":{"client_ip":"::1"},"request":{"subject":"ada"}}"#;
    assert_eq!(answered(made.raw(op::REFRESH, asked)).0, abi::STATUS_UNSUPPORTED);
    assert_eq!(answered(made.raw(77, b"{}")).0, abi::STATUS_UNSUPPORTED);
    let (status, body) = answered(made.raw(op::BEGIN, b"{"));
    let fault: Fault = serde_json::from_value(body).unwrap();
    assert_eq!((status, fault.code.as_str()), (abi::STATUS_ERROR, "failed"));
    assert_eq!(answered(made.destroy()).0, abi::STATUS_OK);
}

#[test]
fn a_panic_is_an_answer_with_its_place_and_the_next_call_is_fine() {
    let made = Made::new();
    let (status, body) = answered(made.call("panic"));
    assert_eq!(status, abi::STATUS_PANIC);
    let said = body["message"].as_str().unwrap();
    assert!(said.starts_with("on purpose at ") && said.contains("tests.rs:"), "{said}");
    assert_eq!(answered(made.call("odd panic")).0, abi::STATUS_PANIC);
    assert_eq!(answered(made.call("any")).0, abi::STATUS_OK);
    assert_eq!(answered(made.destroy()).0, abi::STATUS_OK);
}

#[test]
fn a_cancelled_call_is_dropped_even_when_that_panics_and_so_is_one_at_the_end() {
    let made = Made::new();
    let (first, second) = (made.call("hang"), made.call("hang"));
    assert_eq!(answered(made.call("any")).0, abi::STATUS_OK);
    made.cancel(first);
    assert_eq!(answered(first).0, abi::STATUS_CANCELLED);
    made.cancel(first);
    made.cancel(4_000_000);
    assert_eq!(answered(made.destroy()).0, abi::STATUS_OK);
    assert_eq!(answered(second).0, abi::STATUS_CANCELLED);
}

#[test]
fn a_start_that_fails_panics_or_hangs_is_ended_all_the_same() {
    for (how, status) in [("fail", abi::STATUS_ERROR), ("panic", abi::STATUS_PANIC)] {
        let (code, ticket, made) = Made::begin("told", json!({ "start": how }));
        assert_eq!((code, answered(ticket).0), (0, status), "{how}");
        assert_eq!(answered(made.call("any")).0, abi::STATUS_ERROR);
        assert_eq!(answered(made.destroy()).0, abi::STATUS_OK);
    }
    let (code, ticket, made) = Made::begin("told", json!({ "start": "hang" }));
    assert_eq!(code, 0);
    made.cancel(ticket);
    assert_eq!(answered(ticket).0, abi::STATUS_CANCELLED);
    assert_eq!(answered(made.destroy()).0, abi::STATUS_OK);
    let (_, ticket, made) = Made::begin("told", json!({ "start": "hang" }));
    assert_eq!(answered(made.destroy()).0, abi::STATUS_OK);
    assert_eq!(answered(ticket).0, abi::STATUS_CANCELLED);
}

#[test]
fn a_kind_of_another_library_and_a_table_of_another_major_begin_nothing() {
    let (code, _, made) = Made::begin("other", json!({}));
    assert!(code != 0 && made.0.is_null());
    let other = HostTable { abi_major: 2, ..HOST };
    let short = HostTable { struct_size: 16, ..HOST };
    for table in [&raw const other, &raw const short, ptr::null()] {
        // SAFETY: null, or a table that lives longer than the call, which keeps none of these.
        assert!(unsafe { super::enter(table, library()) }.is_null());
    }
}
