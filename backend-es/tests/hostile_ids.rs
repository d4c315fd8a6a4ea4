//! Ids and routings that mean something in a URL, in a list of indices, or in a line of JSON, on
//! real servers: every call touches the documents that it names and no other, and no id ever
//! stands in a path.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, DocumentId, Expected, Key, Model, Version};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{
    Bulk, BulkItem, BulkRequest, CountRequest, Effect, FindRequest, Load, LoadRequest,
    MatchingAction, MatchingRequest, Save, SaveRequest, ScanRequest, Schema, Search, Write,
};
use strongroom_es::EsStore;

use support::{Proxy, builder, ensure, opensearch_url, store_at, url};

const HOSTILE: [&str; 62] = [
    ".",
    "..",
    "../..",
    "./.",
    "../_all",
    "a/b",
    "/",
    "//",
    "/a",
    "a/",
    "*",
    "a*",
    "_all",
    "_id",
    "_doc",
    "_bulk",
    "_mget",
    "_search",
    "_delete_by_query",
    ",",
    "a,b",
    ",a",
    "a,",
    "-a",
    "+a",
    "%",
    "%2e%2e",
    "%2f",
    "%00",
    "%25",
    "?",
    "a?b=c",
    "?refresh=true",
    "#",
    "a#b",
    "&",
    ";",
    ":",
    "a:b",
    "<a-{now/d}>",
    "\\",
    "\\u002e",
    "\"",
    "'",
    "`",
    " ",
    " a",
    "a ",
    "a b",
    "\t",
    "\n",
    "\r\n",
    "\u{7f}",
    "{}",
    "[]",
    "null",
    "é",
    "e\u{301}",
    "\u{feff}",
    "\u{200b}",
    "\u{2028}",
    "\u{10ffff}",
];

/// Documents that a call gone astray could hit.
const BYSTANDERS: [&str; 5] = ["a", "b", "sentinel", "%20", "0"];

/// A collection on a server, and what must be in it.
struct Scene {
    store: EsStore,
    model: Arc<Model>,
    /// Each document's number and version.
    expected: BTreeMap<Key, (i64, Version)>,
}

impl Scene {
    /// Compares every document with what must be there.
    async fn check(&self, what: &str) {
        let keys: Vec<Key> = self.expected.keys().cloned().collect();
        let load = LoadRequest::new(self.model.clone(), keys);
        let found = self.store.load(load).await.unwrap();
        for (found, (key, expected)) in found.into_iter().zip(&self.expected) {
            let found = found.unwrap_or_else(|| panic!("{what}: {key:?} is gone"));
            assert_eq!(&found.key, key, "{what}");
            let n = found.body.to_object().unwrap()["n"].as_i64().unwrap();
            assert_eq!((n, found.version), *expected, "{what}: {key:?}");
        }
    }

    /// Compares the number of documents that searches see.
    async fn count(&self, what: &str) {
        let name = self.model.name().clone();
        self.store.refresh(name).await.unwrap();
        let count = CountRequest::new(self.model.clone(), Filter::all());
        let count = self.store.count(count).await.unwrap();
        assert_eq!(count, self.expected.len() as u64, "{what}");
    }

    /// Takes over the version that a matching write made.
    async fn adopt(&mut self, key: &Key) {
        let load = LoadRequest::new(self.model.clone(), vec![key.clone()]);
        let found = self.store.load(load).await.unwrap().remove(0).unwrap();
        let (n, version) = self.expected.get_mut(key).unwrap();
        *n += 1;
        assert_ne!(*version, found.version, "{key:?}");
        *version = found.version;
    }

    fn save(&self, write: Write) -> SaveRequest {
        SaveRequest::new(self.model.clone(), write)
    }

    fn only(&self, key: &Key, action: MatchingAction) -> MatchingRequest {
        let filter = Filter::ids([key.id().as_str()]).unwrap();
        let mut request = MatchingRequest::new(self.model.clone(), filter, action);
        request.routing = key.routing().cloned();
        request
    }

    fn keys(&self) -> Vec<Key> {
        self.expected.keys().cloned().collect()
    }
}

fn body(n: i64) -> Body {
    Body::encode(&json!({"n": n})).unwrap()
}

/// One key for each hostile id; where keys are routed, under hostile routings, and some ids twice.
fn keys(routed: bool) -> Vec<Key> {
    let mut ids: Vec<String> = HOSTILE.iter().map(|id| (*id).to_owned()).collect();
    ids.extend(BYSTANDERS.map(str::to_owned));
    let longest = if routed { 500 } else { 512 };
    ids.push("x".repeat(longest));
    ids.push("é".repeat(longest / 2));
    ids.push("..".repeat(longest / 2));
    let mut keys = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        if !routed {
            keys.push(Key::new(id).unwrap());
            continue;
        }
        let shifts: &[usize] = if n % 8 == 0 { &[7, 20] } else { &[7] };
        for shift in shifts {
            let routing = HOSTILE[(n + shift) % HOSTILE.len()];
            let routing = if id.len() + routing.len() > 508 {
                ","
            } else {
                routing
            };
            keys.push(Key::routed(routing, id).unwrap());
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

async fn one_by_one(scene: &mut Scene, all: &[Key]) {
    for key in all {
        let create = Write::put(key.clone(), body(0), Expected::Absent);
        let made = scene.store.save(scene.save(create)).await.unwrap();
        assert_eq!(made.effect, Effect::Created, "{key:?}");
        let version = made.version.unwrap();
        scene.expected.insert(key.clone(), (0, version));
    }
    scene.check("created").await;
    scene.count("created").await;
    for key in all {
        let (n, version) = scene.expected[key];
        let put = Write::put(key.clone(), body(n + 1), version);
        let saved = scene.store.save(scene.save(put)).await.unwrap();
        scene
            .expected
            .insert(key.clone(), (n + 1, saved.version.unwrap()));
        scene.check("saved").await;
        let stale = Write::delete(key.clone(), version);
        let error = scene.store.save(scene.save(stale)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{key:?}: {error:?}");
        let patch = Patch::new().increment("n".parse().unwrap(), 1);
        let patch = Write::patch(key.clone(), patch, Expected::Any);
        let saved = scene.store.save(scene.save(patch)).await.unwrap();
        scene
            .expected
            .insert(key.clone(), (n + 2, saved.version.unwrap()));
    }
    scene.check("patched").await;
    scene.count("saved and patched").await;
}

async fn searched(scene: &Scene) {
    for key in scene.expected.keys() {
        let filter = Filter::ids([key.id().as_str()]).unwrap();
        let mut find = FindRequest::new(scene.model.clone(), filter);
        find.routing = key.routing().cloned();
        let page = scene.store.find(find).await.unwrap();
        let found: Vec<&Key> = page.documents.iter().map(|d| &d.key).collect();
        assert_eq!(found, [key]);
    }
    // Each document follows each other one by a cursor that holds its id.
    let mut scan = ScanRequest::new(scene.model.clone(), Filter::all());
    scan.batch = 7;
    let mut scan = scene.store.scan(scan).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let piece = scan.next().await.unwrap();
        if piece.is_empty() {
            break;
        }
        seen.extend(piece.into_iter().map(|document| document.key));
    }
    // In the order of ids first.
    let mut keys = scene.keys();
    let place = |key: &Key| (key.id().clone(), key.routing().cloned());
    keys.sort_by_key(place);
    seen.sort_by_key(place);
    assert_eq!(seen, keys);
}

async fn in_bulks(scene: &mut Scene) {
    let keys = scene.keys();
    let items: Vec<BulkItem> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| {
            let (n, version) = scene.expected[key];
            match at % 3 {
                0 => BulkItem::Write(Write::put(key.clone(), body(n + 1), version)),
                1 => BulkItem::Write(Write::delete(key.clone(), version)),
                _ => BulkItem::Check {
                    key: key.clone(),
                    expected: version.into(),
                },
            }
        })
        .collect();
    let bulk = BulkRequest::new(scene.model.clone(), items);
    let reply = scene.store.bulk(bulk).await.unwrap();
    for ((at, key), outcome) in keys.iter().enumerate().zip(reply.outcomes) {
        let receipt = outcome.unwrap();
        match at % 3 {
            0 => {
                let n = scene.expected[key].0;
                scene
                    .expected
                    .insert(key.clone(), (n + 1, receipt.version.unwrap()));
            }
            1 => {
                assert_eq!(receipt.effect, Effect::Deleted, "{key:?}");
                scene.expected.remove(key);
            }
            _ => {}
        }
    }
    scene.check("written in bulk").await;
    scene.count("written in bulk").await;
    let missing: Vec<&Key> = keys
        .iter()
        .filter(|k| !scene.expected.contains_key(k))
        .collect();
    let creates = missing.iter().map(|key| {
        let create = Write::put((*key).clone(), body(5), Expected::Absent);
        BulkItem::Write(create)
    });
    let bulk = BulkRequest::new(scene.model.clone(), creates.collect());
    let reply = scene.store.bulk(bulk).await.unwrap();
    for (key, outcome) in missing.into_iter().zip(reply.outcomes) {
        let version = outcome.unwrap().version.unwrap();
        scene.expected.insert(key.clone(), (5, version));
    }
    scene.check("created in bulk").await;
    scene.count("created in bulk").await;
}

async fn by_match(scene: &mut Scene) {
    for key in scene.keys() {
        let patch = Patch::new().increment("n".parse().unwrap(), 1);
        let request = scene.only(&key, MatchingAction::Patch(patch));
        let reply = scene.store.write_matching(request).await.unwrap();
        assert_eq!((reply.written, reply.failures.len()), (1, 0), "{key:?}");
        scene.adopt(&key).await;
        scene.check("patched by match").await;
    }
    scene.count("patched by match").await;
    // A step goes on behind a key, which is part of the question then.
    let mut request = MatchingRequest::new(
        scene.model.clone(),
        Filter::all(),
        MatchingAction::Patch(Patch::new().increment("n".parse().unwrap(), 1)),
    );
    request.limit = 5;
    let mut written = 0;
    loop {
        let reply = scene.store.write_matching(request.clone()).await.unwrap();
        assert!(reply.failures.is_empty(), "{:?}", reply.failures);
        written += reply.written;
        match reply.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    assert_eq!(written, scene.expected.len() as u64);
    for key in scene.keys() {
        scene.adopt(&key).await;
    }
    scene.count("patched in steps").await;
    for key in scene.keys() {
        if BYSTANDERS.contains(&key.id().as_str()) {
            continue;
        }
        let request = scene.only(&key, MatchingAction::Delete);
        let reply = scene.store.write_matching(request).await.unwrap();
        assert_eq!((reply.written, reply.failures.len()), (1, 0), "{key:?}");
        scene.expected.remove(&key);
        scene.check("deleted by match").await;
    }
    scene.count("deleted by match").await;
}

/// What the paths of requests may be: an index's name is checked, and nothing else is put in.
fn is_harmless(line: &str, collection: &str) -> bool {
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return false;
    };
    let path = target.split('?').next().unwrap_or_default();
    let of_collection = || {
        let rest = path.strip_prefix('/')?.strip_prefix(collection)?;
        let (index, call) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c == '.' || c.is_ascii_hexdigit();
        let index = index.replacen(".pin.", ".", 1);
        index.chars().all(plain).then_some(call)
    };
    match (method, path) {
        ("GET", "/" | "/_nodes/_local") | ("POST", "/_bulk" | "/_mget" | "/_search") => true,
        ("DELETE", "/_pit" | "/_search/point_in_time") => true,
        ("GET", _) => of_collection() == Some(""),
        ("PUT", _) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let id = of_collection()
                .and_then(|call| call.strip_prefix("_doc/").or(call.strip_prefix("_create/")));
            id.is_some_and(|id| {
                !id.is_empty() && !id.starts_with('_') && id.len() <= 128 && id.chars().all(plain)
            })
        }
        ("POST", _) => matches!(
            of_collection(),
            Some("_search" | "_refresh" | "_pit" | "_search/point_in_time")
        ),
        _ => false,
    }
}

async fn touch_their_documents_only(server: String, routed: bool) {
    let proxy = Proxy::to(&server).await;
    let direct = store_at(&server).await;
    let model = if routed {
        builder().routed()
    } else {
        builder()
    };
    let model = model.build().unwrap();
    ensure(&direct, &model).await;
    let mut scene = Scene {
        store: store_at(&proxy.url()).await,
        model: model.clone(),
        expected: BTreeMap::new(),
    };
    let keys = keys(routed);
    one_by_one(&mut scene, &keys).await;
    searched(&scene).await;
    in_bulks(&mut scene).await;
    by_match(&mut scene).await;
    assert!(!scene.expected.is_empty());

    let lines = proxy.requests();
    assert!(lines.len() > 100, "{} requests were seen", lines.len());
    for line in lines {
        assert!(is_harmless(&line, model.name().as_str()), "{line}");
    }
    assert!(direct.drop_collection(model.name().clone()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_on_elasticsearch() {
    touch_their_documents_only(url(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routed_ids_on_elasticsearch() {
    touch_their_documents_only(url(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_on_opensearch() {
    touch_their_documents_only(opensearch_url(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routed_ids_on_opensearch() {
    touch_their_documents_only(opensearch_url(), true).await;
}

#[test]
fn longer_ids_are_refused_before_anything_is_sent() {
    for bad in ["", "a\0b", &"x".repeat(513), &"é".repeat(257)] {
        let error = DocumentId::new(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{} bytes", bad.len());
    }
    let error = Key::routed("..", "x".repeat(507)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(Key::routed("..", "x".repeat(506)).is_ok());
}

#[test]
fn a_path_with_an_id_would_be_noticed() {
    for bad in [
        "DELETE /c/ HTTP/1.1",
        "DELETE /c/_doc/a HTTP/1.1",
        "POST /c/_doc/a HTTP/1.1",
        "POST /_all/_search HTTP/1.1",
        "GET /* HTTP/1.1",
        "POST /c,d/_search HTTP/1.1",
        "PUT /c/_doc/.. HTTP/1.1",
        "PUT /c/_doc/a,b HTTP/1.1",
        "PUT /c/_doc/_all HTTP/1.1",
        "PUT /c/_doc/ HTTP/1.1",
        "PUT /c/_settings HTTP/1.1",
    ] {
        assert!(!is_harmless(bad, "c"), "{bad}");
    }
    assert!(is_harmless("POST /c.0f/_search?a=b HTTP/1.1", "c"));
    assert!(is_harmless(
        "PUT /c.0f.pin.a1/_create/a-1?b=c HTTP/1.1",
        "c"
    ));
}
