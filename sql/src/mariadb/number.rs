//! Numbers in a form that the server compares exactly.
//!
//! A field may hold any `i64` and any `f64`, and the two are compared as numbers. No numeric type of
//! the server's holds both: so a number is kept as a decimal number in its place among all others.
//! The places of floats are whole: the bits of a float of at least zero, read as an integer, grow
//! with it. An integer beyond 2^53 that no float equals lies next to the nearest float, by 0.0005
//! for each whole number between them, of which there are at most 512.

use strongroom_core::model::Scalar;

/// The type of keys in the server. No other value that a search gives has four decimal places.
pub(super) const KEY_TYPE: &str = "DECIMAL(23,4)";

/// The float that the functions of [`PREPARE`](super::PREPARE) give where the result would be
/// infinite, which the server has no value for.
pub const INFINITE: f64 = f64::MAX;

/// The key of a number, as decimal digits with four places.
///
/// # Examples
///
/// ```
/// use strongroom_sql::mariadb::{number_key, number_of_key};
///
/// let (two, big) = (2.into(), ((1_i64 << 53) + 1).into());
/// assert_eq!(number_key(&two), "4611686018427387904.0000");
/// assert_eq!(number_key(&2.0.into()), number_key(&two));
/// assert_eq!(number_of_key(&number_key(&big)), Some(big));
/// ```
#[must_use]
pub fn number_key(number: &Scalar) -> String {
    let (float, beyond) = match number {
        Scalar::Float(x) => (*x, 0),
        Scalar::Integer(i) => {
            #[allow(clippy::cast_precision_loss, reason = "what is lost is kept beside it")]
            let nearest = *i as f64;
            (nearest, i128::from(*i) - whole(nearest))
        }
        // Nothing else is a number, and nothing else is bound as one.
        _ => (0.0, 0),
    };
    let place = i128::from(float.abs().to_bits());
    let place = if float < 0.0 { -place } else { place };
    let places = place * 10_000 + beyond * 5;
    let sign = if places < 0 { "-" } else { "" };
    let places = places.unsigned_abs();
    format!("{sign}{}.{:04}", places / 10_000, places % 10_000)
}

/// The number of a key as the server writes it; `None` if it is no key.
#[must_use]
pub fn number_of_key(key: &str) -> Option<Scalar> {
    let (integral, places) = key.split_once('.')?;
    if places.len() != 4 {
        return None;
    }
    let digits: i128 = format!("{integral}{places}").parse().ok()?;
    let place = (digits + 5_000).div_euclid(10_000);
    let beyond = (digits - place * 10_000) / 5;
    let magnitude = f64::from_bits(u64::try_from(place.unsigned_abs()).ok()?);
    let float = if place < 0 { -magnitude } else { magnitude };
    if beyond == 0 {
        return Some(Scalar::Float(float).canonical());
    }
    let exact = i64::try_from(whole(float) + beyond).ok()?;
    Some(Scalar::Integer(exact))
}

/// The whole number that a float is.
fn whole(float: f64) -> i128 {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "only whole floats get here"
    )]
    let whole = float as i128;
    whole
}

/// The key of the number that a JSON text is.
pub(super) fn key(json: &str) -> String {
    let float = format!("CAST({json} AS DOUBLE)");
    let bits = |float: &str| {
        format!(
            "CAST(CONV(HEX(REVERSE(SUBSTR(ST_AsWKB(POINT(ABS({float}), 0)), 6, 8))), 16, 10) AS SIGNED)"
        )
    };
    // An absolute float of up to 2^64 is cast to an integer exactly, to a decimal number it is not.
    format!(
        "(SIGN({float}) * {} + CASE WHEN OCTET_LENGTH({json}) < 16 OR {json} REGEXP '[.eE]' THEN 0 \
         ELSE (CAST({json} AS DECIMAL(20,0)) - SIGN({float}) \
         * CAST(CAST(ABS({float}) AS UNSIGNED) AS DECIMAL(20,0))) * 0.0005 END)",
        bits(&float)
    )
}

/// The float of a key, or the nearest to its number.
pub(super) fn float(key: &str) -> String {
    format!(
        "(SIGN({key}) * ST_X(ST_GeomFromWKB(CONCAT(x'0101000000', \
         REVERSE(UNHEX(LPAD(HEX(CAST(ROUND(ABS({key})) AS UNSIGNED)), 16, '0'))), \
         x'0000000000000000'))))"
    )
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    fn digits(key: &str) -> i128 {
        key.replace('.', "").parse().unwrap()
    }

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        let mut numbers: Vec<Scalar> = [
            i64::MIN,
            i64::MIN + 1,
            -(1 << 53) - 1,
            -(1 << 53),
            -7,
            -1,
            0,
            1,
            1 << 53,
            (1 << 53) + 1,
            (1 << 62) + 511,
            (1 << 62) + 513,
            i64::MAX - 512,
            i64::MAX - 511,
            i64::MAX,
        ]
        .map(Scalar::from)
        .into();
        numbers.extend(
            [
                -1e300,
                -9_223_372_036_854_775_808.0,
                -1.5,
                -5e-324,
                -0.0,
                5e-324,
                0.1,
                1.0,
                9_007_199_254_740_992.0,
                9_223_372_036_854_775_807.0,
                f64::MAX,
            ]
            .map(Scalar::from),
        );
        for a in &numbers {
            let key = number_key(a);
            assert_eq!(number_of_key(&key).as_ref(), Some(a), "{key}");
            for b in &numbers {
                let order = digits(&key).cmp(&digits(&number_key(b)));
                assert_eq!(Some(order), a.compare(b), "{a:?} and {b:?}");
            }
        }
        assert_eq!(number_key(&0.into()), "0.0000");
        assert_eq!(number_key(&i64::MAX.into()), "4890909195324358655.9995");
        assert_eq!(
            Scalar::from(i64::MAX).compare(&Scalar::from(9.3e18)),
            Some(Ordering::Less)
        );
    }

    #[test]
    fn other_decimal_numbers_are_no_keys() {
        for other in ["12", "1.5", "1.00000", "x.0000", ""] {
            assert_eq!(number_of_key(other), None, "{other}");
        }
    }
}
