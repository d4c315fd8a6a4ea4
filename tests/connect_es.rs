//! From a URL to a search engine, played by a stub: who is told what, and what never shows.
#![cfg(feature = "es")]
#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use strongroom::{ErrorKind, Operation};

/// A server that tells every request what it is; and the heads of the requests.
fn server(told: &'static str) -> (String, Receiver<String>) {
    answering("200 OK", told)
}

fn answering(status: &'static str, told: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let (sender, heads) = channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, mut head) = (socket.unwrap(), Vec::new());
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                match socket.read(&mut byte) {
                    Ok(1) if byte[0].is_ascii_graphic() || byte[0].is_ascii_whitespace() => {
                        head.extend(byte);
                    }
                    // The client is gone, or it does not speak HTTP.
                    _ => break,
                }
            }
            let reply = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{told}",
                told.len()
            );
            // A client that is gone needs no reply.
            let _ = socket.write_all(reply.as_bytes());
            if sender
                .send(String::from_utf8_lossy(&head).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    (place, heads)
}

const OPENSEARCH: &str = r#"{"version":{"number":"3.4.0","distribution":"opensearch"}}"#;

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    for (url, header) in [
        (
            // `ké` and `hunter2@`.
            "opensearch://k%C3%A9:hunter2%40@HOST/",
            "authorization: Basic a8OpOmh1bnRlcjJA\r\n",
        ),
        (
            "opensearch://HOST/?api_key=hunter2%3D%3D&compression=gzip",
            "authorization: ApiKey hunter2==\r\n",
        ),
        (
            "opensearch://HOST?shards=2&bearer=hunter2",
            "authorization: Bearer hunter2\r\n",
        ),
    ] {
        let (place, heads) = server(OPENSEARCH);
        let url = url.replace("HOST", &place);
        let db = strongroom::connect(&url).await.unwrap();
        assert_eq!(db.capabilities().engine, "opensearch");
        let head = heads.recv().unwrap();
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(header), "{head}");
        let printed = format!("{db:?} {:?}", strongroom::open(&url).await.unwrap());
        assert!(printed.contains(&place), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[tokio::test]
async fn a_path_before_the_engines_own_is_kept() {
    let (place, heads) = server(OPENSEARCH);
    let url = format!("opensearch://{place}/behind/proxy");
    strongroom::connect(&url).await.unwrap();
    let head = heads.recv().unwrap();
    assert!(
        head.starts_with("GET /behind/proxy/ HTTP/1.1\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn another_product_is_refused() {
    for (told, scheme, named) in [
        (
            OPENSEARCH,
            "elasticsearch",
            "what answers there is opensearch",
        ),
        (
            r#"{"version":{"number":"1.3.0","distribution":"opensearch"}}"#,
            "opensearch",
            "opensearch 1.3.0",
        ),
        (
            r#"{"version":{"number":"9.0.0"}}"#,
            "elasticsearch",
            "neither elasticsearch nor opensearch",
        ),
    ] {
        let (place, _heads) = server(told);
        let url = format!("{scheme}://me:hunter2@{place}");
        let error = strongroom::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert_eq!(error.operation(), Some(Operation::Connect));
        assert!(error.message().contains(named), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

/// All that an error and its sources print.
fn printed(error: &strongroom::Error) -> String {
    let mut printed = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        printed += &format!(" {error} {error:?}");
        source = error.source();
    }
    printed
}

#[tokio::test]
async fn failures_to_connect_do_not_tell_secrets() {
    // Nobody listens there any more.
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = unused.local_addr().unwrap();
    drop(unused);
    let (plain, _heads) = server(OPENSEARCH);
    let folder = tempfile::tempdir().unwrap();
    let no_certificate = folder.path().join("ca.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n";
    std::fs::write(&no_certificate, pem).unwrap();
    let refusal = r#"{"error":{"type":"security_exception","reason":"no"},"status":401}"#;
    let (refusing, _heads) = answering("401 Unauthorized", refusal);
    for (url, kind) in [
        (
            format!("opensearch://me:hunter2@{refusing}"),
            ErrorKind::Unauthorized,
        ),
        (
            format!("opensearch://me:hunter2@{place}"),
            ErrorKind::Unavailable,
        ),
        (
            format!("opensearch://{place}?api_key=hunter2"),
            ErrorKind::Unavailable,
        ),
        (
            format!("opensearch+https://me:hunter2@{plain}"),
            ErrorKind::Unavailable,
        ),
        (
            format!("opensearch+https://me:hunter2@{plain}?ca_file=/no/such/file.pem"),
            ErrorKind::Config,
        ),
        (
            // The file is there and holds no certificate.
            format!(
                "opensearch+https://me:hunter2@{plain}?ca_file={}",
                no_certificate.display()
            ),
            ErrorKind::Config,
        ),
        (
            "opensearch://me:hunter2@not a host".to_owned(),
            ErrorKind::Config,
        ),
        (
            "elasticsearch+cloud://me:hunter2@mine:none".to_owned(),
            ErrorKind::Config,
        ),
    ] {
        let error = strongroom::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error}");
        if kind != ErrorKind::Config {
            assert!(error.message().contains("://127.0.0.1:"), "{error}");
        }
        let printed = printed(&error);
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
