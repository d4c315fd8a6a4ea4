//! Random questions about random documents get the answers of the in-memory store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

mod support;

use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use strongroom_core::memory::{MemoryOptions, MemoryStore};
use strongroom_core::model::{FieldDeclaration, Key, Kind, Model, Scalar};
use strongroom_core::query::{
    Call, Filter, Functions, MissingValues, Order, Sort, SortTarget, SourceFilter, Words,
};
use strongroom_core::store::{CountRequest, FindRequest, Page, PageStart, Search, Store, Total};
use strongroom_sqlite::{SqliteOptions, SqliteStore};
use support::fill;

/// Field, kind, and whether it holds several values.
const FIELDS: [(&str, Kind, bool); 14] = [
    ("word", Kind::Keyword, false),
    ("deep.Word", Kind::Keyword, false),
    ("deep.word", Kind::Keyword, false),
    ("count", Kind::Integer, false),
    ("size", Kind::Float, false),
    ("flag", Kind::Boolean, false),
    ("at", Kind::Timestamp, false),
    ("words", Kind::Keyword, true),
    ("list", Kind::Nested, true),
    ("list.size", Kind::Float, true),
    ("list.word", Kind::Keyword, true),
    ("text", Kind::Text, false),
    ("texts", Kind::Text, true),
    ("list.note", Kind::Text, true),
];

/// What the two functions do that questions call: one gives its last argument back, the other
/// tells how its arguments look.
fn functions() -> Functions {
    let last = |arguments: &[Option<Scalar>]| Ok(arguments.last().cloned().flatten());
    let shown = |arguments: &[Option<Scalar>]| {
        let shown = format!("{arguments:?}");
        Ok(Some(Scalar::from(shown.as_str())))
    };
    let functions = Functions::new().with("last", last);
    functions.and_then(|f| f.with("shown", shown)).unwrap()
}

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

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{0,3}",
        Just("é".to_owned()),
        Just("e\u{301}".to_owned()),
        Just("a\u{0}b".to_owned()),
        Just("it's \"q\" \\".to_owned()),
        Just("\u{10ffff}".to_owned()),
        Just("\u{fffd}".to_owned()),
        Just("1".to_owned()),
    ]
}

/// Some words of a small vocabulary.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec("red|fox|Fox|den|\\.", 1..5).prop_map(|words| words.join(" "))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab?*]{0,4}",
        Just("*\u{301}".to_owned()),
        Just("a?b".to_owned()),
        Just(r"it's*\\".to_owned()),
        Just("%".to_owned()),
        Just("[ab]".to_owned()),
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        -3..4i64,
        Just(i64::MAX),
        Just(i64::MIN),
        Just((1 << 53) + 1),
        Just(1 << 53)
    ]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.1),
        Just(-0.0),
        Just(1.0),
        Just(1.5),
        Just(9_007_199_254_740_992.0),
        Just(1e300),
        Just(f64::MIN_POSITIVE),
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
    ]
}

/// A single value of any type, or null.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => word().prop_map(Value::from),
        3 => integer().prop_map(Value::from),
        2 => float().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn several() -> impl Strategy<Value = Value> {
    prop_oneof![
        leaf(),
        proptest::collection::vec(leaf(), 0..4).prop_map(Value::from),
    ]
}

type Members = Vec<(String, Value)>;

// Boxed throughout: the types and the stack frames of strategies grow with what they are made of.
fn member(
    name: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Members> {
    proptest::option::weighted(0.8, value)
        .prop_map(move |v| v.map(|v| (name.to_owned(), v)).into_iter().collect())
        .boxed()
}

fn object(members: Vec<BoxedStrategy<Members>>) -> BoxedStrategy<Value> {
    members
        .prop_map(|all| Value::Object(all.into_iter().flatten().collect()))
        .boxed()
}

fn document() -> BoxedStrategy<Value> {
    let deep = object(vec![member("Word", leaf()), member("word", leaf())]);
    let texts = || {
        prop_oneof![
            several(),
            text().prop_map(Value::from),
            proptest::collection::vec(text(), 0..3).prop_map(Value::from),
        ]
    };
    let element = object(vec![
        member("size", several()),
        member("word", several()),
        member("note", texts()),
    ]);
    let list = proptest::collection::vec(element, 0..3).prop_map(Value::from);
    object(vec![
        member("word", leaf()),
        member("deep", deep),
        member("count", leaf()),
        member("size", leaf()),
        member("flag", leaf()),
        member("at", leaf()),
        member("words", several()),
        member("list", list),
        member("text", prop_oneof![leaf(), text().prop_map(Value::from)]),
        member("texts", texts()),
    ])
}

fn value_for(kind: Kind) -> BoxedStrategy<Scalar> {
    match kind {
        Kind::Keyword => word().prop_map(Scalar::from).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Scalar::from).boxed(),
        Kind::Timestamp => integer().prop_map(Scalar::from).boxed(),
        _ => prop_oneof![
            integer().prop_map(Scalar::from),
            float().prop_map(Scalar::from)
        ]
        .boxed(),
    }
}

fn bound(kind: Kind) -> impl Strategy<Value = Bound<Scalar>> {
    prop_oneof![
        value_for(kind).prop_map(Bound::Included),
        value_for(kind).prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ]
}

fn comparison() -> BoxedStrategy<Filter> {
    let of_field = |at: usize| {
        let (path, kind, _) = FIELDS[at];
        let exists = Just(Filter::exists(path).unwrap()).boxed();
        if kind == Kind::Text {
            let words = prop_oneof![Just(Words::Any), Just(Words::All), Just(Words::Phrase)];
            let question = proptest::collection::vec("red|fox|den", 1..4);
            return (question, words)
                .prop_map(move |(q, words)| Filter::text(path, q.join(" "), words).unwrap())
                .boxed();
        }
        if !kind.is_comparable() {
            return exists;
        }
        let prefix = if kind == Kind::Keyword {
            let prefix = word().prop_map(move |w| Filter::prefix(path, w).unwrap());
            let wildcard = pattern().prop_map(move |p| Filter::wildcard(path, p).unwrap());
            prop_oneof![prefix, wildcard].boxed()
        } else {
            exists.clone()
        };
        prop_oneof![
            value_for(kind).prop_map(move |v| Filter::eq(path, v).unwrap()),
            proptest::collection::vec(value_for(kind), 0..4)
                .prop_map(move |v| Filter::is_in(path, v).unwrap()),
            (bound(kind), bound(kind)).prop_map(move |(a, b)| Filter::range(path, a, b).unwrap()),
            prefix,
            exists,
        ]
        .boxed()
    };
    (0..FIELDS.len()).prop_flat_map(of_field).boxed()
}

fn ids() -> BoxedStrategy<Filter> {
    proptest::collection::vec("k[0-9]", 0..4)
        .prop_map(|ids| Filter::ids(ids).unwrap())
        .boxed()
}

/// A call of a value and of fields, some within another call.
fn call() -> BoxedStrategy<Filter> {
    let single: Vec<&'static str> = FIELDS
        .iter()
        .filter(|(_, kind, many)| kind.is_comparable() && !many)
        .map(|(path, _, _)| *path)
        .collect();
    let of_fields = |function: &'static str, fields: Vec<&'static str>| {
        let call = Call::new(function).unwrap().value(1);
        fields
            .into_iter()
            .fold(call, |call, field| call.field(field.parse().unwrap()))
    };
    let fields = proptest::collection::vec(proptest::sample::select(single), 0..3);
    (fields, value_for(Kind::Float), any::<bool>(), word())
        .prop_map(move |(fields, number, within, word)| {
            if within {
                let inner = of_fields("shown", fields);
                let shown = Call::new("last").unwrap().call(inner);
                Filter::call_eq(shown, format!("[Some(1), Some({word:?})]").as_str())
            } else {
                let last = of_fields("last", fields);
                if word.is_empty() {
                    Filter::call_eq(last, number)
                } else {
                    Filter::call_eq(last, word.as_str())
                }
            }
        })
        .boxed()
}

/// A filter of one object of the list.
fn nested() -> BoxedStrategy<Filter> {
    let within = |filter: &Filter| format!("{filter:?}").contains("FieldPath(list.");
    let size = value_for(Kind::Float).prop_map(|v| Filter::eq("list.size", v).unwrap());
    let word = pattern().prop_map(|p| Filter::wildcard("list.word", p).unwrap());
    let one = prop_oneof![
        size,
        word,
        Just(Filter::exists("list.size").unwrap()),
        comparison().prop_filter("within the list", within),
    ];
    (proptest::collection::vec(one, 1..3), any::<bool>())
        .prop_map(|(all, not)| {
            let filter = Filter::And(all);
            let filter = if not { !filter } else { filter };
            Filter::nested("list", filter).unwrap()
        })
        .boxed()
}

fn filter() -> BoxedStrategy<Filter> {
    prop_oneof![8 => comparison(), 1 => ids(), 2 => nested(), 1 => call()]
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
                inner.prop_map(|f| Filter::Not(Box::new(f))),
            ]
        })
        .boxed()
}

fn sort() -> BoxedStrategy<Vec<Sort>> {
    let comparable: Vec<&'static str> = FIELDS
        .iter()
        .filter(|(_, kind, _)| kind.is_comparable())
        .map(|(path, _, _)| *path)
        .collect();
    let one = (0..=comparable.len(), any::<bool>(), any::<bool>()).prop_map(
        move |(at, descending, first)| {
            let mut sort = Sort::by_id(if descending {
                Order::Descending
            } else {
                Order::Ascending
            });
            if let Some(path) = comparable.get(at) {
                sort.target = SortTarget::Field(path.parse().unwrap());
            }
            if first {
                sort.missing = MissingValues::First;
            }
            sort
        },
    );
    proptest::collection::vec(one, 0..3).boxed()
}

/// All pages of a query from its end to its beginning, in the order of the query.
async fn pages_backwards(store: &dyn Store, request: &FindRequest) -> Vec<(Key, Value)> {
    let mut request = request.clone();
    request.start = PageStart::Last;
    let mut found = Vec::new();
    loop {
        let page: Page = store.find(request.clone()).await.unwrap();
        assert!(page.documents.len() <= request.limit);
        for document in page.documents.into_iter().rev() {
            found.push((document.key, document.body.decode().unwrap()));
        }
        match page.previous {
            Some(previous) => {
                request.start = PageStart::Before(previous.to_string().parse().unwrap());
            }
            None => break,
        }
    }
    found.reverse();
    found
}

/// All pages of a query: the documents with their keys, and the total that each page told.
async fn pages(store: &dyn Store, request: &FindRequest) -> Vec<(Key, Value)> {
    let mut request = request.clone();
    let mut found = Vec::new();
    loop {
        let page: Page = store.find(request.clone()).await.unwrap();
        let count = CountRequest::new(request.model.clone(), request.filter.clone());
        let count = store.count(count).await.unwrap();
        assert_eq!(page.total.map(|t| (t.value, t.exact)), Some((count, true)));
        assert!(page.documents.len() <= request.limit);
        for document in page.documents {
            found.push((document.key, document.body.decode().unwrap()));
        }
        match page.next {
            // The text form is what a client brings back.
            Some(next) => request.start = PageStart::After(next.to_string().parse().unwrap()),
            None => return found,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if full() { 6_000 } else { 250 }, ..ProptestConfig::default() })]

    #[test]
    fn the_same_question_gets_the_same_answer(
        bodies in proptest::collection::vec(document(), 0..12),
        questions in proptest::collection::vec((filter(), sort(), 1..6usize), 1..4),
        indexed in any::<bool>(),
        routed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let model = model(indexed, routed);
            let oracle = MemoryStore::with_options(MemoryOptions::new().functions(functions()));
            let options = SqliteOptions::memory().functions(functions());
            let store = SqliteStore::open(options).await.unwrap();
            fill(&oracle, &model, &bodies).await;
            fill(&store, &model, &bodies).await;
            for (filter, sort, limit) in questions {
                let mut request = FindRequest::new(model.clone(), filter);
                request.sort = sort;
                request.limit = limit;
                request.total = Total::Exact;
                request.source = SourceFilter::Exclude(vec!["text".parse().unwrap()]);
                let wanted = pages(&oracle, &request).await;
                let found = pages(&store, &request).await;
                prop_assert_eq!(&found, &wanted, "{:?}", request);
                for store in [&oracle as &dyn Store, &store] {
                    let backwards = pages_backwards(store, &request).await;
                    prop_assert_eq!(&backwards, &wanted, "backwards: {:?}", request);
                }
            }
            Ok(())
        });
        outcome?;
    }

    /// What is written in decimal digits is read as the same number by SQLite and by the codec.
    #[test]
    fn floats_are_found_by_their_value(numbers in proptest::collection::vec(any::<f64>(), 64)) {
        let numbers: Vec<f64> = numbers.into_iter().filter(|x| x.is_finite()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
            let model = model(false, false);
            let bodies: Vec<Value> = numbers.iter().map(|x| json!({"size": x})).collect();
            fill(&store, &model, &bodies).await;
            for number in &numbers {
                let filter = Filter::eq("size", *number).unwrap();
                let count = store.count(CountRequest::new(model.clone(), filter)).await.unwrap();
                assert!(count > 0, "{number:?} is not found");
            }
        });
    }
}

fn full() -> bool {
    std::env::var_os("STRONGROOM_FULL").is_some_and(|value| value == "1")
}
