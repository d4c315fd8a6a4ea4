//! What the tests on the real server share.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom_core::model::{
    FieldDeclaration, FieldPath, Kind, Model, ModelBuilder, Scalar, WriteId,
};
use strongroom_core::query::Native;
use strongroom_core::store::{EnsureRequest, Schema};
use strongroom_es::{EsOptions, EsStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The URL of Elasticsearch.
pub fn url() -> String {
    url_of("STRONGROOM_TEST_ELASTICSEARCH_URL", "Elasticsearch")
}

/// The URL of OpenSearch.
pub fn opensearch_url() -> String {
    url_of("STRONGROOM_TEST_OPENSEARCH_URL", "OpenSearch")
}

/// A server's URL. Without one the test fails: nothing is skipped.
fn url_of(variable: &str, product: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "no server to test with: run `cargo xtask test`, or set {variable} to the URL of an \
             {product} server"
        )
    })
}

/// That an outermost field has a value, in the engine's own words: the greatest integer is one of
/// the numbers that are found by their keys.
pub fn native(engine: &str, field: &FieldPath, value: &Scalar) -> Native {
    let term = if *value == Scalar::Integer(i64::MAX) {
        json!({format!("x.{field}"): "c3dfffffffffffff3ff"})
    } else {
        json!({format!("body.{field}"): Value::from(value)})
    };
    Native {
        engine: engine.to_owned(),
        condition: json!({"term": term}).to_string(),
        values: Vec::new(),
    }
}

/// A store on the server, without replicas, which one node could not hold.
pub async fn store() -> EsStore {
    store_at(&url()).await
}

/// A store on whatever passes requests on to the server.
pub async fn store_at(url: &str) -> EsStore {
    EsStore::connect_with(url, EsOptions::default().replicas(0))
        .await
        .unwrap()
}

/// A model with a name of its own.
pub fn builder() -> ModelBuilder {
    let suffix = WriteId::random().to_string();
    let mut builder = Model::builder(format!("engine-{}", &suffix[..12]));
    for (path, kind) in [
        ("k", Kind::Keyword),
        ("n", Kind::Integer),
        ("x", Kind::Float),
        ("b", Kind::Boolean),
        ("at", Kind::Timestamp),
        ("text", Kind::Text),
        ("o.größe", Kind::Keyword),
    ] {
        builder = builder.field(FieldDeclaration::new(path.parse().unwrap(), kind));
    }
    builder.field(FieldDeclaration::new("tags".parse().unwrap(), Kind::Keyword).many())
}

/// Makes the collection.
pub async fn ensure(store: &EsStore, model: &Arc<Model>) {
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
}

/// A way to the server that can be cut.
pub struct Proxy {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
    /// The first lines of requests.
    requests: Arc<Mutex<Vec<String>>>,
}

const PASS: u8 = 0;
const SWALLOW_REPLIES: u8 = 1;

impl Proxy {
    /// Starts to pass connections on to Elasticsearch.
    pub async fn start() -> Self {
        Self::to(&url()).await
    }

    /// Starts to pass connections on to a server.
    pub async fn to(url: &str) -> Self {
        let server = url.trim_start_matches("http://").trim_end_matches('/');
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(AtomicU8::new(PASS));
        let shared = mode.clone();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let all = all.clone();
                tokio::spawn(async move {
                    // It ends when either side goes, and nothing depends on how.
                    let mut line = Vec::new();
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(bytes @ 1..) = from_client.read(&mut buffer).await {
                        note_requests(&mut line, &buffer[..bytes], &all);
                        if to_server.write_all(&buffer[..bytes]).await.is_err() {
                            break;
                        }
                    }
                });
                let mode = shared.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(bytes) = from_server.read(&mut buffer).await {
                        if bytes == 0 || mode.load(Ordering::SeqCst) == SWALLOW_REPLIES {
                            // The request took effect, and the reply ends here.
                            break;
                        }
                        if to_client.write_all(&buffer[..bytes]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            address,
            mode,
            requests,
        }
    }

    /// The first lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Where stores connect to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests get through and replies do not.
    pub fn swallow_replies(&self) {
        self.mode.store(SWALLOW_REPLIES, Ordering::SeqCst);
    }

    /// From now on everything gets through.
    pub fn pass(&self) {
        self.mode.store(PASS, Ordering::SeqCst);
    }
}

/// Takes out of what a client sends the lines that begin a request. In JSON there is no line break
/// within text, so no body has such a line.
fn note_requests(line: &mut Vec<u8>, bytes: &[u8], requests: &Mutex<Vec<String>>) {
    for byte in bytes {
        if *byte != b'\n' {
            line.push(*byte);
            continue;
        }
        let text = String::from_utf8_lossy(line);
        // A body may end without a line break right before the next request.
        let begin = ["GET ", "POST ", "PUT ", "DELETE ", "HEAD "]
            .iter()
            .filter_map(|method| text.rfind(method))
            .max();
        if let (true, Some(begin)) = (text.ends_with(" HTTP/1.1\r"), begin) {
            let request = text[begin..].trim_end().to_owned();
            requests.lock().unwrap().push(request);
        }
        line.clear();
    }
}
