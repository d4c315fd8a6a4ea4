//! What a field of a kind is compared with.

use std::sync::Arc;

use uuid::Uuid;

use super::kinds::{Boolean, Float, Integer, Keyword, Timestamp as TimestampKind};
use crate::model::{DocumentId, Routing, Scalar, Timestamp};

/// A value that a field of the kind `K` is compared with.
///
/// Whole numbers beyond `i64` are compared as what they are, numbers that no document holds:
/// nothing equals `u64::MAX`, and every integer is less.
///
/// Implement it for your own types, such as an enum that is stored as a keyword.
///
/// # Examples
///
/// ```
/// use strongroom_core::handle::{Field, IntoOperand, kinds};
/// use strongroom_core::model::Scalar;
/// use strongroom_core::query::Filter;
///
/// enum Status { Open, Closed }
///
/// impl IntoOperand<kinds::Keyword> for Status {
///     fn into_operand(self) -> Scalar {
///         Scalar::from(match self { Self::Open => "open", Self::Closed => "closed" })
///     }
/// }
///
/// let status = Field::<(), kinds::Keyword, Status>::new("status".parse()?);
/// assert_eq!(status.eq(Status::Open), Filter::eq("status", "open")?);
/// # let _ = Status::Closed;
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a field of the kind `{K}` is not compared with a `{Self}`",
    note = "for a type of your own, implement `IntoOperand<{K}>`, or use `eq_value`"
)]
pub trait IntoOperand<K> {
    /// The value as filters hold it.
    fn into_operand(self) -> Scalar;
}

macro_rules! operand {
    ($kind:ident: $($t:ty => $how:expr;)*) => {$(
        impl IntoOperand<$kind> for $t {
            fn into_operand(self) -> Scalar {
                let how: fn(Self) -> Scalar = $how;
                how(self)
            }
        }
    )*};
}

operand! { Boolean:
    bool => Scalar::from;
}
operand! { TimestampKind:
    Timestamp => Scalar::from;
}
operand! { Keyword:
    &str => Scalar::from;
    &String => Scalar::from;
    String => Scalar::from;
    Box<str> => |v| Scalar::from(&*v);
    Arc<str> => Scalar::Text;
    &Arc<str> => |v| Scalar::Text(v.clone());
    char => |v| Scalar::from(v.to_string());
    Uuid => |v| Scalar::from(v.to_string());
    &Uuid => |v| Scalar::from(v.to_string());
    &DocumentId => |v| Scalar::from(v.as_str());
    &Routing => |v| Scalar::from(v.as_str());
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl IntoOperand<Integer> for $t {
            fn into_operand(self) -> Scalar {
                whole(self)
            }
        }
        impl IntoOperand<Float> for $t {
            fn into_operand(self) -> Scalar {
                whole(self)
            }
        }
    )*};
}
number!(i8, i16, i32, i64, u8, u16, u32, u64, isize, usize);

operand! { Float:
    f64 => Scalar::from;
    f32 => single;
}

/// A whole number; one beyond `i64` as a float, which every `i64` is less than.
fn whole<N: TryInto<i64> + Copy + ToString>(number: N) -> Scalar {
    match number.try_into() {
        Ok(integer) => Scalar::Integer(integer),
        // The text of an integer is always the text of a float.
        Err(_) => Scalar::Float(number.to_string().parse().unwrap_or(f64::MAX)),
    }
}

/// The number that a body holds for this `f32`: its shortest text, read as `f64`. Widened as it
/// is, 0.1 would not equal the 0.1 that was stored.
fn single(number: f32) -> Scalar {
    Scalar::Float(number.to_string().parse().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    fn integer(value: impl IntoOperand<Integer>) -> Scalar {
        value.into_operand()
    }

    #[test]
    fn integers_beyond_i64_are_greater_than_all() {
        assert!(matches!(
            integer(i64::MAX as u64),
            Scalar::Integer(i64::MAX)
        ));
        for large in [i64::MAX as u64 + 1, u64::MAX] {
            let order = integer(i64::MAX).compare(&integer(large));
            assert_eq!(order, Some(Ordering::Less), "{large}");
        }
        assert!(matches!(integer(i64::MIN), Scalar::Integer(i64::MIN)));
    }

    #[test]
    fn single_precision_equals_what_a_body_holds() {
        let stored = serde_json::to_string(&0.1_f32).unwrap();
        let stored: f64 = serde_json::from_str(&stored).unwrap();
        assert_eq!(0.1_f32.into_operand(), Scalar::from(stored));
        assert!(matches!(f32::NAN.into_operand(), Scalar::Float(x) if x.is_nan()));
        assert!(matches!(f32::INFINITY.into_operand(), Scalar::Float(x) if x.is_infinite()));
        assert!(matches!(f32::MAX.into_operand(), Scalar::Float(x) if x.is_finite()));
    }
}
