//! What a server answers under pressure, played by a stub: each item of a bulk has its own outcome,
//! only those that it was too busy for come again, and no partial answer passes as whole.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Version};
use strongroom_core::query::{Aggregation, Aggregations, Filter};
use strongroom_core::store::{
    AggregateRequest, Bulk, BulkItem, BulkRequest, CountRequest, FindRequest, GroupRequest,
    MatchingAction, MatchingRequest, Search, Write,
};
use strongroom_es::{EsOptions, EsStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const INDEX: &str = "users.0000000000000001";

/// What the bulks were, line by line.
type Bulks = Arc<Mutex<Vec<Vec<String>>>>;

fn model() -> Arc<Model> {
    Model::builder("users")
        .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer))
        .build()
        .unwrap()
}

/// How the stub answers for an item: its status at each time it comes.
fn status(id: &str, times: usize) -> u16 {
    match (id, times) {
        ("conflict", _) => 409,
        ("rejected", 0..2) | ("unavailable", 0) => 429,
        ("unavailable", 1) | ("unguarded", _) => 503,
        ("never", _) => 429,
        _ => 201,
    }
}

fn item(id: &str, status: u16) -> Value {
    let told = match status {
        201 => json!({"_seq_no": 7, "_primary_term": 1, "result": "created", "status": 201}),
        status => {
            let kind = match status {
                409 => "version_conflict_engine_exception",
                429 => "es_rejected_execution_exception",
                _ => "unavailable_shards_exception",
            };
            json!({"status": status, "error": {"type": kind, "reason": "as the test wants it"}})
        }
    };
    let mut told = told;
    told["_id"] = id.into();
    json!({"index": told})
}

fn answer(request: &str, body: &str, bulks: &Bulks) -> Value {
    if request.starts_with("GET / ") {
        return json!({"version": {"number": "9.2.0"}});
    }
    if request.starts_with("POST /_bulk") {
        let actions: Vec<Value> = body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ids: Vec<String> = actions
            .iter()
            .filter_map(|line| {
                let action = line.get("create").or(line.get("index"))?;
                Some(action["_id"].as_str()?.to_owned())
            })
            .collect();
        let mut bulks = bulks.lock().unwrap();
        let items: Vec<Value> = ids
            .iter()
            .map(|id| {
                let before = bulks.iter().flatten().filter(|other| *other == id).count();
                item(id, status(id, before))
            })
            .collect();
        bulks.push(ids);
        return json!({"errors": true, "items": items});
    }
    if request.starts_with("POST /_mget") {
        // Whatever is asked for was written by somebody else.
        let source = json!({"k": "conflict", "w": "0".repeat(32), "body": {}});
        return json!({"docs": [
            {"found": true, "_seq_no": 9, "_primary_term": 1, "_source": source},
        ]});
    }
    if request.starts_with(&format!("POST /{INDEX}/_search")) {
        return json!({
            "timed_out": body.contains("timed out"),
            "_shards": {"failed": usize::from(body.contains("failed shard"))},
            "hits": {"total": {"value": 3, "relation": "eq"}, "hits": []},
        });
    }
    json!({INDEX: {
        "aliases": {"users": {}, format!("{INDEX}.pin.0000000000000001"): {}},
        "mappings": {"_meta": {"strongroom": {"format": 3, "model": &*model()}}},
    }})
}

async fn serve(mut socket: TcpStream, bulks: Bulks) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let mut piece = [0; 4_096];
            match socket.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(n) => read.extend_from_slice(&piece[..n]),
            }
        };
        let head = String::from_utf8(read[..end].to_vec()).unwrap();
        let length: usize = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or(0);
        while read.len() < end + length {
            let mut piece = [0; 4_096];
            let n = socket.read(&mut piece).await.unwrap();
            assert!(n > 0, "the request ended early");
            read.extend_from_slice(&piece[..n]);
        }
        let body = String::from_utf8(read[end..end + length].to_vec()).unwrap();
        read.drain(..end + length);
        let reply = answer(&head, &body, &bulks).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nx-elastic-product: Elasticsearch\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            reply.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(reply.as_bytes()).await.unwrap();
    }
}

async fn stub() -> (EsStore, Bulks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bulks = Bulks::default();
    let seen = bulks.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, seen.clone()));
        }
    });
    let url = format!("http://{address}");
    let store = EsStore::connect_with(&url, EsOptions::default()).await;
    (store.unwrap(), bulks)
}

fn put(id: &str, expected: impl Into<Expected>) -> BulkItem {
    let body = Body::parse("{}").unwrap();
    BulkItem::Write(Write::put(Key::new(id).unwrap(), body, expected.into()))
}

async fn carried_out(store: &EsStore, items: Vec<BulkItem>) -> Vec<Option<ErrorKind>> {
    let request = BulkRequest::new(model(), items);
    let reply = store.bulk(request).await.unwrap();
    let outcomes = reply.outcomes.into_iter();
    outcomes.map(|o| o.err().map(|e| e.kind())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_has_its_own_outcome() {
    let (store, bulks) = stub().await;
    let items = vec![
        put("fine", Expected::Any),
        put("conflict", Version::from_sequence(3, 1, 1)),
        put("rejected", Expected::Any),
        put("unavailable", Expected::Absent),
        put("unguarded", Expected::Any),
    ];
    let outcomes = carried_out(&store, items).await;
    assert_eq!(
        outcomes,
        [
            None,
            Some(ErrorKind::Conflict),
            None,
            None,
            // It may have taken effect, and nothing guards it from doing so twice.
            Some(ErrorKind::Indeterminate),
        ]
    );
    let seen: Vec<Vec<String>> = bulks.lock().unwrap().clone();
    assert_eq!(
        seen,
        [
            vec!["fine", "conflict", "rejected", "unavailable", "unguarded"],
            vec!["rejected", "unavailable"],
            vec!["rejected", "unavailable"],
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_taken_was_not_written() {
    let (store, bulks) = stub().await;
    let outcomes = carried_out(&store, vec![put("never", Expected::Any)]).await;
    assert_eq!(outcomes, [Some(ErrorKind::Contended)]);
    assert_eq!(bulks.lock().unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_on_one_key_stay_in_order() {
    let (store, bulks) = stub().await;
    let items = vec![
        put("rejected", Expected::Any),
        put("rejected", Expected::Any),
    ];
    let outcomes = carried_out(&store, items).await;
    // The first is not sent again behind the second.
    assert_eq!(outcomes, [Some(ErrorKind::Contended), None]);
    let count = bulks.lock().unwrap().iter().map(Vec::len).sum::<usize>();
    assert_eq!(count, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_partial_answer_passes_as_whole() {
    let (store, bulks) = stub().await;
    for (id, kind) in [
        ("whole", None),
        ("failed shard", Some(ErrorKind::Unavailable)),
        ("timed out", Some(ErrorKind::Timeout)),
    ] {
        let filter = || Filter::ids([id]).unwrap();
        let counted = store.count(CountRequest::new(model(), filter())).await;
        assert_eq!(counted.err().map(|e| e.kind()), kind, "count, {id}");
        let found = store.find(FindRequest::new(model(), filter())).await;
        assert_eq!(found.err().map(|e| e.kind()), kind, "find, {id}");
        let matching = MatchingRequest::new(model(), filter(), MatchingAction::Delete);
        let written = store.write_matching(matching).await;
        assert_eq!(written.err().map(|e| e.kind()), kind, "delete, {id}");
        if kind.is_none() {
            continue;
        }
        let field = "n".parse().unwrap();
        let count = Aggregations::from([("c".to_owned(), Aggregation::Count { field })]);
        let aggregate = AggregateRequest::new(model(), filter(), count);
        let computed = store.aggregate(aggregate).await;
        assert_eq!(computed.err().map(|e| e.kind()), kind, "aggregate, {id}");
        let group = GroupRequest::new(model(), filter(), "n".parse().unwrap());
        let grouped = store.group(group).await;
        assert_eq!(grouped.err().map(|e| e.kind()), kind, "group, {id}");
    }
    assert!(
        bulks.lock().unwrap().is_empty(),
        "nothing was to be written"
    );
}
