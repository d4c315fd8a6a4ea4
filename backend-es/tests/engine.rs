//! What is peculiar to the search engine, on a real server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Filter, Matcher, Order, Placer, Sort};
use strongroom_core::store::{
    CountRequest, FindRequest, Load, LoadRequest, PageStart, Refresh, Save, SaveRequest, Schema,
    Search, Store, Write,
};
use strongroom_es::{EsOptions, EsStore};

use support::{Proxy, builder, ensure, store, store_at, url};

fn body(value: &Value) -> Body {
    Body::encode(value).unwrap()
}

fn put(model: &Arc<Model>, key: &Key, value: &Value, expected: impl Into<Expected>) -> SaveRequest {
    SaveRequest::new(
        model.clone(),
        Write::put(key.clone(), body(value), expected),
    )
}

async fn load(
    store: &EsStore,
    model: &Arc<Model>,
    key: &Key,
) -> Option<strongroom_core::model::RawDocument> {
    let request = LoadRequest::new(model.clone(), vec![key.clone()]);
    store.load(request).await.unwrap().remove(0)
}

async fn count(store: &EsStore, model: &Arc<Model>) -> u64 {
    store.refresh(model.name().clone()).await.unwrap();
    let request = CountRequest::new(model.clone(), Filter::all());
    store.count(request).await.unwrap()
}

#[tokio::test]
async fn a_version_of_a_dropped_index_never_matches() {
    let (ours, theirs) = (store().await, store().await);
    let model = builder().build().unwrap();
    ensure(&ours, &model).await;
    let key = Key::new("a").unwrap();
    let old = ours
        .save(put(&model, &key, &json!({"n": 1}), Expected::Absent))
        .await;
    let old = old.unwrap().version.unwrap();

    // Another process drops the collection; this store still remembers the old index.
    theirs.drop_collection(model.name().clone()).await.unwrap();
    for expected in [Expected::Any, Expected::Absent, Expected::Exactly(old)] {
        let error = ours
            .save(put(&model, &key, &json!({"n": 2}), expected))
            .await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound, "{expected}");
    }
    // The writes did not bring an index into being.
    let gone = ours.describe(model.name().clone()).await.unwrap();
    assert!(gone.is_none());

    // In the new index the same document has the same place in the order of its shard.
    ensure(&theirs, &model).await;
    let new = theirs
        .save(put(&model, &key, &json!({"n": 3}), Expected::Absent))
        .await;
    let new = new.unwrap().version.unwrap();
    let (a, b) = (old.sequence().unwrap(), new.sequence().unwrap());
    assert_eq!((a.0, a.1), (b.0, b.1));
    let error = ours
        .save(put(&model, &key, &json!({"n": 4}), old))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.actual_version(), Some(new));
    ours.save(put(&model, &key, &json!({"n": 5}), new))
        .await
        .unwrap();
    ours.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test]
async fn of_many_creators_one_wins() {
    let model = builder().build().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (store, model) = (store().await, model.clone());
        tasks.push(tokio::spawn(async move {
            let request = strongroom_core::store::EnsureRequest::new(model);
            store.ensure(request).await.unwrap().created
        }));
    }
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert!(
        store()
            .await
            .drop_collection(model.name().clone())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_foreign_index_is_left_alone() {
    use elasticsearch::http::transport::Transport;
    use elasticsearch::indices::{IndicesCreateParts, IndicesDeleteParts};
    let client = elasticsearch::Elasticsearch::new(Transport::single_node(&url()).unwrap());
    let store = store().await;
    let model = builder().build().unwrap();
    let name = model.name().as_str();
    let made = client
        .indices()
        .create(IndicesCreateParts::Index(name))
        .send()
        .await;
    assert!(made.unwrap().status_code().is_success());
    let request = strongroom_core::store::EnsureRequest::new(model.clone());
    let error = store.ensure(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let error = store
        .drop_collection(model.name().clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let dropped = client
        .indices()
        .delete(IndicesDeleteParts::Index(&[name]))
        .send()
        .await;
    assert!(dropped.unwrap().status_code().is_success());
}

#[tokio::test]
async fn a_lost_reply_is_indeterminate_and_the_write_id_resolves_it() {
    let proxy = Proxy::start().await;
    let (direct, cut) = (store().await, store_at(&proxy.url()).await);
    let model = builder().build().unwrap();
    ensure(&direct, &model).await;
    let key = Key::new("a").unwrap();
    let first = direct
        .save(put(&model, &key, &json!({"n": 1}), Expected::Absent))
        .await;
    let version = first.unwrap().version.unwrap();
    // The index is known before the way is cut, so that the save is the first to suffer.
    assert!(load(&cut, &model, &key).await.is_some());

    proxy.swallow_replies();
    let request = put(&model, &key, &json!({"n": 2}), version);
    let error = cut.save(request.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error:?}");
    let reading = LoadRequest::new(model.clone(), vec![key.clone()]);
    let error = cut.load(reading).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    proxy.pass();

    let now = load(&cut, &model, &key).await.unwrap();
    assert_eq!(now.write_id, Some(request.write.write_id));
    // Sent again with the same id, the write meets itself and knows it.
    let receipt = cut.save(request).await.unwrap();
    assert_eq!(receipt.version, Some(now.version));
    direct.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test]
async fn what_was_not_sent_is_unavailable() {
    let proxy = Proxy::start().await;
    let model = builder().build().unwrap();
    let direct = store().await;
    ensure(&direct, &model).await;
    // Nobody listens where this port was.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = EsStore::connect(&format!("http://{port}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Somebody listens and never answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let options = EsOptions::default().timeout(Duration::from_millis(200));
    let error = EsStore::connect_with(&url, options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    drop(proxy);
    let store = direct.clone();
    store.close().await.unwrap();
    let key = Key::new("a").unwrap();
    let error = direct
        .save(put(&model, &key, &json!({}), Expected::Any))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    support::store()
        .await
        .drop_collection(model.name().clone())
        .await
        .unwrap();
}

#[tokio::test]
async fn searches_see_a_write_after_a_refresh() {
    let store = store().await;
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    for (n, refresh) in [Refresh::Now, Refresh::WaitFor].into_iter().enumerate() {
        let key = Key::new(format!("a{n}")).unwrap();
        let mut request = put(&model, &key, &json!({"n": n}), Expected::Absent);
        request.refresh = refresh;
        store.save(request).await.unwrap();
        let found = CountRequest::new(
            model.clone(),
            Filter::eq("n", i64::try_from(n).unwrap()).unwrap(),
        );
        assert_eq!(store.count(found).await.unwrap(), 1, "{refresh:?}");
    }
    let key = Key::new("lagging").unwrap();
    store
        .save(put(&model, &key, &json!({}), Expected::Absent))
        .await
        .unwrap();
    assert!(
        load(&store, &model, &key).await.is_some(),
        "loads never lag"
    );
    assert_eq!(count(&store, &model).await, 3);
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_increment_counts() {
    let store = store().await;
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    let key = Key::new("counter").unwrap();
    store
        .save(put(&model, &key, &json!({"n": 0}), Expected::Absent))
        .await
        .unwrap();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (store, model, key) = (store.clone(), model.clone(), key.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                let patch = Patch::new().increment("n".parse().unwrap(), 1);
                let write = Write::patch(key.clone(), patch, Expected::Present);
                store
                    .save(SaveRequest::new(model.clone(), write))
                    .await
                    .unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let there = load(&store, &model, &key).await.unwrap();
    assert_eq!(there.body.to_object().unwrap()["n"], 80);
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test]
async fn bodies_come_back_as_they_were_stored() {
    let store = store().await;
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    let key = Key::new("a").unwrap();
    for text in [
        "{}",
        r#"{"":{"":1}," ":2,".":3,"..":[[{}],[]],"a.b":{"c.d":null}}"#,
        "{\r\n \"k\" :\t\"line\\nbreak\" }",
        r#"{"n":"no number","x":[],"b":7,"at":{"o":1},"tags":[[["deep"]],null,3]}"#,
        r#"{"f":1,"e":2,"k":3,"r":4,"w":5,"body":{"body":6},"_id":7,"_source":8}"#,
        r#"{"x":-0,"n":-0,"big":9223372036854775807,"tiny":5e-324,"third":0.3333333333333333}"#,
    ] {
        let wanted = Body::parse(text.to_owned()).unwrap();
        let write = Write::put(key.clone(), wanted.clone(), Expected::Any);
        store
            .save(SaveRequest::new(model.clone(), write))
            .await
            .unwrap();
        let there = load(&store, &model, &key).await.unwrap();
        assert!(
            there.body.same_value(&wanted),
            "{text}: {:?}",
            there.body.as_str()
        );
    }
    let long = json!({"k": "x".repeat(100_000), "tags": ["é".repeat(40_000)]});
    store
        .save(put(&model, &key, &long, Expected::Any))
        .await
        .unwrap();
    store.drop_collection(model.name().clone()).await.unwrap();
}

/// Documents whose fields hold every kind of value that fits and some that do not.
fn documents() -> Vec<Value> {
    vec![
        json!({}),
        json!({"k": "a", "n": 1, "x": 1.5, "b": true, "at": 0, "tags": ["a", "b"]}),
        json!({"k": "A", "n": -1, "x": -0.0, "b": false, "at": -1, "tags": []}),
        json!({"k": "ab", "n": i64::MAX, "x": 1e300, "tags": [["b"], "c"]}),
        json!({"k": "", "n": i64::MIN, "x": 0, "tags": "lone"}),
        json!({"k": null, "n": null, "tags": [null]}),
        json!({"k": 1, "n": "1", "x": "1", "b": "true", "at": "0", "tags": 1}),
        json!({"k": "ü", "o": {"größe": "L"}, "text": "Some Words", "n": 2.0}),
        json!({"k": "\u{10000}", "o": {"größe": ["S", "M"]}, "text": 7}),
        json!({"k": "\u{ffff}", "o.größe": "L"}),
    ]
}

fn filters() -> Vec<Filter> {
    let mut filters = vec![
        Filter::eq("k", "a").unwrap(),
        Filter::eq("k", "").unwrap(),
        Filter::eq("n", 2).unwrap(),
        Filter::eq("n", 1.5).unwrap(),
        Filter::eq("x", 0).unwrap(),
        Filter::eq("x", -0.0).unwrap(),
        Filter::eq("b", true).unwrap(),
        Filter::eq("at", 0).unwrap(),
        Filter::eq("tags", "b").unwrap(),
        Filter::eq("o.größe", "L").unwrap(),
        Filter::is_in("k", ["a", "ü", "none"]).unwrap(),
        Filter::is_in("n", [1, -1]).unwrap(),
        Filter::is_in("n", Vec::<i64>::new()).unwrap(),
        Filter::gt("n", 1).unwrap(),
        Filter::lt("n", -1).unwrap(),
        Filter::gte("n", 1.5).unwrap(),
        Filter::lte("n", 1e300).unwrap(),
        Filter::gt("x", 0.0).unwrap(),
        Filter::gte("x", -0.0).unwrap(),
        Filter::gt("k", "\u{fffe}").unwrap(),
        Filter::lte("k", "a").unwrap(),
        Filter::gt("b", false).unwrap(),
        Filter::lt("at", 0).unwrap(),
        Filter::prefix("k", "a").unwrap(),
        Filter::wildcard("k", "?").unwrap(),
        Filter::wildcard("k", "a*").unwrap(),
        Filter::wildcard("k", r"\**").unwrap(),
        Filter::ids(["00", "03", "none"]).unwrap(),
        Filter::Ids(Vec::new()),
        Filter::prefix("k", "").unwrap(),
        Filter::all(),
        Filter::Or(Vec::new()),
    ];
    for field in ["k", "n", "x", "b", "at", "text", "tags", "o.größe"] {
        filters.push(Filter::exists(field).unwrap());
    }
    let nots = filters.iter().cloned().map(|f| !f).collect::<Vec<_>>();
    filters.extend(nots);
    let (a, n) = (Filter::eq("k", "a").unwrap(), Filter::gt("n", 1).unwrap());
    filters.extend([
        a.clone().and(n.clone()),
        a.clone().or(n.clone()),
        !(a.or(n)),
    ]);
    filters
}

#[tokio::test]
async fn filters_mean_what_they_mean_everywhere() {
    let store = store().await;
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    let documents = documents();
    for (n, document) in documents.iter().enumerate() {
        let key = Key::new(format!("{n:02}")).unwrap();
        store
            .save(put(&model, &key, document, Expected::Absent))
            .await
            .unwrap();
    }
    store.refresh(model.name().clone()).await.unwrap();
    for filter in filters() {
        let matcher = Matcher::new(&filter, &model).unwrap();
        let wanted: Vec<String> = (0..documents.len())
            .filter(|n| {
                let key = Key::new(format!("{n:02}")).unwrap();
                matcher.matches_body(&key, &body(&documents[*n])).unwrap()
            })
            .map(|n| format!("{n:02}"))
            .collect();
        let page = store
            .find(FindRequest::new(model.clone(), filter.clone()))
            .await
            .unwrap();
        let found: Vec<&str> = page.documents.iter().map(|d| d.key.id().as_str()).collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test]
async fn the_engine_takes_filters_as_deep_as_they_are_let_through() {
    let store = store().await;
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    // The comparison that takes the most levels of the engine's.
    let mut filter = Filter::gt("n", 1).unwrap();
    let mut refused = None;
    for depth in 2..=32 {
        filter = if depth % 2 == 0 {
            Filter::And(vec![Filter::exists("n").unwrap(), filter])
        } else {
            Filter::Or(vec![Filter::exists("x").unwrap(), filter])
        };
        let mut request = FindRequest::new(model.clone(), filter.clone());
        request.routing = Some(strongroom_core::model::Routing::new("eu").unwrap());
        match store.find(request).await {
            Ok(_) => assert_eq!(refused, None, "depth {depth} after one that was refused"),
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    ErrorKind::Unsupported,
                    "depth {depth}: {error}"
                );
                refused.get_or_insert(depth);
            }
        }
    }
    assert_eq!(refused, Some(28));
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test]
async fn pages_follow_each_other() {
    let store = store().await;
    let model = builder().routed().build().unwrap();
    ensure(&store, &model).await;
    let mut keys = Vec::new();
    for n in 0..12 {
        for routing in ["eu", "us"] {
            let key = Key::routed(routing, format!("{:02}", n / 2)).unwrap();
            store
                .save(put(&model, &key, &json!({"n": n}), Expected::Any))
                .await
                .unwrap();
            keys.push(key);
        }
    }
    keys.sort();
    keys.dedup();
    store.refresh(model.name().clone()).await.unwrap();
    for limit in [1, 5, keys.len(), 10_000] {
        let mut request = FindRequest::new(model.clone(), Filter::all());
        request.limit = limit;
        let mut found = Vec::new();
        loop {
            let page = store.find(request.clone()).await.unwrap();
            found.extend(page.documents.into_iter().map(|d| d.key));
            match page.next {
                Some(next) => request.start = Some(next).into(),
                None => break,
            }
        }
        assert_eq!(found, keys, "pages of {limit}");
    }
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test]
async fn sorts_mean_what_they_mean_everywhere() {
    let store = store().await;
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    let mut all = Vec::new();
    for (n, document) in documents().into_iter().chain(documents()).enumerate() {
        let key = Key::new(format!("{n:02}")).unwrap();
        store
            .save(put(&model, &key, &document, Expected::Absent))
            .await
            .unwrap();
        all.push((key, document));
    }
    store.refresh(model.name().clone()).await.unwrap();
    for field in ["k", "n", "x", "b", "at", "tags", "o.größe"] {
        let path = || field.parse().unwrap();
        for sort in [
            Sort::ascending(path()),
            Sort::descending(path()),
            Sort::ascending(path()).missing_first(),
            Sort::descending(path()).missing_first(),
        ] {
            let sorts = vec![sort, Sort::by_id(Order::Descending)];
            let placer = Placer::new(&sorts, &model).unwrap();
            let place =
                |(key, document): &(Key, Value)| placer.place(key, document.as_object().unwrap());
            let mut wanted = all.clone();
            wanted.sort_by(|a, b| placer.compare(&place(a), &place(b)));
            let mut request = FindRequest::new(model.clone(), Filter::all());
            request.sort = sorts;
            request.limit = 3;
            let mut found = Vec::new();
            loop {
                let page = store.find(request.clone()).await.unwrap();
                found.extend(page.documents.into_iter().map(|d| d.key));
                match page.next {
                    // The cursor survives its text form.
                    Some(next) => {
                        request.start = PageStart::After(next.to_string().parse().unwrap())
                    }
                    None => break,
                }
            }
            let wanted: Vec<Key> = wanted.into_iter().map(|(key, _)| key).collect();
            assert_eq!(found, wanted, "{:?}", request.sort);
        }
    }
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test]
async fn what_answers_is_told() {
    let store = store().await;
    let info = store.server_info().await.unwrap();
    assert_eq!(info.product, "elasticsearch");
    assert!(info.version.split('.').count() == 3, "{}", info.version);
    store.ready(Duration::from_secs(30)).await.unwrap();
    let capabilities = store.capabilities();
    assert!(capabilities.search_lags && !capabilities.transactions && !capabilities.atomic_bulk);
    assert!(store.transact().is_none());
    let printed = format!("{store:?}");
    assert!(!printed.contains('@'), "{printed}");
}

#[tokio::test]
async fn a_refused_item_is_judged_before_later_items_of_its_document() {
    use strongroom_core::store::{Bulk, BulkItem, BulkRequest, Load, LoadRequest};

    let store = store().await;
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    let key = Key::new("a").unwrap();
    let put = |expected| {
        let body = Body::parse(r#"{"n":1}"#).unwrap();
        Write::put(key.clone(), body, expected)
    };
    let save = SaveRequest::new(model.clone(), put(Expected::Any));
    store.save(save).await.unwrap();
    let items = vec![
        BulkItem::Write(put(Expected::Absent)),
        BulkItem::Write(Write::delete(key.clone(), Expected::Any)),
    ];
    let reply = store.bulk(BulkRequest::new(model.clone(), items)).await;
    let outcomes = reply.unwrap().outcomes;
    let first = outcomes[0].as_ref().map_err(strongroom_core::Error::kind);
    assert_eq!(first.err(), Some(ErrorKind::AlreadyExists));
    assert!(outcomes[1].is_ok());
    let found = store.load(LoadRequest::new(model.clone(), vec![key])).await;
    assert!(found.unwrap()[0].is_none(), "created after it was deleted");
    store.drop_collection(model.name().clone()).await.unwrap();
}
