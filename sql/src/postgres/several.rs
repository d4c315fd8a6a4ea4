//! The index of the values of a field that may hold several.
//!
//! It is a GIN index over the values of a document as one flat `jsonb` array, by their hashes
//! (`jsonb_path_ops`): texts of any length fit into it, and numbers are found however they are
//! written. What the server looks up in it, it compares with the array itself, so the condition
//! holds for the very documents of which some value equals: the array has the values, one for one,
//! that the functions of [`PREPARE`](super::PREPARE) find. Values of other types than the field's
//! may be in it, too; no value of the field's type equals them.

use strongroom_core::model::{FieldDeclaration, Kind, MAX_DEPTH, Model};

use super::{Postgres, literal, short_name};
use crate::dialect::{DOCUMENT, Dialect, Lookup, index_name};

impl Postgres {
    /// The indexes of fields that may hold several values: the name of each, as the server knows it,
    /// and the statement that makes it where it is not there.
    pub fn indexes_of_several(&self, model: &Model) -> impl Iterator<Item = (String, String)> {
        let table = self.identifier(model.name().as_str());
        let fields = model.fields().filter(|field| is_indexed(field));
        fields.map(move |field| {
            let name = index_name(model, &field.path);
            let statement = format!(
                "CREATE INDEX IF NOT EXISTS {} ON {table} USING gin (({}) jsonb_path_ops)",
                self.identifier(&name),
                flat(field, "body")
            );
            (short_name(&name).into_owned(), statement)
        })
    }
}

/// How the documents are looked up of which the field has some of the values looked for.
pub(super) fn lookup(field: &FieldDeclaration) -> Option<Lookup> {
    is_indexed(field).then(|| Lookup {
        before: format!(
            "{} @> ANY (ARRAY[jsonb_build_array(",
            flat(field, &format!("{DOCUMENT}.body"))
        ),
        between: "), jsonb_build_array(",
        behind: ")])",
    })
}

fn is_indexed(field: &FieldDeclaration) -> bool {
    field.indexed && field.many && field.kind.is_comparable()
}

/// The values of a field as one array, without arrays in it.
///
/// In a path of the server's, `[*]` stands for the items of an array, and for a value itself that
/// is none. So it is repeated as often as arrays can lie within each other there: the body and
/// each name but the last take a level, an object, of those that a body may have.
fn flat(field: &FieldDeclaration, body: &str) -> String {
    let names = field.path.segments();
    let items = "[*]".repeat(MAX_DEPTH.saturating_sub(names.clone().count()));
    let mut path = "$".to_owned();
    for name in names {
        // A name holds nothing that would end it.
        path.push_str(&format!(".\"{name}\"{items}"));
    }
    if field.kind == Kind::Timestamp {
        // A number that was written with a fraction, be it zero, is no time.
        path.push_str(r#" ? (@.type() == "number" && !(@.string() like_regex "[.]"))"#);
    }
    format!(
        "jsonb_path_query_array({body}, {}::jsonpath)",
        literal(&path)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str, kind: Kind) -> FieldDeclaration {
        FieldDeclaration::new(path.parse().unwrap(), kind)
    }

    #[test]
    fn every_array_that_a_body_may_have_is_looked_into() {
        let items = |count| "[*]".repeat(count);
        assert_eq!(
            flat(&field("it's", Kind::Keyword), "body"),
            format!(
                r#"jsonb_path_query_array(body, E'$."it''s"{}'::jsonpath)"#,
                items(31)
            )
        );
        assert_eq!(
            flat(&field("o.n", Kind::Integer), "d.body"),
            format!(
                r#"jsonb_path_query_array(d.body, E'$."o"{0}."n"{0}'::jsonpath)"#,
                items(30)
            )
        );
        let deepest = ["n"; MAX_DEPTH].join(".");
        assert!(!flat(&field(&deepest, Kind::Integer), "body").contains("[*]"));
    }

    #[test]
    fn only_what_is_indexed_and_compared_has_one() {
        let model = Model::builder("c")
            .field(field("one", Kind::Keyword).indexed())
            .field(field("plain", Kind::Keyword).many())
            .field(field("words", Kind::Text).many().indexed())
            .field(field("some", Kind::Keyword).many().indexed())
            .field(field("list", Kind::Nested).indexed())
            .field(field("list.n", Kind::Float).indexed())
            .build()
            .unwrap();
        let names: Vec<_> = Postgres
            .indexes_of_several(&model)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["c:i:list.n", "c:i:some"]);
        assert!(model.fields().filter_map(lookup).count() == 2);
        // Objects of a nested field are no rows that an index would know.
        let objects = model.of_nested(&"list".parse().unwrap()).unwrap();
        assert!(objects.fields().filter_map(lookup).next().is_none());
    }
}
