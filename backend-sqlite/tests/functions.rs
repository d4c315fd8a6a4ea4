//! Functions of the user's, in filters and in native conditions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_core::layers::{CheckLayer, Layer};
use strongroom_core::memory::{MemoryOptions, MemoryStore};
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Scalar};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Aggregation, Aggregations, Call, Filter, Functions, Sort};
use strongroom_core::store::{
    AggregateRequest, AggregateResult, BeginOptions, BulkItem, BulkRequest, CountRequest,
    EnsureRequest, FindRequest, FunctionSupport, MatchingAction, MatchingRequest, ScanRequest,
    Search, Store, Transact, Write,
};
use strongroom_core::{Error, ErrorKind};
use strongroom_sqlite::{SqliteOptions, SqliteStore};

fn model() -> Arc<Model> {
    let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
    Model::builder("things")
        .field(field("n", Kind::Integer))
        .field(field("x", Kind::Float).indexed())
        .field(field("deep.word", Kind::Keyword))
        .field(field("flag", Kind::Boolean))
        .field(field("text", Kind::Text))
        .build()
        .unwrap()
}

fn functions() -> Functions {
    Functions::new()
        .with("even", |arguments| match arguments {
            [Some(Scalar::Integer(n))] => Ok(Some(Scalar::from(n % 2 == 0))),
            [Some(other)] => Err(Error::invalid(format!("{other:?} is not\0an integer"))),
            _ => Ok(None),
        })
        .and_then(|f| {
            f.with("first", |arguments| {
                Ok(arguments.first().cloned().flatten())
            })
        })
        .and_then(|f| {
            f.with("joined", |arguments| {
                let text: String = arguments.iter().map(|a| format!("{a:?};")).collect();
                Ok(Some(Scalar::from(text.as_str())))
            })
        })
        .and_then(|f| f.with("nothing", |_| Ok(None)))
        .and_then(|f| f.with("endless", |_| Ok(Some(Scalar::from(f64::INFINITY)))))
        .and_then(|f| {
            f.with("brittle", |arguments| match arguments {
                [Some(Scalar::Integer(3))] => panic!("it broke"),
                _ => Ok(Some(Scalar::from(true))),
            })
        })
        .unwrap()
}

async fn fill(store: &dyn Store, bodies: &[Value]) {
    store.ensure(EnsureRequest::new(model())).await.unwrap();
    let items = bodies.iter().enumerate().map(|(at, body)| {
        let key = Key::new(format!("k{at}")).unwrap();
        BulkItem::Write(Write::put(key, Body::encode(body).unwrap(), Expected::Any))
    });
    let request = BulkRequest::new(model(), items.collect());
    assert!(store.bulk(request).await.unwrap().is_ok());
}

async fn in_memory(bodies: &[Value]) -> SqliteStore {
    let options = SqliteOptions::memory().functions(functions());
    let store = SqliteStore::open(options).await.unwrap();
    fill(&store, bodies).await;
    store
}

async fn in_file(bodies: &[Value]) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::file(folder.path().join("a.db")).functions(functions());
    let store = SqliteStore::open(options).await.unwrap();
    fill(&store, bodies).await;
    (folder, store)
}

async fn ids(store: &dyn Search, filter: &Filter) -> Result<Vec<String>, Error> {
    let found = store
        .find(FindRequest::new(model(), filter.clone()))
        .await?;
    let count = store
        .count(CountRequest::new(model(), filter.clone()))
        .await?;
    let ids: Vec<String> = found
        .documents
        .iter()
        .map(|d| d.key.id().as_str().to_owned())
        .collect();
    assert_eq!(count, ids.len() as u64);
    Ok(ids)
}

fn call(function: &str) -> Call {
    Call::new(function).unwrap()
}

fn of(function: &str, field: &str) -> Call {
    call(function).field(field.parse().unwrap())
}

fn numbers() -> Vec<Value> {
    (0..6).map(|n| json!({"n": n})).collect()
}

#[tokio::test]
async fn they_mean_what_the_in_memory_store_means() {
    let bodies = [
        json!({"n": 2, "x": 1, "deep": {"word": "é\u{0}"}, "flag": true, "text": "two"}),
        json!({"n": -3, "x": 1.0, "deep": {"word": "1"}, "flag": false}),
        json!({"n": null, "x": -0.0, "deep": [], "flag": 1}),
        json!({"n": i64::MAX, "x": 0.1, "deep": {"word": 5}}),
        json!({"n": i64::MIN, "x": "x", "deep": "x", "flag": null}),
        json!({"x": 9_007_199_254_740_993_i64}),
        json!({}),
    ];
    let oracle = MemoryStore::with_options(MemoryOptions::new().functions(functions()));
    fill(&oracle, &bodies).await;
    let store = in_memory(&bodies).await;
    let (_folder, file) = in_file(&bodies).await;
    let support = FunctionSupport::from(&functions());
    assert_eq!(store.capabilities().functions, support);
    let mut filters = vec![
        Filter::call(of("even", "n")),
        Filter::call_eq(of("even", "n"), false),
        Filter::call_eq(of("even", "n"), 1),
        Filter::call_eq(call("first"), "x"),
        Filter::call(call("nothing")),
        Filter::call(call("first").value(true)),
        Filter::call(call("even").call(call("first").value(4))),
        Filter::call(call("even").call(of("first", "n"))),
        Filter::gte("n", 0)
            .unwrap()
            .and(Filter::call(of("even", "n"))),
        Filter::call_eq(
            of("joined", "n")
                .value("it's \"q\"")
                .value(1.0)
                .value(-0.0)
                .value(true),
            "2;\"it's \\\"q\\\"\";1.0;-0.0;true;",
        ),
        Filter::call_eq(of("joined", "n").value("a"), "Some(2);Some(\"a\");"),
    ];
    for field in ["n", "x", "deep.word", "flag"] {
        let values: [Scalar; 9] = [
            2.into(),
            1.0.into(),
            0.into(),
            0.1.into(),
            9_007_199_254_740_992.0.into(),
            true.into(),
            false.into(),
            "é\u{0}".into(),
            "1".into(),
        ];
        for value in values {
            filters.push(Filter::call_eq(of("first", field), value));
        }
    }
    let mut matched = 0;
    for filter in filters {
        for filter in [filter.clone(), !filter] {
            let wanted = ids(&oracle, &filter).await.unwrap();
            matched += wanted.len();
            assert_eq!(ids(&store, &filter).await.unwrap(), wanted, "{filter:?}");
            assert_eq!(ids(&file, &filter).await.unwrap(), wanted, "{filter:?}");
        }
    }
    assert!(matched > 100, "the questions match too little: {matched}");
}

#[tokio::test]
async fn they_are_called_wherever_there_is_a_filter() {
    let even = Filter::call(of("even", "n"));
    let (_folder, store) = in_file(&numbers()).await;
    let buckets = Aggregations::from([(
        "even".to_owned(),
        Aggregation::Filter {
            filter: even.clone(),
            within: Aggregations::new(),
        },
    )]);
    let aggregate = AggregateRequest::new(model(), Filter::gte("n", 1).unwrap(), buckets);
    let reply = store.aggregate(aggregate).await.unwrap();
    let AggregateResult::Single(bucket) = &reply.results["even"] else {
        panic!("{reply:?}")
    };
    assert_eq!(bucket.count, 2);
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    assert_eq!(ids(&*tx, &even).await.unwrap(), ["k0", "k2", "k4"]);
    let mut request = ScanRequest::new(model(), even.clone());
    request.sort = vec![Sort::descending("n".parse().unwrap())];
    let mut scan = tx.scan(request.clone()).await.unwrap();
    assert_eq!(scan.next().await.unwrap().len(), 3);
    drop(scan);
    let patch = Patch::new().set("n".parse().unwrap(), 1);
    let matching = MatchingRequest::new(model(), even.clone(), MatchingAction::Patch(patch));
    assert_eq!(
        tx.write_matching(matching.clone()).await.unwrap().written,
        3
    );
    assert!(ids(&*tx, &even).await.unwrap().is_empty());
    tx.rollback().await.unwrap();
    let mut scan = store.scan(request).await.unwrap();
    let found = scan.next().await.unwrap();
    assert_eq!(found[0].key, Key::new("k4").unwrap());
    assert_eq!(store.write_matching(matching).await.unwrap().written, 3);
    assert!(ids(&store, &even).await.unwrap().is_empty());
    let delete = MatchingRequest::new(model(), !even, MatchingAction::Delete);
    assert_eq!(store.write_matching(delete).await.unwrap().written, 6);
}

#[tokio::test]
async fn native_conditions_call_them_by_name() {
    let store = in_memory(&numbers()).await;
    let native = |condition: &str| Filter::native("sqlite", condition, Vec::<i64>::new());
    let check = async |condition: &str, wanted: u64| {
        let count = CountRequest::new(model(), native(condition));
        assert_eq!(store.count(count).await.unwrap(), wanted, "{condition}");
    };
    check("even(d.body ->> '$.n')", 3).await;
    check(
        "joined(NULL, 1, 0.5, 'é', 1 = 1) = 'None;Some(1);Some(0.5);Some(\"é\");Some(1);'",
        6,
    )
    .await;
    check(
        "first(1 = 1) = 1 AND first() IS NULL AND even(NULL) IS NULL",
        6,
    )
    .await;
    let filter = Filter::native("sqlite", "first(?) = d.body ->> '$.n'", [2]);
    assert_eq!(ids(&store, &filter).await.unwrap(), ["k2"]);
    for (condition, words) in [
        ("first(x'00')", "first is called with a blob"),
        ("first(9e999)", "first is called with inf"),
        ("first(CAST(x'ff' AS TEXT))", "utf-8"),
    ] {
        let count = CountRequest::new(model(), native(condition));
        let error = store.count(count).await.unwrap_err();
        assert!(error.message().contains(words), "{error}");
    }
    let count = CountRequest::new(model(), native("never_there(1)"));
    assert!(
        store
            .count(count)
            .await
            .unwrap_err()
            .message()
            .contains("never_there")
    );
}

#[tokio::test]
async fn failures_are_told_and_leave_the_connection_sound() {
    let mut bodies = numbers();
    bodies.push(json!({"n": 0.5}));
    let (_folder, file) = in_file(&bodies).await;
    for store in [in_memory(&bodies).await, file] {
        for (filter, words) in [
            (
                Filter::call(of("even", "n")),
                "function even failed: 0.5 is not\u{fffd}an integer",
            ),
            (Filter::call(call("endless")), "function endless made inf"),
            (
                Filter::call(of("brittle", "n")),
                "function brittle panicked",
            ),
            (
                Filter::native("sqlite", "brittle(3)", Vec::<i64>::new()),
                "function brittle panicked",
            ),
            (
                Filter::native("sqlite", "even(0.5)", Vec::<i64>::new()),
                "function even failed: 0.5",
            ),
        ] {
            let failed = |error: Error| {
                assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
                assert!(error.message().contains(words), "{error}");
            };
            failed(ids(&store, &filter).await.unwrap_err());
            let request = ScanRequest::new(model(), filter.clone());
            failed(match store.scan(request).await {
                Ok(mut scan) => scan.next().await.unwrap_err(),
                Err(error) => error,
            });
            let delete = MatchingRequest::new(model(), filter.clone(), MatchingAction::Delete);
            failed(store.write_matching(delete.clone()).await.unwrap_err());
            let tx = store.begin(BeginOptions::new()).await.unwrap();
            failed(tx.write_matching(delete).await.unwrap_err());
            tx.rollback().await.unwrap();
            assert_eq!(ids(&store, &Filter::all()).await.unwrap().len(), 7);
        }
    }
}

#[tokio::test]
async fn what_is_not_registered_is_refused() {
    let store = in_memory(&numbers()).await;
    let filter = Filter::call(of("odd", "n"));
    let unchecked = ids(&store, &filter).await.unwrap_err();
    assert_eq!(unchecked.kind(), ErrorKind::Unsupported);
    let checked = CheckLayer::new().wrap(Arc::new(store.clone()));
    // The check comes before any input and output, of which a closed store does none.
    store.close().await.unwrap();
    let error = ids(&*checked, &filter).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("odd"), "{error}");
}

#[tokio::test]
async fn a_name_of_sqlites_own_is_refused() {
    for name in ["lower", "json", "count", "like", "row_number"] {
        let functions = Functions::new().with(name, |_| Ok(None)).unwrap();
        let options = SqliteOptions::memory().functions(functions);
        let error = SqliteStore::open(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(name), "{error}");
    }
}

/// A store of 1,000 documents with a function that takes 20 milliseconds, and how often it was
/// called.
async fn slow(options: SqliteOptions) -> (SqliteStore, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let functions = Functions::new().with("slow", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        Ok(Some(Scalar::from(true)))
    });
    let options = options.functions(functions.unwrap());
    let store = SqliteStore::open(options).await.unwrap();
    let bodies: Vec<Value> = (0..1_000).map(|n| json!({"n": n})).collect();
    fill(&store, &bodies).await;
    (store, calls)
}

/// Waits until the function is no more called, after some calls but not for all documents.
async fn ends(calls: &AtomicUsize) {
    let mut seen = calls.load(Ordering::SeqCst);
    assert!((1..60).contains(&seen), "{seen} calls");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = calls.load(Ordering::SeqCst);
        if now == seen {
            break;
        }
        assert!(Instant::now() < deadline, "calls go on");
        seen = now;
    }
    assert!(seen < 100, "{seen} calls");
}

/// A function that takes long holds up neither the task that asks nor the one that gives up.
#[tokio::test]
async fn a_dropped_question_stops_calling() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        SqliteOptions::file(folder.path().join("a.db")),
        SqliteOptions::memory(),
    ] {
        let (store, calls) = slow(options).await;
        let count = CountRequest::new(model(), Filter::call(of("slow", "n")));
        let asked = tokio::time::timeout(Duration::from_millis(200), store.count(count)).await;
        assert!(asked.is_err());
        ends(&calls).await;
    }
}

#[tokio::test]
async fn a_dropped_write_of_what_matches_stops_searching() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        SqliteOptions::file(folder.path().join("a.db")),
        SqliteOptions::memory(),
    ] {
        let (store, calls) = slow(options).await;
        let filter = Filter::call(of("slow", "n"));
        let delete = MatchingRequest::new(model(), filter, MatchingAction::Delete);
        let patience = Duration::from_millis(200);
        let dropped = tokio::time::timeout(patience, store.write_matching(delete.clone())).await;
        assert!(dropped.is_err());
        ends(&calls).await;
        calls.store(0, Ordering::SeqCst);
        let tx = store.begin(BeginOptions::new()).await.unwrap();
        let dropped = tokio::time::timeout(patience, tx.write_matching(delete)).await;
        assert!(dropped.is_err());
        ends(&calls).await;
        // Its holder is told that the transaction came to nothing.
        assert!(tx.commit().await.is_err());
        let count = CountRequest::new(model(), Filter::all());
        assert_eq!(store.count(count).await.unwrap(), 1_000);
        let again = Write::put(
            Key::new("k0").unwrap(),
            Body::encode(&json!({})).unwrap(),
            Expected::Present,
        );
        let again = BulkRequest::new(model(), vec![BulkItem::Write(again)]);
        assert!((&store as &dyn Store).bulk(again).await.unwrap().is_ok());
    }
}
