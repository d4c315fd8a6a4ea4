//! Values of fields that may hold several, looked up in their indexes, against the in-memory store.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, Key, Kind, MAX_DEPTH, MAX_KEYWORD_BYTES, Model, Scalar,
    WriteId,
};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BulkRequest, EnsureRequest, ExplainRequest, FindRequest, Schema, Search, Store, Write,
};
use strongroom_sqlx::{PostgresOptions, PostgresStore};

/// The fields that are compared: by their names, by names through arrays of objects, and one whose
/// name would end the path that the index is made by.
const FIELDS: [(&str, Kind); 10] = [
    ("k", Kind::Keyword),
    ("b", Kind::Boolean),
    ("n", Kind::Integer),
    ("x", Kind::Float),
    ("s", Kind::ScaledFloat { factor: 100 }),
    ("at", Kind::Timestamp),
    ("it's $a", Kind::Keyword),
    ("o.k", Kind::Keyword),
    ("o.p.x", Kind::Float),
    ("o.p.at", Kind::Timestamp),
];

fn model() -> Arc<Model> {
    let mut builder = Model::builder(format!("several-{}", WriteId::random()));
    let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind).many();
    for (path, kind) in FIELDS {
        builder = builder.field(field(path, kind).indexed());
    }
    for (path, kind) in [
        ("l", Kind::Nested),
        ("l.k", Kind::Keyword),
        ("l.n", Kind::Integer),
        ("l.m", Kind::Nested),
        ("l.m.n", Kind::Integer),
    ] {
        let declared = field(path, kind);
        builder = builder.field(if kind == Kind::Nested {
            declared
        } else {
            declared.indexed()
        });
    }
    builder.build().unwrap()
}

/// A store whose server looks into indexes wherever it can, and the in-memory store.
async fn stores(model: &Arc<Model>, bodies: &[Value]) -> (PostgresStore, MemoryStore) {
    let url = support::url();
    let sign = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{sign}options[enable_seqscan]=off&options[enable_indexscan]=off");
    let options = PostgresOptions::from_url(&url).unwrap();
    let store = PostgresStore::connect(options).await.unwrap();
    let oracle = MemoryStore::new();
    for store in [&store as &dyn Store, &oracle] {
        let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created);
        let items = bodies.iter().enumerate().map(|(n, body)| {
            let body = Body::encode(body).unwrap();
            Write::put(Key::new(format!("{n}")).unwrap(), body, Expected::Absent).into()
        });
        let bulk = BulkRequest::new(model.clone(), items.collect());
        assert!(store.bulk(bulk).await.unwrap().is_ok());
    }
    (store, oracle)
}

async fn ids(store: &dyn Store, model: &Arc<Model>, filter: &Filter) -> Vec<String> {
    let mut find = FindRequest::new(model.clone(), filter.clone());
    find.limit = 1_000;
    let found = store.find(find).await.unwrap().documents;
    found.iter().map(|d| d.key.id().to_string()).collect()
}

/// Asks both stores, and tells how many documents there are.
async fn ask(
    (store, oracle): &(PostgresStore, MemoryStore),
    model: &Arc<Model>,
    filter: &Filter,
) -> usize {
    let find = FindRequest::new(model.clone(), filter.clone());
    let plan = store.explain(ExplainRequest::Find(find)).await.unwrap();
    let plan = plan.to_string();
    assert!(plan.contains("Bitmap Index Scan"), "{filter:?}: {plan}");
    let wanted = ids(oracle, model, filter).await;
    assert_eq!(ids(store, model, filter).await, wanted, "{filter:?}");
    let others = !filter.clone();
    let wanted_others = ids(oracle, model, &others).await;
    assert_eq!(
        ids(store, model, &others).await,
        wanted_others,
        "{others:?}"
    );
    wanted.len()
}

/// Values at the edges of their types, and such as look like others.
fn edges() -> Vec<Value> {
    let mut edges = vec![json!(null), json!(true), json!(false)];
    let long = |end: char| "x".repeat(MAX_KEYWORD_BYTES - 1) + &end.to_string();
    edges.extend(
        [
            "",
            "a",
            "A",
            "ä",
            "a\u{308}",
            "a\0b",
            "a\u{1}b",
            "\0",
            "\u{1}",
            "\u{1}\u{1}",
            "\u{1}\u{2}",
            "\u{10ffff}",
            "\\",
            "\"",
            "' $ [*]",
            "1",
            "1.0",
            "true",
            "null",
            &long('a'),
            &long('b'),
            // Longer than any entry of an index may be.
            &"long".repeat(1_000),
        ]
        .map(Value::from),
    );
    edges.extend(
        [
            0,
            1,
            -1,
            100,
            1 << 53,
            (1 << 53) + 1,
            -(1 << 53) - 1,
            i64::MIN,
            i64::MAX,
        ]
        .map(Value::from),
    );
    edges.extend(
        [
            -0.0,
            1.0,
            -1.0,
            0.1,
            1.5,
            100.0,
            9_007_199_254_740_992.0,
            9.3e18,
            1e16,
            1e300,
            -1e300,
            5e-324,
            f64::MAX,
        ]
        .map(Value::from),
    );
    edges
}

/// So many arrays around a value.
fn wrapped(value: &Value, arrays: usize) -> Value {
    (0..arrays).fold(value.clone(), |inner, _| json!([inner]))
}

/// The forms in which a value is one of a field, and some in which it is none.
fn forms(value: &Value) -> Vec<Value> {
    let levels = MAX_DEPTH - 3;
    let member = |k: &Value| {
        let members: [(&str, &Value); 7] = [
            ("k", k),
            ("b", k),
            ("n", k),
            ("x", k),
            ("s", k),
            ("at", k),
            ("it's $a", k),
        ];
        let mut object = serde_json::Map::new();
        for (name, value) in members {
            object.insert(name.to_owned(), value.clone());
        }
        object
    };
    let body = |k: Value, o: Value| {
        let mut object = member(&k);
        object.insert("o".to_owned(), o);
        Value::Object(object)
    };
    let o = |k: &Value, p: Value| json!({ "k": k, "p": p });
    let p = |x: &Value| json!({ "x": x, "at": x });
    vec![
        body(value.clone(), o(value, p(value))),
        body(json!([value]), json!([o(value, json!([p(value)]))])),
        body(
            json!(["other", [7, [value], null], value]),
            json!([
                [{}, o(&json!([value]), json!([[p(&json!([[value]]))], 3]))],
                null
            ]),
        ),
        // As deep as a body can be: around the value, and around the objects on the way to it.
        body(
            wrapped(value, MAX_DEPTH - 1),
            o(&wrapped(value, MAX_DEPTH - 2), p(&wrapped(value, levels))),
        ),
        body(wrapped(value, 3), wrapped(&o(value, p(value)), levels)),
        body(json!([]), o(value, wrapped(&p(value), levels))),
        // Values of other fields, and of other documents.
        body(json!({ "k": value, "n": [value] }), json!([value, [value]])),
        json!({ "z": member(value), "o": { "p": value, "z": [value] } }),
    ]
}

#[tokio::test]
async fn every_value_is_found_and_nothing_else() {
    let model = model();
    let edges = edges();
    let bodies: Vec<_> = edges.iter().flat_map(forms).collect();
    let stores = stores(&model, &bodies).await;
    for (path, kind) in FIELDS {
        let asked: Vec<Scalar> = edges
            .iter()
            .filter_map(Scalar::from_json)
            .filter(|value| kind.takes(value))
            .filter(|value| !matches!(value, Scalar::Text(t) if t.len() > MAX_KEYWORD_BYTES))
            .collect();
        let mut found = 0;
        for value in &asked {
            found += ask(&stores, &model, &Filter::eq(path, value.clone()).unwrap()).await;
        }
        assert!(found >= 4 * asked.len().min(9), "{path}: {found}");
        for several in asked.chunks(3) {
            let filter = Filter::is_in(path, several.to_vec()).unwrap();
            assert!(ask(&stores, &model, &filter).await > 0, "{filter:?}");
        }
        ask(&stores, &model, &Filter::is_in(path, asked).unwrap()).await;
    }
    let nowhere = Filter::eq("k", "nowhere").unwrap();
    assert_eq!(ask(&stores, &model, &nowhere).await, 0);
    let (store, _) = stores;
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}

#[tokio::test]
async fn objects_of_nested_fields_are_looked_up_by_their_values() {
    let model = model();
    let bodies = [
        json!({ "l": [{ "k": "a", "n": 1 }, { "k": "b", "n": 2 }] }),
        // Both values, but in different objects.
        json!({ "l": [{ "k": "a", "n": 2 }, { "k": "b", "n": 1 }] }),
        json!({ "l": [[{ "k": ["z", ["a"]], "n": [null, 1.0] }]] }),
        json!({ "l": { "k": "a", "n": 1, "m": [{ "n": 7 }, { "n": [8] }] } }),
        json!({ "l": [{ "m": { "n": 7 } }, { "k": "a", "n": "1", "m": [] }] }),
        json!({ "l": [], "k": "a" }),
    ];
    let stores = stores(&model, &bodies).await;
    let k = || Filter::eq("l.k", "a").unwrap();
    let n = || Filter::is_in("l.n", [1, 5]).unwrap();
    let m = || Filter::nested("l.m", Filter::eq("l.m.n", 7).unwrap()).unwrap();
    for (inner, found) in [
        (k().and(n()), 3),
        (k(), 5),
        (m(), 2),
        (k().and(m()), 1),
        (k().and(!n()), 2),
        (k().and(Filter::gt("l.n", 1).unwrap()), 1),
    ] {
        let filter = Filter::nested("l", inner).unwrap();
        assert_eq!(ask(&stores, &model, &filter).await, found, "{filter:?}");
        // What holds in the objects says nothing of those that must not hold there.
        let either = filter.clone().or(Filter::eq("k", "a").unwrap());
        assert_eq!(ask(&stores, &model, &either).await, found + 1, "{either:?}");
    }
    let (store, _) = stores;
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}
