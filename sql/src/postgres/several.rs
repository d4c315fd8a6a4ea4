//! The index of the values of a field that may hold several.
//!
//! It is a GIN index over the values of a document as one flat `jsonb` array, by their hashes
//! (`jsonb_path_ops`): texts of any length fit into it, and numbers are found however they are
//! written. What the server looks up in it, it compares with the array itself, so the condition
//! holds for the very documents of which some value equals: the array has the values, one for one,
//! that the other functions of [`PREPARE`](super::PREPARE) find. Values of other types than the
//! field's may be in it, too; no value of the field's type equals them.

use strongroom_core::model::{FieldDeclaration, Kind, MAX_DEPTH, Model};

use super::{Postgres, literal};
use crate::dialect::{DOCUMENT, Dialect, Lookup, index_name};

/// How much of what was written the server may leave to be put in its place later, in kilobytes: the
/// least that it takes. Every lookup reads it all, and by default it would be so much that the server
/// rather reads a whole table of some thousands of documents.
const PENDING: u32 = 64;

impl Postgres {
    /// The statements that make the indexes of fields that may hold several values, as far as they
    /// are not there.
    #[must_use]
    pub fn indexes_of_several(&self, model: &Model) -> Vec<String> {
        let table = self.identifier(model.name().as_str());
        let fields = model.fields().filter(|field| is_indexed(field));
        let made = fields.map(|field| {
            let index = self.identifier(&index_name(model, &field.path));
            let values = flat(field, "body");
            format!(
                "CREATE INDEX IF NOT EXISTS {index} ON {table} USING gin (({values}) jsonb_path_ops) \
                 WITH (gin_pending_list_limit = {PENDING})"
            )
        });
        made.collect()
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
    format!("strongroom_values({body}, {}::jsonpath)", literal(&path))
}

#[cfg(test)]
mod tests {
    use strongroom_core::query::Filter;
    use strongroom_core::store::CountRequest;

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
                r#"strongroom_values(body, E'$."it''s"{}'::jsonpath)"#,
                items(31)
            )
        );
        assert_eq!(
            flat(&field("o.n", Kind::Integer), "d.body"),
            format!(
                r#"strongroom_values(d.body, E'$."o"{0}."n"{0}'::jsonpath)"#,
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
        let made = Postgres.indexes_of_several(&model);
        assert_eq!(made.len(), 2);
        for (statement, name) in made.iter().zip(["c:i:list.n", "c:i:some"]) {
            assert!(statement.contains(name), "{statement}");
        }
        assert_eq!(model.fields().filter_map(lookup).count(), 2);
        // Objects of a nested field are no rows that an index would know.
        let objects = model.of_nested(&"list".parse().unwrap()).unwrap();
        assert!(objects.fields().filter_map(lookup).next().is_none());
    }

    /// The condition that a filter becomes.
    fn check(filter: Filter) -> String {
        let model = Model::builder("c")
            .field(field("tags", Kind::Keyword).many().indexed())
            .field(field("plain", Kind::Keyword).many())
            .field(field("list", Kind::Nested))
            .field(field("list.n", Kind::Float).indexed())
            .build()
            .unwrap();
        let count = crate::count(&Postgres, &CountRequest::new(model, filter), None);
        let sql = count.unwrap().sql;
        let sql = sql
            .replace(&"[*]".repeat(31), "[*]")
            .replace(&"[*]".repeat(30), "[*]");
        sql.replace("SELECT count(*) FROM \"c\" AS d WHERE ", "")
    }

    #[test]
    fn what_is_equal_is_looked_up() {
        insta::assert_snapshot!(
            check(Filter::eq("tags", "x").unwrap()),
            @r#"strongroom_values(d.body, E'$."tags"[*]'::jsonpath) @> ANY (ARRAY[jsonb_build_array($1::text)])"#
        );
        insta::assert_snapshot!(
            check(!Filter::is_in("list.n", [1.5, 2.0]).unwrap()),
            @r#"((strongroom_values(d.body, E'$."list"[*]."n"[*]'::jsonpath) @> ANY (ARRAY[jsonb_build_array($1::text::numeric), jsonb_build_array($2::text::numeric)])) IS NOT TRUE)"#
        );
        for scanned in [
            Filter::eq("plain", "x").unwrap(),
            Filter::prefix("tags", "x").unwrap(),
            Filter::gt("list.n", 1).unwrap(),
            Filter::exists("tags").unwrap(),
        ] {
            assert!(!check(scanned.clone()).contains("@>"), "{scanned:?}");
        }
    }

    #[test]
    fn what_an_object_must_have_its_document_has() {
        let is = |n| Filter::eq("list.n", n).unwrap();
        let of = |filter| check(Filter::nested("list", filter).unwrap());
        insta::assert_snapshot!(
            of(is(1)),
            @r#"(strongroom_values(d.body, E'$."list"[*]."n"[*]'::jsonpath) @> ANY (ARRAY[jsonb_build_array($1::bigint)]) AND EXISTS (SELECT 1 FROM (SELECT o.value AS body FROM LATERAL (SELECT l.leaf AS value FROM strongroom_leaves(d.body, ARRAY[E'list']) AS l(leaf) WHERE jsonb_typeof(l.leaf) = 'object') AS o) AS d WHERE EXISTS (SELECT 1 FROM LATERAL (SELECT u.value FROM (SELECT (CASE WHEN jsonb_typeof(l.leaf) = 'number' THEN l.leaf::numeric END) AS value FROM strongroom_leaves(d.body, ARRAY[E'n']) AS l(leaf)) AS u WHERE u.value IS NOT NULL) AS v WHERE v.value = $2::bigint)))"#
        );
        let lookups = |filter| of(filter).matches("@>").count();
        assert_eq!(
            lookups(is(1).and(is(2)).and(Filter::gt("list.n", 0).unwrap())),
            2
        );
        assert_eq!(lookups(is(1).or(is(2))), 0);
        assert_eq!(lookups(!is(1)), 0);
        assert_eq!(
            lookups(Filter::is_in("list.n", Vec::<f64>::new()).unwrap()),
            0
        );
    }
}
