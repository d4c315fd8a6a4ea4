//! What aggregations compile to, by example, and what becomes of rows.

use std::fmt::Write as _;
use std::sync::Arc;

use strongroom_core::Result;
use strongroom_core::model::{
    Body, FieldDeclaration, Key, Kind, Model, RawDocument, Scalar, Version,
};
use strongroom_core::query::{
    Aggregation, Aggregations, CalendarUnit, DateInterval, Filter, MAX_BUCKETS, Sort, SourceFilter,
    TermsOrder,
};
use strongroom_core::store::{AggregateReply, AggregateRequest, AggregateResult};

use super::{RowForm, aggregate};
use crate::Sqlite;

fn path(text: &str) -> strongroom_core::model::FieldPath {
    text.parse().unwrap()
}

fn model() -> Arc<Model> {
    let field = |name: &str, kind| FieldDeclaration::new(path(name), kind);
    Model::builder("sales")
        .routed()
        .field(field("shop", Kind::Keyword).indexed())
        .field(field("price", Kind::Float))
        .field(field("paid", Kind::Boolean))
        .field(field("at", Kind::Timestamp))
        .field(field("tags", Kind::Keyword).many())
        .field(field("parts", Kind::Nested).many())
        .field(field("parts.cost", Kind::Integer).many())
        .build()
        .unwrap()
}

fn named<const N: usize>(all: [(&str, Aggregation); N]) -> Aggregations {
    all.map(|(name, one)| (name.to_owned(), one)).into()
}

fn terms(field: &str, within: Aggregations) -> Aggregation {
    Aggregation::Terms {
        field: path(field),
        size: 3,
        order: TermsOrder::default(),
        within,
    }
}

fn request<const N: usize>(all: [(&str, Aggregation); N]) -> AggregateRequest {
    AggregateRequest::new(model(), Filter::all(), named(all))
}

fn show(request: &AggregateRequest) -> String {
    let plan = aggregate(&Sqlite, request).unwrap();
    let mut text = String::new();
    for statement in plan.into_statements() {
        writeln!(text, "{}\n{:?}", statement.sql, statement.params).unwrap();
    }
    text
}

fn check<const N: usize>(all: [(&str, Aggregation); N]) -> String {
    show(&request(all))
}

fn stats(field: &str) -> Aggregation {
    Aggregation::Stats { field: path(field) }
}

#[test]
fn metrics_of_one_level_share_a_statement() {
    insta::assert_snapshot!(check([
        ("average", Aggregation::Average { field: path("price") }),
        ("count", Aggregation::Count { field: path("tags") }),
        ("min", Aggregation::Min { field: path("at") }),
        ("price", stats("price")),
        ("tags", Aggregation::Cardinality { field: path("tags") }),
    ]), @r#"
SELECT count(d.x0), total(d.x0), count(d.x1), min(d.x2), min(d.x0), max(d.x0) FROM (SELECT CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS x0, CASE WHEN strongroom_exists(d.body, 'tags', 'keyword') THEN 1 END AS x1, CASE json_type(d.body, '$."at"') WHEN 'integer' THEN d.body ->> '$."at"' END AS x2 FROM "sales" AS d WHERE TRUE LIMIT -1) AS d
[]
SELECT count(DISTINCT d.x0) FROM (SELECT v.value AS x0 FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_values(d.body, 'tags', 'keyword')) AS v LIMIT -1) AS d
[]
"#);
}

#[test]
fn an_index_that_holds_all_is_walked_alone() {
    insta::assert_snapshot!(check([("shops", terms("shop", named([])))]), @r#"
SELECT d.g AS g, count(*) AS c, sum(count(*)) OVER () AS t FROM (SELECT d."f:shop" AS g FROM "sales" AS d WHERE TRUE) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY c DESC, d.g ASC LIMIT 3
[]
"#);
    let shops = [(
        "shops",
        Aggregation::Cardinality {
            field: path("shop"),
        },
    )];
    insta::assert_snapshot!(check(shops.clone()), @r#"
SELECT count(DISTINCT d.x0) FROM (SELECT d."f:shop" AS x0 FROM "sales" AS d WHERE TRUE ORDER BY d."f:shop" LIMIT -1) AS d
[]
"#);
    let mut some = request(shops);
    some.filter = Filter::gt("price", 5).unwrap();
    some.routing = Some(strongroom_core::model::Routing::new("eu").unwrap());
    insta::assert_snapshot!(show(&some), @r#"
SELECT count(DISTINCT d.x0) FROM (SELECT d."f:shop" AS x0 FROM "sales" AS d WHERE CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END > ?1 AND d.routing = ?2 LIMIT -1) AS d
[Integer(5), Text("eu")]
"#);
}

#[test]
fn buckets_hold_metrics_and_top_hits() {
    let hits = Aggregation::TopHits {
        sort: vec![Sort::descending(path("price"))],
        size: 2,
        source: SourceFilter::All,
    };
    insta::assert_snapshot!(check([("by", terms("paid", named([
        ("hits", hits.clone()),
        ("price", stats("price")),
        ("tags", Aggregation::Cardinality { field: path("tags") }),
    ])))]), @r#"
SELECT d.g AS g, count(*) AS c, sum(count(*)) OVER () AS t, count(d.x0), min(d.x0), max(d.x0), total(d.x0) FROM (SELECT CASE json_type(d.body, '$."paid"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS g, CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS x0 FROM "sales" AS d WHERE TRUE LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY c DESC, d.g ASC LIMIT 3
[]
SELECT d.g, count(DISTINCT d.x0) FROM (SELECT CASE json_type(d.body, '$."paid"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS g, v.value AS x0 FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_values(d.body, 'tags', 'keyword')) AS v LIMIT -1) AS d WHERE d.g IS NOT NULL AND d.g IN (SELECT b.g FROM (SELECT d.g AS g, count(*) AS c FROM (SELECT CASE json_type(d.body, '$."paid"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS g FROM "sales" AS d WHERE TRUE LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY c DESC, d.g ASC LIMIT 3) AS b) GROUP BY d.g
[]
SELECT d.id, d.routing, d.version, d.body, h.g FROM (SELECT d.id AS id, d.routing AS routing, d.g AS g, row_number() OVER (PARTITION BY d.g ORDER BY s0 DESC NULLS LAST, d.id ASC, d.routing ASC) AS n FROM (SELECT CASE json_type(d.body, '$."paid"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS g, d.id AS id, d.routing AS routing, CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS s0 FROM "sales" AS d WHERE TRUE LIMIT -1) AS d WHERE d.g IS NOT NULL AND d.g IN (SELECT b.g FROM (SELECT d.g AS g, count(*) AS c FROM (SELECT CASE json_type(d.body, '$."paid"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS g FROM "sales" AS d WHERE TRUE LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY c DESC, d.g ASC LIMIT 3) AS b)) AS h JOIN "sales" AS d ON d.id = h.id AND d.routing = h.routing WHERE h.n <= ?1 ORDER BY h.g, h.n
[Integer(2)]
"#);
    insta::assert_snapshot!(check([("some", Aggregation::Filter {
        filter: Filter::eq("paid", true).unwrap(),
        within: named([("hits", hits), ("sum", Aggregation::Sum { field: path("price") })]),
    })]), @r#"
SELECT count(*), total(d.x0) FROM (SELECT CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS x0 FROM "sales" AS d WHERE TRUE AND CASE json_type(d.body, '$."paid"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END = ?1 LIMIT -1) AS d
[Boolean(true)]
SELECT d.id, d.routing, d.version, d.body, CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS s0 FROM "sales" AS d WHERE (TRUE AND CASE json_type(d.body, '$."paid"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END = ?1) ORDER BY s0 DESC NULLS LAST, d.id ASC, d.routing ASC LIMIT 3
[Boolean(true)]
"#);
}

#[test]
fn a_document_counts_once_for_each_of_its_values() {
    insta::assert_snapshot!(check([("tags", terms("tags", named([])))]), @r#"
SELECT d.g AS g, count(*) AS c, sum(count(*)) OVER () AS t FROM (SELECT v.value AS g FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_distinct(d.body, 'tags', 'keyword')) AS v) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY c DESC, d.g ASC LIMIT 3
[]
"#);
    insta::assert_snapshot!(check([("tags", terms("tags", named([
        ("max", Aggregation::Max { field: path("parts.cost") }),
        ("sum", Aggregation::Sum { field: path("price") }),
    ])))]), @r#"
SELECT d.g AS g, count(*) AS c, sum(count(*)) OVER () AS t, total(d.x0) FROM (SELECT v.value AS g, CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS x0 FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_distinct(d.body, 'tags', 'keyword')) AS v LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY c DESC, d.g ASC LIMIT 3
[]
SELECT d.g, max(d.x0) FROM (SELECT d.g AS g, v.value AS x0 FROM (SELECT v.value AS g, d.* FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_distinct(d.body, 'tags', 'keyword')) AS v) AS d, json_each(strongroom_values(d.body, 'parts.cost', 'integer')) AS v LIMIT -1) AS d WHERE d.g IS NOT NULL AND d.g IN (SELECT b.g FROM (SELECT d.g AS g, count(*) AS c FROM (SELECT v.value AS g FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_distinct(d.body, 'tags', 'keyword')) AS v) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY c DESC, d.g ASC LIMIT 3) AS b) GROUP BY d.g
[]
"#);
}

#[test]
fn histograms() {
    let dates = |interval| Aggregation::DateHistogram {
        field: path("at"),
        interval,
        within: named([]),
    };
    insta::assert_snapshot!(check([("n", Aggregation::Histogram {
        field: path("price"),
        interval: 2.5,
        offset: 1.0,
        within: named([("max", Aggregation::Max { field: path("price") })]),
    })]), @r#"
SELECT d.g AS g, count(*) AS c, max(d.x0) FROM (SELECT strongroom_histogram(d.v, ?1, ?2) AS g, d.v AS x0 FROM (SELECT CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS v FROM "sales" AS d WHERE TRUE LIMIT -1) AS d LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY d.g ASC LIMIT 10001
[Float(2.5), Float(1.0)]
"#);
    let week = DateInterval::Calendar(CalendarUnit::Week);
    insta::assert_snapshot!(check([("weeks", dates(week))]), @r#"
SELECT d.g AS g, count(*) AS c FROM (SELECT CASE WHEN d.v BETWEEN -377705023201000 AND 253402207200000 THEN d.v - (d.v - 345600000) % ?1 - CASE WHEN (d.v - 345600000) % ?2 < 0 THEN ?3 ELSE 0 END END AS g FROM (SELECT CASE json_type(d.body, '$."at"') WHEN 'integer' THEN d.body ->> '$."at"' END AS v FROM "sales" AS d WHERE TRUE LIMIT -1) AS d LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY d.g ASC LIMIT 10001
[Integer(604800000), Integer(604800000), Integer(604800000)]
"#);
    let year = DateInterval::Calendar(CalendarUnit::Year);
    insta::assert_snapshot!(check([("years", dates(year))]), @r#"
SELECT d.g AS g, count(*) AS c FROM (SELECT strongroom_date(d.v, 'year') AS g FROM (SELECT CASE json_type(d.body, '$."at"') WHEN 'integer' THEN d.body ->> '$."at"' END AS v FROM "sales" AS d WHERE TRUE LIMIT -1) AS d LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY d.g ASC LIMIT 10001
[]
"#);
    let fixed = DateInterval::Fixed { milliseconds: 7 };
    insta::assert_snapshot!(check([("fixed", dates(fixed))]), @r#"
SELECT d.g AS g, count(*) AS c FROM (SELECT CASE WHEN d.v BETWEEN -377705023201000 AND 253402207200000 THEN d.v - d.v % ?1 - CASE WHEN d.v % ?2 < 0 THEN ?3 ELSE 0 END END AS g FROM (SELECT CASE json_type(d.body, '$."at"') WHEN 'integer' THEN d.body ->> '$."at"' END AS v FROM "sales" AS d WHERE TRUE LIMIT -1) AS d LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY d.g ASC LIMIT 10001
[Integer(7), Integer(7), Integer(7)]
"#);
}

#[test]
fn objects_stand_for_documents() {
    insta::assert_snapshot!(check([("parts", Aggregation::Nested {
        field: path("parts"),
        within: named([
            ("costly", Aggregation::Count { field: path("parts.cost") }),
            ("mean", Aggregation::Average { field: path("parts.cost") }),
        ]),
    })]), @r#"
SELECT count(*), count(d.x0) FROM (SELECT CASE WHEN strongroom_exists(d.body, 'cost', 'integer') THEN 1 END AS x0 FROM (SELECT o.value AS body FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_objects(d.body, 'parts')) AS o) AS d LIMIT -1) AS d
[]
SELECT count(d.x0), total(d.x0) FROM (SELECT v.value AS x0 FROM (SELECT o.value AS body FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_objects(d.body, 'parts')) AS o) AS d, json_each(strongroom_values(d.body, 'cost', 'integer')) AS v LIMIT -1) AS d
[]
"#);
}

#[test]
fn intervals_of_several_values_are_compared() {
    let costs = |within| Aggregation::Histogram {
        field: path("parts.cost"),
        interval: 10.0,
        offset: 0.0,
        within,
    };
    insta::assert_snapshot!(check([("costs", costs(named([])))]), @r#"
SELECT d.g AS g, count(*) AS c FROM (SELECT DISTINCT d.id AS id, d.routing AS routing, strongroom_histogram(v.value, ?1, ?2) AS g FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_values(d.body, 'parts.cost', 'integer')) AS v) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY d.g ASC LIMIT 10001
[Float(10.0), Float(0.0)]
"#);
    insta::assert_snapshot!(check([("costs", costs(named([
        ("sum", Aggregation::Sum { field: path("price") }),
        ("tags", Aggregation::Cardinality { field: path("tags") }),
    ])))]), @r#"
SELECT d.g AS g, count(*) AS c, total(d.x0) FROM (SELECT k.g AS g, CASE WHEN json_type(d.body, '$."price"') IN ('integer', 'real') THEN d.body ->> '$."price"' END AS x0 FROM (SELECT DISTINCT d.id AS id, d.routing AS routing, strongroom_histogram(v.value, ?1, ?2) AS g FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_values(d.body, 'parts.cost', 'integer')) AS v) AS k JOIN "sales" AS d ON d.id = k.id AND d.routing = k.routing LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g ORDER BY d.g ASC LIMIT 10001
[Float(10.0), Float(0.0)]
SELECT d.g, count(DISTINCT d.x0) FROM (SELECT k.g AS g, v.value AS x0 FROM (SELECT DISTINCT d.id AS id, d.routing AS routing, strongroom_histogram(v.value, ?1, ?2) AS g FROM (SELECT d.* FROM "sales" AS d WHERE TRUE) AS d, json_each(strongroom_values(d.body, 'parts.cost', 'integer')) AS v) AS k JOIN "sales" AS d ON d.id = k.id AND d.routing = k.routing, json_each(strongroom_values(d.body, 'tags', 'keyword')) AS v LIMIT -1) AS d WHERE d.g IS NOT NULL GROUP BY d.g
[Float(10.0), Float(0.0)]
"#);
}

/// Answers each statement with rows, and says what they come to.
fn answered(request: &AggregateRequest, rows: &[&[&[Option<Scalar>]]]) -> Result<AggregateReply> {
    let plan = aggregate(&Sqlite, request)?;
    let mut answer = plan.answer();
    for (step, rows) in plan.steps().iter().zip(rows) {
        for row in *rows {
            match step.form() {
                RowForm::Values(columns) => {
                    assert_eq!(columns, row.len(), "{}", step.statement().sql);
                    answer.values(step, row.to_vec())?;
                }
                RowForm::Documents { keyed } => {
                    assert!(keyed);
                    let body = Body::parse(r#"{"price":1,"shop":"a"}"#)?;
                    let version = Version::from_counter(1)?;
                    let document = RawDocument::new(Key::routed("eu", "ada")?, version, body);
                    answer.document(step, row[0].clone(), document)?;
                }
            }
        }
    }
    answer.finish()
}

fn int(n: i64) -> Option<Scalar> {
    Some(Scalar::Integer(n))
}

#[test]
fn rows_find_their_buckets() {
    let request = request([(
        "by",
        terms(
            "paid",
            named([
                (
                    "hits",
                    Aggregation::TopHits {
                        sort: vec![],
                        size: 1,
                        source: SourceFilter::include([path("shop")]),
                    },
                ),
                (
                    "n",
                    Aggregation::Cardinality {
                        field: path("tags"),
                    },
                ),
            ]),
        ),
    )]);
    let buckets: &[&[_]] = &[&[int(1), int(5), int(9)], &[int(0), int(3), int(9)]];
    let tags: &[&[_]] = &[&[int(0), int(2)]];
    let hits: &[&[_]] = &[&[int(0)], &[int(0)], &[int(1)]];
    let reply = answered(&request, &[buckets, tags, hits]).unwrap();
    let AggregateResult::Terms(found) = &reply.results["by"] else {
        panic!("{reply:?}");
    };
    assert_eq!(found.other, 1);
    let shown: Vec<_> = found
        .buckets
        .iter()
        .map(|b| match (&b.results["hits"], &b.results["n"]) {
            (AggregateResult::TopHits(hits), AggregateResult::Cardinality(n)) => {
                assert!(hits.iter().all(|d| d.body.as_bytes() == br#"{"shop":"a"}"#));
                (format!("{:?}", b.key), b.count, hits.len(), n.value)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [("true".to_owned(), 5, 1, 0), ("false".to_owned(), 3, 1, 2)];
    assert_eq!(shown, wanted);
    let stranger: &[&[_]] = &[&[Some(Scalar::from("x")), int(2)]];
    assert!(answered(&request, &[buckets, stranger]).is_err());
}

#[test]
fn keys_have_one_form_and_histograms_an_end() {
    let prices = request([("prices", terms("price", named([])))]);
    let rows: &[&[_]] = &[&[Some(Scalar::from(2.0)), int(1), int(1)]];
    let reply = answered(&prices, &[rows]).unwrap();
    assert!(format!("{reply:?}").contains("key: 2,"), "{reply:?}");
    let histogram = request([(
        "far",
        Aggregation::Histogram {
            field: path("price"),
            interval: 1.0,
            offset: 0.0,
            within: named([]),
        },
    )]);
    let endless: &[&[_]] = &[&[Some(Scalar::from(f64::INFINITY)), int(1)]];
    let error = answered(&histogram, &[endless]).unwrap_err();
    assert!(error.message().contains("\"far\""), "{error}");
    let rows: Vec<_> = (0..=MAX_BUCKETS as i64).map(|n| [int(n), int(1)]).collect();
    let rows: Vec<&[_]> = rows.iter().map(|row| row.as_slice()).collect();
    let reply = answered(&histogram, &[&rows[1..]]).unwrap();
    assert!(format!("{reply:?}").contains("key: 1.0,"), "not of floats");
    let error = answered(&histogram, &[&rows]).unwrap_err();
    assert!(error.message().contains("10000"), "{error}");
}
