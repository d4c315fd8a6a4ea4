//! Buckets of the values of a field, with literal expectations and against the oracle.

use serde_json::{Value, json};
use strongroom_core::query::{Aggregation, Filter, TermsOrder};
use strongroom_core::store::AggregateRequest;

use super::aggregations::{agree, all, collection, computes, granted, terms};
use super::filters::named;
use super::queries::{Both, both, sample};
use crate::context::Context;
use crate::failure::Outcome;

/// Documents whose tags make buckets of two, two, one and three, with a value twice in one.
async fn tagged(cx: &Context) -> Outcome<Both> {
    let documents = named(&[
        ("a", json!({"tags": ["b", "b", "b"], "k": "x"})),
        ("b", json!({"tags": ["b", "a"], "k": "y"})),
        ("c", json!({"tags": ["a", "c"]})),
        ("d", json!({"tags": ["d"], "k": null})),
        ("e", json!({"tags": ["d", null], "k": "x"})),
        ("f", json!({"tags": ["d"]})),
        ("g", json!({"tags": []})),
        ("h", json!({"tags": null})),
        ("i", json!({})),
    ])?;
    both(collection(cx).await?, &documents).await
}

pub(crate) async fn counts(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = tagged(cx).await?;
    let tags = all([("tags", terms("tags", 10, TermsOrder::default())?)]);
    // A document counts once in a bucket, and what has no value in none.
    let buckets = json!([["d", 3, {}], ["a", 2, {}], ["b", 2, {}], ["c", 1, {}]]);
    let expected = json!({"tags": {"buckets": buckets, "other": 0}});
    computes(&both, Filter::all(), tags, expected).await?;
    let k = all([("k", terms("k", 10, TermsOrder::default())?)]);
    let expected = json!({"k": {"buckets": [["x", 2, {}], ["y", 1, {}]], "other": 0}});
    computes(&both, Filter::all(), k, expected).await
}

pub(crate) async fn orders_and_sizes(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = tagged(cx).await?;
    let orders = [
        (TermsOrder::CountDescending, ["d", "a", "b", "c"]),
        (TermsOrder::CountAscending, ["c", "a", "b", "d"]),
        (TermsOrder::KeyAscending, ["a", "b", "c", "d"]),
        (TermsOrder::KeyDescending, ["d", "c", "b", "a"]),
    ];
    let count = |key: &str| match key {
        "d" => 3,
        "c" => 1,
        _ => 2,
    };
    for (order, keys) in orders {
        for size in 1..6 {
            let shown: Vec<Value> = keys
                .iter()
                .take(size)
                .map(|key| json!([key, count(key), {}]))
                .collect();
            let other: u64 = keys.iter().skip(size).map(|key| count(key)).sum();
            let expected = json!({"t": {"buckets": shown, "other": other}});
            let asked = all([("t", terms("tags", size, order)?)]);
            computes(&both, Filter::all(), asked, expected).await?;
        }
    }
    Ok(())
}

pub(crate) async fn of_every_kind(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = both(collection(cx).await?, &sample()?).await?;
    for field in ["k", "n", "x", "b", "at", "tags", "o.k", "o.n"] {
        for order in [
            TermsOrder::CountDescending,
            TermsOrder::CountAscending,
            TermsOrder::KeyAscending,
            TermsOrder::KeyDescending,
        ] {
            for size in [1, 4, 100] {
                let mut one = terms(field, size, order)?;
                if let Aggregation::Terms { within, .. } = &mut one {
                    *within = all([
                        (
                            "n",
                            Aggregation::Max {
                                field: "n".parse()?,
                            },
                        ),
                        (
                            "k",
                            Aggregation::Cardinality {
                                field: "k".parse()?,
                            },
                        ),
                    ]);
                }
                let model = both.docs.model().clone();
                let asked = all([("t", one)]);
                let request = AggregateRequest::new(model, Filter::all(), asked);
                agree(&both, &request, 0.0).await?;
            }
        }
    }
    Ok(())
}
