//! Random aggregations over random documents get the results of the in-memory store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{FieldDeclaration, FieldPath, Key, Kind, Model, RawDocument, Routing};
use strongroom_core::query::{
    Aggregation, Aggregations, CalendarUnit, DateInterval, Filter, Sort, SourceFilter, TermsOrder,
};
use strongroom_core::store::{
    AggregateRequest, AggregateResult, AggregateResults, BeginOptions, Bucket, Search, Store,
};
use strongroom_sqlite::{SqliteOptions, SqliteStore};
use support::fill;

/// Field, kind, and whether it holds several values.
const FIELDS: [(&str, Kind, bool); 14] = [
    ("word", Kind::Keyword, false),
    ("count", Kind::Integer, false),
    ("deep.Size", Kind::Float, false),
    ("flag", Kind::Boolean, false),
    ("at", Kind::Timestamp, false),
    ("text", Kind::Text, false),
    ("words", Kind::Keyword, true),
    ("counts", Kind::Integer, true),
    ("flags", Kind::Boolean, true),
    ("times", Kind::Timestamp, true),
    ("list", Kind::Nested, true),
    ("list.size", Kind::Float, true),
    ("list.word", Kind::Keyword, true),
    ("list.at", Kind::Timestamp, true),
];

fn model(indexed: bool, routed: bool) -> Arc<Model> {
    let mut builder = Model::builder("things");
    if routed {
        builder = builder.routed();
    }
    for (path, kind, many) in FIELDS {
        let mut field = FieldDeclaration::new(path.parse().unwrap(), kind);
        if many {
            field = field.many();
        }
        if indexed {
            field = field.indexed();
        }
        builder = builder.field(field);
    }
    builder.build().unwrap()
}

/// A value of any type, or null. The numbers of tame ones can be added without losing the small.
fn leaf(tame: bool) -> BoxedStrategy<Value> {
    let words = select(vec![
        "",
        "a",
        "b",
        "B",
        "é",
        "e\u{301}",
        "a\u{0}b",
        "\u{10ffff}",
        "1",
    ]);
    let whole = -3..4i64;
    let part = select(vec![0.5, -0.0, 1.0, 2.25, -3.75, 1e3]);
    let time = prop_oneof![
        -4_000_000_000_000..4_000_000_000_000i64,
        select(vec![
            0,
            -1,
            951_782_400_000,
            1_704_067_199_999,
            -62_135_596_800_001
        ]),
    ];
    let other = prop_oneof![
        2 => words.prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    if tame {
        return prop_oneof![
            3 => whole.prop_map(Value::from),
            2 => part.prop_map(Value::from),
            2 => time.prop_map(Value::from),
            3 => other,
        ]
        .boxed();
    }
    let huge = prop_oneof![
        select(vec![
            i64::MAX,
            i64::MIN,
            i64::MAX - 1,
            (1 << 53) + 1,
            1 << 53
        ])
        .prop_map(Value::from),
        // The first and the last timestamp, and their neighbours.
        select(vec![
            -377_705_023_201_000,
            -377_705_023_201_001,
            253_402_207_200_000,
            253_402_207_200_001i64,
        ])
        .prop_map(Value::from),
        select(vec![
            9_007_199_254_740_992.0,
            1e18,
            1e300,
            -1e300,
            f64::MAX,
            f64::MIN_POSITIVE
        ])
        .prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(Value::from),
    ];
    prop_oneof![
        2 => whole.prop_map(Value::from),
        1 => part.prop_map(Value::from),
        1 => time.prop_map(Value::from),
        2 => huge,
        3 => other,
    ]
    .boxed()
}

fn several(tame: bool) -> BoxedStrategy<Value> {
    let some = || proptest::collection::vec(leaf(tame), 0..4).prop_map(Value::from);
    let deeper = proptest::collection::vec(prop_oneof![leaf(tame), some()], 0..3);
    prop_oneof![2 => leaf(tame), 2 => some(), 1 => deeper.prop_map(Value::from)].boxed()
}

/// An object that has most of these members.
fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| {
            proptest::option::weighted(0.8, value)
                .prop_map(move |v| v.map(|v| (name.to_owned(), v)))
        })
        .collect();
    members
        .prop_map(|all| Value::Object(all.into_iter().flatten().collect()))
        .boxed()
}

fn document(tame: bool) -> BoxedStrategy<Value> {
    let one = || leaf(tame);
    let element = object(vec![
        ("size", several(tame)),
        ("word", several(tame)),
        ("at", several(tame)),
    ]);
    let element = prop_oneof![5 => element, 1 => leaf(tame)];
    let list = prop_oneof![
        3 => proptest::collection::vec(element.clone(), 0..3).prop_map(Value::from),
        1 => element,
    ];
    object(vec![
        ("word", one()),
        ("count", one()),
        ("deep", object(vec![("Size", one())])),
        ("flag", one()),
        ("at", one()),
        ("text", one()),
        ("words", several(tame)),
        ("counts", several(tame)),
        ("flags", several(tame)),
        ("times", several(tame)),
        ("list", list.boxed()),
    ])
}

/// The fields that a condition picks, outside of nested ones or within.
fn fields(pick: fn(Kind) -> bool, within: bool) -> BoxedStrategy<FieldPath> {
    let all = FIELDS
        .iter()
        .filter(|(path, kind, _)| pick(*kind) && (!within || path.starts_with("list.")))
        .map(|(path, _, _)| path.parse().unwrap());
    select(all.collect::<Vec<FieldPath>>()).boxed()
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Float | Kind::Timestamp)
}

fn metric(within: bool) -> BoxedStrategy<Aggregation> {
    let number = || fields(is_number, within);
    prop_oneof![
        fields(|_| true, within).prop_map(|field| Aggregation::Count { field }),
        number().prop_map(|field| Aggregation::Min { field }),
        number().prop_map(|field| Aggregation::Max { field }),
        number().prop_map(|field| Aggregation::Sum { field }),
        number().prop_map(|field| Aggregation::Average { field }),
        number().prop_map(|field| Aggregation::Stats { field }),
        fields(Kind::is_comparable, within).prop_map(|field| Aggregation::Cardinality { field }),
    ]
    .boxed()
}

fn hits() -> BoxedStrategy<Aggregation> {
    let one = (
        fields(Kind::is_comparable, false),
        any::<bool>(),
        any::<bool>(),
    );
    let one = one.prop_map(|(field, descending, first)| {
        let sort = if descending {
            Sort::descending(field)
        } else {
            Sort::ascending(field)
        };
        if first { sort.missing_first() } else { sort }
    });
    let source = select(vec![
        SourceFilter::All,
        SourceFilter::Include(vec!["word".parse().unwrap(), "deep.*".parse().unwrap()]),
        SourceFilter::Exclude(vec!["list.size".parse().unwrap()]),
    ]);
    (proptest::collection::vec(one, 0..3), 1..4usize, source)
        .prop_map(|(sort, size, source)| Aggregation::TopHits { sort, size, source })
        .boxed()
}

fn named(
    one: impl Strategy<Value = Aggregation>,
    most: usize,
) -> impl Strategy<Value = Aggregations> {
    let name = select(vec!["x", "y", "it's \"z\"", "", "ö"]).prop_map(|name| format!("{name}!"));
    proptest::collection::btree_map(name, one, 0..=most)
}

fn filter() -> BoxedStrategy<Filter> {
    select(vec![
        Filter::all(),
        Filter::gt("count", 0).unwrap(),
        Filter::exists("words").unwrap(),
        !Filter::eq("flag", true).unwrap(),
        Filter::eq("words", "a").unwrap(),
        Filter::nested("list", Filter::exists("list.size").unwrap()).unwrap(),
        Filter::is_in("word", ["a", "b", "B"]).unwrap(),
        Filter::ids(["k1", "k2", "k3", "k4"]).unwrap(),
        Filter::eq("word", "nobody").unwrap(),
    ])
    .boxed()
}

fn interval() -> BoxedStrategy<DateInterval> {
    let calendar = select(vec![
        CalendarUnit::Minute,
        CalendarUnit::Hour,
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
        CalendarUnit::Quarter,
        CalendarUnit::Year,
    ]);
    let fixed = select(vec![1, 7, 86_400_001, 1 << 40, i64::MAX]);
    prop_oneof![
        3 => calendar.prop_map(DateInterval::Calendar),
        1 => fixed.prop_map(|milliseconds| DateInterval::Fixed { milliseconds }),
    ]
    .boxed()
}

fn buckets() -> BoxedStrategy<Aggregation> {
    let inner = || named(prop_oneof![3 => metric(false), 1 => hits()], 3);
    let order = select(vec![
        TermsOrder::CountDescending,
        TermsOrder::CountAscending,
        TermsOrder::KeyAscending,
        TermsOrder::KeyDescending,
    ]);
    let size = prop_oneof![1..4usize, Just(1_000)];
    let numbers = fields(|kind| matches!(kind, Kind::Integer | Kind::Float), false);
    let width = select(vec![1.0, 0.5, 2.5, 1e6, 1e300]);
    let offset = select(vec![0.0, 1.0, -0.25, 1e17]);
    prop_oneof![
        3 => (fields(Kind::is_comparable, false), size, order, inner()).prop_map(
            |(field, size, order, within)| Aggregation::Terms { field, size, order, within }
        ),
        1 => (numbers, width, offset, inner()).prop_map(
            |(field, interval, offset, within)| Aggregation::Histogram { field, interval, offset, within }
        ),
        2 => (fields(|kind| kind == Kind::Timestamp, false), interval(), inner()).prop_map(
            |(field, interval, within)| Aggregation::DateHistogram { field, interval, within }
        ),
        1 => (filter(), inner()).prop_map(|(filter, within)| Aggregation::Filter { filter, within }),
        1 => named(metric(true), 3).prop_map(|within| Aggregation::Nested {
            field: "list".parse().unwrap(),
            within,
        }),
    ]
    .boxed()
}

fn question() -> BoxedStrategy<(Filter, bool, Aggregations)> {
    let one = prop_oneof![4 => metric(false), 4 => buckets(), 1 => hits()];
    let all = named(one, 4).prop_filter("some", |all| !all.is_empty());
    (filter(), any::<bool>(), all).boxed()
}

/// What all numbers in some bodies come to without their signs.
fn weight(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap().abs(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.values().map(weight).sum(),
        _ => 0.0,
    }
}

/// Compares results, sums as far as the weight of the numbers lets them be told apart.
struct Compared {
    weight: f64,
}

impl Compared {
    fn all(&self, found: &AggregateResults, wanted: &AggregateResults) -> bool {
        let names = found.keys().eq(wanted.keys());
        names
            && found
                .values()
                .zip(wanted.values())
                .all(|(f, w)| self.one(f, w))
    }

    fn one(&self, found: &AggregateResult, wanted: &AggregateResult) -> bool {
        use AggregateResult::{
            Average, Cardinality, Count, Extreme, Histogram, Single, Stats, Sum, Terms, TopHits,
        };
        match (found, wanted) {
            (Count(f), Count(w)) => f == w,
            (Extreme(f), Extreme(w)) => f == w,
            (Sum(f), Sum(w)) => self.sums(*f, *w),
            (Average(None), Average(None)) => true,
            (Average(Some(f)), Average(Some(w))) => self.sums(*f, *w),
            (Stats(f), Stats(w)) => {
                f.count == w.count && f.min == w.min && f.max == w.max && self.sums(f.sum, w.sum)
            }
            (Cardinality(f), Cardinality(w)) => f == w,
            (Terms(f), Terms(w)) => {
                f.other == w.other && f.error == w.error && self.buckets(&f.buckets, &w.buckets)
            }
            (Histogram(f), Histogram(w)) => self.buckets(f, w),
            (Single(f), Single(w)) => f.count == w.count && self.all(&f.results, &w.results),
            (TopHits(f), TopHits(w)) => hits_of(f) == hits_of(w),
            _ => false,
        }
    }

    fn buckets(&self, found: &[Bucket], wanted: &[Bucket]) -> bool {
        // The forms of the keys are compared as well: 1 is another than 1.0.
        let same = |(f, w): (&Bucket, &Bucket)| {
            f.count == w.count
                && format!("{:?}", f.key) == format!("{:?}", w.key)
                && self.all(&f.results, &w.results)
        };
        found.len() == wanted.len() && found.iter().zip(wanted).all(same)
    }

    fn sums(&self, found: f64, wanted: f64) -> bool {
        // Where the numbers leave the range, the order in which they are added decides.
        !self.weight.is_finite() || (found - wanted).abs() <= self.weight * 1e-12
    }
}

fn hits_of(documents: &[RawDocument]) -> Vec<(Key, Value)> {
    let hits = documents.iter();
    hits.map(|d| (d.key.clone(), d.body.decode().unwrap()))
        .collect()
}

async fn check(
    store: &dyn Store,
    oracle: &MemoryStore,
    request: &AggregateRequest,
    compared: &Compared,
) -> Result<(), TestCaseError> {
    let wanted = oracle.aggregate(request.clone()).await;
    let found = store.aggregate(request.clone()).await;
    match (&found, &wanted) {
        (Ok(found), Ok(wanted)) => prop_assert!(
            compared.all(&found.results, &wanted.results),
            "{:#?}\nfound  {:#?}\nwanted {:#?}",
            request.aggregations,
            found.results,
            wanted.results
        ),
        (Err(found), Err(wanted)) => {
            prop_assert_eq!(found.kind(), wanted.kind());
        }
        _ => prop_assert!(false, "{request:#?}\nfound  {found:#?}\nwanted {wanted:#?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if full() { 5_000 } else { 200 }, ..ProptestConfig::default() })]

    #[test]
    fn the_same_aggregations_have_the_same_results(
        bodies in any::<bool>().prop_flat_map(|tame| proptest::collection::vec(document(tame), 0..14)),
        questions in proptest::collection::vec(question(), 1..5),
        indexed in any::<bool>(),
        routed in any::<bool>(),
        in_transaction in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let model = model(indexed, routed);
            let oracle = MemoryStore::new();
            let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
            fill(&oracle, &model, &bodies).await;
            fill(&store, &model, &bodies).await;
            let compared = Compared { weight: bodies.iter().map(weight).sum() };
            for (filter, one_routing, aggregations) in questions {
                let mut request = AggregateRequest::new(model.clone(), filter, aggregations);
                if routed && one_routing {
                    request.routing = Some(Routing::new("r1").unwrap());
                }
                if in_transaction {
                    let transaction = store.transact().unwrap().begin(BeginOptions::new()).await.unwrap();
                    check(&*transaction, &oracle, &request, &compared).await?;
                } else {
                    check(&store, &oracle, &request, &compared).await?;
                }
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

fn full() -> bool {
    std::env::var_os("STRONGROOM_FULL").is_some_and(|value| value == "1")
}
