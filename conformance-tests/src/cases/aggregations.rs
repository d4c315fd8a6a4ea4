//! Aggregations: metrics, filters and what is refused, with literal expectations and against the
//! oracle.

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{FieldDeclaration, Key, Kind, Model, Routing};
use strongroom_core::query::{Aggregation, Aggregations, Filter, SourceFilter, TermsOrder};
use strongroom_core::store::AggregateRequest;

use super::filters::named;
use super::queries::{Both, both, sample};
use crate::answers::{self, about};
use crate::context::{Context, not_granted, usual_fields};
use crate::docs::Docs;
use crate::failure::{During, Outcome, check, refused};

/// Whether the case has something to check.
pub(super) fn granted(cx: &Context) -> Outcome<bool> {
    if !cx.capabilities().aggregations {
        not_granted("aggregations")?;
    }
    Ok(cx.capabilities().aggregations)
}

/// A collection with the usual fields and numbers of many values.
pub(super) async fn collection(cx: &Context) -> Outcome<Docs> {
    let model = usual_fields(Model::builder(cx.name("figures")));
    let field = |path: &str, kind| {
        Ok::<_, crate::failure::Failure>(FieldDeclaration::new(path.parse()?, kind))
    };
    let model = model
        .field(field("ns", Kind::Integer)?.many())
        .field(field("xs", Kind::Float)?.many())
        .field(field("ats", Kind::Timestamp)?.many());
    cx.docs_of(model).await
}

pub(super) fn all<const N: usize>(named: [(&str, Aggregation); N]) -> Aggregations {
    named
        .into_iter()
        .map(|(name, one)| (name.to_owned(), one))
        .collect()
}

pub(super) fn terms(field: &str, size: usize, order: TermsOrder) -> Outcome<Aggregation> {
    Ok(Aggregation::Terms {
        field: field.parse()?,
        size,
        order,
        within: Aggregations::new(),
    })
}

async fn ask(docs: &Docs, request: &AggregateRequest) -> Outcome<Value> {
    let reply = docs
        .store()
        .aggregate(request.clone())
        .await
        .during(format_args!("computing {:?}", request.aggregations))?;
    answers::results(&reply.results)
}

/// Compares what a store computes with the oracle. Sums may differ by what adding up so much in
/// another order can change.
pub(super) async fn agree(both: &Both, request: &AggregateRequest, magnitude: f64) -> Outcome {
    let found = ask(&both.docs, request).await?;
    let right = ask(&both.oracle, request).await.during("the oracle")?;
    check!(
        answers::same(&found, &right, magnitude),
        "{:?} over {:?}, against the oracle: expected {right}, found {found}",
        request.aggregations,
        request.filter
    );
    Ok(())
}

/// Checks what is computed over what matches: as it is written down, and by the oracle.
pub(super) async fn computes(
    both: &Both,
    filter: Filter,
    aggregations: Aggregations,
    expected: Value,
) -> Outcome {
    let request = AggregateRequest::new(both.docs.model().clone(), filter, aggregations);
    let found = ask(&both.docs, &request).await?;
    check!(
        answers::same(&found, &expected, 0.0),
        "{:?} over {:?}: expected {expected}, found {found}",
        request.aggregations,
        request.filter
    );
    agree(both, &request, 0.0).await
}

/// Every metric of a number field.
fn numbers(field: &str) -> Outcome<Aggregations> {
    let field = || field.parse();
    Ok(all([
        ("count", Aggregation::Count { field: field()? }),
        ("min", Aggregation::Min { field: field()? }),
        ("max", Aggregation::Max { field: field()? }),
        ("sum", Aggregation::Sum { field: field()? }),
        ("mean", Aggregation::Average { field: field()? }),
        ("stats", Aggregation::Stats { field: field()? }),
        ("distinct", Aggregation::Cardinality { field: field()? }),
    ]))
}

pub(crate) async fn metrics(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let documents = named(&[
        (
            "a",
            json!({"n": 1, "x": 1.5, "ns": [1, 2, 2], "xs": [0.5], "k": "ä", "b": true, "at": -1}),
        ),
        (
            "b",
            json!({"n": -3, "x": 2, "ns": [], "xs": [], "k": "🦀", "b": true, "at": 0}),
        ),
        (
            "c",
            json!({"n": null, "x": null, "ns": null, "k": null, "b": null, "tags": []}),
        ),
        (
            "d",
            json!({"n": 1, "ns": [null, 7], "tags": ["x", "y", "x"], "k": "ä"}),
        ),
        (
            "e",
            json!({"x": 2.0, "ns": [[2], [[3]]], "tags": [null], "k": ""}),
        ),
        (
            "f",
            json!({"o": {"n": i64::MAX}, "at": 1_517_966_773_840_i64}),
        ),
    ])?;
    let both = both(collection(cx).await?, &documents).await?;
    let stats = |count: u64, min: Value, max: Value, sum: f64| {
        json!({
            "count": count, "min": min, "max": max, "sum": about(sum),
        })
    };
    let rows = [
        (
            "n",
            json!({
                "count": 3, "min": -3, "max": 1, "sum": about(-1.0), "mean": about(-1.0 / 3.0),
                "stats": stats(3, json!(-3), json!(1), -1.0), "distinct": 2,
            }),
        ),
        (
            "x",
            json!({
                "count": 3, "min": 1.5, "max": 2, "sum": about(5.5), "mean": about(5.5 / 3.0),
                "stats": stats(3, json!(1.5), json!(2), 5.5), "distinct": 2,
            }),
        ),
        (
            "ns",
            // The count is of documents, the others are of values.
            json!({
                "count": 3, "min": 1, "max": 7, "sum": about(17.0), "mean": about(17.0 / 6.0),
                "stats": stats(6, json!(1), json!(7), 17.0), "distinct": 4,
            }),
        ),
        (
            "at",
            json!({
                "count": 3, "min": -1, "max": 1_517_966_773_840_i64,
                "sum": about(1_517_966_773_839.0), "mean": about(1_517_966_773_839.0 / 3.0),
                "stats": stats(3, json!(-1), json!(1_517_966_773_840_i64), 1_517_966_773_839.0),
                "distinct": 3,
            }),
        ),
        (
            "o.n",
            json!({
                "count": 1, "min": i64::MAX, "max": i64::MAX, "sum": about(i64::MAX as f64),
                "mean": about(i64::MAX as f64),
                "stats": stats(1, json!(i64::MAX), json!(i64::MAX), i64::MAX as f64),
                "distinct": 1,
            }),
        ),
    ];
    for (field, expected) in rows {
        computes(&both, Filter::all(), numbers(field)?, expected).await?;
    }
    let others = all([
        (
            "tags",
            Aggregation::Cardinality {
                field: "tags".parse()?,
            },
        ),
        (
            "tagged",
            Aggregation::Count {
                field: "tags".parse()?,
            },
        ),
        (
            "k",
            Aggregation::Cardinality {
                field: "k".parse()?,
            },
        ),
        (
            "b",
            Aggregation::Cardinality {
                field: "b".parse()?,
            },
        ),
        (
            "bs",
            Aggregation::Count {
                field: "b".parse()?,
            },
        ),
    ]);
    let expected = json!({"tags": 2, "tagged": 1, "k": 3, "b": 1, "bs": 2});
    computes(&both, Filter::all(), others, expected).await?;
    // At the edges of numbers, against the oracle.
    let model = || collection(cx);
    let edges = super::queries::both(model().await?, &sample()?).await?;
    let bodies = sample()?;
    let magnitude = answers::magnitude(bodies.iter().map(|(_, body)| body));
    for field in ["n", "x", "at", "o.n"] {
        let model = edges.docs.model().clone();
        let request = AggregateRequest::new(model, Filter::all(), numbers(field)?);
        agree(&edges, &request, magnitude).await?;
    }
    Ok(())
}

pub(crate) async fn of_nothing(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let documents = named(&[("a", json!({"k": "v"})), ("b", json!({"n": null}))])?;
    let both = both(collection(cx).await?, &documents).await?;
    let mut asked = numbers("n")?;
    asked.insert("terms".to_owned(), terms("n", 3, TermsOrder::default())?);
    asked.insert(
        "hits".to_owned(),
        Aggregation::TopHits {
            sort: vec![],
            size: 1,
            source: SourceFilter::All,
        },
    );
    let expected = |hits: Value| {
        json!({
            "count": 0, "min": null, "max": null, "sum": about(0.0), "mean": null,
            "stats": {"count": 0, "min": null, "max": null, "sum": about(0.0)},
            "distinct": 0, "terms": {"buckets": [], "other": 0}, "hits": hits,
        })
    };
    let hits = json!([["a", {"k": "v"}]]);
    computes(&both, Filter::all(), asked.clone(), expected(hits)).await?;
    computes(&both, Filter::Or(vec![]), asked, expected(json!([]))).await
}

pub(crate) async fn mixed_values(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    // Values that do not fit their field's kind, as bodies may hold that no codec wrote. A store
    // may refuse such a body, and is asked without it then.
    let docs = collection(cx).await?;
    let mut kept = Vec::new();
    for (at, body) in named(&[
        ("a", json!({"n": "text", "k": 7, "b": 1, "at": "1970"})),
        ("b", json!({"n": 2.5, "k": "v", "b": true, "at": 1.5})),
        ("c", json!({"n": 2, "k": true, "b": "true", "at": 5})),
        (
            "d",
            json!({"n": {"n": 9}, "k": {}, "b": false, "ats": [5, 6, "7", 1.5, null, 5]}),
        ),
        (
            "e",
            json!({"x": u64::MAX, "ns": [1, "1", null, true, [4], 2.5], "tags": ["v", 1, ["w"]]}),
        ),
        (
            "f",
            json!({"n": 1e300, "x": 2, "k": "V", "xs": ["a", 1, {}, false]}),
        ),
    ])? {
        match docs
            .put(&at, &body, strongroom_core::model::Expected::Any)
            .await
        {
            Ok(_) => kept.push((at, body)),
            Err(error) if error.kind() == ErrorKind::Invalid => {}
            Err(error) => return Err(error).during("writing a body of mixed values"),
        }
    }
    let both = both(docs, &kept).await?;
    let magnitude = answers::magnitude(kept.iter().map(|(_, body)| body));
    let model = both.docs.model();
    for field in ["n", "x", "at", "ns", "xs", "ats"] {
        let request = AggregateRequest::new(model.clone(), Filter::all(), numbers(field)?);
        agree(&both, &request, magnitude).await?;
    }
    for field in ["k", "n", "b", "at", "x", "tags", "ns", "xs", "ats"] {
        let asked = all([
            ("terms", terms(field, 100, TermsOrder::KeyAscending)?),
            (
                "distinct",
                Aggregation::Cardinality {
                    field: field.parse()?,
                },
            ),
            (
                "count",
                Aggregation::Count {
                    field: field.parse()?,
                },
            ),
        ]);
        let request = AggregateRequest::new(model.clone(), Filter::all(), asked);
        agree(&both, &request, magnitude).await?;
    }
    Ok(())
}

pub(crate) async fn filters_and_routing(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let in_turn = |n: usize| ["v", "w", "z"][n % 3];
    let mut documents = Vec::new();
    for n in 0..12_usize {
        let at = Key::routed(["eu", "us"][n % 2], format!("d{}", n / 2))?;
        documents.push((at, json!({"n": n, "k": in_turn(n)})));
    }
    let both = both(cx.routed_docs().await?, &documents).await?;
    let asked = || -> Outcome<Aggregations> {
        let mut asked = numbers("n")?;
        asked.insert("k".to_owned(), terms("k", 2, TermsOrder::default())?);
        Ok(asked)
    };
    let narrowed = all([(
        "sum",
        Aggregation::Sum {
            field: "n".parse()?,
        },
    )]);
    let filter = Filter::gte("n", 10)?;
    computes(&both, filter, narrowed, json!({"sum": about(21.0)})).await?;
    for (routing, sum) in [
        (None, 66.0),
        (Some("eu"), 30.0),
        (Some("us"), 36.0),
        (Some("no"), 0.0),
    ] {
        for (filter, sum) in [(Filter::all(), sum), (Filter::Or(vec![]), 0.0)] {
            let model = both.docs.model().clone();
            let mut request = AggregateRequest::new(model, filter, asked()?);
            request.routing = routing.map(Routing::new).transpose()?;
            let found = ask(&both.docs, &request).await?;
            check!(
                answers::same(&found["sum"], &about(sum), 0.0),
                "the sum over the routing {routing:?}: expected {sum}, found {}",
                found["sum"]
            );
            agree(&both, &request, 0.0).await?;
        }
    }
    Ok(())
}

pub(crate) async fn bad_requests(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let sum = |field: &str| -> Outcome<Aggregation> {
        Ok(Aggregation::Sum {
            field: field.parse()?,
        })
    };
    let histogram = |field: &str, interval: f64, offset: f64| -> Outcome<Aggregation> {
        Ok(Aggregation::Histogram {
            field: field.parse()?,
            interval,
            offset,
            within: Aggregations::new(),
        })
    };
    let mut nested = terms("k", 1, TermsOrder::default())?;
    if let Aggregation::Terms { within, .. } = &mut nested {
        *within = all([("inner", terms("n", 1, TermsOrder::default())?)]);
    }
    let many = (0..101).map(|n| Ok((format!("a{n}"), sum("n")?)));
    let bad = [
        Aggregations::new(),
        many.collect::<Outcome<_>>()?,
        all([("", sum("n")?)]),
        all([(&*"long".repeat(30), sum("n")?)]),
        all([("a", sum("k")?)]),
        all([("a", sum("undeclared")?)]),
        all([("a", terms("k", 0, TermsOrder::default())?)]),
        all([("a", terms("k", 10_001, TermsOrder::default())?)]),
        all([("a", histogram("x", 0.0, 0.0)?)]),
        all([("a", histogram("x", -1.0, 0.0)?)]),
        all([("a", histogram("x", f64::NAN, 0.0)?)]),
        all([("a", histogram("x", 1.0, f64::INFINITY)?)]),
        all([("a", histogram("at", 1.0, 0.0)?)]),
        all([("a", nested)]),
        all([(
            "a",
            Aggregation::Filter {
                filter: Filter::eq("k", 1)?,
                within: Aggregations::new(),
            },
        )]),
    ];
    let checked = super::grants::never_asked(&docs);
    for asked in bad {
        let what = format!("the aggregations {asked:?}");
        let request = AggregateRequest::new(docs.model().clone(), Filter::all(), asked);
        let answer = checked.store().aggregate(request).await;
        refused(answer, ErrorKind::Invalid, what)?;
    }
    Ok(())
}
