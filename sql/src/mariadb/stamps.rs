//! Stamps by the server's clock, as `Write::stamp` of the core says.

use strongroom_core::model::{FieldPath, Model};

use super::value::json_path;

/// The server's clock in milliseconds, at the moment.
pub const NOW: &str = "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS INTEGER)";

/// The expression for the body of a document that is created, stamped.
///
/// A stamp that lies in an object which the body has not is left out by the server's function, too.
#[must_use]
pub fn stamped_anew(model: &Model, body: &str) -> String {
    let stamps = [model.created(), model.updated()];
    set(body, stamps.into_iter().flatten().map(now))
}

/// The same, where the flag, 1 or 0, which is behind the body in the text, tells whether the document
/// is created or takes the place of another, which [`stamped_over`] looks at; `None` for a model
/// that has not both stamps.
#[must_use]
pub fn stamped_if_anew(model: &Model, flag: &str, body: &str) -> Option<String> {
    let (created, updated) = (json_path(model.created()?), json_path(model.updated()?));
    Some(format!(
        "JSON_SET({body}, IF({flag}, {created}, {updated}), {NOW}, {updated}, {NOW})"
    ))
}

/// The expression for the body of a document that takes the place of `before`, stamped.
#[must_use]
pub fn stamped_over(model: &Model, body: &str, before: &str) -> String {
    let updated = model.updated().map(now);
    let Some(created) = model.created() else {
        return set(body, updated);
    };
    let path = json_path(created);
    let known = format!("JSON_EXTRACT({before}, {path})");
    let kept = set(
        body,
        std::iter::once((path, known.clone())).chain(updated.clone()),
    );
    format!(
        "IF(COALESCE(JSON_TYPE({known}) IN ('INTEGER', 'DOUBLE'), FALSE), {kept}, {})",
        set(body, updated)
    )
}

/// The stamps that a body holds, as two columns of text: of creation and of the last change.
#[must_use]
pub fn stamps_of(model: &Model, body: &str) -> String {
    let column = |path: Option<&FieldPath>| match path {
        Some(path) => format!("JSON_VALUE({body}, {})", json_path(path)),
        None => "NULL".to_owned(),
    };
    format!("{}, {}", column(model.created()), column(model.updated()))
}

fn now(path: &FieldPath) -> (String, String) {
    (json_path(path), NOW.to_owned())
}

fn set(body: &str, values: impl IntoIterator<Item = (String, String)>) -> String {
    let mut sets = String::new();
    for (path, value) in values {
        sets.push_str(&format!(", {path}, {value}"));
    }
    if sets.is_empty() {
        return body.to_owned();
    }
    format!("JSON_SET({body}{sets})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_are_stamped_in_one_expression() {
        let both = Model::builder("docs").created("c").updated("o.u");
        let both = both.build().unwrap();
        assert_eq!(
            stamped_anew(&both, "?"),
            format!(r#"JSON_SET(?, '$."c"', {NOW}, '$."o"."u"', {NOW})"#)
        );
        assert_eq!(
            stamped_over(&both, "b", "t.body"),
            format!(
                r#"IF(COALESCE(JSON_TYPE(JSON_EXTRACT(t.body, '$."c"')) IN ('INTEGER', 'DOUBLE'), FALSE), JSON_SET(b, '$."c"', JSON_EXTRACT(t.body, '$."c"'), '$."o"."u"', {NOW}), JSON_SET(b, '$."o"."u"', {NOW}))"#
            )
        );
        let one = Model::builder("docs").updated("u").build().unwrap();
        assert_eq!(
            stamped_over(&one, "b", "t.body"),
            format!(r#"JSON_SET(b, '$."u"', {NOW})"#)
        );
        assert_eq!(stamped_if_anew(&one, "?", "?"), None);
        assert_eq!(
            stamps_of(&one, "body"),
            r#"NULL, JSON_VALUE(body, '$."u"')"#
        );
    }
}
