//! A reload: instances that are made of the same go on, with what they remember.

use super::{super::builtin, *};
use portcullis_plugin_api::Refresh;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

/// As the program starts them, on a machine of so many cores.
async fn served(strategies: &[Strategy], cores: usize) -> Registry {
    let host = Host { cores, ..host() };
    Registry::start_kinds(builtin::KINDS, &[], strategies, host, &place).await.unwrap()
}

fn at(origin: &str) -> serde_json::Value {
    json!({
        "authorize_url": format!("{origin}/authorize"), "token_url": format!("{origin}/token"),
        "userinfo_url": format!("{origin}/me"), "danger_plaintext": true, "client_id": "gw",
        "client_secret": "s",
    })
}

fn is_same(one: &Registry, other: &Registry) -> bool {
    let counts = |of: &Registry| std::ptr::from_ref(of.get("op").unwrap().counts().unwrap());
    std::ptr::eq(counts(one), counts(other))
}

#[tokio::test]
async fn an_instance_goes_on_after_a_reload_unless_anything_that_it_is_made_of_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.pem"), folder.path().join("two.pem"));
    let authority = || rcgen::generate_simple_self_signed(["op.test".to_owned()]).unwrap().cert.pem();
    std::fs::write(&one, authority()).unwrap();
    std::fs::write(&two, authority()).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut settings = at("https://op.test");
        settings["tls"] = json!({ "ca": one });
        settings[key] = value;
        configured("op", "oauth", settings)
    };
    let settled = with("client_id", json!("gw"));
    let before = served(std::slice::from_ref(&settled), 1).await;
    let local = configured("local", "local", json!({}));
    assert!(is_same(&before, &served(&[local, settled.clone()], 1).await.keeping(&before)));
    let mut titled = settled.clone();
    titled.title = "Another".into();
    for changed in [
        titled,
        with("client_secret", json!("another")),
        with("token_url", json!("https://op.test/elsewhere")),
        with("tls", json!({ "ca": two })),
        with("tls", json!({})),
    ] {
        let after = served(std::slice::from_ref(&changed), 1).await.keeping(&before);
        assert!(!is_same(&before, &after), "{changed:?}");
    }
    assert!(
        !is_same(&before, &served(std::slice::from_ref(&settled), 2).await.keeping(&before)),
        "more cores"
    );
    std::fs::write(&one, authority()).unwrap();
    let after = served(&[settled], 1).await.keeping(&before);
    assert!(!is_same(&before, &after), "another authority in the same file");
}

/// Says what its token endpoint is asked; the person is unknown until it was asked for them once.
async fn provider() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (says, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut asked_for_them = false;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let whole = |so_far: &[u8]| match so_far.starts_with(b"GET") {
                true => so_far.ends_with(b"\r\n\r\n"),
                false => so_far.ends_with(b"refresh_token=r1") || so_far.ends_with(b"refresh_token=r2"),
            };
            while !whole(&request) {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let (status, body) = if request.starts_with(b"POST") {
                let _ = says.send(String::from_utf8_lossy(&request).into_owned());
                ("200 OK", r#"{"access_token":"a2","token_type":"Bearer","refresh_token":"r2"}"#)
            } else if std::mem::replace(&mut asked_for_them, true) {
                ("200 OK", r#"{"sub":"ann"}"#)
            } else {
                ("503 Service Unavailable", "{}")
            };
            let head = "Content-Type: application/json\r\nConnection: close";
            let answer =
                format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (origin, heard)
}

/// A refresh token that was used up is not shown again because a reload came between: providers
/// take that for a thief, and end everything.
#[tokio::test]
async fn the_token_that_replaced_a_used_one_is_not_forgotten_by_a_reload() {
    let (origin, mut heard) = provider().await;
    let strategies = [configured("op", "oauth", at(&origin))];
    let before = served(&strategies, 1).await;
    let look = |registry: &Registry| {
        let op = registry.get("op").unwrap();
        let state = br#"{"seen":0,"refresh":"r1"}"#.to_vec();
        async move { op.refresh(call(), Refresh { subject: subject("ann"), state }).await }
    };
    let first = look(&before).await;
    assert!(first.is_err(), "it has the new token, and not the person: {first:?}");
    let after = served(&strategies, 1).await.keeping(&before);
    let second = look(&after).await;
    assert!(matches!(second, Ok(Outcome::Authenticated(_))), "{second:?}");
    let asked = heard.try_recv().unwrap();
    assert!(asked.contains("refresh_token=r1"), "{asked}");
    assert!(heard.try_recv().is_err(), "r1 was shown twice");
}
