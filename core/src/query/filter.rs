//! Which documents are meant.

use std::ops::Bound;

use serde::Serialize;

use super::{Call, Words};
use crate::error::Result;
use crate::model::{DocumentId, FieldPath, Scalar};

/// Which documents are meant, untyped. Typed field handles build the same.
///
/// # Examples
///
/// ```
/// use strongroom_core::query::Filter;
///
/// let filter = Filter::eq("region", "eu")?.and(Filter::gte("logins", 3)?);
/// # let _ = filter;
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Filter {
    /// Some value of the field equals this one.
    Eq {
        /// The field.
        field: FieldPath,
        /// The value.
        value: Scalar,
    },
    /// Some value of the field is one of these. An empty list matches nothing.
    In {
        /// The field.
        field: FieldPath,
        /// The values.
        values: Vec<Scalar>,
    },
    /// Some value of the field lies between the bounds.
    Range {
        /// The field.
        field: FieldPath,
        /// The lower bound.
        lower: Bound<Scalar>,
        /// The upper bound.
        upper: Bound<Scalar>,
    },
    /// Some value of the keyword field begins with this text.
    Prefix {
        /// The field.
        field: FieldPath,
        /// The beginning.
        prefix: String,
    },
    /// Some value of the keyword field matches this pattern; see [`Wildcard`](super::Wildcard).
    Wildcard {
        /// The field.
        field: FieldPath,
        /// The pattern.
        pattern: String,
    },
    /// The text field has these words; see [`TextQuery`](super::TextQuery).
    Text {
        /// The field.
        field: FieldPath,
        /// The words, as text.
        text: String,
        /// Which of them the field must have.
        words: Words,
    },
    /// The field has a value.
    Exists {
        /// The field.
        field: FieldPath,
    },
    /// The document's id is one of these, whichever its routing. An empty list matches nothing.
    Ids(Vec<DocumentId>),
    /// Some object of the nested field matches, taken for itself. The filter names fields by
    /// their whole paths, and only fields under this one.
    Nested {
        /// The nested field.
        field: FieldPath,
        /// What one of its objects must match.
        filter: Box<Filter>,
    },
    /// What a function makes of the document equals this value.
    Call {
        /// The call.
        call: Call,
        /// The value.
        equals: Scalar,
    },
    /// A condition in the engine's own language.
    Native(Native),
    /// All of these hold. An empty list matches everything.
    And(Vec<Filter>),
    /// Some of these holds. An empty list matches nothing.
    Or(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
}

/// A condition in one engine's own language, for what filters cannot say.
///
/// Stores of SQL take a condition as it stands in `WHERE`, with a `?` for each value; the document
/// is the row `d` with the columns `id`, `version` and `body`, and in routed collections `routing`.
/// On PostgreSQL `body` is `jsonb`; on SQLite and MariaDB it is JSON text, and on MariaDB `id` and
/// `routing` are binary. A `?` outside of quotes is always a value, so an operator that has one is
/// written as its function: `jsonb_exists(d.body, 'k')` for `d.body ? 'k'`. The text becomes part
/// of the question as it is: never make it of a user's input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Native {
    /// The engine whose language it is, as its capabilities name it: `sqlite`, `postgresql`,
    /// `mariadb`, `elasticsearch` or `opensearch`.
    pub engine: String,
    /// The condition.
    pub condition: String,
    /// The values that it refers to, in order.
    pub values: Vec<Scalar>,
}

type Path<'a> = &'a str;

impl Filter {
    /// Every document.
    #[must_use]
    pub fn all() -> Self {
        Self::And(Vec::new())
    }

    /// Some value of `field` equals `value`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed, as for each of these functions.
    pub fn eq(field: Path<'_>, value: impl Into<Scalar>) -> Result<Self> {
        let (field, value) = (FieldPath::new(field)?, value.into());
        Ok(Self::Eq { field, value })
    }

    /// Some value of `field` is one of `values`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn is_in<V: Into<Scalar>>(
        field: Path<'_>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self> {
        Ok(Self::In {
            field: FieldPath::new(field)?,
            values: values.into_iter().map(Into::into).collect(),
        })
    }

    /// Some value of `field` lies between the bounds.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn range(field: Path<'_>, lower: Bound<Scalar>, upper: Bound<Scalar>) -> Result<Self> {
        Ok(Self::Range {
            field: FieldPath::new(field)?,
            lower,
            upper,
        })
    }

    /// Some value of `field` is greater than `value`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn gt(field: Path<'_>, value: impl Into<Scalar>) -> Result<Self> {
        Self::range(field, Bound::Excluded(value.into()), Bound::Unbounded)
    }

    /// Some value of `field` is at least `value`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn gte(field: Path<'_>, value: impl Into<Scalar>) -> Result<Self> {
        Self::range(field, Bound::Included(value.into()), Bound::Unbounded)
    }

    /// Some value of `field` is less than `value`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn lt(field: Path<'_>, value: impl Into<Scalar>) -> Result<Self> {
        Self::range(field, Bound::Unbounded, Bound::Excluded(value.into()))
    }

    /// Some value of `field` is at most `value`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn lte(field: Path<'_>, value: impl Into<Scalar>) -> Result<Self> {
        Self::range(field, Bound::Unbounded, Bound::Included(value.into()))
    }

    /// Some value of the keyword field `field` begins with `prefix`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn prefix(field: Path<'_>, prefix: impl Into<String>) -> Result<Self> {
        Ok(Self::Prefix {
            field: FieldPath::new(field)?,
            prefix: prefix.into(),
        })
    }

    /// Some value of the keyword field `field` matches `pattern`, in which `*` is any run of
    /// characters and `?` one; see [`Wildcard`](super::Wildcard).
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn wildcard(field: Path<'_>, pattern: impl Into<String>) -> Result<Self> {
        Ok(Self::Wildcard {
            field: FieldPath::new(field)?,
            pattern: pattern.into(),
        })
    }

    /// The text field `field` has words of `text`; see [`TextQuery`](super::TextQuery).
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn text(field: Path<'_>, text: impl Into<String>, words: Words) -> Result<Self> {
        Ok(Self::Text {
            field: FieldPath::new(field)?,
            text: text.into(),
            words,
        })
    }

    /// The document's id is one of `ids`.
    ///
    /// # Errors
    ///
    /// `Invalid` if an id is not allowed.
    pub fn ids<I: AsRef<str>>(ids: impl IntoIterator<Item = I>) -> Result<Self> {
        let ids = ids.into_iter().map(DocumentId::new);
        ids.collect::<Result<_>>().map(Self::Ids)
    }

    /// Some object of the nested field `field` matches `filter`, which names fields by their whole
    /// paths.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn nested(field: Path<'_>, filter: Self) -> Result<Self> {
        Ok(Self::Nested {
            field: FieldPath::new(field)?,
            filter: Box::new(filter),
        })
    }

    /// The function makes `true` of the document.
    #[must_use]
    pub fn call(call: Call) -> Self {
        Self::call_eq(call, true)
    }

    /// What the function makes of the document equals `value`.
    #[must_use]
    pub fn call_eq(call: Call, value: impl Into<Scalar>) -> Self {
        let equals = value.into();
        Self::Call { call, equals }
    }

    /// A condition in the language of one engine; see [`Native`].
    #[must_use]
    pub fn native<V: Into<Scalar>>(
        engine: impl Into<String>,
        condition: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::Native(Native {
            engine: engine.into(),
            condition: condition.into(),
            values: values.into_iter().map(Into::into).collect(),
        })
    }

    /// `field` has a value.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn exists(field: Path<'_>) -> Result<Self> {
        let field = FieldPath::new(field)?;
        Ok(Self::Exists { field })
    }

    /// The conditions on text that speak for a document: all but those beneath a `Not`.
    pub(super) fn texts(&self) -> Vec<(&FieldPath, &str, Words)> {
        let mut texts = Vec::new();
        self.gather_texts(true, &mut texts);
        texts
    }

    fn gather_texts<'f>(&'f self, speaks: bool, texts: &mut Vec<(&'f FieldPath, &'f str, Words)>) {
        match self {
            Self::Text { field, text, words } if speaks => texts.push((field, text, *words)),
            Self::And(all) | Self::Or(all) => {
                for filter in all {
                    filter.gather_texts(speaks, texts);
                }
            }
            Self::Not(inner) => inner.gather_texts(!speaks, texts),
            Self::Nested { filter, .. } => filter.gather_texts(speaks, texts),
            _ => {}
        }
    }

    /// A filter of the objects of the nested field `nested`, with paths that begin within them.
    ///
    /// # Errors
    ///
    /// `Invalid` if the filter names a field that does not lie within the nested one.
    pub fn relative_to(&self, nested: &FieldPath) -> Result<Self> {
        let mut filter = self.clone();
        filter.cut_paths(nested)?;
        Ok(filter)
    }

    fn cut_paths(&mut self, nested: &FieldPath) -> Result<()> {
        match self {
            Self::Eq { field, .. }
            | Self::In { field, .. }
            | Self::Range { field, .. }
            | Self::Prefix { field, .. }
            | Self::Wildcard { field, .. }
            | Self::Text { field, .. }
            | Self::Exists { field } => *field = field.relative_to(nested)?,
            Self::Nested { field, filter } => {
                *field = field.relative_to(nested)?;
                filter.cut_paths(nested)?;
            }
            Self::And(all) | Self::Or(all) => {
                all.iter_mut().try_for_each(|f| f.cut_paths(nested))?;
            }
            Self::Not(inner) => inner.cut_paths(nested)?,
            Self::Ids(_) | Self::Call { .. } | Self::Native(_) => {}
        }
        Ok(())
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::And(mut all), Self::And(more)) => {
                all.extend(more);
                Self::And(all)
            }
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (first, other) => Self::And(vec![first, other]),
        }
    }

    /// One of the two holds, or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Or(mut any), Self::Or(more)) => {
                any.extend(more);
                Self::Or(any)
            }
            (Self::Or(mut any), other) => {
                any.push(other);
                Self::Or(any)
            }
            (first, other) => Self::Or(vec![first, other]),
        }
    }
}

impl std::ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}
