//! Aggregations at their limits, in transactions, beside writers, explained and given up.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, FieldPath, Key, Kind, Model, Scalar, Timestamp,
};
use strongroom_core::query::{
    Aggregation, Aggregations, CalendarUnit, DateInterval, Filter, MAX_BUCKETS, SourceFilter,
    TermsOrder,
};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, AggregateResult, BeginOptions, Bucket, BulkRequest,
    EnsureRequest, ExplainRequest, Schema, Search, Store, Transact, Write,
};
use strongroom_sqlite::{SqliteOptions, SqliteStore};

fn path(text: &str) -> FieldPath {
    text.parse().unwrap()
}

fn model() -> Arc<Model> {
    let field = |name: &str, kind| FieldDeclaration::new(path(name), kind);
    Model::builder("sales")
        .field(field("n", Kind::Integer))
        .field(field("x", Kind::Float).indexed())
        .field(field("at", Kind::Timestamp))
        .field(field("many", Kind::Integer).many())
        .field(field("times", Kind::Timestamp).many())
        .field(field("list", Kind::Nested).many())
        .field(field("list.n", Kind::Integer).many())
        .build()
        .unwrap()
}

fn put(at: usize, body: &Value) -> Write {
    let key = Key::new(format!("k{at:06}")).unwrap();
    Write::put(key, Body::encode(body).unwrap(), Expected::Any)
}

async fn save(store: &dyn Store, bodies: impl IntoIterator<Item = Value>) {
    let items = bodies.into_iter().enumerate();
    let items = items.map(|(at, body)| put(at, &body).into()).collect();
    let mut bulk = BulkRequest::new(model(), items);
    bulk.atomic = true;
    assert!(store.bulk(bulk).await.unwrap().is_ok());
}

async fn holding(bodies: impl IntoIterator<Item = Value>) -> SqliteStore {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    store.ensure(EnsureRequest::new(model())).await.unwrap();
    save(&store, bodies).await;
    store
}

fn asked<const N: usize>(all: [(&str, Aggregation); N]) -> AggregateRequest {
    let all = all.map(|(name, one)| (name.to_owned(), one));
    AggregateRequest::new(model(), Filter::all(), all.into())
}

fn sum(field: &str) -> Aggregation {
    Aggregation::Sum { field: path(field) }
}

fn dates(field: &str, interval: DateInterval) -> Aggregation {
    Aggregation::DateHistogram {
        field: path(field),
        interval,
        within: Aggregations::new(),
    }
}

fn histogram(field: &str, interval: f64) -> Aggregation {
    Aggregation::Histogram {
        field: path(field),
        interval,
        offset: 0.0,
        within: Aggregations::new(),
    }
}

fn number(reply: &AggregateReply, name: &str) -> f64 {
    match &reply.results[name] {
        AggregateResult::Sum(sum) => *sum,
        other => panic!("{other:?}"),
    }
}

fn buckets<'r>(reply: &'r AggregateReply, name: &str) -> &'r [Bucket] {
    match &reply.results[name] {
        AggregateResult::Histogram(buckets) => buckets,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sums_beyond_their_types_do_not_fail() {
    let bodies = [i64::MAX, i64::MAX, i64::MAX].map(|n| json!({"n": n, "x": f64::MAX}));
    let store = holding(bodies).await;
    let stats = Aggregation::Stats { field: path("n") };
    let request = asked([("x", sum("x")), ("n", stats)]);
    let reply = store.aggregate(request).await.unwrap();
    assert!(number(&reply, "x") > f64::MAX);
    let AggregateResult::Stats(stats) = &reply.results["n"] else {
        panic!("{reply:?}");
    };
    #[allow(clippy::cast_precision_loss, reason = "compared with a tolerance")]
    let wanted = i64::MAX as f64;
    assert!((stats.sum / wanted - 3.0).abs() < 1e-12);
    assert!((stats.average().unwrap() / wanted - 1.0).abs() < 1e-12);
    // Infinities of both signs meet.
    let far = [1.0, 1.0, -1.0, -1.0].map(|sign| json!({"x": sign * f64::MAX}));
    let store = holding(far).await;
    let reply = store.aggregate(asked([("x", sum("x"))])).await.unwrap();
    let found = number(&reply, "x");
    assert!(!found.is_finite() || found == 0.0, "{found}");
}

#[tokio::test]
async fn histograms_have_a_most_of_buckets() {
    let fine = DateInterval::Fixed { milliseconds: 1 };
    let up_to = |n: usize| {
        let all: Vec<usize> = (0..n).collect();
        [json!({"many": all, "times": all})]
    };
    let full = holding(up_to(MAX_BUCKETS)).await;
    let more = holding(up_to(MAX_BUCKETS + 1)).await;
    for aggregation in [histogram("many", 1.0), dates("times", fine)] {
        let request = asked([("too_fine", aggregation)]);
        let reply = full.aggregate(request.clone()).await.unwrap();
        assert_eq!(buckets(&reply, "too_fine").len(), MAX_BUCKETS);
        let error = more.aggregate(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("\"too_fine\""), "{error}");
        assert!(error.message().contains("10000"), "{error}");
    }
    let store = holding([json!({"x": 1e300})]).await;
    let error = store.aggregate(asked([("far", histogram("x", 1e-300))]));
    let error = error.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("\"far\""), "{error}");
}

#[tokio::test]
async fn times_fall_into_the_intervals_of_the_core() {
    let (first, last) = (Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    let mut times = vec![first - 1, first, last, last + 1, i64::MIN, i64::MAX, 0, -1];
    // Steps of about 39 years and some milliseconds, and the days around each 29th of February.
    let steps = (0..500_i64).map(|step| first + step * 1_231_245_678_901);
    times.extend(steps.take_while(|time| *time < last));
    let day = 86_400_000;
    times.extend((-20..20).flat_map(|n| {
        let leap = 951_782_400_000 + n * 1_461 * day;
        [leap - 1, leap, leap + day - 1, leap + day]
    }));
    let store = holding(
        times
            .iter()
            .map(|time| json!({"at": time, "times": [time]})),
    )
    .await;
    let calendar = [
        CalendarUnit::Minute,
        CalendarUnit::Hour,
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
        CalendarUnit::Quarter,
        CalendarUnit::Year,
    ];
    let fixed = [1, 2, 86_400_001, 1 << 50, i64::MAX];
    let intervals = calendar.into_iter().map(DateInterval::Calendar);
    let intervals = intervals.chain(fixed.map(|milliseconds| DateInterval::Fixed { milliseconds }));
    for interval in intervals {
        let request = asked([
            ("one", dates("at", interval)),
            ("many", dates("times", interval)),
        ]);
        let reply = store.aggregate(request).await.unwrap();
        let mut wanted: Vec<i64> = times.iter().filter_map(|t| interval.floor(*t)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for name in ["one", "many"] {
            let found = buckets(&reply, name).iter().map(|b| b.key.clone());
            let wanted: Vec<_> = wanted.iter().copied().map(Scalar::from).collect();
            assert_eq!(found.collect::<Vec<_>>(), wanted, "{interval:?}");
        }
    }
}

/// A condition of the user's own may name columns without saying of what.
#[tokio::test]
async fn native_conditions_name_the_columns_of_the_document() {
    let body = |n: i64| json!({"n": n, "many": [n, n], "list": [{"n": n}]});
    let store = holding((0..4).map(body)).await;
    let by_many = Aggregation::Terms {
        field: path("many"),
        size: 1,
        order: TermsOrder::KeyAscending,
        within: [("sum".to_owned(), sum("many"))].into(),
    };
    let objects = Aggregation::Nested {
        field: path("list"),
        within: [("sum".to_owned(), sum("list.n"))].into(),
    };
    let mut request = asked([("by", by_many), ("objects", objects), ("sum", sum("many"))]);
    request.filter = Filter::native("sqlite", "id > ? AND body LIKE '{%'", ["k000001"]);
    let reply = store.aggregate(request).await.unwrap();
    assert_eq!(number(&reply, "sum"), 10.0);
    let AggregateResult::Single(objects) = &reply.results["objects"] else {
        panic!("{reply:?}");
    };
    assert_eq!(objects.count, 2);
    let AggregateResult::Terms(terms) = &reply.results["by"] else {
        panic!("{reply:?}");
    };
    assert_eq!((terms.buckets.len(), terms.other), (1, 1));
    let inside = AggregateReply::new(terms.buckets[0].results.clone());
    assert_eq!(number(&inside, "sum"), 4.0);
}

#[tokio::test]
async fn transactions_see_their_own_writes() {
    let store = holding([json!({"n": 1}), json!({"n": 2})]).await;
    let request = asked([("n", sum("n")), ("many", sum("many"))]);
    let transaction = store.begin(BeginOptions::new()).await.unwrap();
    save(&*transaction, [json!({"n": 5, "many": [1, 2]})]).await;
    let reply = transaction.aggregate(request.clone()).await.unwrap();
    assert_eq!((number(&reply, "n"), number(&reply, "many")), (7.0, 3.0));
    transaction.rollback().await.unwrap();
    let reply = store.aggregate(request.clone()).await.unwrap();
    assert_eq!((number(&reply, "n"), number(&reply, "many")), (3.0, 0.0));
    let mut elsewhere = request;
    elsewhere.model = Model::builder("nothing")
        .field(FieldDeclaration::new(path("n"), Kind::Integer))
        .field(FieldDeclaration::new(path("many"), Kind::Integer).many())
        .build()
        .unwrap();
    let error = store.aggregate(elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_statements_are_explained() {
    let store = holding([json!({"x": 1})]).await;
    let hits = Aggregation::TopHits {
        sort: Vec::new(),
        size: 1,
        source: SourceFilter::All,
    };
    let by_x = Aggregation::Terms {
        field: path("x"),
        size: 5,
        order: TermsOrder::default(),
        within: [("hits".to_owned(), hits)].into(),
    };
    let request = asked([("by", by_x), ("sum", sum("x")), ("sums", sum("many"))]);
    let explained = store.explain(ExplainRequest::Aggregate(request)).await;
    let explained = explained.unwrap().statements;
    assert_eq!(explained.len(), 4);
    assert!(explained[0].text.contains("total(d.x0)"), "{explained:?}");
    // One field with an index, and nothing else: the table is not looked at.
    let plan = explained[0].plan.join("\n");
    assert!(plan.contains("USING INDEX sales:i:x"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    let plan = explained[2].plan.join("\n");
    assert!(plan.contains("USING INDEX sales:i:x"), "{plan}");
}

/// Two sums that every state of the data makes equal are taken by two statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_results_are_of_one_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_file(folder.path().join("test.db"));
    let store = store.await.unwrap();
    store.ensure(EnsureRequest::new(model())).await.unwrap();
    let objects = vec![json!({"n": 1}); 40];
    let round = move |n: usize| {
        let objects = objects.clone();
        (0..200).map(move |_| json!({"n": n, "many": [n, 0], "list": objects}))
    };
    save(&store, round(0)).await;
    let over = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, over, round) = (store.clone(), over.clone(), round.clone());
        tokio::spawn(async move {
            let mut rounds = 0;
            while !over.load(Ordering::Relaxed) {
                rounds += 1;
                save(&store, round(rounds)).await;
            }
            rounds
        })
    };
    // The fields come in the order of their names: between the two there is time for a write.
    let request = asked([
        ("n", sum("n")),
        ("list", sum("list.n")),
        ("many", sum("many")),
    ]);
    let mut seen = std::collections::BTreeSet::new();
    let end = Instant::now() + Duration::from_secs(10);
    while seen.len() < 20 && Instant::now() < end {
        let reply = store.aggregate(request.clone()).await.unwrap();
        let n = number(&reply, "n");
        assert_eq!(n, number(&reply, "many"));
        seen.insert(n.to_bits());
    }
    over.store(true, Ordering::Relaxed);
    let rounds = writing.await.unwrap();
    assert!(seen.len() > 2, "{} states of {rounds}", seen.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_stops() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_file(folder.path().join("test.db"));
    let store = store.await.unwrap();
    store.ensure(EnsureRequest::new(model())).await.unwrap();
    save(&store, (0..5_000).map(|n| json!({"n": n, "many": [n, 1]}))).await;
    let slow = (0..990).map(|n| Filter::eq("n", -1 - n).unwrap());
    let mut request = asked([("n", sum("n")), ("many", sum("many"))]);
    request.filter = Filter::Or(slow.collect());
    let started = Instant::now();
    store.aggregate(request.clone()).await.unwrap();
    let whole = started.elapsed();
    let given_up = {
        let store = store.clone();
        tokio::spawn(async move { store.aggregate(request).await })
    };
    tokio::time::sleep(whole / 8).await;
    assert!(!given_up.is_finished());
    given_up.abort();
    // Closing waits for the reads under way, of which this is none any more.
    let started = Instant::now();
    store.close().await.unwrap();
    let rest = started.elapsed();
    assert!(rest < whole / 2, "closing took {rest:?}, all {whole:?}");
}
