//! Created and updated stamps, where it is the store that writes them.

use serde_json::{Map, Value};

use super::{Action, Write, WriteStamps};
use crate::error::Result;
use crate::model::{Body, FieldPath, Model, Timestamp};

/// The created and updated stamps of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The time of creation.
    pub created: Option<Timestamp>,
    /// The time of the last change.
    pub updated: Option<Timestamp>,
}

impl Stamps {
    /// The stamps that a body holds.
    #[must_use]
    pub fn of(body: &Map<String, Value>, model: &Model) -> Self {
        let stamp = |path: Option<&FieldPath>| {
            let millis = path?.find_in(body)?.as_i64()?;
            Timestamp::from_millis(millis).ok()
        };
        Self {
            created: stamp(model.created()),
            updated: stamp(model.updated()),
        }
    }
}

impl Write {
    /// Whether the store stamps what this write leaves, if it is one that stamps at all.
    #[must_use]
    pub fn sets_stamps(&self, model: &Model) -> bool {
        let stamped = model.created().is_some() || model.updated().is_some();
        stamped && self.stamps == WriteStamps::Set && !matches!(self.action, Action::Delete)
    }

    /// Stamps `body`, which is the document as the write leaves it, at the store's time `now`, and
    /// hands out the stamps that it has then. This is what they mean; a store may do the same in
    /// the engine's own language.
    ///
    /// A document that is created gets both. One that is replaced keeps its time of creation:
    /// that of the document `before`, or, where that tells none, what the body says. A patch sets
    /// the time of the change. A stamp that lies in an object which the body has not is not set.
    ///
    /// # Errors
    ///
    /// `Invalid` if the body is too large with its stamps.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::model::{Body, Expected, Key, Model, Timestamp};
    /// use strongroom_core::store::Write;
    ///
    /// let model = Model::builder("users").created("since").updated("changed").build()?;
    /// let body = Body::parse("{}")?;
    /// let write = Write::put(Key::new("ada")?, body.clone(), Expected::Absent);
    /// let (stamped, _) = write.stamp(&model, body, None, Timestamp::from_millis(5)?)?;
    /// assert!(stamped.same_value(&Body::parse(r#"{"since":5,"changed":5}"#)?));
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    pub fn stamp(
        &self,
        model: &Model,
        body: Body,
        before: Option<&Body>,
        now: Timestamp,
    ) -> Result<(Body, Stamps)> {
        if !self.sets_stamps(model) {
            return Ok((body, Stamps::default()));
        }
        let mut object = body.to_object()?;
        let is_put = matches!(self.action, Action::Put(_));
        if let Some(path) = model.created().filter(|_| is_put) {
            let created = match before {
                None => Some(Value::from(now.as_millis())),
                Some(before) => {
                    let before = before.to_object()?;
                    path.find_in(&before).filter(|v| v.is_number()).cloned()
                }
            };
            created
                .into_iter()
                .for_each(|at| set(&mut object, path, at));
        }
        if let Some(path) = model.updated() {
            set(&mut object, path, Value::from(now.as_millis()));
        }
        let stamps = Stamps::of(&object, model);
        Ok((Body::encode(&object)?, stamps))
    }
}

fn set(body: &mut Map<String, Value>, path: &FieldPath, stamp: Value) {
    let mut names = path.segments();
    let last = names.next_back().unwrap_or_default();
    let mut object = body;
    for name in names {
        object = match object.get_mut(name) {
            Some(Value::Object(object)) => object,
            _ => return,
        };
    }
    object.insert(last.to_owned(), stamp);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Expected, Key};
    use crate::patch::Patch;

    fn body(text: &str) -> Body {
        Body::parse(text.to_owned()).unwrap()
    }

    #[track_caller]
    fn check(write: &Write, made: &str, before: Option<&str>, wanted: &str) {
        let model = Model::builder("docs").created("c").updated("o.u");
        let model = model.build().unwrap();
        let now = Timestamp::from_millis(9).unwrap();
        let before = before.map(body);
        let stamped = write.stamp(&model, body(made), before.as_ref(), now);
        let (stamped, stamps) = stamped.unwrap();
        assert!(stamped.same_value(&body(wanted)), "{stamped:?}");
        if write.sets_stamps(&model) {
            let held = Stamps::of(&stamped.to_object().unwrap(), &model);
            assert_eq!(stamps, held);
        } else {
            assert_eq!(stamps, Stamps::default());
        }
    }

    #[test]
    fn what_is_stamped_with_what() {
        let key = Key::new("a").unwrap();
        let put = Write::put(key.clone(), body("{}"), Expected::Any);
        check(&put, r#"{"c":1,"o":{}}"#, None, r#"{"c":9,"o":{"u":9}}"#);
        let before = Some(r#"{"c":4,"o":{"u":4}}"#);
        check(&put, r#"{"o":{"u":1}}"#, before, r#"{"c":4,"o":{"u":9}}"#);
        check(&put, r#"{"c":1}"#, Some(r#"{"c":null}"#), r#"{"c":1}"#);
        check(&put, r#"{"o":[{}]}"#, before, r#"{"c":4,"o":[{}]}"#);
        let patch = Write::patch(key, Patch::new(), Expected::Any);
        check(
            &patch,
            r#"{"c":1,"o":{}}"#,
            before,
            r#"{"c":1,"o":{"u":9}}"#,
        );
        let same = r#"{"c":1,"o":{"u":1}}"#;
        check(&put.keep_stamps(), same, before, same);
        check(&patch.keep_stamps(), same, before, same);
    }
}
