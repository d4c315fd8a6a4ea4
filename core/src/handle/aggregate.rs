//! Typed aggregations: what is computed over the documents that match.
//!
//! The handles of fields make single aggregations, [`filtered`] and [`top_hits`] those that are of
//! no field. One of them, or several as a tuple, an array or a map, are asked for by
//! [`Find::aggregate`], and the answer has the same shape:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
//! # fn main() -> Result<()> { run(async |_, users| {
//! for (name, logins) in [("ada", 3), ("bob", 4), ("cy", 5)] {
//!     users.insert(User { logins, ..User::new(name) }).await?;
//! }
//! let f = User::fields();
//! let (sum, regions) = users
//!     .find(f.logins().gte(4))
//!     .aggregate((
//!         f.logins().sum(),
//!         f.region().terms().size(5).within((f.logins().maximum(), f.logins().average())),
//!     ))
//!     .await?;
//! assert_eq!(sum, 9.0);
//! let eu = &regions.buckets[0];
//! assert_eq!((eu.key.as_str(), eu.count), ("eu", 2));
//! assert_eq!(eu.within, (Some(5), Some(4.5)));
//! # Ok(()) }) }
//! ```
//!
//! What each computes is said at [`query::Aggregation`](crate::query::Aggregation). A kind of field
//! that it is not computed of does not compile, and neither do buckets within buckets; sizes,
//! intervals and the fields within nested ones are checked before any I/O.
//!
//! ```compile_fail,E0599
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
//! # fn main() {
//! let sum_of_keywords = User::fields().region().sum();
//! # }
//! ```
//!
//! ```compile_fail,E0277
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
//! # fn main() {
//! let f = User::fields();
//! let buckets_within_buckets = f.region().terms().within(f.name().terms());
//! # }
//! ```

mod buckets;
mod dates;
mod fields;
mod hits;
mod metric;
mod several;
mod single;

use std::sync::Arc;

use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::find::Find;
use crate::error::{Error, Operation, Result};
use crate::model::Model;
use crate::query::{Aggregation, Aggregations};
use crate::store::{
    AggregateReply, AggregateRequest, AggregateResult, AggregateResults, ExplainRequest,
    Explanation,
};

pub use crate::query::{CalendarUnit, DateInterval, TermsOrder};
pub use crate::store::Cardinality;
pub use buckets::{Bucket, HistogramOf, Terms, TermsOf};
pub use dates::{DateHistogramOf, IntoDateInterval};
pub use hits::{TopHits, TopHitsAs, top_hits};
pub use metric::{Metric, Stats};
pub use single::{Filtered, NestedOf, Single, filtered};

/// What can be computed over documents `T`: one aggregation; or several as a tuple of up to 8, an
/// array, a vector or a map by name, whose outputs have the same shape. Tuples may hold tuples.
/// `None` asks for nothing, and `()` neither.
///
/// It is implemented for what the handles of fields make, and for nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing to be computed over documents `{T}`",
    note = "handles of fields make aggregations: `f.logins().sum()`, `f.region().terms()`"
)]
pub trait Aggregate<T: Document> {
    /// The typed answer.
    type Output;

    #[doc(hidden)]
    fn ask(&self, name: &str, question: &mut Question);

    #[doc(hidden)]
    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output>;
}

/// What can be computed in each bucket: metrics and top hits, and several of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not computed within a bucket",
    note = "buckets hold metrics and top hits, and no buckets of their own"
)]
pub trait AggregateWithin<T: Document>: Aggregate<T> {}

/// What can be computed over the objects of a nested field: metrics of the fields within it, and
/// several of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not computed over the objects of a nested field",
    note = "over objects there are metrics of the fields within them; top hits are whole documents"
)]
pub trait AggregateObjects<T: Document>: AggregateWithin<T> {}

/// What is asked for, by name.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Question {
    asked: Aggregations,
    refused: Option<Error>,
}

impl Question {
    fn add(&mut self, name: &str, aggregation: Result<Aggregation>) {
        let known = match aggregation {
            Ok(aggregation) => self.asked.insert(own_name(name).to_owned(), aggregation),
            Err(error) => {
                self.refused.get_or_insert(error);
                None
            }
        };
        if known.is_some() {
            self.refused.get_or_insert(Error::invalid(format!(
                "two aggregations have the name {name:?}"
            )));
        }
    }

    /// What `within` asks for, to be computed in each bucket.
    fn within<T: Document>(&mut self, within: &impl Aggregate<T>) -> Aggregations {
        let mut inner = Self::default();
        within.ask("", &mut inner);
        if let Some(error) = inner.refused {
            self.refused.get_or_insert(error);
        }
        inner.asked
    }
}

/// Results, and what is needed to make documents of them.
#[doc(hidden)]
#[derive(Debug)]
pub struct Answer<'a, T> {
    collection: &'a Collection<T>,
    model: &'a Arc<Model>,
    results: AggregateResults,
}

impl<T: Document> Answer<'_, T> {
    fn take(&mut self, name: &str) -> Result<AggregateResult> {
        let name = own_name(name);
        let result = self.results.remove(name);
        result.ok_or_else(|| Error::internal(format!("the store left out aggregation {name:?}")))
    }

    /// Reads what was computed in one bucket.
    fn within<A: Aggregate<T>>(&self, within: &A, results: AggregateResults) -> Result<A::Output> {
        let mut inner = Answer { results, ..*self };
        within.read("", &mut inner)
    }
}

/// One aggregation alone needs some name.
fn own_name(name: &str) -> &str {
    match name {
        "" => "0",
        name => name,
    }
}

/// The name of one of several.
fn name_within(name: &str, one: impl std::fmt::Display) -> String {
    match name {
        "" => one.to_string(),
        name => format!("{name}.{one}"),
    }
}

#[cold]
fn mismatched(name: &str) -> Error {
    Error::internal(format!(
        "the store gave aggregation {name:?} a result of another one"
    ))
}

impl<T: Document> Find<T> {
    /// Computes over all that match, whatever sort, limit, offset and selection say; see
    /// [`aggregate`](crate::handle::aggregate). Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the aggregation, for a size or an interval out of range, a field that
    /// does not lie within the nested one, or too many buckets; `Codec` for a value that does not
    /// fit the type of its kind, or a top hit that does not fit `T`; `Unsupported` if the store has
    /// no aggregations; otherwise as for [`count`](Self::count).
    pub async fn aggregate<A: Aggregate<T>>(self, aggregate: A) -> Result<A::Output> {
        let request = self.aggregate_request(&aggregate)?;
        let model = request.model.clone();
        let results = match request.aggregations.is_empty() {
            true => AggregateReply::default(),
            false => {
                let reply = self.collection.context.store.aggregate(request).await;
                reply.at(Operation::Aggregate, &model)?
            }
        };
        let mut answer = Answer {
            collection: &self.collection,
            model: &model,
            results: results.results,
        };
        aggregate
            .read("", &mut answer)
            .at(Operation::Aggregate, &model)
    }

    /// Says what [`aggregate`](Self::aggregate) would ask the engine. Dropping the future changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// As for [`aggregate`](Self::aggregate).
    pub async fn explain_aggregate(self, aggregate: impl Aggregate<T>) -> Result<Explanation> {
        let request = self.aggregate_request(&aggregate)?;
        self.collection
            .explain(ExplainRequest::Aggregate(request))
            .await
    }

    fn aggregate_request(&self, aggregate: &impl Aggregate<T>) -> Result<AggregateRequest> {
        let model = self.collection.model()?;
        let mut question = Question::default();
        aggregate.ask("", &mut question);
        if let Some(error) = question.refused {
            return Err(error).at(Operation::Aggregate, model);
        }
        Ok(AggregateRequest {
            model: model.clone(),
            filter: self.filter.clone(),
            routing: self.routing_of(Operation::Aggregate, model)?,
            aggregations: question.asked,
        })
    }
}
