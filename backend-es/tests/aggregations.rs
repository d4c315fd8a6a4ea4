//! Aggregations over more values than a shard tells of, on real servers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use serde_json::json;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind};
use strongroom_core::query::{Aggregation, Aggregations, Filter, TermsOrder};
use strongroom_core::store::{
    AggregateRequest, AggregateResult, Save, SaveRequest, Schema, Search, Write,
};
use strongroom_core::{ErrorKind, Result};
use strongroom_es::EsStore;
use support::{builder, ensure, opensearch_url, store, store_at};

/// How many values: more than a shard tells of, and than buckets are allowed.
const VALUES: i64 = 70_000;

async fn more_values_than_a_shard_tells_of(store: EsStore) {
    let numbers = FieldDeclaration::new("all".parse().unwrap(), Kind::Integer).many();
    let model = builder().field(numbers).build().unwrap();
    ensure(&store, &model).await;
    // Each value is in several documents, and one of them in all.
    for document in 0..6_i64 {
        let values: Vec<i64> = (0..VALUES)
            .filter(|n| *n == 33_333 || n % 6 == document || n % 5 == document)
            .collect();
        let body = Body::parse(json!({"all": values}).to_string()).unwrap();
        let key = Key::new(format!("d{document}")).unwrap();
        let write = Write::put(key, body, Expected::Absent);
        store
            .save(SaveRequest::new(model.clone(), write))
            .await
            .unwrap();
    }
    store.refresh(model.name().clone()).await.unwrap();
    let compute = async |aggregation: Aggregation| -> Result<AggregateResult> {
        let all = Aggregations::from([("a".to_owned(), aggregation)]);
        let request = AggregateRequest::new(model.clone(), Filter::all(), all);
        let mut reply = store.aggregate(request).await?;
        Ok(reply.results.remove("a").unwrap())
    };
    let field = || "all".parse().unwrap();
    let terms = |order| Aggregation::Terms {
        field: field(),
        size: 3,
        order,
        within: Aggregations::new(),
    };

    let AggregateResult::Terms(most) = compute(terms(TermsOrder::CountDescending)).await.unwrap()
    else {
        panic!("terms were asked for");
    };
    assert_eq!(most.buckets[0].key, 33_333.into());
    assert_eq!(most.buckets[0].count, 6);
    assert!(most.error > 0, "the shards left values out: {most:?}");

    let AggregateResult::Terms(least) = compute(terms(TermsOrder::KeyAscending)).await.unwrap()
    else {
        panic!("terms were asked for");
    };
    let keys: Vec<_> = least.buckets.iter().map(|b| b.key.clone()).collect();
    assert_eq!(keys, [0.into(), 1.into(), 2.into()]);
    assert_eq!(least.error, 0);

    let error = compute(terms(TermsOrder::CountAscending)).await;
    let kind = error.unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::Unsupported | ErrorKind::Invalid),
        "{kind:?}"
    );

    let cardinality = compute(Aggregation::Cardinality { field: field() }).await;
    let AggregateResult::Cardinality(different) = cardinality.unwrap() else {
        panic!("a cardinality was asked for");
    };
    let off = different.value.abs_diff(70_000);
    assert!(off <= 700, "{different:?}");
    assert!(different.error > 0.0);

    let histogram = compute(Aggregation::Histogram {
        field: field(),
        interval: 1.0,
        offset: 0.0,
        within: Aggregations::new(),
    });
    let error = histogram.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_tells_how_far_off_it_is() {
    more_values_than_a_shard_tells_of(store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_tells_how_far_off_it_is() {
    more_values_than_a_shard_tells_of(store_at(&opensearch_url()).await).await;
}
