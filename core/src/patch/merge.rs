//! JSON Merge Patch, RFC 7396.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::model::MAX_DEPTH;

/// Merges the members of `patch` into `target`: null removes a member, an object is merged into
/// the member of its name, and everything else takes the member's place.
pub(super) fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<()> {
    merge_at(target, patch, 1)
}

fn merge_at(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    depth: usize,
) -> Result<()> {
    // What is nested deeper could not be stored, and must not use up the stack before that is
    // found out.
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!(
            "merged object is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(patch) => {
                let member = target.entry(name.as_str()).or_insert(Value::Null);
                if let Value::Object(members) = member {
                    merge_at(members, patch, depth + 1)?;
                } else {
                    // The members of a new object are merged too: nulls in them are dropped.
                    let mut members = Map::new();
                    merge_at(&mut members, patch, depth + 1)?;
                    *member = Value::Object(members);
                }
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn the_examples_of_the_rfc() {
        for (target, patch, wanted) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            let mut merged = target.as_object().unwrap().clone();
            merge(&mut merged, patch.as_object().unwrap()).unwrap();
            assert_eq!(Value::Object(merged), wanted, "{target} with {patch}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut patch = Map::new();
        for _ in 0..40 {
            patch = Map::from_iter([("a".to_owned(), Value::Object(patch))]);
        }
        assert!(merge(&mut Map::new(), &patch).is_err());
    }
}
