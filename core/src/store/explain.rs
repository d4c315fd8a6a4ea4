//! What an engine is asked.

use std::fmt;
use std::sync::Arc;

use super::{
    AggregateRequest, CountRequest, FindRequest, GroupRequest, MatchingRequest, ScanRequest,
};
use crate::model::{Model, Scalar};

/// A question that is to be explained instead of answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExplainRequest {
    /// A page.
    Find(FindRequest),
    /// A count.
    Count(CountRequest),
    /// Aggregations.
    Aggregate(AggregateRequest),
    /// Groups.
    Group(GroupRequest),
    /// A scan.
    Scan(ScanRequest),
    /// A write of what matches: how the documents are found.
    Matching(MatchingRequest),
}

impl ExplainRequest {
    /// The collection's model.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        match self {
            Self::Find(request) => &request.model,
            Self::Count(request) => &request.model,
            Self::Aggregate(request) => &request.model,
            Self::Group(request) => &request.model,
            Self::Scan(request) => &request.model,
            Self::Matching(request) => &request.model,
        }
    }

    /// The collection's model, to be replaced.
    pub fn model_mut(&mut self) -> &mut Arc<Model> {
        match self {
            Self::Find(request) => &mut request.model,
            Self::Count(request) => &mut request.model,
            Self::Aggregate(request) => &mut request.model,
            Self::Group(request) => &mut request.model,
            Self::Scan(request) => &mut request.model,
            Self::Matching(request) => &mut request.model,
        }
    }
}

/// What an engine is asked for one question: in its own language, for people to read.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The statements, in the order in which they are sent.
    pub statements: Vec<ExplainedStatement>,
}

impl Explanation {
    /// An explanation of these statements.
    #[must_use]
    pub fn new(statements: Vec<ExplainedStatement>) -> Self {
        Self { statements }
    }
}

/// One statement that an engine is sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExplainedStatement {
    /// Its text.
    pub text: String,
    /// The values that are bound to it, in order.
    pub values: Vec<Scalar>,
    /// How the engine means to carry it out, line by line, where it tells.
    pub plan: Vec<String>,
}

impl ExplainedStatement {
    /// A statement without values and plan.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
            plan: Vec::new(),
        }
    }

    /// Adds the values.
    #[must_use]
    pub fn with_values(mut self, values: Vec<Scalar>) -> Self {
        self.values = values;
        self
    }

    /// Adds the plan.
    #[must_use]
    pub fn with_plan(mut self, plan: Vec<String>) -> Self {
        self.plan = plan;
        self
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, statement) in self.statements.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            writeln!(f, "{}", statement.text)?;
            if !statement.values.is_empty() {
                writeln!(f, "  values: {:?}", statement.values)?;
            }
            for line in &statement.plan {
                writeln!(f, "  plan: {line}")?;
            }
        }
        Ok(())
    }
}
