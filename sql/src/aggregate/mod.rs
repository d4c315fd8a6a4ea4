//! Aggregations, by as few statements as their fields allow.
//!
//! [`aggregate`] makes a [`Plan`]: the metrics of one level over fields of one value share one
//! statement, with the counts of the buckets they are in; a field that may hold several values has
//! one of its own, which joins them; and so have top hits. The adapter carries the statements out
//! in one state of the data, in order, and hands their rows to the plan's [`Answer`].
//!
//! Modules, in reading order:
//!
//! - `compile`: which statements there are, level by level.
//! - `rows`: what is aggregated, as a subquery with one row for each document of each bucket.
//! - `figures`: metrics as columns, and back.
//! - `answer`: from rows to the reply.

mod answer;
mod compile;
mod figures;
mod rows;

use strongroom_core::error::Result;
use strongroom_core::query::{Aggregation, SourceFilter};
use strongroom_core::store::AggregateRequest;

use crate::dialect::Dialect;
use crate::param::Statement;

pub use answer::Answer;
use compile::Compiler;
use figures::Figure;

/// The statements that compute the aggregations of one request.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{FieldDeclaration, Kind, Model, Scalar};
/// use strongroom_core::query::{Aggregation, Aggregations, Filter};
/// use strongroom_core::store::{AggregateRequest, AggregateResult};
/// use strongroom_sql::{Sqlite, aggregate};
///
/// let model = Model::builder("users")
///     .field(FieldDeclaration::new("age".parse()?, Kind::Integer))
///     .build()?;
/// let sum = Aggregation::Sum { field: "age".parse()? };
/// let all = Aggregations::from([("years".to_owned(), sum)]);
/// let request = AggregateRequest::new(model, Filter::all(), all);
/// let plan = aggregate(&Sqlite, &request)?;
/// let mut answer = plan.answer();
/// for step in plan.steps() {
///     // The rows of `step.statement()` come from the database.
///     answer.values(step, vec![Some(Scalar::from(77.0))])?;
/// }
/// let reply = answer.finish()?;
/// assert!(matches!(reply.results["years"], AggregateResult::Sum(sum) if sum == 77.0));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Plan<'r> {
    request: &'r AggregateRequest,
    steps: Vec<Step<'r>>,
}

impl<'r> Plan<'r> {
    /// The statements, in the order in which they are to be carried out.
    #[must_use]
    pub fn steps(&self) -> &[Step<'r>] {
        &self.steps
    }

    /// The statements alone.
    #[must_use]
    pub fn into_statements(self) -> Vec<Statement> {
        self.steps.into_iter().map(|step| step.statement).collect()
    }

    /// An answer that has no rows yet.
    #[must_use]
    pub fn answer(&self) -> Answer<'r> {
        Answer::new(self.request)
    }
}

/// One statement of a plan, and what its rows say.
#[derive(Debug)]
pub struct Step<'r> {
    statement: Statement,
    /// The aggregation whose buckets the rows are about; `None` for what matches as a whole.
    place: Option<&'r str>,
    /// Whether the rows name the bucket that they are about: there are several.
    keyed: bool,
    what: What<'r>,
}

/// What the rows of a step say.
#[derive(Debug)]
enum What<'r> {
    /// The buckets with their counts, and figures of each. Rows of terms tell after the count how
    /// many documents there are in all buckets, those left out included.
    Buckets {
        total: bool,
        figures: Vec<Figure<'r>>,
    },
    /// More figures of what is there already.
    Figures(Vec<Figure<'r>>),
    /// Documents.
    Hits {
        name: &'r str,
        size: usize,
        source: &'r SourceFilter,
    },
}

/// The form of a step's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowForm {
    /// This many columns of single values, for [`Answer::values`].
    Values(usize),
    /// Documents, for [`Answer::document`]: the id; in routed collections the routing; version
    /// and body. Where `keyed`, the key of the bucket follows.
    Documents {
        /// Whether a key follows.
        keyed: bool,
    },
}

impl Step<'_> {
    /// The statement.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What its rows look like.
    #[must_use]
    pub fn form(&self) -> RowForm {
        let keyed = self.keyed;
        let width = |figures: &[Figure<'_>]| figures::width(figures);
        match &self.what {
            What::Buckets { total, figures } => {
                RowForm::Values(usize::from(keyed) + 1 + usize::from(*total) + width(figures))
            }
            What::Figures(figures) => RowForm::Values(usize::from(keyed) + width(figures)),
            What::Hits { .. } => RowForm::Documents { keyed },
        }
    }
}

/// Compiles aggregations.
///
/// # Errors
///
/// `Invalid` as for [`Aggregation::check_all`], or if there are more values than the database
/// binds; `Unsupported` for a filter or an aggregation that the dialect cannot express.
pub fn aggregate<'r>(dialect: &dyn Dialect, request: &'r AggregateRequest) -> Result<Plan<'r>> {
    Aggregation::check_all(&request.aggregations, &request.model)?;
    let steps = Compiler::new(dialect, request).steps()?;
    Ok(Plan { request, steps })
}

#[cfg(test)]
mod tests;
