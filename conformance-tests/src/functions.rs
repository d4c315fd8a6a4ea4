//! The functions that a setup registers with its store, for the cases about calls.

use strongroom_core::Error;
use strongroom_core::model::Scalar;
use strongroom_core::query::Functions;

/// The functions that the cases about calls ask for. A setup whose store calls functions of the
/// user's makes the store with them; a store without them passes those cases unchecked.
///
/// - `suite_same` makes `true` if its two arguments are equal values of one type, `false` if not,
///   and nothing if one of them is missing;
/// - `suite_length` makes the number of characters of a text, and nothing of anything else;
/// - `suite_half` makes half of a number, as a float, and nothing of anything else;
/// - `suite_text` makes the names of its arguments' types, with `none` for a missing one;
/// - `suite_fails` fails.
///
/// # Panics
///
/// Never: the names are allowed ones.
#[must_use]
pub fn all() -> Functions {
    make().unwrap_or_else(|e| panic!("a function of the suite's own is not allowed: {e}"))
}

fn make() -> strongroom_core::Result<Functions> {
    Functions::new()
        .with("suite_same", |arguments| match arguments {
            [Some(a), Some(b)] => {
                let same = a.compare(b).is_some_and(|order| order.is_eq());
                Ok(Some(Scalar::from(same)))
            }
            [_, _] => Ok(None),
            _ => Err(Error::invalid("two arguments are compared")),
        })?
        .with("suite_length", |arguments| match arguments {
            [Some(Scalar::Text(text))] => {
                let characters = i64::try_from(text.chars().count());
                Ok(characters.ok().map(Scalar::from))
            }
            _ => Ok(None),
        })?
        .with("suite_half", |arguments| match arguments {
            [Some(Scalar::Integer(n))] => Ok(Some(Scalar::from(*n as f64 / 2.0))),
            [Some(Scalar::Float(x))] => Ok(Some(Scalar::from(x / 2.0))),
            _ => Ok(None),
        })?
        .with("suite_text", |arguments| {
            let names = arguments
                .iter()
                .map(|a| a.as_ref().map_or("none", Scalar::type_name));
            let names: Vec<_> = names.collect();
            Ok(Some(Scalar::from(names.join(" "))))
        })?
        .with("suite_fails", |_| {
            Err(Error::invalid("it was asked to fail"))
        })
}
