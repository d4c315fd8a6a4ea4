//! What the server makes of values that its own functions and types would change.

use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query::query;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnectOptions};
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Scalar, WriteId};
use strongroom_core::query::{Aggregation, Aggregations, Filter, Sort, TermsOrder, Words};
use strongroom_core::store::{
    AggregateRequest, AggregateResult, Bulk, BulkRequest, CountRequest, EnsureRequest, FindRequest,
    Load, LoadRequest, PageStart, Schema, Search, Write,
};
use strongroom_sql::mariadb::{number_key, number_of_key};
use strongroom_sqlx::MariaDbStore;

use crate::support;

struct Values {
    store: MariaDbStore,
    model: Arc<Model>,
}

fn field(path: &str, kind: Kind) -> FieldDeclaration {
    FieldDeclaration::new(path.parse().unwrap(), kind)
}

impl Values {
    /// Documents `0`, `1`, … with these bodies.
    async fn new(fields: Vec<FieldDeclaration>, bodies: &[String]) -> Self {
        let store = support::store().await;
        let mut builder = Model::builder(format!("values-{}", WriteId::random()));
        for field in fields {
            builder = builder.field(field);
        }
        let model = builder.build().unwrap();
        let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created);
        let items = bodies.iter().enumerate().map(|(n, body)| {
            let body = Body::parse(body.clone()).unwrap();
            Write::put(Key::new(n.to_string()).unwrap(), body, Expected::Absent).into()
        });
        let bulk = BulkRequest::new(model.clone(), items.collect());
        assert!(store.bulk(bulk).await.unwrap().is_ok());
        Self { store, model }
    }

    async fn count(&self, filter: Filter) -> u64 {
        let request = CountRequest::new(self.model.clone(), filter);
        self.store.count(request).await.unwrap()
    }

    async fn done(self) {
        let name = self.model.name().clone();
        assert!(self.store.drop_collection(name).await.unwrap());
    }
}

#[tokio::test]
async fn numbers_have_the_keys_that_they_are_compared_by() {
    let mut random = WriteId::random().as_bytes().iter().fold(0_u64, |n, b| {
        n.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*b)
    });
    let mut next = || {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        random ^ (random >> 29)
    };
    let mut numbers: Vec<Scalar> = Vec::new();
    for _ in 0..400 {
        let float = f64::from_bits(next());
        if float.is_finite() {
            numbers.push(float.into());
        }
        let integer = next().cast_signed();
        numbers.push((integer >> (next() % 64)).into());
    }
    for exact in [
        i64::MIN,
        i64::MAX,
        1 << 53,
        (1 << 53) + 1,
        -(1 << 53) - 1,
        0,
    ] {
        numbers.push(exact.into());
    }
    for float in [
        0.0,
        -0.0,
        5e-324,
        f64::MAX,
        f64::MIN,
        0.1,
        -1.5,
        1e16,
        9.3e18,
    ] {
        numbers.push(float.into());
    }
    let bodies: Vec<_> = numbers
        .iter()
        .map(|n| {
            format!(
                r#"{{"n":{0},"m":[{0}]}}"#,
                serde_json::to_string(n).unwrap()
            )
        })
        .collect();
    let fields = vec![
        field("n", Kind::Integer).indexed(),
        field("m", Kind::Float).many(),
    ];
    let values = Values::new(fields, &bodies).await;
    let options: MySqlConnectOptions = support::url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let select = format!("SELECT id, `f:n` FROM `{}`", values.model.name());
    let rows = query::<MySql>(AssertSqlSafe(select))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(rows.len(), numbers.len());
    for row in rows {
        let id: Vec<u8> = row.get(0);
        let at: usize = std::str::from_utf8(&id).unwrap().parse().unwrap();
        let number = numbers.get(at).unwrap();
        let key: &[u8] = row.try_get_unchecked(1).unwrap();
        let key = std::str::from_utf8(key).unwrap();
        assert_eq!(key, number_key(number), "{number:?}");
        assert_eq!(number_of_key(key).as_ref(), Some(number));
    }
    for number in numbers.iter().step_by(40) {
        let equal = numbers.iter().filter(|other| *other == number).count();
        for field in ["n", "m"] {
            let found = values.count(Filter::eq(field, number.clone()).unwrap());
            assert_eq!(found.await, equal as u64, "{field} {number:?}");
        }
    }
    values.done().await;
}

#[tokio::test]
async fn texts_compare_as_bytes() {
    let texts = [
        "a", "a ", "A", "ä", "a\u{308}", "ß", "ss", "\u{ff5e}", "😀", "", " ", "a\0", "a\0b", "%",
        "a_b", "\\",
    ];
    let bodies: Vec<_> = texts
        .iter()
        .map(|t| {
            let text = serde_json::to_string(t).unwrap();
            format!(r#"{{"k":{text},"u":{text},"m":[{text}]}}"#)
        })
        .collect();
    let fields = vec![
        field("k", Kind::Keyword).indexed(),
        field("u", Kind::Keyword),
        field("m", Kind::Keyword).many(),
    ];
    let values = Values::new(fields, &bodies).await;
    let mut sorted = texts;
    sorted.sort_unstable();
    for field in ["k", "u", "m"] {
        for text in texts {
            assert_eq!(
                values.count(Filter::eq(field, text).unwrap()).await,
                1,
                "{field} {text:?}"
            );
        }
        let mut request = FindRequest::new(values.model.clone(), Filter::all());
        request.sort = vec![Sort::ascending(field.parse().unwrap())];
        let page = values.store.find(request).await.unwrap();
        let ids: Vec<_> = page.documents.iter().map(|d| d.key.id().as_str()).collect();
        let wanted = sorted.map(|text| texts.iter().position(|t| *t == text).unwrap().to_string());
        assert_eq!(ids, wanted, "{field}");
    }
    values.done().await;
}

#[tokio::test]
async fn long_texts_are_stored_and_found() {
    let long = |last: &str| format!("{}{last}", "k".repeat(1_023));
    let texts = [
        long("a"),
        long("aa"),
        long("ä"),
        long("😀"),
        "😀".repeat(2_000),
        format!("{}ä", "x".repeat(1_027)),
        format!("{}ä", "y".repeat(1_024)),
        "z".repeat(100_000),
    ];
    let bodies: Vec<_> = texts.iter().map(|t| format!(r#"{{"k":"{t}"}}"#)).collect();
    let values = Values::new(vec![field("k", Kind::Keyword).indexed()], &bodies).await;
    let equal = Filter::eq("k", texts.first().unwrap().as_str()).unwrap();
    assert_eq!(values.count(equal).await, 1);
    let behind = Filter::gt("k", texts.first().unwrap().as_str()).unwrap();
    assert_eq!(values.count(behind).await, 7);
    let mut request = FindRequest::new(values.model.clone(), Filter::all());
    request.sort = vec![Sort::ascending("k".parse().unwrap())];
    request.limit = 1;
    let mut found = Vec::new();
    loop {
        let page = values.store.find(request.clone()).await.unwrap();
        found.extend(
            page.documents
                .iter()
                .map(|d| d.key.id().as_str().to_owned()),
        );
        assert!(found.len() <= texts.len(), "{found:?}");
        let Some(next) = page.next else { break };
        request.start = PageStart::After(next);
    }
    assert_eq!(found, ["0", "1", "2", "3", "5", "6", "7", "4"]);
    values.done().await;
}

#[tokio::test]
async fn deep_bodies_and_escaped_names() {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let bodies = [
        format!(r#"{{"deep":{},"k":"behind","n":7}}"#, deep(31)),
        format!(r#"{{"n":7,"k":"before","deep":{}}}"#, deep(31)),
        format!(r#"{{"n":7,"ns":{}}}"#, deep(30)),
        r#"{"\u006b":"escaped","\u006e" : 7}"#.to_owned(),
        format!(r#"{{"n":7,"ns":{}}}"#, deep(31)),
    ];
    let fields = vec![
        field("k", Kind::Keyword).indexed(),
        field("n", Kind::Integer),
        field("ns", Kind::Integer).many(),
    ];
    let values = Values::new(fields, &bodies).await;
    for text in ["behind", "before", "escaped"] {
        assert_eq!(
            values.count(Filter::eq("k", text).unwrap()).await,
            1,
            "{text}"
        );
    }
    assert_eq!(values.count(Filter::eq("n", 7).unwrap()).await, 5);
    assert!(values.count(Filter::eq("ns", 1).unwrap()).await >= 1);
    let page = FindRequest::new(values.model.clone(), Filter::all());
    let page = values.store.find(page).await.unwrap();
    for (found, body) in page.documents.iter().zip(&bodies) {
        let body = Body::parse(body.clone()).unwrap();
        assert!(found.body.same_value(&body), "{}", found.key.id());
    }
    values.done().await;
}

#[tokio::test]
async fn sums_beyond_the_range_are_infinite_and_words_are_whole() {
    let bodies = [
        r#"{"x":1.7e308,"w":"The red_fox; isn't RED"}"#.to_owned(),
        r#"{"x":1.7e308,"w":"und der die the a"}"#.to_owned(),
    ];
    let fields = vec![field("x", Kind::Float), field("w", Kind::Text)];
    let values = Values::new(fields, &bodies).await;
    for (asked, words, count) in [
        ("fox", Words::Any, 1),
        ("red fox", Words::Phrase, 1),
        ("t red", Words::Phrase, 1),
        ("re", Words::Any, 0),
        // Words that the server's own index leaves out.
        ("the", Words::All, 2),
        ("a", Words::All, 1),
    ] {
        let filter = Filter::text("w", asked, words).unwrap();
        assert_eq!(values.count(filter).await, count, "{asked}");
    }
    let sum = Aggregation::Sum {
        field: "x".parse().unwrap(),
    };
    let terms = Aggregation::Terms {
        field: "x".parse().unwrap(),
        size: 3,
        order: TermsOrder::default(),
        within: Aggregations::from([("sum".to_owned(), sum.clone())]),
    };
    let all = Aggregations::from([("sum".to_owned(), sum), ("terms".to_owned(), terms)]);
    let request = AggregateRequest::new(values.model.clone(), Filter::all(), all);
    let reply = values.store.aggregate(request).await.unwrap();
    assert!(
        matches!(reply.results.get("sum"), Some(AggregateResult::Sum(sum)) if *sum == f64::INFINITY),
        "{reply:?}"
    );
    values.done().await;
}

#[tokio::test]
async fn the_time_of_creation_stays_whatever_the_body_begins_with() {
    let store = support::store().await;
    let model = Model::builder(format!("born-{}", WriteId::random()));
    let model = model.created("c").updated("u").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    // What is there, and the time of creation that the next body keeps of it.
    let cases: [(&str, i64); 9] = [
        (
            r#"{"u":1600000000000,"c":1700000000001,"n":0}"#,
            1_700_000_000_001,
        ),
        (
            r#"{"u":1600000000000,"c":1700000000001}"#,
            1_700_000_000_001,
        ),
        (
            r#"{"u":1600000000000,"c":1500000000000,"n":0}"#,
            1_500_000_000_000,
        ),
        (
            r#"{"u":1600000000000,"c":17000000000012,"n":0}"#,
            17_000_000_000_012,
        ),
        (r#"{"u":1600000000000,"C":1700000000001,"c":3}"#, 3),
        (r#"{"c":7,"u":1600000000000}"#, 7),
        // A time of change with another member behind it, as long as one alone.
        (r#"{"u":1,"x":{"a":12,"c":1700000000001,"y":1},"c":5}"#, 5),
        (r#"{"u":1,"x":"abcdef","c":6}"#, 6),
        // No time is kept of what has none.
        (
            r#"{"u":1600000000000,"c":"1700000000009"}"#,
            1_700_000_000_001,
        ),
    ];
    let keys: Vec<_> = (0..cases.len())
        .map(|n| Key::new(n.to_string()).unwrap())
        .collect();
    let before = keys.iter().zip(cases).map(|(key, (body, _))| {
        let body = Body::parse(body).unwrap();
        Write::put(key.clone(), body, Expected::Absent)
            .keep_stamps()
            .into()
    });
    let made = BulkRequest::new(model.clone(), before.collect());
    let made = store.bulk(made).await.unwrap();
    let after = keys.iter().zip(&made.outcomes).map(|(key, outcome)| {
        let version = outcome.as_ref().unwrap().version.unwrap();
        let body = Body::parse(r#"{"c":1700000000001,"u":2,"n":1}"#).unwrap();
        Write::put(key.clone(), body, version).into()
    });
    let after = BulkRequest::new(model.clone(), after.collect());
    let replaced = store.bulk(after).await.unwrap();
    let found = store
        .load(LoadRequest::new(model.clone(), keys))
        .await
        .unwrap();
    for (((before, created), document), receipt) in cases.iter().zip(found).zip(replaced.outcomes) {
        let object = document.unwrap().body.to_object().unwrap();
        assert_eq!(object["c"].as_i64(), Some(*created), "after {before}");
        let updated = object["u"].as_i64();
        assert!(
            updated > Some(1_700_000_000_001),
            "{updated:?} after {before}"
        );
        assert_eq!(object["n"].as_i64(), Some(1));
        let told = receipt.unwrap().stamps;
        assert_eq!(told.created.map(|time| time.as_millis()), Some(*created));
        assert_eq!(told.updated.map(|time| time.as_millis()), updated);
    }
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}
