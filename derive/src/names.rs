//! The rules for names, as the core checks them, told when the user's crate is compiled.

const MAX_COLLECTION_NAME_BYTES: usize = 100;
const MAX_NAME_BYTES: usize = 512;

/// Why a collection cannot be named so, if it cannot.
pub(crate) fn check_collection(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_COLLECTION_NAME_BYTES {
        return Err(format!(
            "collection name has {} bytes, allowed are 1 to {MAX_COLLECTION_NAME_BYTES}",
            name.len()
        ));
    }
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    let made_well = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if !starts_well || !made_well {
        return Err(format!(
            "collection name {name:?} must begin with a-z and go on with a-z, 0-9, `_` or `-`"
        ));
    }
    if name.starts_with("strongroom") {
        return Err(format!(
            "collection name {name:?} begins with `strongroom`, which is reserved: choose another"
        ));
    }
    Ok(())
}

/// Why a field cannot be named so in JSON, if it cannot.
pub(crate) fn check_field(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(format!(
            "the field's name in JSON has {} bytes, allowed are 1 to {MAX_NAME_BYTES}",
            name.len()
        ));
    }
    if name.contains('.') {
        return Err(format!(
            "the field's name in JSON is {name:?}, but a dot parts the names of a path: rename it, or leave it out with `#[document(unmapped)]`"
        ));
    }
    match name
        .chars()
        .find(|c| c.is_control() || matches!(c, '"' | '\\' | '*' | '[' | ']'))
    {
        Some(bad) => Err(format!(
            "the field's name in JSON is {name:?}, which holds {bad:?}: rename it, or leave it out with `#[document(unmapped)]`"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use strongroom_core::model::{CollectionName, FieldPath};

    use super::*;

    #[test]
    fn the_rules_are_those_of_the_core() {
        let long = "a".repeat(101);
        let longest = "a".repeat(100);
        let names = [
            "",
            "a",
            "A",
            "1a",
            "_a",
            "a-b_2",
            "a.b",
            "ä",
            "a b",
            "a\0",
            "strongroom",
            "strongroom_x",
            "strong",
            &long,
            &longest,
        ];
        for name in names {
            assert_eq!(
                check_collection(name).is_ok(),
                CollectionName::new(name).is_ok(),
                "{name:?}"
            );
        }
        let long = "a".repeat(513);
        let longest = "a".repeat(512);
        let names = [
            "", "a", "größe", "a b", "it's", "$x", "a\"", "a\\", "a*", "a[", "a]", "a\n", "a\0",
            &long, &longest,
        ];
        for name in names {
            assert_eq!(
                check_field(name).is_ok(),
                FieldPath::new(name).is_ok(),
                "{name:?}"
            );
        }
        assert!(check_field("a.b").is_err());
    }
}
