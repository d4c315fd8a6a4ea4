//! Numbers as the engine's own types hold them.
//!
//! Fields of whole numbers and of times are of the engine's type `long`, those of floats of its
//! type `double`. What a type does not tell from its neighbours is *inexact*: a fraction in a field
//! of integers, an integer beyond 2^53 in a field of floats, a time that no calendar has. Such a
//! number is kept as the greatest one below it that the type tells, and exactly by its
//! [key](super::key).

use std::ops::Bound;

use serde_json::Value;
use strongroom_core::model::{Kind, Scalar, Timestamp};

use super::key;

/// The least number of a `long` that is exact. Below it are the place of all lesser numbers, and the
/// place of documents without a value.
const LEAST: i64 = i64::MIN + 2;
/// The greatest number of a `long` that is exact. Above it are the place of all greater numbers,
/// and the place of documents without a value.
const GREATEST: i64 = i64::MAX - 2;

/// A number that the engine's type for a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Held {
    Whole(i64),
    Float(f64),
}

/// A number, and what the engine's type for its field holds of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Floor {
    /// The greatest that is not greater, or the outermost of the type.
    pub(super) held: Held,
    /// Whether it is the number itself, and no other is held as it.
    pub(super) is_exact: bool,
}

impl From<Held> for Value {
    fn from(held: Held) -> Self {
        match held {
            Held::Whole(i) => i.into(),
            Held::Float(x) => x.into(),
        }
    }
}

/// Whether fields of the kind hold numbers.
pub(super) fn is_number(kind: Kind) -> bool {
    kind.is_comparable() && !matches!(kind, Kind::Keyword | Kind::Boolean)
}

/// Whether the engine keeps numbers of the kind as whole ones.
pub(super) fn is_whole(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Timestamp)
}

/// What the engine's type for the kind holds of a value; `None` for what is no number.
pub(super) fn floor(kind: Kind, value: &Scalar) -> Option<Floor> {
    let (held, is_exact) = match (is_whole(kind), value) {
        (true, Scalar::Integer(i)) => whole(kind, *i, true),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "whole, and what is beyond the type becomes its end"
        )]
        (true, Scalar::Float(x)) => whole(kind, x.floor() as i64, x.fract() == 0.0),
        (false, Scalar::Integer(i)) => {
            let (below, rest) = key::float_below(*i);
            (Held::Float(below), rest == 0)
        }
        // The engine tells -0.0 from 0.0, a query does not.
        (false, Scalar::Float(x)) => (Held::Float(x + 0.0), true),
        _ => return None,
    };
    Some(Floor { held, is_exact })
}

fn whole(kind: Kind, i: i64, is_whole: bool) -> (Held, bool) {
    let in_range = (LEAST..=GREATEST).contains(&i);
    let has_place = kind != Kind::Timestamp || Timestamp::from_millis(i).is_ok();
    (
        Held::Whole(i.clamp(LEAST - 1, GREATEST + 1)),
        is_whole && in_range && has_place,
    )
}

/// Whether the engine reads this integer, in a field of this comparable kind, as a query means it.
pub(super) fn is_plain_integer(kind: Kind, i: i64) -> bool {
    if is_whole(kind) {
        whole(kind, i, true).1
    } else {
        is_number(kind) && key::float_below(i).1 == 0
    }
}

/// As [`is_plain_integer`], of a number with a fraction or an exponent: where it has whole numbers,
/// the engine takes none, and it tells -0.0 from 0.0, which a query does not.
pub(super) fn is_plain_float(kind: Kind, x: f64) -> bool {
    is_number(kind) && !is_whole(kind) && (x != 0.0 || x.is_sign_positive())
}

/// As [`is_plain_integer`], of a text.
pub(super) fn is_plain_text(kind: Kind, text: &str) -> bool {
    kind == Kind::Keyword && text.len() <= key::MAX_TERM_BYTES
}

/// The bound that exact numbers of the kind keep if and only if they keep this one.
pub(super) fn bound(kind: Kind, bound: &Bound<Scalar>, is_lower: bool) -> Bound<Held> {
    let (value, is_included) = match bound {
        Bound::Unbounded => return Bound::Unbounded,
        Bound::Included(value) => (value, true),
        Bound::Excluded(value) => (value, false),
    };
    match floor(kind, value) {
        None => Bound::Unbounded,
        Some(Floor { held, is_exact }) => match (is_exact, is_lower) {
            (true, _) if is_included => Bound::Included(held),
            (true, _) => Bound::Excluded(held),
            // What is above the number is above the one below it, which is not the number itself.
            (false, true) => Bound::Excluded(held),
            (false, false) => Bound::Included(held),
        },
    }
}

/// Whether numbers are within these bounds if and only if what is held of them is: one that is not
/// exact is held as the one below it, and there is no bound between the two.
pub(super) fn is_told_by_floor(kind: Kind, lower: &Bound<Scalar>, upper: &Bound<Scalar>) -> bool {
    let is_exact = |value| floor(kind, value).is_some_and(|floor| floor.is_exact);
    let by_lower = match lower {
        Bound::Unbounded => true,
        Bound::Included(value) => is_exact(value),
        Bound::Excluded(_) => false,
    };
    let by_upper = match upper {
        Bound::Unbounded => true,
        Bound::Excluded(value) => is_exact(value),
        Bound::Included(_) => false,
    };
    by_lower && by_upper
}

/// What the engine tells as the place of a document without a value, in the direction of a sort
/// that puts it last or first: the number beyond all others.
pub(super) fn missing(kind: Kind, is_high: bool) -> Value {
    match (is_whole(kind), is_high) {
        (true, true) => i64::MAX.into(),
        (true, false) => i64::MIN.into(),
        (false, true) => "Infinity".into(),
        (false, false) => "-Infinity".into(),
    }
}

/// The number that the engine tells of, if it tells of one.
pub(super) fn read(kind: Kind, told: &Value) -> Option<Scalar> {
    if is_whole(kind) {
        let whole = told.as_i64()?;
        return ((LEAST - 1)..=(GREATEST + 1))
            .contains(&whole)
            .then(|| Scalar::from(whole));
    }
    told.as_f64().map(Scalar::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const P53: i64 = 1 << 53;

    #[track_caller]
    fn check(kind: Kind, value: impl Into<Scalar>, held: impl Into<Value>, is_exact: bool) {
        let floor = floor(kind, &value.into()).unwrap();
        assert_eq!(
            (Value::from(floor.held), floor.is_exact),
            (held.into(), is_exact)
        );
    }

    #[test]
    fn numbers_are_held_as_the_type_tells_them() {
        check(Kind::Integer, -7, -7, true);
        check(Kind::Integer, 7.0, 7, true);
        check(Kind::Integer, 2.5, 2, false);
        check(Kind::Integer, -2.5, -3, false);
        check(Kind::Integer, P53 + 1, P53 + 1, true);
        check(Kind::Integer, i64::MAX - 2, i64::MAX - 2, true);
        check(Kind::Integer, i64::MAX - 1, i64::MAX - 1, false);
        check(Kind::Integer, i64::MAX, i64::MAX - 1, false);
        check(Kind::Integer, 1e300, i64::MAX - 1, false);
        check(Kind::Integer, i64::MIN, i64::MIN + 1, false);
        check(Kind::Timestamp, 0, 0, true);
        check(Kind::Timestamp, i64::MAX / 2, i64::MAX / 2, false);
        check(Kind::Float, -0.0, 0.0, true);
        check(Kind::Float, P53 + 2, 9_007_199_254_740_994.0, true);
        check(Kind::Float, P53 + 1, 9_007_199_254_740_992.0, false);
        check(Kind::Float, -P53 - 1, -9_007_199_254_740_994.0, false);
        assert_eq!(floor(Kind::Float, &"1".into()), None);
    }

    #[test]
    fn bounds_between_the_numbers_that_are_held() {
        let whole = |bound: Bound<f64>, is_lower| {
            super::bound(Kind::Integer, &bound.map(Scalar::from), is_lower)
        };
        assert_eq!(
            whole(Bound::Included(2.5), true),
            Bound::Excluded(Held::Whole(2))
        );
        assert_eq!(
            whole(Bound::Excluded(2.5), false),
            Bound::Included(Held::Whole(2))
        );
        assert_eq!(
            whole(Bound::Excluded(2.0), false),
            Bound::Excluded(Held::Whole(2))
        );
        let above = Bound::Excluded(Held::Whole(i64::MAX - 1));
        assert_eq!(whole(Bound::Included(1e300), true), above);
        let below = Bound::Included(Held::Whole(i64::MIN + 1));
        assert_eq!(whole(Bound::Included(-1e300), false), below);
    }

    #[test]
    fn places_without_a_value_are_no_numbers() {
        for kind in [Kind::Integer, Kind::Float] {
            for is_high in [true, false] {
                assert_eq!(read(kind, &missing(kind, is_high)), None);
            }
        }
        assert_eq!(read(Kind::Integer, &json!(5)), Some(5.into()));
        assert_eq!(read(Kind::Float, &json!(5.5)), Some(5.5.into()));
    }
}
