//! Stamps by the server's clock, as `Write::stamp` of the core says.

use strongroom_core::model::{FieldPath, Model};

use super::{literal, member, path_of};

/// The server's clock, in milliseconds.
pub const NOW: &str = "(date_part('epoch', clock_timestamp()) * 1000)::bigint";

/// The expression for the body of a put, stamped; `before` is the body that it replaces.
#[must_use]
pub fn stamped(model: &Model, body: &str, before: Option<&str>) -> String {
    let updated = model.updated().map(|path| (path, NOW));
    match (model.created(), before) {
        (None, _) => set_all(body, updated),
        (Some(created), None) => set_all(body, [(created, NOW)].into_iter().chain(updated)),
        (Some(created), Some(before)) => {
            let known = member(created, before);
            let kept = [(created, known.as_str())].into_iter().chain(updated);
            format!(
                "(CASE WHEN jsonb_typeof({known}) = 'number' THEN {} ELSE {} END)",
                set_all(body, kept),
                set_all(body, updated)
            )
        }
    }
}

/// A body with values at paths, unless one would lie in an object that is not there. Outermost
/// fields are set together, because the body is copied each time.
fn set_all<'p>(body: &str, values: impl IntoIterator<Item = (&'p FieldPath, &'p str)>) -> String {
    let (outermost, nested): (Vec<_>, Vec<_>) = values
        .into_iter()
        .partition(|(path, _)| path.parent().is_none());
    let members: Vec<_> = outermost
        .iter()
        .map(|(path, value)| format!("{}, {value}", literal(path.head())))
        .collect();
    let mut expression = match members.is_empty() {
        true => body.to_owned(),
        false => format!("({body} || jsonb_build_object({}))", members.join(", ")),
    };
    for (path, value) in nested {
        let Some(parent) = path.parent() else {
            continue;
        };
        let parent = member(&parent, &expression);
        let path = path_of(path);
        expression = format!(
            "(CASE WHEN jsonb_typeof({parent}) = 'object' \
             THEN jsonb_set({expression}, {path}, to_jsonb({value})) ELSE {expression} END)"
        );
    }
    expression
}

/// The stamps that a body holds, as two columns of text: of creation and of the last change.
#[must_use]
pub fn stamps_of(model: &Model, body: &str) -> String {
    let column = |path: Option<&FieldPath>| match path {
        Some(path) => {
            let object = path.parent().map(|parent| member(&parent, body));
            let object = object.as_deref().unwrap_or(body);
            format!(
                "({object} ->> {})",
                literal(path.segments().next_back().unwrap_or_default())
            )
        }
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
        let created = format!("($1::jsonb || jsonb_build_object(E'c', {NOW}))");
        assert_eq!(
            stamped(&model, "$1::jsonb", None),
            format!(
                "(CASE WHEN jsonb_typeof(({created} -> E'o')) = 'object' \
                 THEN jsonb_set({created}, ARRAY[E'o', E'u'], to_jsonb({NOW})) ELSE {created} END)"
            )
        );
        let model = Model::builder("docs").created("c").build().unwrap();
        assert_eq!(
            stamped(&model, "$1::jsonb", Some("d.body")),
            "(CASE WHEN jsonb_typeof((d.body -> E'c')) = 'number' \
             THEN ($1::jsonb || jsonb_build_object(E'c', (d.body -> E'c'))) ELSE $1::jsonb END)"
        );
        assert_eq!(stamps_of(&model, "d.body"), "(d.body ->> E'c'), NULL::text");
    }
}
