//! What filters are allowed: every store is handed checked ones.

use std::ops::Bound;

use super::{Filter, TextQuery, Wildcard};
use crate::error::{Error, Result};
use crate::model::{
    FieldDeclaration, FieldPath, Kind, MAX_DEPTH, MAX_KEYWORD_BYTES, Model, Scalar,
};

/// Most values of one `in` list, ids of one filter by ids, and values of one native condition.
pub(crate) const MAX_IN_VALUES: usize = 1_000;
/// Most nodes of one filter.
pub(crate) const MAX_FILTER_NODES: usize = 1_000;
/// Longest native condition, in bytes.
const MAX_NATIVE_BYTES: usize = 64 * 1024;

impl Filter {
    /// Checks the filter against a model and the limits; every store is handed checked filters.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if it is not declared, if its kind does not take the value or
    /// the comparison, if a keyword is longer than [`MAX_KEYWORD_BYTES`], if a number is not
    /// finite, if a pattern or a text is not allowed, if a filter within a nested one looks outside
    /// its objects, or if the filter is too deep or has too many nodes or values.
    pub fn check(&self, model: &Model) -> Result<()> {
        self.check_within(model, None)
    }

    /// As [`check`](Self::check), for a filter of the objects of the nested field `within`.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check).
    pub fn check_within(&self, model: &Model, within: Option<&FieldPath>) -> Result<()> {
        let scope = Scope { model, within };
        self.check_node(scope, 1, &mut 0)
    }

    fn check_node(&self, scope: Scope<'_>, depth: usize, nodes: &mut usize) -> Result<()> {
        *nodes += 1;
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "filter is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        if *nodes > MAX_FILTER_NODES {
            return Err(Error::invalid(format!(
                "filter has more than {MAX_FILTER_NODES} nodes"
            )));
        }
        match self {
            Self::Eq { field, value } => scope.value(field, value),
            Self::In { field, values } => {
                at_most(&format!("filter on field {field} lists"), values.len())?;
                scope.comparable(field)?;
                values.iter().try_for_each(|v| scope.value(field, v))
            }
            Self::Range {
                field,
                lower,
                upper,
            } => {
                scope.comparable(field)?;
                for bound in [lower, upper] {
                    if let Bound::Included(value) | Bound::Excluded(value) = bound {
                        scope.value(field, value)?;
                    }
                }
                Ok(())
            }
            Self::Prefix { field, prefix } => scope.value(field, &Scalar::from(prefix.as_str())),
            Self::Wildcard { field, pattern } => {
                scope.value(field, &Scalar::from(pattern.as_str()))?;
                Wildcard::parse(pattern)
                    .map(drop)
                    .map_err(|e| naming(field, &e))
            }
            Self::Text { field, text, words } => {
                let kind = scope.require(field)?.kind;
                if kind != Kind::Text {
                    return Err(Error::invalid(format!(
                        "field {field} is declared as {}, and only text is searched for words",
                        kind.as_str()
                    )));
                }
                let parsed = TextQuery::parse(text, *words).map(drop);
                parsed.map_err(|e| naming(field, &e))
            }
            Self::Exists { field } => scope.require(field).map(drop),
            Self::Ids(ids) => {
                scope.of_documents("a filter by ids")?;
                at_most("filter by ids lists", ids.len())
            }
            Self::Nested { field, filter } => {
                let kind = scope.require(field)?.kind;
                if kind != Kind::Nested {
                    return Err(Error::invalid(format!(
                        "field {field} is declared as {}, and only nested fields have objects that are matched one by one",
                        kind.as_str()
                    )));
                }
                let inner = Scope {
                    within: Some(field),
                    ..scope
                };
                filter.check_node(inner, depth + 1, nodes)
            }
            Self::Call { call, equals } => {
                scope.of_documents("a call")?;
                if let Scalar::Float(x) = equals
                    && !x.is_finite()
                {
                    return Err(Error::invalid(format!(
                        "function {} is compared with {x}, which is not a finite number",
                        call.function()
                    )));
                }
                call.check(scope.model)
            }
            Self::Native(native) => {
                scope.of_documents("a native condition")?;
                if native.condition.len() > MAX_NATIVE_BYTES {
                    return Err(Error::invalid(format!(
                        "native condition has {} bytes, allowed are {MAX_NATIVE_BYTES}",
                        native.condition.len()
                    )));
                }
                at_most("native condition has", native.values.len())
            }
            Self::And(all) | Self::Or(all) => all
                .iter()
                .try_for_each(|f| f.check_node(scope, depth + 1, nodes)),
            Self::Not(inner) => inner.check_node(scope, depth + 1, nodes),
        }
    }
}

fn at_most(what: &str, values: usize) -> Result<()> {
    if values > MAX_IN_VALUES {
        return Err(Error::invalid(format!(
            "{what} {values} values, allowed are {MAX_IN_VALUES}"
        )));
    }
    Ok(())
}

fn naming(field: &FieldPath, error: &Error) -> Error {
    Error::invalid(format!("filter on field {field}: {}", error.message()))
}

/// What a filter may look at: the whole document, or one object of a nested field.
#[derive(Clone, Copy)]
struct Scope<'a> {
    model: &'a Model,
    within: Option<&'a FieldPath>,
}

impl<'a> Scope<'a> {
    fn require(self, field: &FieldPath) -> Result<&'a FieldDeclaration> {
        let declared = self.model.require(field)?;
        match self.within {
            Some(nested) if field == nested || !field.is_within(nested) => Err(Error::invalid(
                format!("field {field} does not lie within {nested}, whose objects are matched"),
            )),
            _ => Ok(declared),
        }
    }

    fn of_documents(self, what: &str) -> Result<()> {
        match self.within {
            None => Ok(()),
            Some(nested) => Err(Error::invalid(format!(
                "{what} is about whole documents, not about the objects of field {nested}"
            ))),
        }
    }

    fn comparable(self, field: &FieldPath) -> Result<Kind> {
        let kind = self.require(field)?.kind;
        if kind.is_comparable() {
            return Ok(kind);
        }
        Err(Error::invalid(format!(
            "field {field} is declared as {}, whose values are not compared",
            kind.as_str()
        )))
    }

    fn value(self, field: &FieldPath, value: &Scalar) -> Result<()> {
        let kind = self.comparable(field)?;
        if !kind.takes(value) {
            return Err(Error::invalid(format!(
                "field {field} is declared as {} and is not compared with a value of type {}",
                kind.as_str(),
                value.type_name()
            )));
        }
        match value {
            Scalar::Text(text) if text.len() > MAX_KEYWORD_BYTES => Err(Error::invalid(format!(
                "value for field {field} has {} bytes, allowed are {MAX_KEYWORD_BYTES}",
                text.len()
            ))),
            Scalar::Float(x) if !x.is_finite() => Err(Error::invalid(format!(
                "value for field {field} is {x}, which is not a finite number"
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DocumentId;
    use crate::model::{FieldDeclaration, Kind};
    use crate::query::{Call, Words};

    #[test]
    fn check_names_the_field() {
        let model = Model::builder("a")
            .field(FieldDeclaration::new("k".parse().unwrap(), Kind::Keyword))
            .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer))
            .field(FieldDeclaration::new("t".parse().unwrap(), Kind::Text))
            .build()
            .unwrap();
        let ok = [
            Filter::all(),
            Filter::eq("k", "x").unwrap(),
            Filter::eq("n", 1.5).unwrap(),
            Filter::is_in("k", Vec::<&str>::new()).unwrap(),
            Filter::exists("t").unwrap(),
            !Filter::prefix("k", "").unwrap(),
        ];
        for filter in ok {
            filter.check(&model).unwrap();
        }
        let bad = [
            ("z", Filter::eq("z", 1).unwrap()),
            ("z", !Filter::exists("z").unwrap()),
            ("k", Filter::eq("k", 1).unwrap()),
            ("n", Filter::prefix("n", "1").unwrap()),
            ("t", Filter::eq("t", "x").unwrap()),
            ("t", Filter::is_in("t", Vec::<&str>::new()).unwrap()),
            ("n", Filter::gt("n", f64::NAN).unwrap()),
            ("k", Filter::eq("k", "x".repeat(1025)).unwrap()),
        ];
        for (field, filter) in bad {
            let error = filter.check(&model).unwrap_err();
            assert!(
                error.to_string().contains(&format!("field {field}")),
                "{error}"
            );
        }
        let mut deep = Filter::eq("k", "x").unwrap();
        for _ in 0..40 {
            deep = Filter::And(vec![deep]);
        }
        assert!(deep.check(&model).unwrap_err().to_string().contains("32"));
    }

    #[test]
    fn the_richer_nodes() {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        let model = Model::builder("a")
            .field(field("k", Kind::Keyword))
            .field(field("t", Kind::Text))
            .field(field("l", Kind::Integer).many())
            .field(field("o", Kind::Nested).many())
            .field(field("o.n", Kind::Integer).many())
            .field(field("o.p", Kind::Nested).many())
            .field(field("o.p.k", Kind::Keyword).many())
            .build()
            .unwrap();
        let of = |call: &str| Call::new(call).unwrap();
        let inner = Filter::eq("o.n", 1).unwrap();
        let ok = [
            Filter::wildcard("k", "a*").unwrap(),
            Filter::text("t", "a", Words::Any).unwrap(),
            Filter::ids(["a", "b"]).unwrap(),
            Filter::nested("o", inner.clone()).unwrap(),
            Filter::nested(
                "o",
                inner
                    .clone()
                    .and(Filter::nested("o.p", Filter::eq("o.p.k", "x").unwrap()).unwrap()),
            )
            .unwrap(),
            Filter::call(of("f").field("k".parse().unwrap()).value(1).call(of("g"))),
            Filter::native("an engine", "1 = ?", [1]),
        ];
        for filter in ok {
            filter.check(&model).unwrap();
        }
        let bad = [
            ("field l", Filter::wildcard("l", "1*").unwrap()),
            ("17 `*`", Filter::wildcard("k", "*a".repeat(17)).unwrap()),
            ("backslash", Filter::wildcard("k", "a\\").unwrap()),
            ("field k", Filter::text("k", "a", Words::Any).unwrap()),
            ("no word", Filter::text("t", "...", Words::All).unwrap()),
            (
                "1000",
                Filter::Ids(vec![DocumentId::new("a").unwrap(); 1_001]),
            ),
            ("field k", Filter::nested("k", inner.clone()).unwrap()),
            (
                "field k",
                Filter::nested("o", Filter::eq("k", "x").unwrap()).unwrap(),
            ),
            (
                "field o ",
                Filter::nested("o", Filter::exists("o").unwrap()).unwrap(),
            ),
            (
                "whole documents",
                Filter::nested("o", Filter::ids(["a"]).unwrap()).unwrap(),
            ),
            (
                "whole documents",
                Filter::nested("o", Filter::call(of("f"))).unwrap(),
            ),
            ("field l", Filter::call(of("f").field("l".parse().unwrap()))),
            ("not finite", Filter::call_eq(of("f"), f64::NAN)),
            (
                "field z",
                Filter::call(of("f").call(of("g").field("z".parse().unwrap()))),
            ),
        ];
        for (words, filter) in bad {
            let error = filter.check(&model).unwrap_err().to_string();
            let words = words.replace("not finite", "not a finite");
            assert!(error.contains(&words), "{words}: {error}");
        }
    }
}
