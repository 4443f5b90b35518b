//! A data plane whose requests panic: each costs itself alone (row D-05). Panics are brought
//! in by what the data plane is given, so that nothing of them is in the program.

use crate::{
    control::testing,
    metrics::Metrics,
    proxy::{
        endpoint::{EndpointHandler, EndpointRequest},
        listen::Listeners,
        worker::{self, Plane},
    },
    snapshot::Snapshot,
    tls::Tls,
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// Answers with `fine`, but panics where the path says so: in the data plane's own task, or in
/// the control plane's.
fn handler() -> EndpointHandler {
    Arc::new(|request: EndpointRequest| {
        assert!(!request.path.ends_with("/here"), "{} asked with a secret hunter2", request.path);
        Box::pin(async move {
            assert!(!request.path.ends_with("/there"), "there");
            Response::new(Bytes::from_static(b"fine"))
        })
    })
}

fn ask(address: SocketAddr, path: &str, connection: &mut Option<TcpStream>) -> String {
    let stream = connection.get_or_insert_with(|| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    });
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    // A head, and a body as long as it says.
    loop {
        let read = stream.read(&mut some).unwrap();
        all.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let head = text.find("\r\n\r\n").map(|end| end + 4);
        let length = text
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse().ok());
        if read == 0
            || head.zip(length).is_some_and(|(head, length): (usize, usize)| all.len() >= head + length)
        {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_panics_is_500_and_everything_else_goes_on() {
    let gateway = testing::Gateway::bare("[strategies.local]\nkind = \"local\"\n[server]\nthreads = 1").await;
    let control = gateway.control.clone();
    let metrics = Arc::new(Metrics::default());
    let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
    let address = listeners.addresses()[0];
    let plane = Plane {
        snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::new(&control.config, &Tls::default()))),
        sessions: control.sessions.clone(),
        tokens: control.tokens.clone(),
        pages: Arc::new(ArcSwap::new(control.pages.clone())),
        endpoints: handler(),
        control: tokio::runtime::Handle::current(),
        clock: control.clock.clone(),
        random: control.random.clone(),
        metrics: metrics.clone(),
        log: None,
    };
    let workers = worker::start(&plane, listeners).unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        // One that was there before, and one for each request after a panic.
        let mut other = None;
        assert!(ask(address, "/auth/x", &mut other).ends_with("fine"));
        for round in 0..20 {
            let path = if round % 2 == 0 { "/auth/here" } else { "/auth/there" };
            let mut own = None;
            let broken = ask(address, path, &mut own);
            assert!(broken.starts_with("HTTP/1.1 500 ") && broken.contains("\"internal\""), "{broken}");
            assert!(!broken.contains("hunter2"), "{broken}");
            if round % 2 == 0 {
                // Nobody knows what was read of it: the connection is not used again.
                assert!(broken.to_lowercase().contains("connection: close"), "{broken}");
                assert_eq!(own.unwrap().read(&mut [0]).unwrap(), 0);
            }
            assert!(ask(address, "/auth/x", &mut other).ends_with("fine"), "the other connection goes on");
            assert!(ask(address, "/auth/x", &mut None).ends_with("fine"), "a new one is served");
        }
    });
    asked.await.unwrap();
    assert_eq!(metrics.answered(5), 20);
    workers.drain(Duration::from_secs(5)).await;
}
