//! Single values, as filters and cursors hold them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::error::{Error, Result};

/// One leaf value of a document, or the value that a filter compares with it.
///
/// Numbers compare as numbers, exactly, whichever of the two forms they have; text compares as
/// UTF-8 bytes; values of different types are never equal and have no order between them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number with a fraction or an exponent.
    Float(f64),
    /// Text.
    Text(Arc<str>),
}

impl Scalar {
    /// The scalar in a JSON value, or `None` for null, arrays, objects and numbers beyond `i64`
    /// that are whole.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Bool(b) => Some(Self::Boolean(*b)),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Some(Self::Integer(i)),
                None if n.is_u64() => None,
                None => n.as_f64().map(Self::Float),
            },
            serde_json::Value::String(s) => Some(Self::Text(s.as_str().into())),
            _ => None,
        }
    }

    /// Compares two values of one type; `None` across types.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Integer(a), Self::Float(b)) => compare_integer_float(*a, *b),
            (Self::Float(a), Self::Integer(b)) => {
                compare_integer_float(*b, *a).map(Ordering::reverse)
            }
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            _ => None,
        }
    }

    /// The value in the one form that all values equal to it have: a whole number is an integer
    /// where `i64` holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::model::Scalar;
    ///
    /// assert!(matches!(Scalar::from(-0.0).canonical(), Scalar::Integer(0)));
    /// assert!(matches!(Scalar::from(1e300).canonical(), Scalar::Float(_)));
    /// ```
    #[must_use]
    pub fn canonical(self) -> Self {
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Self::Float(x) if x.fract() == 0.0 && (-BEYOND..BEYOND).contains(&x) => {
                #[allow(clippy::cast_possible_truncation, reason = "whole and in range")]
                let whole = x as i64;
                Self::Integer(whole)
            }
            other => other,
        }
    }

    /// A name of the value's type, for messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
        }
    }
}

/// Exact comparison: going through `f64` would make 2^53 + 1 equal to 2^53.
fn compare_integer_float(a: i64, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if b >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    let whole = b.trunc();
    #[allow(clippy::cast_possible_truncation, reason = "in range, checked above")]
    let order = a.cmp(&(whole as i64));
    Some(order.then_with(|| 0.0_f64.partial_cmp(&(b - whole)).unwrap_or(Ordering::Equal)))
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(b) => write!(f, "{b}"),
            Self::Integer(i) => write!(f, "{i}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Text(t) => write!(f, "{t:?}"),
        }
    }
}

impl From<&Scalar> for serde_json::Value {
    fn from(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::Boolean(b) => Self::from(*b),
            Scalar::Integer(i) => Self::from(*i),
            Scalar::Float(x) => Self::from(*x),
            Scalar::Text(t) => Self::from(&**t),
        }
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

macro_rules! from_integer {
    ($($t:ty),*) => {$(
        impl From<$t> for Scalar {
            fn from(value: $t) -> Self {
                Self::Integer(i64::from(value))
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, u8, u16, u32);

impl TryFrom<u64> for Scalar {
    type Error = Error;

    fn try_from(value: u64) -> Result<Self> {
        i64::try_from(value).map(Self::Integer).map_err(|_| {
            Error::invalid(format!(
                "integer {value} is larger than {}, the largest allowed",
                i64::MAX
            ))
        })
    }
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<f32> for Scalar {
    fn from(value: f32) -> Self {
        Self::Float(f64::from(value))
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<&String> for Scalar {
    fn from(value: &String) -> Self {
        Self::Text(value.as_str().into())
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<Timestamp> for Scalar {
    fn from(value: Timestamp) -> Self {
        Self::Integer(value.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let big = 9_007_199_254_740_993_i64;
        assert!(Scalar::from(big) != Scalar::from(9_007_199_254_740_992.0));
        assert_eq!(
            Scalar::from(big).compare(&Scalar::from(9_007_199_254_740_992.0)),
            Some(Ordering::Greater)
        );
        assert_eq!(Scalar::from(1), Scalar::from(1.0));
        assert_eq!(
            Scalar::from(-1).compare(&Scalar::from(-1.5)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            Scalar::from(1).compare(&Scalar::from(1.5)),
            Some(Ordering::Less)
        );
        assert_eq!(
            Scalar::from(i64::MAX).compare(&Scalar::from(9.3e18)),
            Some(Ordering::Less)
        );
        assert_eq!(
            Scalar::from(i64::MIN).compare(&Scalar::from(-9.3e18)),
            Some(Ordering::Greater)
        );
        assert_eq!(Scalar::from(0), Scalar::from(-0.0));
        assert_eq!(Scalar::from(1).compare(&Scalar::from("1")), None);
    }
}
