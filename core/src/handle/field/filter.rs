//! Filters and sorts from handles.

use std::ops::Bound;

use serde::Serialize;
use serde_json::Value;

use super::kinds::{Boolean, Comparable, Keyword, Mapped, Nested, Ordered, Text};
use super::{Field, IntoOperand};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Scalar;
use crate::query::{Filter, Sort, Words};

impl<T, K: Mapped, V> Field<T, K, V> {
    /// The field has a value.
    #[must_use]
    pub fn exists(&self) -> Filter {
        Filter::Exists {
            field: self.path.clone(),
        }
    }
}

impl<T, K: Comparable, V> Field<T, K, V> {
    /// Some value of the field equals this one.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it builds a filter")]
    pub fn eq(&self, value: impl IntoOperand<K>) -> Filter {
        self.eq_scalar(value.into_operand())
    }

    /// No value of the field equals this one: the opposite of [`eq`](Self::eq). Documents without
    /// a value in the field are among them.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it builds a filter")]
    pub fn ne(&self, value: impl IntoOperand<K>) -> Filter {
        !self.eq(value)
    }

    /// Some value of the field is one of these; at most 1,000. Of none, none.
    #[must_use]
    pub fn is_in(&self, values: impl IntoIterator<Item: IntoOperand<K>>) -> Filter {
        Filter::In {
            field: self.path.clone(),
            values: values.into_iter().map(IntoOperand::into_operand).collect(),
        }
    }

    /// Some value of the field equals what this value is in JSON, such as an enum that serialises
    /// to text.
    ///
    /// # Errors
    ///
    /// `Codec` if the value does not serialise; `Invalid` if it serialises to null, an array, an
    /// object or an integer beyond `i64`, which no field is compared with.
    pub fn eq_value(&self, value: &(impl Serialize + ?Sized)) -> Result<Filter> {
        let json = to_json(value).map_err(|e| {
            let message = format!("value for field {} does not encode: {e}", self.path);
            Error::new(ErrorKind::Codec, message).with_source(e)
        })?;
        let scalar = Scalar::from_json(&json).ok_or_else(|| {
            Error::invalid(format!(
                "value for field {} is not a single value that is compared",
                self.path
            ))
        })?;
        Ok(self.eq_scalar(scalar))
    }

    /// The least value first.
    #[must_use]
    pub fn asc(&self) -> Sort {
        Sort::ascending(self.path.clone())
    }

    /// The greatest value first.
    #[must_use]
    pub fn desc(&self) -> Sort {
        Sort::descending(self.path.clone())
    }

    fn eq_scalar(&self, value: Scalar) -> Filter {
        Filter::Eq {
            field: self.path.clone(),
            value,
        }
    }
}

impl<T, K: Ordered, V> Field<T, K, V> {
    /// Some value of the field is greater than this one.
    #[must_use]
    pub fn gt(&self, value: impl IntoOperand<K>) -> Filter {
        self.range(Bound::Excluded(value), Bound::Unbounded)
    }

    /// Some value of the field is at least this one.
    #[must_use]
    pub fn gte(&self, value: impl IntoOperand<K>) -> Filter {
        self.range(Bound::Included(value), Bound::Unbounded)
    }

    /// Some value of the field is less than this one.
    #[must_use]
    pub fn lt(&self, value: impl IntoOperand<K>) -> Filter {
        self.range(Bound::Unbounded, Bound::Excluded(value))
    }

    /// Some value of the field is at most this one.
    #[must_use]
    pub fn lte(&self, value: impl IntoOperand<K>) -> Filter {
        self.range(Bound::Unbounded, Bound::Included(value))
    }

    /// Some value of the field lies between these two, both included.
    #[must_use]
    pub fn between<O: IntoOperand<K>>(&self, least: O, greatest: O) -> Filter {
        self.range(Bound::Included(least), Bound::Included(greatest))
    }

    /// Some value of the field lies between the bounds.
    #[must_use]
    pub fn range<O: IntoOperand<K>>(&self, lower: Bound<O>, upper: Bound<O>) -> Filter {
        Filter::Range {
            field: self.path.clone(),
            lower: lower.map(IntoOperand::into_operand),
            upper: upper.map(IntoOperand::into_operand),
        }
    }
}

impl<T, V> Field<T, Keyword, V> {
    /// Some value of the field begins with this text.
    #[must_use]
    pub fn prefix(&self, prefix: impl Into<String>) -> Filter {
        Filter::Prefix {
            field: self.path.clone(),
            prefix: prefix.into(),
        }
    }

    /// Some value of the field matches this pattern, in which `*` stands for any run of characters
    /// and `?` for one; see [`Wildcard`](crate::query::Wildcard).
    #[must_use]
    pub fn wildcard(&self, pattern: impl Into<String>) -> Filter {
        Filter::Wildcard {
            field: self.path.clone(),
            pattern: pattern.into(),
        }
    }
}

impl<T, V> Field<T, Text, V> {
    /// The text has at least one word of this one; see [`TextQuery`](crate::query::TextQuery).
    #[must_use]
    pub fn has_any_word(&self, text: impl Into<String>) -> Filter {
        self.has_words(text, Words::Any)
    }

    /// The text has all words of this one, in any order and place.
    #[must_use]
    pub fn has_all_words(&self, text: impl Into<String>) -> Filter {
        self.has_words(text, Words::All)
    }

    /// The text has all words of this one, next to each other and in their order.
    #[must_use]
    pub fn has_phrase(&self, text: impl Into<String>) -> Filter {
        self.has_words(text, Words::Phrase)
    }

    fn has_words(&self, text: impl Into<String>, words: Words) -> Filter {
        Filter::Text {
            field: self.path.clone(),
            text: text.into(),
            words,
        }
    }
}

impl<T, V> Field<T, Nested, V> {
    /// Some object of the field matches, taken for itself. The filter is made of the handles of
    /// the fields within.
    #[must_use]
    pub fn any(&self, filter: impl Into<Filter>) -> Filter {
        Filter::Nested {
            field: self.path.clone(),
            filter: Box::new(filter.into()),
        }
    }
}

impl<T, V> Field<T, Boolean, V> {
    /// Some value of the field is `true`.
    #[must_use]
    pub fn is_true(&self) -> Filter {
        self.eq(true)
    }

    /// Some value of the field is `false`. Documents without a value are not among them.
    #[must_use]
    pub fn is_false(&self) -> Filter {
        self.eq(false)
    }
}

/// The value as a body holds it. By way of text: an `f32` turned into a JSON value directly is
/// widened, which is another number than its text says.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized)) -> serde_json::Result<Value> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;
    use crate::model::Timestamp;

    fn field<K, V>(path: &str) -> Field<(), K, V> {
        Field::new(path.parse().unwrap())
    }

    #[test]
    fn typed_and_untyped_filters_are_the_same() {
        let region = field::<kinds::Keyword, String>("region");
        let logins = field::<kinds::Integer, u64>("logins");
        let score = field::<kinds::Float, f64>("score");
        let admin = field::<kinds::Boolean, bool>("admin");
        let seen = field::<kinds::Timestamp, Timestamp>("seen");
        let t = Timestamp::from_millis(5).unwrap();
        let pairs = [
            (region.eq("eu"), Filter::eq("region", "eu")),
            (
                region.ne(String::from("eu")),
                Filter::eq("region", "eu").map(|f| !f),
            ),
            (region.prefix("e"), Filter::prefix("region", "e")),
            (
                region.is_in(["a", "b"]),
                Filter::is_in("region", ["a", "b"]),
            ),
            (region.gt("a"), Filter::gt("region", "a")),
            (logins.gte(3), Filter::gte("logins", 3)),
            (logins.lt(3_u64), Filter::lt("logins", 3)),
            (score.lte(1.5), Filter::lte("score", 1.5)),
            (score.eq(1), Filter::eq("score", 1)),
            (
                score.between(1.0, 2.0),
                Filter::range(
                    "score",
                    Bound::Included(1.0.into()),
                    Bound::Included(2.0.into()),
                ),
            ),
            (admin.is_true(), Filter::eq("admin", true)),
            (admin.is_false(), Filter::eq("admin", false)),
            (seen.gt(t), Filter::gt("seen", t)),
            (seen.exists(), Filter::exists("seen")),
        ];
        for (typed, untyped) in pairs {
            assert_eq!(typed, untyped.unwrap());
        }
        assert_eq!(logins.desc(), Sort::descending("logins".parse().unwrap()));
        assert_eq!(logins.asc(), Sort::ascending("logins".parse().unwrap()));
    }

    #[test]
    fn any_value_that_is_single_in_json() {
        let status = field::<kinds::Keyword, String>("status");
        assert_eq!(
            status.eq_value(&Some("open")).unwrap(),
            Filter::eq("status", "open").unwrap()
        );
        assert_eq!(
            status.eq_value(&0.1_f32).unwrap(),
            Filter::eq("status", 0.1).unwrap()
        );
        for bad in [
            serde_json::json!(null),
            serde_json::json!([1]),
            u64::MAX.into(),
        ] {
            let error = status.eq_value(&bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains("field status"), "{error}");
        }
    }
}
