//! Counting and timing calls.
//!
//! The layer sits outside the retry layer, so a call is measured once, with all its attempts; the
//! retry layer reports these apart. What becomes of the figures is up to a [`Meter`]. With the
//! feature `metrics`, `MetricsMeter` hands them to the `metrics` crate.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::{Call, Enter, Intercept, Reply};
use crate::error::{ErrorKind, Operation, Result};
use crate::model::CollectionName;

/// Takes figures of calls. It is called on every call: it must be quick and must not block.
pub trait Meter: Debug + Send + Sync {
    /// A call has ended. One that was dropped before its end is not reported.
    fn called(&self, measured: &Measured<'_>);

    /// A call, or a part of a bulk, is about to be made again.
    fn retried(&self, retried: &Retried<'_>);
}

/// The figures of one call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Measured<'a> {
    /// What was called.
    pub operation: Operation,
    /// The engine's name as OpenTelemetry's database conventions have it.
    pub engine: &'static str,
    /// The collection that was addressed, if one was.
    pub collection: Option<&'a CollectionName>,
    /// How long it took, with all attempts.
    pub duration: Duration,
    /// The kind of error, if it failed as a whole.
    pub error: Option<ErrorKind>,
    /// How many keys or items it had, for the operations that take many.
    pub items: Option<usize>,
    /// How many of its writes met a conflict or a document that was not to be there.
    pub conflicts: usize,
}

/// A call that is about to be made again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retried<'a> {
    /// What is called.
    pub operation: Operation,
    /// The engine's name as OpenTelemetry's database conventions have it.
    pub engine: &'static str,
    /// The collection that is addressed, if one is.
    pub collection: Option<&'a CollectionName>,
}

impl<'a> Retried<'a> {
    pub(super) fn new(
        operation: Operation,
        engine: &'static str,
        collection: Option<&'a CollectionName>,
    ) -> Self {
        Self {
            operation,
            engine,
            collection,
        }
    }
}

/// Counts and times calls.
#[derive(Clone, Debug)]
pub struct MetricsLayer {
    meter: Arc<dyn Meter>,
}

impl MetricsLayer {
    /// A layer that reports to `meter`.
    #[must_use]
    pub fn new(meter: Arc<dyn Meter>) -> Self {
        Self { meter }
    }
}

/// What is known of a call under way.
#[derive(Debug)]
pub struct Started {
    operation: Operation,
    engine: &'static str,
    collection: Option<CollectionName>,
    items: Option<usize>,
    at: Instant,
}

fn is_conflict(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Conflict | ErrorKind::AlreadyExists)
}

impl Intercept for MetricsLayer {
    type Scope = Started;

    fn enter(&self, call: &Call<'_>) -> Enter<Started> {
        Enter::Around(Started {
            operation: call.operation,
            engine: call.engine(),
            collection: call.collection().cloned(),
            items: call.items(),
            at: Instant::now(),
        })
    }

    async fn around<T: Reply>(
        &self,
        started: Started,
        inner: BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        let mut reply = inner.await;
        let (error, conflicts) = match &mut reply {
            Ok(reply) => {
                let outcomes = reply.outcomes().unwrap_or_default().iter();
                let errors = outcomes.filter_map(|outcome| outcome.as_ref().err());
                (
                    None,
                    errors.filter(|error| is_conflict(error.kind())).count(),
                )
            }
            Err(error) => (Some(error.kind()), usize::from(is_conflict(error.kind()))),
        };
        self.meter.called(&Measured {
            operation: started.operation,
            engine: started.engine,
            collection: started.collection.as_ref(),
            duration: started.at.elapsed(),
            error,
            items: started.items,
            conflicts,
        });
        reply
    }
}

/// Hands figures to the `metrics` crate:
///
/// - the histogram `db.client.operation.duration`, in seconds, and the histogram
///   `db.client.operation.batch.size`, of the calls that take many keys or items;
/// - the counters `strongroom.conflicts` and `strongroom.retries`;
///
/// with the labels `db.system.name`, `db.operation.name`, `db.collection.name`, and `error.type`
/// where a call failed.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MetricsMeter;

#[cfg(feature = "metrics")]
impl MetricsMeter {
    /// A meter that reports to the recorder that the program installed.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    fn labels(
        operation: Operation,
        engine: &'static str,
        collection: Option<&CollectionName>,
    ) -> Vec<metrics::Label> {
        let mut labels = vec![
            metrics::Label::new("db.system.name", engine),
            metrics::Label::new("db.operation.name", operation.as_str()),
        ];
        if let Some(collection) = collection {
            let name = collection.as_str().to_owned();
            labels.push(metrics::Label::new("db.collection.name", name));
        }
        labels
    }
}

#[cfg(feature = "metrics")]
impl Meter for MetricsMeter {
    fn called(&self, measured: &Measured<'_>) {
        let mut labels = Self::labels(measured.operation, measured.engine, measured.collection);
        if measured.conflicts > 0 {
            metrics::counter!("strongroom.conflicts", labels.clone())
                .increment(measured.conflicts as u64);
        }
        if let Some(items) = measured.items {
            #[allow(clippy::cast_precision_loss, reason = "a batch has far fewer items")]
            metrics::histogram!("db.client.operation.batch.size", labels.clone())
                .record(items as f64);
        }
        if let Some(error) = measured.error {
            labels.push(metrics::Label::new("error.type", error.as_str()));
        }
        metrics::histogram!("db.client.operation.duration", labels)
            .record(measured.duration.as_secs_f64());
    }

    fn retried(&self, retried: &Retried<'_>) {
        let labels = Self::labels(retried.operation, retried.engine, retried.collection);
        metrics::counter!("strongroom.retries", labels).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::testing::{FakeStore, Fault, Step, counter, key, model};
    use super::*;
    use crate::layers::{LayerOptions, default_stack};
    use crate::model::Expected;
    use crate::store::{BulkRequest, LoadRequest, SaveRequest, Write};

    #[derive(Debug, Default)]
    struct Log(Mutex<Vec<String>>);

    impl Meter for Log {
        fn called(&self, m: &Measured<'_>) {
            let line = format!(
                "{} {} {:?} {:?} {:?} {}",
                m.engine,
                m.operation,
                m.collection.map(CollectionName::as_str),
                m.error,
                m.items,
                m.conflicts
            );
            self.0.lock().unwrap().push(line);
        }

        fn retried(&self, r: &Retried<'_>) {
            self.0
                .lock()
                .unwrap()
                .push(format!("retried {}", r.operation));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_measured_once_and_retries_apart() {
        let log = Arc::new(Log::default());
        let fake = FakeStore::new();
        let mut options = LayerOptions::new();
        options.meter = Some(log.clone());
        let store = default_stack(fake.clone(), &options);
        let create = |id| Write::put(key(id), counter(1), Expected::Absent);
        fake.script([Step::fault(Fault::Before(ErrorKind::Unavailable))]);
        let load = LoadRequest::new(model(), vec![key("a"), key("b")]);
        store.load(load).await.unwrap();
        let save = || SaveRequest::new(model(), create("a"));
        store.save(save()).await.unwrap();
        store.save(save()).await.unwrap_err();
        let items = ["a", "b", "b"].map(|id| create(id).into()).to_vec();
        store.bulk(BulkRequest::new(model(), items)).await.unwrap();
        let begin = crate::store::BeginOptions::new();
        let transaction = store.transact().unwrap().begin(begin).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(
            *log.0.lock().unwrap(),
            [
                "retried load",
                r#"fake load Some("counters") None Some(2) 0"#,
                r#"fake save Some("counters") None None 0"#,
                r#"fake save Some("counters") Some(AlreadyExists) None 1"#,
                r#"fake bulk Some("counters") None Some(3) 2"#,
                "fake begin None None None 0",
                "fake commit None None None 0",
            ]
        );
    }

    #[cfg(feature = "metrics")]
    mod crate_of_that_name {
        use metrics::{
            Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit,
            with_local_recorder,
        };

        use super::*;

        /// Writes down which figures are asked for, and the value of each.
        #[derive(Clone, Debug, Default)]
        struct Figures(Arc<Mutex<Vec<String>>>);

        struct Figure(String, Figures);

        impl metrics::CounterFn for Figure {
            fn increment(&self, value: u64) {
                self.1.0.lock().unwrap().push(format!("{} {value}", self.0));
            }

            fn absolute(&self, _: u64) {}
        }

        impl metrics::HistogramFn for Figure {
            fn record(&self, value: f64) {
                self.1.0.lock().unwrap().push(format!("{} {value}", self.0));
            }
        }

        impl Figures {
            fn figure(&self, key: &Key) -> Arc<Figure> {
                let labels = key.labels().map(|l| format!("{}={}", l.key(), l.value()));
                let labels: Vec<_> = labels.collect();
                let name = format!("{} [{}]", key.name(), labels.join(" "));
                Arc::new(Figure(name, self.clone()))
            }
        }

        impl metrics::Recorder for Figures {
            fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
            fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
            fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

            fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
                Counter::from_arc(self.figure(key))
            }

            fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
                Gauge::noop()
            }

            fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
                Histogram::from_arc(self.figure(key))
            }
        }

        #[test]
        fn figures_have_the_names_of_the_conventions() {
            let figures = Figures::default();
            let collection = "users".parse().unwrap();
            with_local_recorder(&figures, || {
                MetricsMeter::new().called(&Measured {
                    operation: Operation::Bulk,
                    engine: "fake",
                    collection: Some(&collection),
                    duration: Duration::from_millis(1_500),
                    error: Some(ErrorKind::Conflict),
                    items: Some(3),
                    conflicts: 2,
                });
                MetricsMeter::new().retried(&Retried::new(Operation::Begin, "fake", None));
            });
            let of = "db.system.name=fake db.operation.name=bulk db.collection.name=users";
            assert_eq!(
                *figures.0.lock().unwrap(),
                [
                    format!("strongroom.conflicts [{of}] 2"),
                    format!("db.client.operation.batch.size [{of}] 3"),
                    format!("db.client.operation.duration [{of} error.type=conflict] 1.5"),
                    "strongroom.retries [db.system.name=fake db.operation.name=begin] 1".to_owned(),
                ]
            );
        }
    }
}
