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
use strongroom_core::layers::{CoalesceLayer, Layer as _};
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Version};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Aggregation, Aggregations, Filter};
use strongroom_core::store::{
    AggregateRequest, Bulk, BulkItem, BulkRequest, CountRequest, FindRequest, GroupRequest,
    MatchingAction, MatchingRequest, SaveRequest, ScanRequest, Search, Store, Write,
};
use strongroom_es::{EsOptions, EsStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

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
        ("rejected" | "rejected delete", 0..2) | ("unavailable", 0) => 429,
        ("unavailable", 1) | ("unguarded" | "delete", _) => 503,
        ("never" | "lost" | "refused", _) => 429,
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

/// The status and the body of an answer; none if the connection breaks instead.
type Answer = Option<(u16, Value)>;

/// What becomes of a bulk as a whole: the ids in it and how often it was sent before tell.
fn broken(ids: &[String], bulks: &[Vec<String>]) -> Option<Answer> {
    let refusal = |status, kind: &str| {
        let error = json!({"type": kind, "reason": "as the test wants it"});
        Some(Some((status, json!({"error": error, "status": status}))))
    };
    match ids.first()?.as_str() {
        "all rejected" => refusal(429, "es_rejected_execution_exception"),
        "all blocked" => refusal(503, "cluster_block_exception"),
        "all unavailable" => refusal(503, "unavailable_shards_exception"),
        "all too large" => refusal(413, ""),
        "all from a proxy" => Some(Some((503, json!("no such upstream")))),
        "all lost" => Some(None),
        // What is sent again by itself.
        "lost" if !bulks.is_empty() => Some(None),
        "refused" if !bulks.is_empty() => refusal(429, "es_rejected_execution_exception"),
        _ => None,
    }
}

/// The id of a document that is stored by a request of its own.
fn lone_id(request: &str) -> Option<&str> {
    let path = request.strip_prefix("PUT /")?.split(['?', ' ']).next()?;
    let (index, id) = path.rsplit_once('/')?;
    let is_lone = index.ends_with("/_doc") || index.ends_with("/_create");
    is_lone.then_some(id)
}

fn answer(request: &str, body: &str, bulks: &Bulks) -> Answer {
    // A lone document is answered as the item of a bulk is.
    if let Some(id) = lone_id(request) {
        let bulk = json!({"index": {"_id": id}}).to_string();
        let (status, told) = answer("POST /_bulk", &bulk, bulks)?;
        let item = told["items"][0].as_object().and_then(|i| i.values().next());
        return Some(match item {
            Some(item) => (u16::try_from(item["status"].as_u64()?).ok()?, item.clone()),
            None => (status, told),
        });
    }
    if request.starts_with("POST /_bulk") {
        let ids = ids(body);
        let broken = broken(&ids, &bulks.lock().unwrap());
        if let Some(answer) = broken {
            bulks.lock().unwrap().push(ids);
            return answer;
        }
    }
    Some((200, well(request, body, bulks)))
}

fn ids(bulk: &str) -> Vec<String> {
    let lines = bulk.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter_map(|line: Value| {
            let actions = ["create", "index", "delete"];
            let action = actions.iter().find_map(|name| line.get(name))?;
            Some(action["_id"].as_str()?.to_owned())
        })
        .collect()
}

fn well(request: &str, body: &str, bulks: &Bulks) -> Value {
    if request.starts_with("GET / ") {
        return json!({"version": {"number": "9.2.0"}});
    }
    if request.starts_with("POST /_bulk") {
        let ids = ids(body);
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
    if request.starts_with(&format!("POST /{INDEX}/_pit")) {
        return json!({"id": "point"});
    }
    let searches = [format!("POST /{INDEX}/_search"), "POST /_search".to_owned()];
    if searches.iter().any(|search| request.starts_with(search)) {
        // There are documents in the answer, also where it is not whole.
        let source = json!({"k": "found", "w": "0".repeat(32), "body": {}});
        return json!({
            "timed_out": body.contains("timed out"),
            "_shards": {"failed": usize::from(body.contains("failed shard"))},
            "hits": {"total": {"value": 1, "relation": "eq"}, "hits": [
                {"_seq_no": 9, "_primary_term": 1, "_source": source, "sort": ["found"]},
            ]},
            "aggregations": {"a0": {"doc_count": 1}, "groups": {"buckets": []}},
        });
    }
    if request.starts_with("DELETE /_pit") {
        return json!({"succeeded": true});
    }
    json!({INDEX: {
        "aliases": {"users": {}, format!("{INDEX}.pin.0000000000000001"): {}},
        "mappings": {"_meta": {"strongroom": {
            "format": 4, "model": &*model(), "texts": {"fields": {}},
        }}},
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
        let Some((status, reply)) = answer(&head, &body, &bulks) else {
            return;
        };
        let reply = reply.to_string();
        let head = format!(
            "HTTP/1.1 {status} So\r\nx-elastic-product: Elasticsearch\r\n\
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

fn delete(id: &str, expected: impl Into<Expected>) -> BulkItem {
    BulkItem::Write(Write::delete(Key::new(id).unwrap(), expected))
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
    // The first is sent again until it is taken, and the second only after it.
    assert_eq!(outcomes, [None, None]);
    assert_eq!(*bulks.lock().unwrap(), [["rejected"]; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_go_again_only_if_they_were_refused() {
    let (store, bulks) = stub().await;
    let version = Version::from_sequence(3, 1, 1);
    let items = vec![
        put("fine", Expected::Any),
        delete("rejected delete", Expected::Any),
        delete("delete", version),
    ];
    let outcomes = carried_out(&store, items).await;
    // It may have taken effect, and leaves nothing that would tell.
    assert_eq!(outcomes, [None, None, Some(ErrorKind::Indeterminate)]);
    let seen: Vec<Vec<String>> = bulks.lock().unwrap().clone();
    let again = vec!["rejected delete"];
    assert_eq!(
        seen,
        [
            vec!["fine", "rejected delete", "delete"],
            again.clone(),
            again
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_as_a_whole_keeps_to_its_proofs() {
    for (id, kind, sent) in [
        ("lost", ErrorKind::Indeterminate, 2),
        // A refusal of the whole is proof for its items.
        ("refused", ErrorKind::Contended, 6),
    ] {
        let (store, bulks) = stub().await;
        let items = vec![
            put(id, Expected::Any),
            put("conflict", Version::from_sequence(3, 1, 1)),
            put("fine", Expected::Any),
        ];
        let outcomes = carried_out(&store, items).await;
        // The neighbours keep what they were told.
        assert_eq!(
            outcomes,
            [Some(kind), Some(ErrorKind::Conflict), None],
            "{id}"
        );
        assert_eq!(bulks.lock().unwrap().len(), sent, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_that_fails_as_a_whole_fails_each_item() {
    for (id, kind) in [
        ("all rejected", ErrorKind::Contended),
        ("all blocked", ErrorKind::Unavailable),
        ("all unavailable", ErrorKind::Indeterminate),
        ("all from a proxy", ErrorKind::Indeterminate),
        ("all lost", ErrorKind::Indeterminate),
        ("all too large", ErrorKind::Invalid),
    ] {
        let (store, bulks) = stub().await;
        let items = vec![put(id, Expected::Any), put("fine", Expected::Absent)];
        let outcomes = carried_out(&store, items).await;
        assert_eq!(outcomes, [Some(kind), Some(kind)], "{id}");
        assert_eq!(bulks.lock().unwrap().len(), 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_that_are_joined_have_their_own_outcomes() {
    let (store, bulks) = stub().await;
    let store: Arc<dyn Store> = CoalesceLayer::default().wrap(Arc::new(store));
    let version = Version::from_sequence(3, 1, 1);
    let expected = [
        ("conflict", version.into(), Some(ErrorKind::Conflict)),
        ("rejected", Expected::Any, None),
        ("unavailable", Expected::Absent, None),
        ("unguarded", Expected::Any, Some(ErrorKind::Indeterminate)),
    ];
    let model = model();
    let mut saves = JoinSet::new();
    for n in 0..200 {
        let (id, expected, kind) = match expected.get(n) {
            Some((id, expected, kind)) => ((*id).to_owned(), *expected, *kind),
            None => (format!("fine-{n}"), Expected::Any, None),
        };
        let (store, model) = (store.clone(), model.clone());
        saves.spawn(async move {
            let key = Key::new(&id).unwrap();
            let write = Write::put(key, Body::parse("{}").unwrap(), expected);
            let saved = store.save(SaveRequest::new(model, write)).await;
            assert_eq!(saved.err().map(|e| e.kind()), kind, "{id}");
        });
    }
    saves.join_all().await;
    let bulks = bulks.lock().unwrap();
    assert!(
        bulks.len() < 100,
        "{} requests: nothing was joined",
        bulks.len()
    );
    for n in 4..200 {
        let id = format!("fine-{n}");
        let times = bulks.iter().flatten().filter(|other| **other == id).count();
        assert_eq!(times, 1, "{id}");
    }
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
        let scan = ScanRequest::new(model(), filter());
        let mut scan = store.scan(scan).await.unwrap();
        let piece = scan.next().await;
        assert_eq!(piece.as_ref().err().map(|e| e.kind()), kind, "scan, {id}");
        if let Ok(piece) = piece {
            assert_eq!(piece.len(), 1);
        }
        let field = "n".parse().unwrap();
        let count = Aggregations::from([("c".to_owned(), Aggregation::Count { field })]);
        let aggregate = AggregateRequest::new(model(), filter(), count);
        let computed = store.aggregate(aggregate).await;
        assert_eq!(computed.err().map(|e| e.kind()), kind, "aggregate, {id}");
        let group = GroupRequest::new(model(), filter(), "n".parse().unwrap());
        let grouped = store.group(group).await;
        assert_eq!(grouped.err().map(|e| e.kind()), kind, "group, {id}");
        if kind.is_none() {
            continue;
        }
        let patch = Patch::new().increment("n".parse().unwrap(), 1);
        for action in [MatchingAction::Delete, MatchingAction::Patch(patch)] {
            let matching = MatchingRequest::new(model(), filter(), action);
            let written = store.write_matching(matching).await;
            assert_eq!(written.err().map(|e| e.kind()), kind, "matching, {id}");
        }
    }
    assert!(
        bulks.lock().unwrap().is_empty(),
        "nothing was to be written"
    );
}
