//! Wildcard patterns in the form of `LIKE`.

/// The pattern in SQL's own form, in which a backslash escapes.
pub(crate) fn like(pattern: &str) -> String {
    let mut form = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            '*' => {
                form.push('%');
                continue;
            }
            '?' => {
                form.push('_');
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        };
        if matches!(literal, '%' | '_' | '\\') {
            form.push('\\');
        }
        form.push(literal);
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_in_the_form_of_sql() {
        assert_eq!(like(r"a?c\**"), "a_c*%");
        assert_eq!(like(r"100%_\\x"), r"100\%\_\\x");
    }
}
