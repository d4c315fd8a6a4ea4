//! Functions that filters call.

use super::*;
use crate::ErrorKind::{Invalid, Unsupported};
use crate::model::Scalar;
use crate::query::{Aggregation, Aggregations, Call, Filter, FunctionName, Functions};
use crate::store::{
    AggregateRequest, AggregateResult, BeginOptions, CountRequest, FunctionSupport, MatchingAction,
    MatchingRequest, Search, Transact,
};

async fn numbers() -> (MemoryStore, Arc<Model>) {
    let functions = Functions::new()
        .with("even", |arguments| match arguments {
            [Some(Scalar::Integer(n))] => Ok(Some(Scalar::from(n % 2 == 0))),
            [None] => Ok(None),
            _ => Err(Error::invalid("it takes an integer")),
        })
        .unwrap();
    let store = MemoryStore::with_options(MemoryOptions::new().functions(functions));
    let model = users();
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    for n in 0..5 {
        let text = format!(r#"{{"n":{n}}}"#);
        put(&store, &model, &n.to_string(), &text, Expected::Absent)
            .await
            .unwrap();
    }
    put(&store, &model, "none", "{}", Expected::Absent)
        .await
        .unwrap();
    (store, model)
}

fn call(function: &str) -> Filter {
    Filter::call(Call::new(function).unwrap().field("n".parse().unwrap()))
}

#[tokio::test]
async fn are_called_wherever_there_is_a_filter() {
    let (store, model) = numbers().await;
    let names = [FunctionName::new("even").unwrap()].into();
    let support = &store.capabilities().functions;
    assert_eq!(*support, FunctionSupport::Registered(names));
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    for filter_and_count in [(call("even"), 3), (!call("even"), 3)] {
        let (filter, wanted) = filter_and_count;
        let count = CountRequest::new(model.clone(), filter);
        assert_eq!(store.count(count.clone()).await.unwrap(), wanted);
        assert_eq!(tx.count(count).await.unwrap(), wanted);
    }
    tx.rollback().await.unwrap();
    let bucket = Aggregation::Filter {
        filter: call("even"),
        within: Aggregations::new(),
    };
    let bucket = Aggregations::from([("even".to_owned(), bucket)]);
    let filter = Filter::gte("n", 1).unwrap();
    let request = AggregateRequest::new(model.clone(), filter, bucket);
    let reply = store.aggregate(request).await.unwrap();
    let AggregateResult::Single(bucket) = &reply.results["even"] else {
        panic!("{reply:?}")
    };
    assert_eq!(bucket.count, 2);
    let delete = MatchingRequest::new(model.clone(), call("even"), MatchingAction::Delete);
    assert_eq!(store.write_matching(delete).await.unwrap().written, 3);
    assert!(load(&store, &model, "2").await.is_none());
}

#[tokio::test]
async fn failures_are_told_and_nothing_is_written() {
    let (store, model) = numbers().await;
    put(&store, &model, "half", r#"{"n":0.5}"#, Expected::Absent)
        .await
        .unwrap();
    let count = CountRequest::new(model.clone(), call("even"));
    let error = store.count(count).await.unwrap_err();
    assert_eq!(error.kind(), Invalid);
    assert!(error.message().contains("even"), "{error}");
    let delete = MatchingRequest::new(model.clone(), call("even"), MatchingAction::Delete);
    assert_eq!(kind(store.write_matching(delete).await), Invalid);
    assert!(load(&store, &model, "0").await.is_some());
    let count = CountRequest::new(model.clone(), call("odd"));
    assert_eq!(kind(store.count(count).await), Unsupported);
    let (plain, model, _) = super::store().await;
    let none = FunctionSupport::Registered([].into());
    assert_eq!(plain.capabilities().functions, none);
    put(&plain, &model, "a", "{}", Expected::Any).await.unwrap();
    let count = CountRequest::new(model, call("even"));
    assert_eq!(kind(plain.count(count).await), Unsupported);
}

#[tokio::test]
async fn a_panic_is_a_failure_and_leaves_the_store_sound() {
    let functions = Functions::new().with("brittle", |_| panic!("it broke"));
    let options = MemoryOptions::new().functions(functions.unwrap());
    let store = MemoryStore::with_options(options);
    let model = users();
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    put(&store, &model, "a", "{}", Expected::Absent)
        .await
        .unwrap();
    for _ in 0..2 {
        let count = CountRequest::new(model.clone(), call("brittle"));
        let error = store.count(count).await.unwrap_err();
        assert_eq!(error.kind(), Invalid);
        assert!(error.message().contains("brittle panicked"), "{error}");
    }
    assert!(load(&store, &model, "a").await.is_some());
}
