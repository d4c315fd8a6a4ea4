//! Names of fields in the index.

use strongroom_core::model::FieldPath;
use strongroom_core::query::Order;

/// The name in the index of the declared field at `path`: dots and plain characters as they are,
/// every other byte as `%` and two hex digits, so that no name means anything to the engine.
pub(super) fn field_name(path: &FieldPath) -> String {
    let mut name = String::new();
    for byte in path.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => name.push(byte.into()),
            _ => {
                name.push('%');
                for digit in [byte >> 4, byte & 15] {
                    name.extend(char::from_digit(digit.into(), 16));
                }
            }
        }
    }
    name
}

/// Where the values of the declared field at `path` are in the index.
pub(super) fn indexed_path(path: &FieldPath) -> String {
    format!("f.{}", field_name(path))
}

/// Where the sort keys of the declared field at `path` are in the index.
pub(crate) fn sort_path(path: &FieldPath, order: Order) -> String {
    let extreme = match order {
        Order::Ascending => "lo",
        Order::Descending => "hi",
    };
    format!("{extreme}.{}", field_name(path))
}

#[cfg(test)]
mod tests {
    use super::field_name;

    #[test]
    fn plain_names_stay_and_others_are_spelt_out() {
        let name = |path: &str| field_name(&path.parse().unwrap());
        assert_eq!(name("address.city"), "address.city");
        assert_eq!(name("größe"), "gr%c3%b6%c3%9fe");
        assert_eq!(name(" a%"), "%20a%25");
    }
}
