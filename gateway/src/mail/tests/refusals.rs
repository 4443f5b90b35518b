//! Whether a mail is lost depends on what the server refused: the mail, or the gateway. A
//! server that speaks by a script says each of it.

use super::post;
use crate::{control::testing::Gateway, mail::sender};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Everything is taken but one step (a command, `HELLO` for the greeting, `.` for the text),
/// which is answered so.
async fn serve(stream: TcpStream, step: &'static str, answer: &'static str) {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    let said = |verb: &str| match verb {
        verb if verb == step => answer,
        "HELLO" => "220 ready",
        "EHLO" => "250-here\r\n250 AUTH PLAIN",
        "AUTH" => "235 2.7.0 come in",
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        _ => "250 2.0.0 good",
    };
    let mut verb = "HELLO".to_owned();
    loop {
        if output.write_all(format!("{}\r\n", said(&verb)).as_bytes()).await.is_err() {
            return;
        }
        let told_to_go_on = said(&verb).starts_with("354");
        let mut line = String::new();
        while matches!(input.read_line(&mut line).await, Ok(n) if n > 0) && told_to_go_on {
            if line.trim_end() == "." {
                break;
            }
            line.clear();
        }
        match line.split_ascii_whitespace().next() {
            Some(word) => verb = word.to_owned(),
            None => {
                let _ = input.read_u8().await;
                return;
            }
        }
    }
}

/// How many mails are left after one was tried.
async fn left(step: &'static str, answer: &'static str) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, step, answer).await;
    });
    let mail = format!("[mail]\nurl = \"smtp://gw:secret@127.0.0.1:{port}\"\nfrom = \"us@x.test\"");
    let gateway = Gateway::start(&mail).await;
    post(&gateway, Some("ann@y.test"), 60).await;
    sender::send_due(&gateway.control).await.unwrap();
    server.await.unwrap();
    gateway.control.store.count_mails().await.unwrap()
}

#[tokio::test]
async fn a_mail_is_lost_when_the_server_refuses_it_and_waits_when_it_refuses_us() {
    for (step, answer) in [
        ("nothing", ""),
        ("RCPT", "550 5.1.1 nobody of that name"),
        ("RCPT", "553-5.1.3 not an address\r\n553 5.1.3 at all"),
        ("RCPT", "550 5.2.1 the mailbox is closed"),
        ("DATA", "552 5.3.4 too large"),
        (".", "554 5.6.0 cannot be shown"),
    ] {
        assert_eq!(left(step, answer).await, 0, "{step}: {answer}");
    }
    for (step, answer) in [
        ("HELLO", "554 5.7.1 your network is blocked"),
        ("AUTH", "535 5.7.8 wrong password"),
        ("AUTH", "535 5.1.1 wrong password"),
        ("MAIL", "530 5.7.0 authentication required"),
        ("MAIL", "550 5.1.8 who are you"),
        ("MAIL", "550 you have had your mails of today"),
        ("RCPT", "550 5.7.1 relaying denied"),
        ("RCPT", "550 relay not permitted"),
        ("RCPT", "550 5.1.8 you do not exist"),
        ("RCPT", "451 4.1.1 later"),
        ("DATA", "554 5.7.1 no"),
        (".", "554 no"),
        (".", "452 4.3.1 full"),
    ] {
        assert_eq!(left(step, answer).await, 1, "{step}: {answer}");
    }
}
