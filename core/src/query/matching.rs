//! What a filter means.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::values::{FieldReader, compare};
use super::{CompiledCall, Filter, Functions, TextQuery, Wildcard};
use crate::error::{Error, Result};
use crate::model::{Body, DocumentId, FieldPath, Key, Model, Scalar};

/// A filter made ready to be asked about many documents of one collection.
///
/// It is the one meaning of a filter: the in-memory store asks it, and every engine's answers are
/// compared with it.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{Body, FieldDeclaration, Key, Kind, Model};
/// use strongroom_core::query::{Filter, Matcher};
///
/// let model = Model::builder("users")
///     .field(FieldDeclaration::new("tags".parse()?, Kind::Keyword).many())
///     .build()?;
/// let matcher = Matcher::new(&Filter::prefix("tags", "b")?, &model)?;
/// let key = Key::new("ada")?;
/// assert!(matcher.matches_body(&key, &Body::parse(r#"{"tags":["a","bc"]}"#)?)?);
/// assert!(!matcher.matches_body(&key, &Body::parse(r#"{"tags":[]}"#)?)?);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Matcher {
    root: Node,
    functions: Functions,
}

#[derive(Clone, Debug)]
enum Node {
    In(FieldReader, Vec<Scalar>),
    Range(FieldReader, Bound<Scalar>, Bound<Scalar>),
    Prefix(FieldReader, String),
    Wildcard(FieldReader, Wildcard),
    Text(FieldReader, TextQuery),
    Exists(FieldReader),
    Ids(Vec<DocumentId>),
    Nested(FieldReader, Box<Node>),
    Call(CompiledCall, Scalar),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
}

/// What a filter is asked about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    key: &'a Key,
    object: &'a Map<String, Value>,
}

impl Matcher {
    /// Checks a filter against a model and makes it ready. It has no functions to call.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`Filter::check`]; `Unsupported` for a native condition.
    pub fn new(filter: &Filter, model: &Arc<Model>) -> Result<Self> {
        Self::within(filter, model, None)
    }

    /// As [`new`](Self::new), for a filter that is asked about single objects of a nested field.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn within(filter: &Filter, model: &Arc<Model>, nested: Option<&FieldPath>) -> Result<Self> {
        filter.check_within(model, nested)?;
        let scope = Scope { model, nested };
        Ok(Self {
            root: compile(filter, scope)?,
            functions: Functions::new(),
        })
    }

    /// Lets the filter call these functions.
    #[must_use]
    pub fn with_functions(mut self, functions: Functions) -> Self {
        self.functions = functions;
        self
    }

    /// Whether a document with this key and parsed body matches, or such an object of it.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a function that is not there, `Invalid` if one fails.
    pub fn matches(&self, key: &Key, object: &Map<String, Value>) -> Result<bool> {
        self.holds(&self.root, Subject { key, object })
    }

    /// Whether a document with this key and body matches.
    ///
    /// # Errors
    ///
    /// `Codec` if a trusted body is not a JSON object; otherwise as for
    /// [`matches`](Self::matches).
    pub fn matches_body(&self, key: &Key, body: &Body) -> Result<bool> {
        self.matches(key, &body.to_object()?)
    }

    fn holds(&self, node: &Node, subject: Subject<'_>) -> Result<bool> {
        let object = subject.object;
        Ok(match node {
            Node::In(field, values) => field.any_value(object, |leaf| {
                values
                    .iter()
                    .any(|value| compare(leaf, value) == Some(Ordering::Equal))
            }),
            Node::Range(field, lower, upper) => field.any_value(object, |leaf| {
                within(leaf, lower, Ordering::Greater) && within(leaf, upper, Ordering::Less)
            }),
            Node::Prefix(field, prefix) => field.any_value(object, |leaf| {
                leaf.as_str()
                    .is_some_and(|text| text.as_bytes().starts_with(prefix.as_bytes()))
            }),
            Node::Wildcard(field, pattern) => field.any_value(object, |leaf| {
                leaf.as_str().is_some_and(|text| pattern.matches(text))
            }),
            Node::Text(field, query) => query.matches_any(field.texts(object)),
            Node::Exists(field) => field.exists(object),
            Node::Ids(ids) => ids.contains(subject.key.id()),
            Node::Nested(field, inner) => {
                for object in field.objects(object) {
                    if self.holds(inner, Subject { object, ..subject })? {
                        return Ok(true);
                    }
                }
                false
            }
            Node::Call(call, equals) => {
                let made = call.evaluate(&self.functions, object)?;
                made.as_ref() == Some(equals)
            }
            Node::All(all) => {
                for node in all {
                    if !self.holds(node, subject)? {
                        return Ok(false);
                    }
                }
                true
            }
            Node::Any(any) => {
                for node in any {
                    if self.holds(node, subject)? {
                        return Ok(true);
                    }
                }
                false
            }
            Node::Not(inner) => !self.holds(inner, subject)?,
        })
    }
}

/// Where the paths of a filter begin.
#[derive(Clone, Copy)]
struct Scope<'a> {
    model: &'a Model,
    nested: Option<&'a FieldPath>,
}

fn compile(filter: &Filter, scope: Scope<'_>) -> Result<Node> {
    let reader = |field| FieldReader::within(scope.model, field, scope.nested);
    let nodes = |filters: &[Filter]| -> Result<Vec<Node>> {
        filters.iter().map(|f| compile(f, scope)).collect()
    };
    Ok(match filter {
        Filter::Eq { field, value } => Node::In(reader(field)?, vec![value.clone()]),
        Filter::In { field, values } => Node::In(reader(field)?, values.clone()),
        Filter::Range {
            field,
            lower,
            upper,
        } => Node::Range(reader(field)?, lower.clone(), upper.clone()),
        Filter::Prefix { field, prefix } => Node::Prefix(reader(field)?, prefix.clone()),
        Filter::Wildcard { field, pattern } => {
            Node::Wildcard(reader(field)?, Wildcard::parse(pattern)?)
        }
        Filter::Text { field, text, words } => {
            Node::Text(reader(field)?, TextQuery::parse(text, *words)?)
        }
        Filter::Exists { field } => Node::Exists(reader(field)?),
        Filter::Ids(ids) => Node::Ids(ids.clone()),
        Filter::Nested { field, filter } => {
            let inner = Scope {
                nested: Some(field),
                ..scope
            };
            Node::Nested(reader(field)?, Box::new(compile(filter, inner)?))
        }
        Filter::Call { call, equals } => Node::Call(call.compile(scope.model)?, equals.clone()),
        Filter::Native(native) => {
            return Err(Error::unsupported(format!(
                "native conditions of {}",
                native.engine
            )));
        }
        Filter::And(all) => Node::All(nodes(all)?),
        Filter::Or(any) => Node::Any(nodes(any)?),
        Filter::Not(inner) => Node::Not(Box::new(compile(inner, scope)?)),
    })
}

/// Whether a leaf lies on the `side` of the bound where the range is.
fn within(leaf: &Value, bound: &Bound<Scalar>, side: Ordering) -> bool {
    match bound {
        Bound::Unbounded => true,
        Bound::Excluded(value) => compare(leaf, value) == Some(side),
        Bound::Included(value) => {
            compare(leaf, value).is_some_and(|order| order == side || order == Ordering::Equal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, Kind};
    use crate::query::{Call, Words};
    use serde_json::json;

    fn model() -> Arc<Model> {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        Model::builder("c")
            .field(field("k", Kind::Keyword).many())
            .field(field("n", Kind::Integer).many())
            .field(field("x", Kind::Float))
            .field(field("b", Kind::Boolean))
            .field(field("t", Kind::Timestamp))
            .field(field("o.n", Kind::Integer).many())
            .field(field("w", Kind::Text).many())
            .field(field("e", Kind::Nested).many())
            .field(field("e.n", Kind::Integer).many())
            .field(field("e.k", Kind::Keyword).many())
            .build()
            .unwrap()
    }

    #[track_caller]
    fn check(filter: Result<Filter>, yes: &[Value], no: &[Value]) {
        let filter = filter.unwrap();
        let matcher = Matcher::new(&filter, &model()).unwrap();
        let complement = Matcher::new(&!filter, &model()).unwrap();
        for (bodies, wanted) in [(yes, true), (no, false)] {
            for body in bodies {
                let object = body.as_object().unwrap();
                let key = Key::new("id").unwrap();
                assert_eq!(matcher.matches(&key, object).unwrap(), wanted, "{body}");
                assert_eq!(
                    complement.matches(&key, object).unwrap(),
                    !wanted,
                    "not of {body}"
                );
            }
        }
    }

    #[test]
    fn equality_is_of_one_type_and_of_some_value() {
        check(
            Filter::eq("n", 1),
            &[json!({"n":1}), json!({"n":1.0}), json!({"n":[0,1]})],
            &[
                json!({}),
                json!({"n":null}),
                json!({"n":"1"}),
                json!({"n":true}),
                json!({"n":[]}),
                json!({"n":1.5}),
            ],
        );
        check(
            Filter::eq("n", 9_007_199_254_740_993_i64),
            &[json!({"n":9_007_199_254_740_993_i64})],
            &[
                json!({"n":9_007_199_254_740_992_i64}),
                json!({"n":9_007_199_254_740_992.0}),
            ],
        );
        check(
            Filter::eq("k", "é"),
            &[json!({"k":"é"}), json!({"k":["a","é"]})],
            &[json!({"k":"e\u{301}"}), json!({"k":"É"}), json!({"k":"é "})],
        );
        check(
            Filter::eq("b", false),
            &[json!({"b":false})],
            &[json!({"b":0}), json!({"b":true}), json!({})],
        );
        check(
            Filter::eq("o.n", 2),
            &[json!({"o":[{"n":1},{"n":[2]}]})],
            &[json!({"o":[{"m":2}]}), json!({"o":2})],
        );
    }

    #[test]
    fn lists() {
        check(
            Filter::is_in("n", [1, 3]),
            &[json!({"n":3}), json!({"n":[2,1]})],
            &[json!({"n":2}), json!({})],
        );
        check(
            Filter::is_in("n", Vec::<i64>::new()),
            &[],
            &[json!({"n":1}), json!({})],
        );
    }

    #[test]
    fn ranges_hold_of_one_value() {
        let between = Filter::range(
            "n",
            Bound::Included(Scalar::from(2)),
            Bound::Excluded(Scalar::from(4)),
        );
        check(
            between,
            &[json!({"n":2}), json!({"n":3.9}), json!({"n":[9,2]})],
            // 1 and 9 lie on the two sides, and neither lies between.
            &[json!({"n":4}), json!({"n":[1,9]}), json!({})],
        );
        check(
            Filter::range("n", Bound::Unbounded, Bound::Unbounded),
            &[json!({"n":0})],
            &[json!({}), json!({"n":"x"})],
        );
        check(
            Filter::gt("k", "a"),
            &[json!({"k":"a\0"}), json!({"k":"b"}), json!({"k":"ä"})],
            &[json!({"k":"a"}), json!({"k":"Z"}), json!({"k":5})],
        );
        check(
            Filter::gte("b", true),
            &[json!({"b":true})],
            &[json!({"b":false})],
        );
        check(
            Filter::lte("t", 10),
            &[json!({"t":10}), json!({"t":-1})],
            // No timestamp has a fraction.
            &[json!({"t":11}), json!({"t":1.5})],
        );
    }

    #[test]
    fn prefixes_by_bytes() {
        check(
            Filter::prefix("k", "a%"),
            &[json!({"k":"a%"}), json!({"k":["x","a%b"]})],
            &[json!({"k":"ab"}), json!({"k":"A%"}), json!({})],
        );
        check(
            Filter::prefix("k", ""),
            &[json!({"k":""})],
            &[json!({}), json!({"k":1})],
        );
    }

    #[test]
    fn connectives() {
        check(Ok(Filter::all()), &[json!({})], &[]);
        check(Ok(Filter::Or(vec![])), &[], &[json!({})]);
        let n = |n| Filter::eq("n", n).unwrap();
        check(Ok(n(1).and(n(2))), &[json!({"n":[1,2]})], &[json!({"n":1})]);
        check(
            Ok(n(1).or(n(2))),
            &[json!({"n":2})],
            &[json!({"n":3}), json!({})],
        );
    }

    #[test]
    fn patterns() {
        check(
            Filter::wildcard("k", "a*z"),
            &[json!({"k":"az"}), json!({"k":["x","a\u{0}z"]})],
            &[json!({"k":"a"}), json!({}), json!({"k":5})],
        );
    }

    #[test]
    fn words_of_text() {
        check(
            Filter::text("w", "red fox", Words::All),
            &[json!({"w":"a Red, red FOX"}), json!({"w":["red","fox"]})],
            &[json!({"w":"red"}), json!({}), json!({"w":[5, null]})],
        );
        check(
            Filter::text("w", "red fox", Words::Phrase),
            &[json!({"w":["x","a red fox"]})],
            &[json!({"w":["red","fox"]}), json!({"w":"fox red"})],
        );
    }

    #[test]
    fn objects_of_a_nested_field_match_one_by_one() {
        let one = Filter::eq("e.n", 1).unwrap();
        let x = Filter::eq("e.k", "x").unwrap();
        check(
            Filter::nested("e", one.clone().and(x.clone())),
            &[
                json!({"e":[{"n":2},{"n":[3,1],"k":"x"}]}),
                json!({"e":{"n":1,"k":"x"}}),
                json!({"e":[[{"n":1,"k":["x"]}]]}),
            ],
            &[json!({"e":[{"n":1},{"k":"x"}]}), json!({"e":[]}), json!({})],
        );
        check(
            Filter::nested("e", !x),
            &[json!({"e":[{"k":"x"},{}]})],
            &[json!({"e":[{"k":"x"}]}), json!({"e":[7]}), json!({})],
        );
        check(Ok(one), &[json!({"e":[{"n":2},{"n":1}]})], &[json!({})]);
    }

    #[test]
    fn ids_and_calls() {
        check(Filter::ids(["id", "x"]), &[json!({})], &[]);
        check(Filter::ids(["ID"]), &[], &[json!({})]);
        let functions = Functions::new()
            .with("twice", |arguments| match arguments {
                [Some(Scalar::Integer(n))] => Ok(Some(Scalar::from(n * 2))),
                [None] => Ok(None),
                _ => Err(Error::invalid("it takes an integer")),
            })
            .unwrap();
        let call = Call::new("twice").unwrap().field("x".parse().unwrap());
        let filter = Filter::call_eq(call, 4);
        let matcher = Matcher::new(&filter, &model()).unwrap();
        let asked = |matcher: &Matcher, body: Value| {
            matcher.matches(&Key::new("a").unwrap(), body.as_object().unwrap())
        };
        assert!(
            asked(&matcher, json!({"x":2}))
                .unwrap_err()
                .message()
                .contains("twice")
        );
        let matcher = matcher.with_functions(functions);
        assert!(asked(&matcher, json!({"x":2})).unwrap());
        assert!(!asked(&matcher, json!({"x":3})).unwrap());
        assert!(!asked(&matcher, json!({})).unwrap());
        let error = asked(&matcher, json!({"x":1.5})).unwrap_err();
        assert!(error.message().contains("it takes an integer"), "{error}");
    }

    #[test]
    fn native_conditions_are_not_evaluated() {
        let native = Filter::native("sqlite", "1", Vec::<i64>::new());
        assert!(Matcher::new(&native, &model()).is_err());
    }

    #[test]
    fn a_filter_is_checked_first() {
        assert!(Matcher::new(&Filter::eq("z", 1).unwrap(), &model()).is_err());
        assert!(Matcher::new(&Filter::eq("k", 1).unwrap(), &model()).is_err());
    }
}
