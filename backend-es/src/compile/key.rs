//! Keys: values as text whose order by bytes is the order of the values.
//!
//! Keywords and booleans are their own keys. Numbers have them where the engine's types do not tell
//! them from their neighbours: text it keeps and compares exactly.

use strongroom_core::model::{Kind, Scalar};

const SIGN: u64 = 1 << 63;
/// Digits of the float that a number's key begins with.
const DIGITS: usize = 16;

/// Longest beginning of a keyword that is indexed; the engine refuses terms over 32,766 bytes.
///
/// Filters compare with at most 1,024 bytes, so they answer alike for what is cut off here.
pub(super) const MAX_TERM_BYTES: usize = 32_000;

/// The key of a value.
pub(crate) fn encode(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => cut(text, MAX_TERM_BYTES).to_owned(),
        Scalar::Boolean(b) => b.to_string(),
        Scalar::Integer(i) => of_integer(*i),
        Scalar::Float(x) => format!("{:016x}", ordered(*x)),
    }
}

/// The greatest float that is not greater, and what is missing to the integer.
pub(super) fn float_below(i: i64) -> (f64, i128) {
    #[allow(clippy::cast_precision_loss, reason = "what is lost is added")]
    let mut below = i as f64;
    #[allow(clippy::cast_possible_truncation, reason = "a whole number near i64")]
    let exact = |x: f64| x as i128;
    if exact(below) > i128::from(i) {
        below = below.next_down();
    }
    (below, i128::from(i) - exact(below))
}

fn of_integer(i: i64) -> String {
    let (below, rest) = float_below(i);
    let key = format!("{:016x}", ordered(below));
    if rest == 0 {
        key
    } else {
        format!("{key}{rest:03x}")
    }
}

/// Bits that compare as the floats do, -0.0 as 0.0.
fn ordered(x: f64) -> u64 {
    let bits = if x == 0.0 { 0 } else { x.to_bits() };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The value of a key, as far as the key tells it: a whole number in a field of floats comes back
/// as a float, unless only an integer holds it.
pub(crate) fn decode(kind: Kind, key: &str) -> Option<Scalar> {
    match kind {
        Kind::Keyword => return Some(Scalar::from(key)),
        Kind::Boolean => return Some(Scalar::from(key == "true")),
        _ => {}
    }
    let (bits, rest) = key.split_at_checked(DIGITS)?;
    let bits = u64::from_str_radix(bits, 16).ok()?;
    let x = f64::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN });
    if !rest.is_empty() {
        #[allow(clippy::cast_possible_truncation, reason = "a whole number near i64")]
        let whole = x as i128 + i128::from_str_radix(rest, 16).ok()?;
        return i64::try_from(whole).ok().map(Scalar::from);
    }
    match kind {
        Kind::Integer | Kind::Timestamp => Some(whole(x).map_or(Scalar::from(x), Scalar::from)),
        _ => Some(Scalar::from(x)),
    }
}

/// The integer that a float equals.
fn whole(x: f64) -> Option<i64> {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "in range and without a fraction"
    )]
    (in_range && x.fract() == 0.0).then_some(x as i64)
}

/// The beginning of a text, of at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, ascending: &[Scalar]) {
        let keys: Vec<String> = ascending.iter().map(encode).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{ascending:?}: {keys:?}");
        for (key, value) in keys.iter().zip(ascending) {
            let back = decode(kind, key).unwrap();
            assert_eq!(back.compare(value), Some(std::cmp::Ordering::Equal));
        }
    }

    #[test]
    fn keys_sort_as_their_values() {
        check(Kind::Boolean, &[false.into(), true.into()]);
        let p53 = 1_i64 << 53;
        check(
            Kind::Integer,
            &[
                i64::MIN,
                i64::MIN + 1,
                -p53 - 1,
                -p53,
                -2,
                -1,
                0,
                1,
                255,
                p53,
                p53 + 1,
                p53 + 2,
            ]
            .map(Scalar::from),
        );
        check(
            Kind::Integer,
            &[i64::MAX - 1024, i64::MAX - 1023, i64::MAX - 1, i64::MAX].map(Scalar::from),
        );
        check(
            Kind::Float,
            &[
                (-f64::MAX).into(),
                (-1.5).into(),
                (-1e-300).into(),
                0.0.into(),
                5e-324.into(),
                1.into(),
                1.5.into(),
                (p53 + 1).into(),
                i64::MAX.into(),
                9_223_372_036_854_775_808.0.into(),
                f64::MAX.into(),
            ],
        );
        check(
            Kind::Keyword,
            &["", "A", "a", "ab", "\u{ffff}", "\u{10000}"].map(Scalar::from),
        );
    }

    #[test]
    fn equal_values_have_one_key() {
        assert_eq!(encode(&0.0.into()), encode(&(-0.0).into()));
        assert_eq!(encode(&1.into()), encode(&1.0.into()));
        let p60 = 1_i64 << 60;
        assert_eq!(
            encode(&p60.into()),
            encode(&1_152_921_504_606_846_976.0.into())
        );
    }

    #[test]
    fn long_keywords_are_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(20_000), 32_000).len(), 32_000);
        assert_eq!(
            cut(&format!("x{}", "é".repeat(20_000)), 32_000).len(),
            31_999
        );
        assert_eq!(cut("ab", 3), "ab");
    }
}
