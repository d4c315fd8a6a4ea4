//! Aggregations of one bucket: of a filter, and of the objects of a nested field.

use std::marker::PhantomData;

use super::{Aggregate, AggregateObjects, AggregateWithin, Answer, Question, mismatched, own_name};
use crate::error::Result;
use crate::handle::document::Document;
use crate::model::FieldPath;
use crate::query::{Aggregation, Filter};
use crate::store::AggregateResult;

/// The one bucket of a filter or of nested objects.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Single<W = ()> {
    /// How many documents or objects there are.
    pub count: u64,
    /// What was computed over them.
    pub within: W,
}

/// One bucket of the documents that match a filter as well.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// # fn main() -> Result<()> { run(async |_, users| {
/// use strongroom_core::handle::aggregate::filtered;
///
/// users.insert_many(["ada", "bob"].map(User::new)).await?;
/// let f = User::fields();
/// let (eu, us) = users
///     .find(Filter::all())
///     .aggregate((
///         filtered(f.region().eq("eu")).within(f.logins().sum()),
///         filtered(f.region().eq("us")),
///     ))
///     .await?;
/// assert_eq!((eu.count, eu.within, us.count), (2, 0.0, 0));
/// # Ok(()) }) }
/// ```
#[must_use]
pub fn filtered(filter: impl Into<Filter>) -> Filtered {
    Filtered {
        filter: filter.into(),
        within: (),
    }
}

/// One bucket of the documents that match a filter as well; [`filtered`] makes it.
#[derive(Clone, Debug)]
pub struct Filtered<W = ()> {
    filter: Filter,
    within: W,
}

impl Filtered {
    /// Computes this in the bucket.
    #[must_use]
    pub fn within<W>(self, within: W) -> Filtered<W> {
        Filtered {
            filter: self.filter,
            within,
        }
    }
}

impl<T: Document, W: AggregateWithin<T>> Aggregate<T> for Filtered<W> {
    type Output = Single<W::Output>;

    fn ask(&self, name: &str, question: &mut Question) {
        let filter = Aggregation::Filter {
            filter: self.filter.clone(),
            within: question.within(&self.within),
        };
        question.add(name, Ok(filter));
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        single(name, &self.within, answer)
    }
}

/// One bucket of the objects of a nested field;
/// [`Field::objects`](crate::handle::Field::objects) makes it.
#[derive(Clone, Debug)]
pub struct NestedOf<T, W = ()> {
    field: FieldPath,
    within: W,
    of: PhantomData<fn() -> T>,
}

impl<T> NestedOf<T> {
    pub(super) fn new(field: &FieldPath) -> Self {
        Self {
            field: field.clone(),
            within: (),
            of: PhantomData,
        }
    }

    /// Computes this over the objects, by the handles of the fields within them.
    #[must_use]
    pub fn within<W>(self, within: W) -> NestedOf<T, W>
    where
        T: Document,
        W: AggregateObjects<T>,
    {
        NestedOf {
            field: self.field,
            within,
            of: PhantomData,
        }
    }
}

impl<T: Document, W: Aggregate<T>> Aggregate<T> for NestedOf<T, W> {
    type Output = Single<W::Output>;

    fn ask(&self, name: &str, question: &mut Question) {
        let nested = Aggregation::Nested {
            field: self.field.clone(),
            within: question.within(&self.within),
        };
        question.add(name, Ok(nested));
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        single(name, &self.within, answer)
    }
}

fn single<T: Document, W: Aggregate<T>>(
    name: &str,
    within: &W,
    answer: &mut Answer<'_, T>,
) -> Result<Single<W::Output>> {
    let AggregateResult::Single(found) = answer.take(name)? else {
        return Err(mismatched(own_name(name)));
    };
    Ok(Single {
        count: found.count,
        within: answer.within(within, found.results)?,
    })
}
