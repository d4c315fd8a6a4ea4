//! What is computed over the documents that match.

use serde_json::{Map, Value, json};

use super::*;
use crate::ErrorKind::{Invalid, NotFound};
use crate::model::{FieldPath, Scalar};
use crate::query::{
    Aggregation, Aggregations, CalendarUnit, DateInterval, Filter, MAX_BUCKETS, Sort, SourceFilter,
    TermsOrder,
};
use crate::store::{
    AggregateReply, AggregateRequest, AggregateResult, AggregateResults, BeginOptions, Bucket,
    CountRequest, Search, Transact,
};

fn path(text: &str) -> FieldPath {
    text.parse().unwrap()
}

fn model() -> Arc<Model> {
    Model::builder("sales")
        .field(declared("k", Kind::Keyword).many())
        .field(declared("b", Kind::Boolean))
        .field(declared("n", Kind::Integer).many())
        .field(declared("x", Kind::Float))
        .field(declared("t", Kind::Timestamp).many())
        .field(declared("w", Kind::Text))
        .field(declared("o", Kind::Nested).many())
        .field(declared("o.k", Kind::Keyword).many())
        .field(declared("o.n", Kind::Integer).many())
        .build()
        .unwrap()
}

/// A store that holds these documents as `d0`, `d1`, ….
async fn holding(bodies: &[Value]) -> (MemoryStore, Arc<Model>) {
    let (store, model) = (MemoryStore::new(), model());
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    for (at, text) in bodies.iter().enumerate() {
        let id = format!("d{at}");
        put(&store, &model, &id, &text.to_string(), Expected::Absent)
            .await
            .unwrap();
    }
    (store, model)
}

async fn try_all(
    bodies: &[Value],
    all: impl IntoIterator<Item = (&str, Aggregation)>,
) -> Result<AggregateResults> {
    let (store, model) = holding(bodies).await;
    let all = all.into_iter().map(|(name, one)| (name.to_owned(), one));
    let request = AggregateRequest::new(model, Filter::all(), all.collect());
    store.aggregate(request).await.map(|reply| reply.results)
}

async fn one(bodies: &[Value], aggregation: Aggregation) -> AggregateResult {
    let mut results = try_all(bodies, [("a", aggregation)]).await.unwrap();
    assert_eq!(results.len(), 1);
    results.remove("a").unwrap()
}

fn terms(field: &str, size: usize, order: TermsOrder) -> Aggregation {
    Aggregation::Terms {
        field: path(field),
        size,
        order,
        within: Aggregations::new(),
    }
}

fn histogram(field: &str, interval: f64, offset: f64) -> Aggregation {
    Aggregation::Histogram {
        field: path(field),
        interval,
        offset,
        within: Aggregations::new(),
    }
}

/// Results in a form that can be compared with what is wanted.
fn shown(result: &AggregateResult) -> Value {
    let scalar = |value: &Option<Scalar>| value.as_ref().map_or(Value::Null, Value::from);
    match result {
        AggregateResult::Count(count) => json!(count),
        AggregateResult::Extreme(value) => scalar(value),
        AggregateResult::Sum(sum) => json!(sum),
        AggregateResult::Average(mean) => json!(mean),
        AggregateResult::Stats(s) => {
            json!([s.count, scalar(&s.min), scalar(&s.max), s.sum])
        }
        AggregateResult::Cardinality(number) => {
            assert_eq!(number.error, 0.0);
            json!(number.value)
        }
        AggregateResult::Terms(terms) => {
            assert_eq!(terms.error, 0);
            json!({"buckets": buckets(&terms.buckets), "other": terms.other})
        }
        AggregateResult::Histogram(all) => buckets(all),
        AggregateResult::Single(bucket) => json!([bucket.count, within(&bucket.results)]),
        AggregateResult::TopHits(documents) => documents
            .iter()
            .map(|d| json!([d.key.id().as_str(), d.body.decode::<Value>().unwrap()]))
            .collect(),
    }
}

fn buckets(all: &[Bucket]) -> Value {
    all.iter()
        .map(|b| match within(&b.results) {
            Value::Null => json!([Value::from(&b.key), b.count]),
            more => json!([Value::from(&b.key), b.count, more]),
        })
        .collect()
}

fn within(results: &AggregateResults) -> Value {
    if results.is_empty() {
        return Value::Null;
    }
    let results = results.iter().map(|(name, r)| (name.clone(), shown(r)));
    Value::Object(results.collect::<Map<_, _>>())
}

#[tokio::test]
async fn metrics_count_each_value_that_the_kind_takes() {
    let bodies = [
        json!({"n": 3, "t": 5, "w": "some words"}),
        json!({"n": [1, 1.0, null, "9", true]}),
        json!({"n": null, "w": ""}),
        json!({"n": [], "w": null}),
        json!({"n": "text", "t": 1.5}),
        json!({}),
        json!({"n": [-2.5, 3]}),
    ];
    let on = |field: &str| {
        let field = || path(field);
        [
            ("average", Aggregation::Average { field: field() }),
            ("cardinality", Aggregation::Cardinality { field: field() }),
            ("count", Aggregation::Count { field: field() }),
            ("max", Aggregation::Max { field: field() }),
            ("min", Aggregation::Min { field: field() }),
            ("stats", Aggregation::Stats { field: field() }),
            ("sum", Aggregation::Sum { field: field() }),
        ]
    };
    let results = try_all(&bodies, on("n")).await.unwrap();
    let wanted = json!({
        "average": 1.1, "cardinality": 3, "count": 4, "max": 3, "min": -2.5,
        "stats": [5, -2.5, 3, 5.5], "sum": 5.5,
    });
    assert_eq!(within(&results), wanted);
    let results = try_all(&bodies, on("t")).await.unwrap();
    // No timestamp has a fraction, but a field that holds something exists.
    let wanted = json!({
        "average": 5.0, "cardinality": 1, "count": 2, "max": 5, "min": 5,
        "stats": [1, 5, 5, 5.0], "sum": 5.0,
    });
    assert_eq!(within(&results), wanted);
    let results = try_all(&[json!({})], on("x")).await.unwrap();
    let wanted = json!({
        "average": null, "cardinality": 0, "count": 0, "max": null, "min": null,
        "stats": [0, null, null, 0.0], "sum": 0.0,
    });
    assert_eq!(within(&results), wanted);
    let words = one(&bodies, Aggregation::Count { field: path("w") }).await;
    assert_eq!(shown(&words), json!(2));
}

#[tokio::test]
async fn a_count_is_of_what_exists() {
    let bodies = [
        json!({"n": "text"}),
        json!({"n": {}}),
        json!({"n": [null]}),
        json!({"n": 1}),
    ];
    let counted = one(&bodies, Aggregation::Count { field: path("n") }).await;
    let (store, model) = holding(&bodies).await;
    let count = CountRequest::new(model, Filter::exists("n").unwrap());
    let exist = store.count(count).await.unwrap();
    assert_eq!(shown(&counted), json!(exist));
    assert_eq!(exist, 2);
}

#[tokio::test]
async fn large_integers_stay_apart() {
    let bodies = [
        json!({"n": [9_007_199_254_740_992_i64, 9_007_199_254_740_993_i64]}),
        json!({"n": 9_007_199_254_740_992.0}),
        json!({"n": [i64::MAX, i64::MIN]}),
    ];
    let result = one(&bodies, terms("n", 10, TermsOrder::KeyAscending)).await;
    let wanted = json!({"other": 0, "buckets": [
        [i64::MIN, 1], [9_007_199_254_740_992_i64, 2],
        [9_007_199_254_740_993_i64, 1], [i64::MAX, 1],
    ]});
    assert_eq!(shown(&result), wanted);
}

#[tokio::test]
async fn terms_in_each_order_with_ties_by_key() {
    let bodies = [
        json!({"k": ["a", "b", "b"]}),
        json!({"k": ["b", "é"]}),
        json!({"k": ["Z", "b", null, 7]}),
        json!({"k": "a"}),
        json!({"k": []}),
        json!({}),
    ];
    for (order, size, wanted) in [
        (
            TermsOrder::CountDescending,
            9,
            json!({"buckets": [["b", 3], ["a", 2], ["Z", 1], ["é", 1]], "other": 0}),
        ),
        (
            TermsOrder::CountDescending,
            3,
            json!({"buckets": [["b", 3], ["a", 2], ["Z", 1]], "other": 1}),
        ),
        (
            TermsOrder::CountAscending,
            3,
            json!({"buckets": [["Z", 1], ["é", 1], ["a", 2]], "other": 3}),
        ),
        (
            TermsOrder::KeyAscending,
            1,
            json!({"buckets": [["Z", 1]], "other": 6}),
        ),
        (
            TermsOrder::KeyDescending,
            2,
            json!({"buckets": [["é", 1], ["b", 3]], "other": 3}),
        ),
    ] {
        let result = one(&bodies, terms("k", size, order)).await;
        assert_eq!(shown(&result), wanted, "{order:?} {size}");
    }
    let truths = [json!({"b": true}), json!({"b": false}), json!({"b": 0})];
    let result = one(&truths, terms("b", 5, TermsOrder::KeyAscending)).await;
    let wanted = json!({"buckets": [[false, 1], [true, 1]], "other": 0});
    assert_eq!(shown(&result), wanted);
}

#[tokio::test]
async fn numbers_that_are_equal_share_a_bucket_whichever_comes_first() {
    for bodies in [
        [json!({"n": 1}), json!({"n": [1.0, 1]}), json!({"n": -0.0})],
        [json!({"n": 1.0}), json!({"n": [1, 0]}), json!({"n": 1})],
    ] {
        let result = one(&bodies, terms("n", 5, TermsOrder::KeyAscending)).await;
        let AggregateResult::Terms(terms) = result else {
            panic!("{result:?}")
        };
        let keys: Vec<_> = terms
            .buckets
            .iter()
            .map(|b| format!("{:?}", b.key))
            .collect();
        assert_eq!(keys, ["0", "1"]);
    }
}

#[tokio::test]
async fn histograms_begin_where_the_formula_says() {
    let bodies = [
        json!({"n": [0, 4, 9.99]}),
        json!({"n": 10}),
        json!({"n": [-1, -10, "x"]}),
        json!({"n": 1000}),
        json!({}),
    ];
    let result = one(&bodies, histogram("n", 10.0, 0.0)).await;
    let wanted = json!([[-10.0, 1], [0.0, 1], [10.0, 1], [1000.0, 1]]);
    assert_eq!(shown(&result), wanted);
    let AggregateResult::Histogram(buckets) = &result else {
        panic!("{result:?}")
    };
    let floats = |b: &Bucket| matches!(b.key, Scalar::Float(x) if x.is_sign_positive() || x < 0.0);
    assert!(buckets.iter().all(floats), "{buckets:?}");
    let result = one(&bodies[..2], histogram("n", 2.5, 1.0)).await;
    let wanted = json!([[-1.5, 1], [3.5, 1], [8.5, 2]]);
    assert_eq!(shown(&result), wanted);
}

#[tokio::test]
async fn date_histograms_are_keyed_by_milliseconds() {
    let day = 86_400_000_i64;
    let bodies = [
        json!({"t": [0, 1, day - 1]}),
        json!({"t": [-1, day]}),
        json!({"t": [1.5, "1970-01-01", null, i64::MAX]}),
    ];
    let dates = |interval| Aggregation::DateHistogram {
        field: path("t"),
        interval,
        within: Aggregations::new(),
    };
    let result = one(&bodies, dates(DateInterval::Calendar(CalendarUnit::Day))).await;
    assert_eq!(shown(&result), json!([[-day, 1], [0, 1], [day, 1]]));
    let result = one(&bodies, dates(DateInterval::Calendar(CalendarUnit::Year))).await;
    assert_eq!(shown(&result), json!([[-365 * day, 1], [0, 2]]));
    let result = one(&bodies, dates(DateInterval::Fixed { milliseconds: 2 })).await;
    let wanted = json!([[-2, 1], [0, 1], [day - 2, 1], [day, 1]]);
    assert_eq!(shown(&result), wanted);
}

#[tokio::test]
async fn histograms_have_a_most_of_buckets() {
    let up_to =
        |n: usize| [json!({"n": (0..n).collect::<Vec<_>>(), "t": (0..n).collect::<Vec<_>>()})];
    let dates = Aggregation::DateHistogram {
        field: path("t"),
        interval: DateInterval::Fixed { milliseconds: 1 },
        within: Aggregations::new(),
    };
    for aggregation in [histogram("n", 1.0, 0.0), dates] {
        let result = one(&up_to(MAX_BUCKETS), aggregation.clone()).await;
        assert_eq!(shown(&result).as_array().unwrap().len(), MAX_BUCKETS);
        let all = [("too_fine", aggregation)];
        let error = try_all(&up_to(MAX_BUCKETS + 1), all).await.unwrap_err();
        assert_eq!(error.kind(), Invalid);
        assert!(error.message().contains("\"too_fine\""), "{error}");
        assert!(error.message().contains("10000"), "{error}");
    }
    // Terms leave the rest out instead.
    let result = one(
        &up_to(MAX_BUCKETS + 1),
        terms("n", MAX_BUCKETS, TermsOrder::default()),
    )
    .await;
    assert_eq!(shown(&result)["other"], json!(1));
    let far = [("far", histogram("n", 1e-300, 0.0))];
    let error = try_all(&[json!({"n": 1e300})], far).await.unwrap_err();
    assert_eq!(error.kind(), Invalid);
    assert!(error.message().contains("\"far\""), "{error}");
}

#[tokio::test]
async fn buckets_hold_metrics_and_top_hits() {
    let bodies = [
        json!({"k": "a", "n": 2, "x": 0.5}),
        json!({"k": ["a", "b"], "n": 1}),
        json!({"k": "b"}),
        json!({"k": "a", "n": 2, "x": 1}),
        json!({"n": 7}),
    ];
    let hits = Aggregation::TopHits {
        sort: vec![Sort::descending(path("n"))],
        size: 2,
        source: SourceFilter::include([path("n")]),
    };
    let within = Aggregations::from([
        ("hits".to_owned(), hits.clone()),
        ("sum".to_owned(), Aggregation::Sum { field: path("n") }),
    ]);
    let by_k = Aggregation::Terms {
        field: path("k"),
        size: 5,
        order: TermsOrder::KeyAscending,
        within: within.clone(),
    };
    let wanted = json!({"other": 0, "buckets": [
        ["a", 3, {"hits": [["d0", {"n": 2}], ["d3", {"n": 2}]], "sum": 5.0}],
        ["b", 2, {"hits": [["d1", {"n": 1}], ["d2", {}]], "sum": 1.0}],
    ]});
    assert_eq!(shown(&one(&bodies, by_k).await), wanted);
    let filtered = Aggregation::Filter {
        filter: Filter::exists("x").unwrap(),
        within: within.clone(),
    };
    let wanted = json!([2, {"hits": [["d0", {"n": 2}], ["d3", {"n": 2}]], "sum": 4.0}]);
    assert_eq!(shown(&one(&bodies, filtered).await), wanted);
    let none = Aggregation::Filter {
        filter: Filter::eq("k", "nobody").unwrap(),
        within,
    };
    assert_eq!(
        shown(&one(&bodies, none).await),
        json!([0, {"hits": [], "sum": 0.0}])
    );
    let wanted = json!([["d4", {"n": 7}], ["d0", {"n": 2}]]);
    assert_eq!(shown(&one(&bodies, hits).await), wanted);
}

#[tokio::test]
async fn objects_of_a_nested_field_are_counted_themselves() {
    let bodies = [
        json!({"o": [{"n": 1}, {"n": [2, 3]}, null, 5, {}]}),
        json!({"o": {"n": 10, "k": "x"}}),
        json!({"o": []}),
        json!({}),
    ];
    let by_n = Aggregation::Nested {
        field: path("o"),
        within: Aggregations::from([
            (
                "count".to_owned(),
                Aggregation::Count { field: path("o.n") },
            ),
            ("sum".to_owned(), Aggregation::Sum { field: path("o.n") }),
            (
                "k".to_owned(),
                Aggregation::Cardinality { field: path("o.k") },
            ),
        ]),
    };
    let wanted = json!([4, {"count": 3, "k": 1, "sum": 16.0}]);
    assert_eq!(shown(&one(&bodies, by_n).await), wanted);
    // As fields like any other they belong to the document.
    let counted = one(&bodies, Aggregation::Count { field: path("o.n") }).await;
    assert_eq!(shown(&counted), json!(2));
}

#[tokio::test]
async fn only_what_matches_and_on_transactions_too() {
    let (store, model) = holding(&[json!({"n": 1}), json!({"n": 2}), json!({"n": 4})]).await;
    let sum = Aggregations::from([("sum".to_owned(), Aggregation::Sum { field: path("n") })]);
    let request = AggregateRequest::new(model.clone(), Filter::gt("n", 1).unwrap(), sum);
    let sum_of = |reply: AggregateReply| shown(&reply.results["sum"]);
    let before = store.aggregate(request.clone()).await.unwrap();
    assert_eq!(sum_of(before), json!(6.0));
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    put(&*tx, &model, "d9", r#"{"n":8}"#, Expected::Absent)
        .await
        .unwrap();
    let own = tx.aggregate(request.clone()).await.unwrap();
    assert_eq!(sum_of(own), json!(14.0));
    let beside = store.aggregate(request.clone()).await.unwrap();
    assert_eq!(sum_of(beside), json!(6.0));
    let mut wrong = request.clone();
    wrong.aggregations = Aggregations::new();
    assert_eq!(kind(store.aggregate(wrong).await), Invalid);
    let mut wrong = request;
    wrong.model = Model::builder("other")
        .field(declared("n", Kind::Integer))
        .build()
        .unwrap();
    assert_eq!(kind(store.aggregate(wrong).await), NotFound);
}
