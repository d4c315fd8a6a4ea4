//! Aggregations that make buckets of intervals, filters and nested objects, and top hits.

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{FieldDeclaration, Kind, Model, Timestamp};
use strongroom_core::query::{
    Aggregation, Aggregations, CalendarUnit, DateInterval, Filter, Order, Sort, SourceFilter,
    TermsOrder,
};
use strongroom_core::store::AggregateRequest;

use super::aggregations::{agree, all, collection, computes, granted, terms};
use super::filters::named;
use super::queries::{both, sample};
use crate::answers::about;
use crate::context::{Context, not_granted};
use crate::failure::{Failure, Outcome, refused};

fn histogram(field: &str, interval: f64, offset: f64) -> Outcome<Aggregation> {
    Ok(Aggregation::Histogram {
        field: field.parse()?,
        interval,
        offset,
        within: Aggregations::new(),
    })
}

fn dates(field: &str, interval: DateInterval) -> Outcome<Aggregation> {
    Ok(Aggregation::DateHistogram {
        field: field.parse()?,
        interval,
        within: Aggregations::new(),
    })
}

pub(crate) async fn histograms(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let documents = named(&[
        ("a", json!({"x": 0.0, "n": 0, "xs": [0.1, 0.2, 9.9]})),
        ("b", json!({"x": -0.5, "n": -1, "xs": []})),
        ("c", json!({"x": 9.99, "n": 9, "xs": [null, -0.1]})),
        ("d", json!({"x": 10, "n": 10})),
        ("e", json!({"x": -10.0, "n": -10, "xs": null})),
        ("f", json!({"x": null, "n": 25})),
        ("g", json!({"x": 25.5})),
    ])?;
    let both = both(collection(cx).await?, &documents).await?;
    let rows: [(Aggregation, Value); 6] = [
        (
            histogram("x", 10.0, 0.0)?,
            json!([[-10.0, 2, {}], [0.0, 2, {}], [10.0, 1, {}], [20.0, 1, {}]]),
        ),
        (
            histogram("n", 10.0, 0.0)?,
            json!([[-10.0, 2, {}], [0.0, 2, {}], [10.0, 1, {}], [20.0, 1, {}]]),
        ),
        (
            histogram("n", 10.0, 5.0)?,
            json!([[-15.0, 1, {}], [-5.0, 2, {}], [5.0, 2, {}], [25.0, 1, {}]]),
        ),
        (
            histogram("n", 10.0, -25.0)?,
            json!([[-15.0, 1, {}], [-5.0, 2, {}], [5.0, 2, {}], [25.0, 1, {}]]),
        ),
        (
            // A document counts once in a bucket, however many of its values fall into it.
            histogram("xs", 5.0, 0.0)?,
            json!([[-5.0, 1, {}], [0.0, 1, {}], [5.0, 1, {}]]),
        ),
        (
            histogram("x", 0.5, 0.25)?,
            json!([
                [-10.25, 1, {}],
                [-0.75, 1, {}],
                [-0.25, 1, {}],
                [9.75, 2, {}],
                [25.25, 1, {}]
            ]),
        ),
    ];
    for (one, expected) in rows {
        let asked = all([("h", one)]);
        computes(&both, Filter::all(), asked, json!({"h": expected})).await?;
    }
    // Whole numbers beyond the 53 bits of a float fall into the bucket of the nearest float.
    let edges = super::queries::both(collection(cx).await?, &sample()?).await?;
    for interval in [0.001, 1.0, 7.5, 1e15, 1e300] {
        for field in ["n", "o.n"] {
            let model = edges.docs.model().clone();
            let asked = all([("h", histogram(field, interval, 0.0)?)]);
            let request = AggregateRequest::new(model, Filter::all(), asked);
            agree(&edges, &request, 0.0).await?;
        }
    }
    // A bucket that begins at no finite number is told, and so are too many.
    let model = edges.docs.model().clone();
    let asked = all([("far", histogram("x", 5e-324, 0.0)?)]);
    let request = AggregateRequest::new(model, Filter::all(), asked);
    refused(
        edges.docs.store().aggregate(request).await,
        ErrorKind::Invalid,
        "a histogram of values too far out for its interval",
    )
    .map(drop)
}

pub(crate) async fn date_histograms(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let millis = |text: &str| Ok::<_, Failure>(text.parse::<Timestamp>()?.as_millis());
    let times = [
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00Z",
        "2024-02-29T12:34:56Z",
        "2024-03-01T00:00:00Z",
        "2024-03-31T23:59:59.999Z",
        "2024-12-30T00:00:00Z",
        "2025-01-01T00:00:00Z",
    ];
    let mut documents = Vec::new();
    for (n, time) in times.iter().enumerate() {
        documents.push((format!("d{n}"), json!({"at": millis(time)?, "n": n})));
    }
    documents.push(("none".to_owned(), json!({"at": null, "ats": []})));
    let ats = json!({"ats": [millis(times[2])?, millis(times[2])? + 1, millis(times[6])?]});
    documents.push(("many".to_owned(), ats));
    let documents: Vec<_> = documents
        .iter()
        .map(|(id, body)| (id.as_str(), body.clone()))
        .collect();
    let both = both(collection(cx).await?, &named(&documents)?).await?;
    let unit = DateInterval::Calendar;
    let fixed = |milliseconds| DateInterval::Fixed { milliseconds };
    let rows: [(DateInterval, &[(&str, u64)]); 8] = [
        (
            unit(CalendarUnit::Year),
            &[
                ("1969-01-01", 1),
                ("1970-01-01", 1),
                ("2024-01-01", 4),
                ("2025-01-01", 1),
            ],
        ),
        (
            unit(CalendarUnit::Quarter),
            &[
                ("1969-10-01", 1),
                ("1970-01-01", 1),
                ("2024-01-01", 3),
                ("2024-10-01", 1),
                ("2025-01-01", 1),
            ],
        ),
        (
            unit(CalendarUnit::Month),
            &[
                ("1969-12-01", 1),
                ("1970-01-01", 1),
                ("2024-02-01", 1),
                ("2024-03-01", 2),
                ("2024-12-01", 1),
                ("2025-01-01", 1),
            ],
        ),
        (
            unit(CalendarUnit::Week),
            &[
                ("1969-12-29", 2),
                ("2024-02-26", 2),
                ("2024-03-25", 1),
                ("2024-12-30", 2),
            ],
        ),
        (
            unit(CalendarUnit::Day),
            &[
                ("1969-12-31", 1),
                ("1970-01-01", 1),
                ("2024-02-29", 1),
                ("2024-03-01", 1),
                ("2024-03-31", 1),
                ("2024-12-30", 1),
                ("2025-01-01", 1),
            ],
        ),
        (
            unit(CalendarUnit::Hour),
            &[
                ("1969-12-31T23:00:00", 1),
                ("1970-01-01", 1),
                ("2024-02-29T12:00:00", 1),
                ("2024-03-01", 1),
                ("2024-03-31T23:00:00", 1),
                ("2024-12-30", 1),
                ("2025-01-01", 1),
            ],
        ),
        (
            unit(CalendarUnit::Minute),
            &[
                ("1969-12-31T23:59:00", 1),
                ("1970-01-01", 1),
                ("2024-02-29T12:34:00", 1),
                ("2024-03-01", 1),
                ("2024-03-31T23:59:00", 1),
                ("2024-12-30", 1),
                ("2025-01-01", 1),
            ],
        ),
        (
            fixed(86_400_000 * 365),
            // Multiples since 1970, of 365 days each.
            &[
                ("1969-01-01", 1),
                ("1970-01-01", 1),
                ("2023-12-19", 3),
                ("2024-12-18", 2),
            ],
        ),
    ];
    for (interval, expected) in rows {
        let mut buckets = Vec::new();
        for (begin, count) in expected {
            let begin = if begin.contains('T') {
                format!("{begin}Z")
            } else {
                format!("{begin}T00:00:00Z")
            };
            buckets.push(json!([millis(&begin)?, count, {}]));
        }
        let asked = all([("h", dates("at", interval)?)]);
        computes(&both, Filter::all(), asked, json!({"h": buckets})).await?;
    }
    for interval in [
        fixed(1),
        fixed(7),
        fixed(i64::MAX),
        unit(CalendarUnit::Week),
    ] {
        for field in ["at", "ats"] {
            let asked = all([("h", dates(field, interval)?)]);
            let model = both.docs.model().clone();
            let request = AggregateRequest::new(model, Filter::all(), asked);
            agree(&both, &request, 0.0).await?;
        }
    }
    Ok(())
}

pub(crate) async fn filters(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = both(collection(cx).await?, &sample()?).await?;
    let filter = |filter| -> Outcome<Aggregation> {
        Ok(Aggregation::Filter {
            filter,
            within: all([
                (
                    "max",
                    Aggregation::Max {
                        field: "n".parse()?,
                    },
                ),
                (
                    "k",
                    Aggregation::Count {
                        field: "k".parse()?,
                    },
                ),
            ]),
        })
    };
    let asked = all([
        ("everything", filter(Filter::all())?),
        ("nothing", filter(Filter::Or(vec![]))?),
        ("a", filter(Filter::eq("k", "a")?)?),
        ("not a", filter(!Filter::eq("k", "a")?)?),
    ]);
    let expected = json!({
        "everything": [12, {"max": i64::MAX, "k": 10}],
        "nothing": [0, {"max": null, "k": 0}],
        "a": [3, {"max": 9_007_199_254_740_992_i64, "k": 3}],
        "not a": [9, {"max": i64::MAX, "k": 7}],
    });
    computes(&both, Filter::all(), asked.clone(), expected).await?;
    // A filter's own bucket is one of what the request's filter leaves.
    let model = both.docs.model().clone();
    let request = AggregateRequest::new(model, Filter::exists("b")?, asked);
    agree(&both, &request, 0.0).await
}

pub(crate) async fn nested(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    if !cx.capabilities().nested_filters {
        return not_granted("nested fields");
    }
    let declare = |path: &str, kind| Ok::<_, Failure>(FieldDeclaration::new(path.parse()?, kind));
    let model = Model::builder(cx.name("nested"))
        .field(declare("n", Kind::Integer)?)
        .field(declare("e", Kind::Nested)?)
        .field(declare("e.k", Kind::Keyword)?)
        .field(declare("e.n", Kind::Integer)?);
    let documents = named(&[
        (
            "a",
            json!({"n": 1, "e": [{"k": "x", "n": 1}, {"k": "y", "n": 2}, {"k": "x"}]}),
        ),
        ("b", json!({"n": 2, "e": [{"k": "x", "n": [5, 5]}]})),
        ("c", json!({"n": 3, "e": []})),
        ("d", json!({"n": 4, "e": null})),
        ("e", json!({"n": 5})),
        ("f", json!({"n": 6, "e": [{}, {"k": null, "n": -1}]})),
        ("g", json!({"n": 7, "e": {"k": "z", "n": 3}})),
    ])?;
    let both = both(cx.docs_of(model).await?, &documents).await?;
    let within = all([
        (
            "count",
            Aggregation::Count {
                field: "e.n".parse()?,
            },
        ),
        (
            "sum",
            Aggregation::Sum {
                field: "e.n".parse()?,
            },
        ),
        (
            "min",
            Aggregation::Min {
                field: "e.n".parse()?,
            },
        ),
        (
            "distinct",
            Aggregation::Cardinality {
                field: "e.k".parse()?,
            },
        ),
    ]);
    let nested = Aggregation::Nested {
        field: "e".parse()?,
        within: within.clone(),
    };
    // Outside of the nested aggregation, documents are counted.
    let mut asked = all([
        ("objects", nested),
        ("k", terms("e.k", 9, TermsOrder::KeyAscending)?),
        (
            "documents",
            Aggregation::Count {
                field: "e".parse()?,
            },
        ),
    ]);
    let of_objects = json!([7, {"count": 5, "sum": about(15.0), "min": -1, "distinct": 3}]);
    let k = json!({"buckets": [["x", 2, {}], ["y", 1, {}], ["z", 1, {}]], "other": 0});
    let expected = json!({"objects": of_objects, "k": k, "documents": 4});
    computes(&both, Filter::all(), asked.clone(), expected).await?;
    asked.insert(
        "plain".to_owned(),
        Aggregation::Stats {
            field: "e.n".parse()?,
        },
    );
    for filter in [
        Filter::gte("n", 2)?,
        Filter::eq("e.k", "x")?,
        Filter::nested("e", Filter::eq("e.n", 2)?)?,
        Filter::Or(vec![]),
    ] {
        let model = both.docs.model().clone();
        let request = AggregateRequest::new(model, filter, asked.clone());
        agree(&both, &request, 0.0).await?;
    }
    Ok(())
}

fn hits(sort: Vec<Sort>, size: usize, source: SourceFilter) -> Aggregation {
    Aggregation::TopHits { sort, size, source }
}

pub(crate) async fn top_hits(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let documents = named(&[
        ("a", json!({"n": 2, "k": "x"})),
        ("b", json!({"n": 1, "k": "y"})),
        ("c", json!({"k": "x"})),
        ("d", json!({"n": 1, "k": "x", "o": {"k": "deep", "n": 1}})),
    ])?;
    let both = both(collection(cx).await?, &documents).await?;
    let n = || "n".parse();
    let k = || -> Outcome<SourceFilter> { Ok(SourceFilter::Include(vec!["k".parse()?])) };
    let asked = all([
        ("first", hits(vec![], 1, k()?)),
        ("least", hits(vec![Sort::ascending(n()?)], 2, k()?)),
        (
            "none first",
            hits(vec![Sort::descending(n()?).missing_first()], 2, k()?),
        ),
        (
            "last id",
            hits(
                vec![Sort::by_id(Order::Descending)],
                1,
                SourceFilter::Exclude(vec!["o.k".parse()?]),
            ),
        ),
        ("all", hits(vec![], 100, SourceFilter::Include(vec![]))),
    ]);
    let expected = json!({
        "first": [["a", {"k": "x"}]],
        "least": [["b", {"k": "y"}], ["d", {"k": "x"}]],
        "none first": [["c", {"k": "x"}], ["a", {"k": "x"}]],
        "last id": [["d", {"n": 1, "k": "x", "o": {"n": 1}}]],
        "all": [["a", {}], ["b", {}], ["c", {}], ["d", {}]],
    });
    computes(&both, Filter::all(), asked, expected).await
}

pub(crate) async fn within_buckets(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = both(collection(cx).await?, &sample()?).await?;
    let within = all([
        (
            "max",
            Aggregation::Max {
                field: "n".parse()?,
            },
        ),
        (
            "count",
            Aggregation::Count {
                field: "o.n".parse()?,
            },
        ),
        (
            "distinct",
            Aggregation::Cardinality {
                field: "tags".parse()?,
            },
        ),
        (
            "hits",
            hits(
                vec![Sort::descending("x".parse()?)],
                2,
                SourceFilter::Include(vec!["x".parse()?, "o.k".parse()?]),
            ),
        ),
    ]);
    let buckets = [
        Aggregation::Terms {
            field: "tags".parse()?,
            size: 2,
            order: TermsOrder::CountDescending,
            within: within.clone(),
        },
        Aggregation::Histogram {
            field: "n".parse()?,
            interval: 2.0,
            offset: 1.0,
            within: within.clone(),
        },
        Aggregation::DateHistogram {
            field: "at".parse()?,
            interval: DateInterval::Calendar(CalendarUnit::Year),
            within: within.clone(),
        },
        Aggregation::Filter {
            filter: Filter::prefix("k", "a")?,
            within,
        },
    ];
    for filter in [Filter::all(), Filter::exists("x")?, Filter::Or(vec![])] {
        for bucket in &buckets {
            let model = both.docs.model().clone();
            let asked = all([("b", bucket.clone())]);
            let request = AggregateRequest::new(model, filter.clone(), asked);
            agree(&both, &request, 0.0).await?;
        }
    }
    Ok(())
}
