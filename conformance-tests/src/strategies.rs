//! Random documents, patches, filters and queries over the usual fields.
//!
//! Bodies fit the model: a declared field has a value of its kind, null or none, and an array only
//! where it may hold many. Patches keep them so.

pub(crate) mod queries;

use std::ops::Bound;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::patch::{Change, Patch};
use strongroom_core::query::{Filter, Order, Sort};

/// A path that is known to be allowed.
fn path(text: &'static str) -> FieldPath {
    text.parse()
        .unwrap_or_else(|e| panic!("the path {text} of a strategy is not allowed: {e}"))
}

fn keyword() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["", "a", "ab", "abc", "b", "ä", "z", "A", "%", "a_c"])
            .prop_map(str::to_owned),
        1 => "[a-c%_'\\\\ ä🦀]{0,4}",
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => -3..4_i64,
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1, -1 - (1 << 53)]),
        1 => any::<i64>(),
    ]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => prop::sample::select(vec![0.0, -0.0, 1.0, 1.5, -2.25, 3.0, 1e300, -1e300, 5e-324, 0.1]),
        1 => -100.0..100.0,
    ]
}

/// Any JSON, for fields that are not declared.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer().prop_map(Value::from),
        float().prop_map(Value::from),
        keyword().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-cä.'\" ]{0,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value, null or nothing.
fn maybe<V: Into<Value> + 'static>(
    value: impl Strategy<Value = V> + 'static,
) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        6 => value.prop_map(|v| Some(v.into())),
        1 => Just(Some(Value::Null)),
        2 => Just(None),
    ]
}

/// The body of a document.
pub(crate) fn body() -> impl Strategy<Value = Value> {
    let inner =
        (maybe(keyword()), maybe(integer())).prop_map(|(k, n)| object([("k", k), ("n", n)]));
    (
        maybe(keyword()),
        maybe(integer()),
        maybe(float()),
        maybe(any::<bool>()),
        maybe(-1_000_000_000_000..4_000_000_000_000_i64),
        maybe(vec(keyword(), 0..4)),
        maybe(inner),
        option::weighted(0.3, anything()),
    )
        .prop_map(|(k, n, x, b, at, tags, o, extra)| {
            object([
                ("k", k),
                ("n", n),
                ("x", x),
                ("b", b),
                ("at", at),
                ("tags", tags),
                ("o", o),
                ("extra", extra),
            ])
        })
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect())
}

fn change() -> impl Strategy<Value = Change> {
    let texts = || prop::sample::select(vec!["k", "o.k"]).prop_map(path);
    let integers = || prop::sample::select(vec!["n", "o.n"]).prop_map(path);
    let extras =
        || prop::sample::select(vec!["extra", "extra.a", "extra.a.b", "new"]).prop_map(path);
    let removable = vec![
        "k",
        "n",
        "x",
        "tags",
        "o",
        "o.k",
        "extra",
        "extra.a",
        "none",
        "none.deeper",
    ];
    prop_oneof![
        (texts(), keyword()).prop_map(|(p, v)| Change::Set(p, v.into())),
        (integers(), integer()).prop_map(|(p, v)| Change::Set(p, v.into())),
        float().prop_map(|v| Change::Set(path("x"), v.into())),
        vec(keyword(), 0..3).prop_map(|v| Change::Set(path("tags"), v.into())),
        (extras(), anything()).prop_map(|(p, v)| Change::Set(p, v)),
        prop::sample::select(removable).prop_map(|p| Change::Unset(path(p))),
        (integers(), integer()).prop_map(|(p, v)| Change::Increment(p, v.into())),
        float().prop_map(|v| Change::Increment(path("x"), v.into())),
        (extras(), integer()).prop_map(|(p, v)| Change::Increment(p, v.into())),
        (integers(), integer()).prop_map(|(p, v)| Change::Min(p, v.into())),
        (integers(), integer()).prop_map(|(p, v)| Change::Max(p, v.into())),
        (texts(), keyword()).prop_map(|(p, v)| Change::Max(p, v.into())),
        vec(keyword(), 0..3).prop_map(|v| {
            Change::Append(path("tags"), v.into_iter().map(Value::from).collect())
        }),
        vec(keyword(), 0..3).prop_map(|v| {
            Change::Remove(path("tags"), v.into_iter().map(Value::from).collect())
        }),
        (extras(), vec(anything(), 0..3)).prop_map(|(p, v)| Change::Append(p, v)),
        (extras(), vec(anything(), 0..3)).prop_map(|(p, v)| Change::Remove(p, v)),
        (keyword(), maybe(integer())).prop_map(|(k, n)| {
            let mut merged = Map::new();
            merged.insert("o".to_owned(), json!({"k": k, "n": n}));
            Change::Merge(None, merged)
        }),
        Just(Change::Rename(path("k"), path("o.k"))),
        Just(Change::Rename(path("o.n"), path("n"))),
        Just(Change::Rename(path("extra"), path("new.place"))),
    ]
}

/// A patch of a few changes.
pub(crate) fn patch() -> impl Strategy<Value = Patch> {
    vec(change(), 1..4).prop_map(|changes| changes.into_iter().fold(Patch::new(), Patch::with))
}

fn leaf() -> impl Strategy<Value = Filter> {
    let texts = || prop::sample::select(vec!["k", "o.k", "tags"]).prop_map(path);
    let text = || keyword().prop_map(Scalar::from);
    let numbers = || prop::sample::select(vec!["n", "o.n", "x"]).prop_map(path);
    let number = || {
        prop_oneof![
            integer().prop_map(Scalar::from),
            float().prop_map(Scalar::from)
        ]
    };
    let time = || (-10_i64..10).prop_map(|n| Scalar::from(n * 100_000_000_000));
    let any_field = vec!["k", "n", "x", "b", "at", "tags", "o.k", "o.n"];
    prop_oneof![
        equal(texts(), text()),
        equal(numbers(), number()),
        equal(Just(path("b")), any::<bool>().prop_map(Scalar::from)),
        one_of(texts(), text()),
        one_of(numbers(), number()),
        between(texts(), text()),
        between(numbers(), number()),
        between(Just(path("at")), time()),
        (texts(), keyword()).prop_map(|(field, prefix)| Filter::Prefix { field, prefix }),
        prop::sample::select(any_field).prop_map(|p| Filter::Exists { field: path(p) }),
    ]
}

fn equal(
    field: impl Strategy<Value = FieldPath>,
    value: impl Strategy<Value = Scalar>,
) -> impl Strategy<Value = Filter> {
    (field, value).prop_map(|(field, value)| Filter::Eq { field, value })
}

fn one_of(
    field: impl Strategy<Value = FieldPath>,
    value: impl Strategy<Value = Scalar>,
) -> impl Strategy<Value = Filter> {
    (field, vec(value, 0..4)).prop_map(|(field, values)| Filter::In { field, values })
}

fn between(
    field: impl Strategy<Value = FieldPath>,
    value: impl Strategy<Value = Scalar> + 'static,
) -> impl Strategy<Value = Filter> {
    let value = value.boxed();
    (field, bound(value.clone()), bound(value)).prop_map(|(field, lower, upper)| Filter::Range {
        field,
        lower,
        upper,
    })
}

fn bound(value: BoxedStrategy<Scalar>) -> impl Strategy<Value = Bound<Scalar>> {
    prop_oneof![
        2 => value.clone().prop_map(Bound::Included),
        2 => value.prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

/// A filter of a few levels, as every store answers.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    combined(leaf().boxed(), 3)
}

fn combined(leaf: BoxedStrategy<Filter>, depth: u32) -> BoxedStrategy<Filter> {
    leaf.prop_recursive(depth, 10, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Filter::And),
            vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
    .boxed()
}

/// A few sort keys.
pub(crate) fn sorts() -> impl Strategy<Value = Vec<Sort>> {
    let fields = vec!["k", "n", "x", "b", "at", "tags", "o.k", "o.n"];
    let by_field = (prop::sample::select(fields), any::<bool>(), any::<bool>()).prop_map(
        |(field, descending, first)| {
            let sort = if descending {
                Sort::descending(path(field))
            } else {
                Sort::ascending(path(field))
            };
            if first { sort.missing_first() } else { sort }
        },
    );
    let by_id = prop::sample::select(vec![Order::Ascending, Order::Descending]);
    let one = prop_oneof![8 => by_field, 1 => by_id.prop_map(Sort::by_id)];
    vec(one, 0..3)
}
