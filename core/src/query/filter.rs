//! Which documents are meant.

use std::ops::Bound;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::{FieldPath, MAX_DEPTH, MAX_KEYWORD_BYTES, Model, Scalar};

/// Most values of one `in` list.
pub(crate) const MAX_IN_VALUES: usize = 1_000;
/// Most nodes of one filter.
pub(crate) const MAX_FILTER_NODES: usize = 1_000;

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
    /// The field has a value.
    Exists {
        /// The field.
        field: FieldPath,
    },
    /// All of these hold. An empty list matches everything.
    And(Vec<Filter>),
    /// Some of these holds. An empty list matches nothing.
    Or(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
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

    /// `field` has a value.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path is not allowed.
    pub fn exists(field: Path<'_>) -> Result<Self> {
        let field = FieldPath::new(field)?;
        Ok(Self::Exists { field })
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

    /// Checks the filter against a model and the limits; every store is handed checked filters.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if it is not declared, if its kind does not take the value or
    /// the comparison, if a keyword is longer than [`MAX_KEYWORD_BYTES`], if a number is not
    /// finite, or if the filter is too deep or has too many nodes or values.
    pub fn check(&self, model: &Model) -> Result<()> {
        let mut nodes = 0;
        self.check_node(model, 1, &mut nodes)
    }

    fn check_node(&self, model: &Model, depth: usize, nodes: &mut usize) -> Result<()> {
        *nodes += 1;
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "filter is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        if *nodes > MAX_FILTER_NODES {
            return Err(Error::invalid(format!(
                "filter has more than {MAX_FILTER_NODES} nodes"
            )));
        }
        match self {
            Self::Eq { field, value } => check_value(model, field, value),
            Self::In { field, values } => {
                if values.len() > MAX_IN_VALUES {
                    return Err(Error::invalid(format!(
                        "filter on field {field} lists {} values, allowed are {MAX_IN_VALUES}",
                        values.len()
                    )));
                }
                check_comparable(model, field)?;
                values.iter().try_for_each(|v| check_value(model, field, v))
            }
            Self::Range {
                field,
                lower,
                upper,
            } => {
                check_comparable(model, field)?;
                for bound in [lower, upper] {
                    if let Bound::Included(value) | Bound::Excluded(value) = bound {
                        check_value(model, field, value)?;
                    }
                }
                Ok(())
            }
            Self::Prefix { field, prefix } => {
                check_value(model, field, &Scalar::from(prefix.as_str()))
            }
            Self::Exists { field } => model.require(field).map(drop),
            Self::And(all) | Self::Or(all) => all
                .iter()
                .try_for_each(|f| f.check_node(model, depth + 1, nodes)),
            Self::Not(inner) => inner.check_node(model, depth + 1, nodes),
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

fn check_comparable(model: &Model, field: &FieldPath) -> Result<()> {
    let declared = model.require(field)?;
    if declared.kind.is_comparable() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "field {field} is declared as {}, whose values are not compared",
        declared.kind.as_str()
    )))
}

fn check_value(model: &Model, field: &FieldPath, value: &Scalar) -> Result<()> {
    check_comparable(model, field)?;
    let kind = model.require(field)?.kind;
    if !kind.takes(value) {
        return Err(Error::invalid(format!(
            "field {field} is declared as {} and is not compared with a value of type {}",
            kind.as_str(),
            value.type_name()
        )));
    }
    match value {
        Scalar::Text(text) if text.len() > MAX_KEYWORD_BYTES => Err(Error::invalid(format!(
            "value for field {field} has {} bytes, allowed are {MAX_KEYWORD_BYTES}",
            text.len()
        ))),
        Scalar::Float(x) if !x.is_finite() => Err(Error::invalid(format!(
            "value for field {field} is {x}, which is not a finite number"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, Kind};

    #[test]
    fn check_names_the_field() {
        let model = Model::builder("a")
            .field(FieldDeclaration::new("k".parse().unwrap(), Kind::Keyword))
            .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer))
            .field(FieldDeclaration::new("t".parse().unwrap(), Kind::Text))
            .build()
            .unwrap();
        let ok = [
            Filter::all(),
            Filter::eq("k", "x").unwrap(),
            Filter::eq("n", 1.5).unwrap(),
            Filter::is_in("k", Vec::<&str>::new()).unwrap(),
            Filter::exists("t").unwrap(),
            !Filter::prefix("k", "").unwrap(),
        ];
        for filter in ok {
            filter.check(&model).unwrap();
        }
        let bad = [
            ("z", Filter::eq("z", 1).unwrap()),
            ("z", !Filter::exists("z").unwrap()),
            ("k", Filter::eq("k", 1).unwrap()),
            ("n", Filter::prefix("n", "1").unwrap()),
            ("t", Filter::eq("t", "x").unwrap()),
            ("t", Filter::is_in("t", Vec::<&str>::new()).unwrap()),
            ("n", Filter::gt("n", f64::NAN).unwrap()),
            ("k", Filter::eq("k", "x".repeat(1025)).unwrap()),
        ];
        for (field, filter) in bad {
            let error = filter.check(&model).unwrap_err();
            assert!(
                error.to_string().contains(&format!("field {field}")),
                "{error}"
            );
        }
        let mut deep = Filter::eq("k", "x").unwrap();
        for _ in 0..40 {
            deep = Filter::And(vec![deep]);
        }
        assert!(deep.check(&model).unwrap_err().to_string().contains("32"));
    }
}
