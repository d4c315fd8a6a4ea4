//! Whom a connection trusts: servers played by a stub, with certificates of authorities that the
//! test makes.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use strongroom_core::ErrorKind;
use strongroom_core::store::Store;
use strongroom_es::{EsCredentials, EsOptions, EsStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// One that signs certificates, and its own certificate in PEM form.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// How a server speaks that this authority says to be `host`.
    fn vouch_for(&self, host: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server on loopback, and how many requests with the right key it got.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(tls: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, tls.clone(), count.clone()));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(socket: TcpStream, tls: TlsAcceptor, asked: Arc<AtomicUsize>) {
    // A client that does not trust this server goes away.
    let Ok(mut socket) = tls.accept(socket).await else {
        return;
    };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.contains("authorization: apikey key\r\n"), "{head}");
    asked.fetch_add(1, Ordering::SeqCst);
    let told = r#"{"version":{"number":"3.4.0","distribution":"opensearch"}}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{told}",
        told.len()
    );
    socket.write_all(reply.as_bytes()).await.unwrap();
    // The client may be gone already.
    let _ = socket.shutdown().await;
}

async fn connect(server: &Server, trusted: &[&Authority]) -> Result<EsStore, ErrorKind> {
    let mut options = EsOptions::default().credentials(EsCredentials::ApiKey("key".to_owned()));
    if !trusted.is_empty() {
        let pem: String = trusted.iter().map(|authority| &*authority.pem).collect();
        options = options.authorities(pem);
    }
    let connected = EsStore::connect_with(&server.url, options).await;
    connected.map_err(|error| error.kind())
}

#[tokio::test]
async fn servers_of_the_users_authority_are_trusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = Server::start(ours.vouch_for("127.0.0.1")).await;
    let store = connect(&server, &[&ours]).await.unwrap();
    assert_eq!(store.capabilities().engine, "opensearch");
    connect(&server, &[&other, &ours]).await.unwrap();
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn others_are_not_and_are_told_nothing() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = Server::start(other.vouch_for("127.0.0.1")).await;
    for trusted in [&[&ours][..], &[]] {
        let refused = connect(&server, trusted).await.unwrap_err();
        assert_eq!(refused, ErrorKind::Unavailable);
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn the_name_counts_as_well() {
    let ours = Authority::new();
    for host in ["127.0.0.2", "search.example"] {
        let server = Server::start(ours.vouch_for(host)).await;
        let refused = connect(&server, &[&ours]).await.unwrap_err();
        assert_eq!(refused, ErrorKind::Unavailable);
        assert_eq!(server.asked(), 0);
    }
}
