//! Stamps by the server's clock, as `Write::stamp` of the core says.

use strongroom_core::model::{FieldPath, Model};

use super::{literal, member, path_of};

/// The server's clock, in milliseconds.
pub const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The expression for the body of a put, stamped; `before` is the body that it replaces.
#[must_use]
pub fn stamped(model: &Model, body: &str, before: Option<&str>) -> String {
    let now = format!("to_jsonb({NOW})");
    let mut expression = body.to_owned();
    if let Some(path) = model.created() {
        expression = match before.map(|before| member(path, before)) {
            None => set(&expression, path, &now),
            Some(known) => {
                let kept = set(&expression, path, &known);
                format!(
                    "(CASE WHEN jsonb_typeof({known}) = 'number' THEN {kept} ELSE {expression} END)"
                )
            }
        };
    }
    match model.updated() {
        Some(path) => set(&expression, path, &now),
        None => expression,
    }
}

/// A body with a value at a path, unless that would lie in an object that is not there.
fn set(body: &str, path: &FieldPath, value: &str) -> String {
    match path.parent() {
        None => {
            let name = literal(path.head());
            format!("({body} || jsonb_build_object({name}, {value}))")
        }
        Some(parent) => {
            let parent = member(&parent, body);
            let path = path_of(path);
            format!(
                "(CASE WHEN jsonb_typeof({parent}) = 'object' \
                 THEN jsonb_set({body}, {path}, {value}) ELSE {body} END)"
            )
        }
    }
}

/// The stamps that a body holds, as two columns of text: of creation and of the last change.
#[must_use]
pub fn stamps_of(model: &Model, body: &str) -> String {
    let column = |path: Option<&FieldPath>| match path {
        Some(path) => format!("{} #>> '{{}}'", member(path, body)),
        None => "NULL::text".to_owned(),
    };
    format!("{}, {}", column(model.created()), column(model.updated()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_are_stamped_in_one_expression() {
        let model = Model::builder("docs").created("c").updated("o.u");
        let model = model.build().unwrap();
        let now = format!("to_jsonb({NOW})");
        let created = format!("($1::jsonb || jsonb_build_object(E'c', {now}))");
        assert_eq!(
            stamped(&model, "$1::jsonb", None),
            format!(
                "(CASE WHEN jsonb_typeof(({created} -> E'o')) = 'object' \
                 THEN jsonb_set({created}, ARRAY[E'o', E'u'], {now}) ELSE {created} END)"
            )
        );
        let model = Model::builder("docs").created("c").build().unwrap();
        assert_eq!(
            stamped(&model, "$1::jsonb", Some("d.body")),
            "(CASE WHEN jsonb_typeof((d.body -> E'c')) = 'number' \
             THEN ($1::jsonb || jsonb_build_object(E'c', (d.body -> E'c'))) ELSE $1::jsonb END)"
        );
        assert_eq!(
            stamps_of(&model, "d.body"),
            "(d.body -> E'c') #>> '{}', NULL::text"
        );
    }
}
