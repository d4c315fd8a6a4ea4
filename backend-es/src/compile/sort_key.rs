//! Sort keys: values as text whose order by bytes is the order of the values.
//!
//! The engine sorts numbers by themselves, too, but marks a missing number by a number; text that
//! is missing is null.

use strongroom_core::model::{Kind, Scalar};

use super::document::{cut, whole};

const SIGN: u64 = 1 << 63;

/// The sort key of a value, or `None` if the kind's type in the index cannot hold it.
pub(crate) fn encode(kind: Kind, value: &Scalar) -> Option<String> {
    let number = |bits: u64| Some(format!("{bits:016x}"));
    match (kind, value) {
        (_, Scalar::Text(text)) => Some(cut(text).to_owned()),
        (_, Scalar::Boolean(b)) => Some(u8::from(*b).to_string()),
        (Kind::Integer | Kind::Timestamp, Scalar::Integer(i)) => number(i.cast_unsigned() ^ SIGN),
        (Kind::Integer | Kind::Timestamp, Scalar::Float(x)) => {
            number(whole(*x)?.cast_unsigned() ^ SIGN)
        }
        #[allow(
            clippy::cast_precision_loss,
            reason = "fields of floats compare as f64, as the crate's docs say"
        )]
        (_, Scalar::Integer(i)) => number(ordered(*i as f64)),
        (_, Scalar::Float(x)) => number(ordered(*x)),
    }
}

/// Bits that compare as the floats do, -0.0 as 0.0.
fn ordered(x: f64) -> u64 {
    let bits = if x == 0.0 { 0 } else { x.to_bits() };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The value of a sort key, as far as the key tells it.
pub(crate) fn decode(kind: Kind, key: &str) -> Option<Scalar> {
    let number = || u64::from_str_radix(key, 16).ok();
    Some(match kind {
        Kind::Keyword => Scalar::from(key),
        Kind::Boolean => Scalar::from(key == "1"),
        Kind::Integer | Kind::Timestamp => Scalar::from((number()? ^ SIGN).cast_signed()),
        _ => {
            let bits = number()?;
            let bits = if bits & SIGN == 0 { !bits } else { bits ^ SIGN };
            Scalar::from(f64::from_bits(bits))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, ascending: &[Scalar]) {
        let keys: Vec<String> = ascending
            .iter()
            .map(|value| encode(kind, value).unwrap())
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{ascending:?}: {keys:?}");
        for (key, value) in keys.iter().zip(ascending) {
            assert_eq!(decode(kind, key).as_ref(), Some(value));
        }
    }

    #[test]
    fn keys_sort_as_their_values() {
        check(Kind::Boolean, &[false.into(), true.into()]);
        check(
            Kind::Integer,
            &[i64::MIN, -2, -1, 0, 1, 255, i64::MAX].map(Scalar::from),
        );
        check(
            Kind::Float,
            &[-f64::MAX, -1.5, -1e-300, 0.0, 5e-324, 1.5, f64::MAX].map(Scalar::from),
        );
        check(
            Kind::Keyword,
            &["", "A", "a", "ab", "\u{ffff}", "\u{10000}"].map(Scalar::from),
        );
    }

    #[test]
    fn equal_values_have_one_key() {
        let key = |kind, value: Scalar| encode(kind, &value);
        assert_eq!(
            key(Kind::Float, 0.0.into()),
            key(Kind::Float, (-0.0).into())
        );
        assert_eq!(key(Kind::Float, 1.into()), key(Kind::Float, 1.0.into()));
        assert_eq!(key(Kind::Integer, 2.0.into()), key(Kind::Integer, 2.into()));
        assert_eq!(key(Kind::Integer, 2.5.into()), None);
    }
}
