//! Spans by OpenTelemetry's conventions for database clients.
//!
//! Each call has one span of the level `DEBUG` and the target `strongroom::store`, however many
//! attempts are made below, with these fields:
//!
//! | field | value |
//! | --- | --- |
//! | `otel.name` | the operation and the collection |
//! | `otel.kind` | `client` |
//! | `db.system.name` | the engine |
//! | `db.operation.name` | the operation |
//! | `db.collection.name` | the collection |
//! | `db.operation.batch.size` | how many keys or items, if there are at least two |
//! | `error.type`, `otel.status_code` | the kind of error, and `ERROR`, if the call fails |
//! | `strongroom.failed_items` | how many items of a bulk failed, if any did |
//! | `strongroom.in_transaction` | whether the call is part of a transaction |
//! | `strongroom.document.id` | the id, if asked for and the call is about one document |
//!
//! Bodies, values and routings are never among them. Where nobody listens, the layer passes calls
//! on untouched, at the cost of one atomic load.

use futures_util::future::BoxFuture;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use super::{Call, Enter, Intercept, Reply};
use crate::error::{Error, Result};

/// Whether spans name documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceIds {
    /// They do not: ids may tell of people.
    #[default]
    Hide,
    /// They have the id of the document, where a call is about one.
    Show,
}

/// Makes a span of each call. See [the module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceLayer {
    ids: TraceIds,
}

impl TraceLayer {
    /// A layer whose spans name documents or not.
    #[must_use]
    pub fn new(ids: TraceIds) -> Self {
        Self { ids }
    }
}

impl Intercept for TraceLayer {
    type Scope = Span;

    fn enter(&self, call: &Call<'_>) -> Enter<Span> {
        let span = tracing::debug_span!(
            target: "strongroom::store",
            "store",
            otel.name = Empty,
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = call.engine(),
            db.operation.name = call.operation.as_str(),
            db.collection.name = Empty,
            db.operation.batch.size = Empty,
            error.r#type = Empty,
            strongroom.failed_items = Empty,
            strongroom.in_transaction = call.in_transaction,
            strongroom.document.id = Empty,
        );
        if span.is_disabled() {
            return Enter::Pass;
        }
        match call.collection() {
            Some(collection) => {
                span.record("db.collection.name", collection.as_str());
                let name = format_args!("{} {collection}", call.operation);
                span.record("otel.name", display(name));
            }
            None => {
                span.record("otel.name", call.operation.as_str());
            }
        }
        if let Some(items) = call.items().filter(|items| *items > 1) {
            span.record("db.operation.batch.size", items);
        }
        if let (TraceIds::Show, Some(key)) = (self.ids, call.key()) {
            span.record("strongroom.document.id", key.id().as_str());
        }
        Enter::Around(span)
    }

    async fn around<T: Reply>(&self, span: Span, inner: BoxFuture<'_, Result<T>>) -> Result<T> {
        let mut reply = inner.instrument(span.clone()).await;
        match &mut reply {
            Ok(reply) => {
                let outcomes = reply.outcomes().unwrap_or_default();
                let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
                if failed > 0 {
                    span.record("strongroom.failed_items", failed);
                }
            }
            Err(error) => failed(&span, error),
        }
        reply
    }
}

#[cold]
fn failed(span: &Span, error: &Error) {
    span.record("error.type", error.kind().as_str());
    span.record("otel.status_code", "ERROR");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::super::testing::{FakeStore, counter, key, model};
    use super::*;
    use crate::layers::Layer;
    use crate::model::{Expected, Key};
    use crate::store::{BulkRequest, LoadRequest, SaveRequest, Write};

    type Fields = BTreeMap<String, String>;

    /// Collects the fields of all spans; the id of a span is its place.
    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<Vec<Fields>>>);

    struct Collect<'a>(&'a mut Fields);

    impl Visit for Collect<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name().to_owned(), format!("{value:?}"));
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.insert(field.name().to_owned(), value.to_owned());
        }
    }

    impl Subscriber for Collector {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "strongroom::store"
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let mut spans = self.0.lock().unwrap();
            let mut fields = Fields::new();
            span.record(&mut Collect(&mut fields));
            spans.push(fields);
            Id::from_u64(spans.len() as u64)
        }

        fn record(&self, span: &Id, values: &Record<'_>) {
            let at = span.into_u64() as usize - 1;
            values.record(&mut Collect(&mut self.0.lock().unwrap()[at]));
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    async fn make_calls(ids: TraceIds) {
        let store = TraceLayer::new(ids).wrap(FakeStore::new());
        let secret = crate::model::Body::parse(r#"{"n":1,"pin":"4711"}"#).unwrap();
        let write = Write::put(key("ada"), secret, Expected::Present);
        let keys: Vec<Key> = vec![key("a"), key("b")];
        let items = ["c", "d"].map(|id| Write::put(key(id), counter(1), Expected::Absent).into());
        store.load(LoadRequest::new(model(), keys)).await.unwrap();
        store
            .save(SaveRequest::new(model(), write))
            .await
            .unwrap_err();
        let bulk = BulkRequest::new(model(), [items.to_vec(), items.to_vec()].concat());
        store.bulk(bulk).await.unwrap();
        store.server_info().await.unwrap();
    }

    fn collect(ids: TraceIds) -> Vec<Fields> {
        let collector = Collector::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        // Where there is one subscriber alone, a place in the code that another test's thread comes
        // to first counts as one that nobody listens to.
        let another = tracing::Dispatch::new(collector.clone());
        tracing::subscriber::with_default(collector.clone(), || runtime.block_on(make_calls(ids)));
        drop(another);
        let spans = collector.0.lock().unwrap();
        spans.clone()
    }

    #[test]
    fn spans_follow_the_conventions() {
        let spans = collect(TraceIds::Hide);
        let get = |at: usize, field: &str| spans[at].get(field).map(String::as_str);
        assert_eq!(spans.len(), 4);
        assert_eq!(get(0, "otel.name"), Some("load counters"));
        assert_eq!(get(0, "otel.kind"), Some("client"));
        assert_eq!(get(0, "db.system.name"), Some("fake"));
        assert_eq!(get(0, "db.operation.name"), Some("load"));
        assert_eq!(get(0, "db.collection.name"), Some("counters"));
        assert_eq!(get(0, "db.operation.batch.size"), Some("2"));
        assert_eq!(get(0, "error.type"), None);
        assert_eq!(get(1, "error.type"), Some("not found"));
        assert_eq!(get(1, "otel.status_code"), Some("ERROR"));
        assert_eq!(get(1, "db.operation.batch.size"), None);
        assert_eq!(get(2, "strongroom.failed_items"), Some("2"));
        assert_eq!(get(3, "otel.name"), Some("server_info"));
        assert_eq!(get(3, "db.collection.name"), None);
        let all = format!("{spans:?}");
        assert!(!all.contains("ada") && !all.contains("4711"), "{all}");
    }

    #[test]
    fn ids_are_shown_only_when_asked_for() {
        let spans = collect(TraceIds::Show);
        let id = spans[1].get("strongroom.document.id");
        assert_eq!(id.map(String::as_str), Some("ada"));
        assert!(!format!("{spans:?}").contains("4711"));
    }
}
