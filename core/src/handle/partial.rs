//! Selecting parts of documents, and saving what was selected without touching the rest.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::field::Field;
use crate::error::{Error, Result};
use crate::model::{Body, FieldPath};
use crate::patch::Patch;
use crate::query::SourceFilter;

/// One field of a selection: a path as text or parsed, or the handle of a field.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a field",
    note = "name it by its path as text, a `FieldPath`, or a handle from `T::fields()`"
)]
pub trait IntoFieldPath {
    /// The path.
    ///
    /// # Errors
    ///
    /// `Invalid` if the text is not a path.
    fn into_field_path(self) -> Result<FieldPath>;
}

impl IntoFieldPath for &str {
    fn into_field_path(self) -> Result<FieldPath> {
        FieldPath::new(self)
    }
}

impl IntoFieldPath for String {
    fn into_field_path(self) -> Result<FieldPath> {
        FieldPath::new(self)
    }
}

impl IntoFieldPath for FieldPath {
    fn into_field_path(self) -> Result<FieldPath> {
        Ok(self)
    }
}

impl<T, K, V> IntoFieldPath for Field<T, K, V> {
    fn into_field_path(self) -> Result<FieldPath> {
        Ok(self.path().clone())
    }
}

impl<P: IntoFieldPath + Clone> IntoFieldPath for &P {
    fn into_field_path(self) -> Result<FieldPath> {
        self.clone().into_field_path()
    }
}

/// What a selection is made of: an array or vector of fields, a tuple of fields of different
/// kinds, or a [`SourceFilter`].
///
/// # Examples
///
/// ```
/// use strongroom_core::handle::IntoSelection;
/// use strongroom_core::query::SourceFilter;
///
/// let selection = ["region", "address.city"].into_selection()?;
/// assert!(matches!(selection, SourceFilter::Include(paths) if paths.len() == 2));
/// assert!(["a..b"].into_selection().is_err());
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no selection of fields",
    note = "select by an array of paths, a tuple of field handles, or a `SourceFilter`"
)]
pub trait IntoSelection {
    /// The selection.
    ///
    /// # Errors
    ///
    /// `Invalid` if a text is not a path.
    fn into_selection(self) -> Result<SourceFilter>;
}

impl IntoSelection for SourceFilter {
    fn into_selection(self) -> Result<SourceFilter> {
        Ok(self)
    }
}

impl<P: IntoFieldPath, const N: usize> IntoSelection for [P; N] {
    fn into_selection(self) -> Result<SourceFilter> {
        include(self)
    }
}

impl<P: IntoFieldPath> IntoSelection for Vec<P> {
    fn into_selection(self) -> Result<SourceFilter> {
        include(self)
    }
}

fn include<P: IntoFieldPath>(paths: impl IntoIterator<Item = P>) -> Result<SourceFilter> {
    let paths = paths.into_iter().map(P::into_field_path);
    Ok(SourceFilter::include(paths.collect::<Result<Vec<_>>>()?))
}

macro_rules! selection_of_tuple {
    ($($name:ident)+) => {
        impl<$($name: IntoFieldPath),+> IntoSelection for ($($name,)+) {
            fn into_selection(self) -> Result<SourceFilter> {
                #[allow(non_snake_case, reason = "one name for the type and its value")]
                let ($($name,)+) = self;
                Ok(SourceFilter::include([$($name.into_field_path()?),+]))
            }
        }
    };
}
selection_of_tuple!(A);
selection_of_tuple!(A B);
selection_of_tuple!(A B C);
selection_of_tuple!(A B C D);
selection_of_tuple!(A B C D E);
selection_of_tuple!(A B C D E F);
selection_of_tuple!(A B C D E F G);
selection_of_tuple!(A B C D E F G H);

/// What a handle selects. A selection that was not understood is told by the first call that uses
/// it, so that builders need no `?`.
#[derive(Clone, Debug, Default)]
pub(crate) enum Selection {
    #[default]
    All,
    Some(Arc<SourceFilter>),
    Wrong(Arc<str>),
}

impl Selection {
    /// The selection of these fields, and of those that the document's key is read from.
    pub(crate) fn new(selection: impl IntoSelection, key_fields: &[&str]) -> Self {
        match complete(selection, key_fields) {
            Ok(SourceFilter::All) => Self::All,
            Ok(source) => Self::Some(Arc::new(source)),
            Err(error) => Self::Wrong(error.message().into()),
        }
    }

    /// The selection as documents remember it: `None` for the whole.
    pub(crate) fn get(&self) -> Result<Option<Arc<SourceFilter>>> {
        match self {
            Self::All => Ok(None),
            Self::Some(source) => Ok(Some(source.clone())),
            Self::Wrong(message) => Err(Error::invalid(&**message)),
        }
    }

    /// The selection of a question that was put, so that it is known to be understood.
    pub(crate) fn known(&self) -> Option<&Arc<SourceFilter>> {
        match self {
            Self::Some(source) => Some(source),
            Self::All | Self::Wrong(_) => None,
        }
    }
}

fn complete(selection: impl IntoSelection, key_fields: &[&str]) -> Result<SourceFilter> {
    let mut source = selection.into_selection()?;
    for field in key_fields {
        let field = FieldPath::new(field)?;
        match &mut source {
            SourceFilter::Include(paths) if !paths.iter().any(|p| p.selects(&field)) => {
                paths.push(field.into());
            }
            SourceFilter::Exclude(paths) => paths.retain(|p| !p.overlaps(&field)),
            _ => {}
        }
    }
    Ok(source)
}

/// The request's form of what documents remember.
pub(crate) fn source_of(selection: Option<&Arc<SourceFilter>>) -> SourceFilter {
    selection.map_or(SourceFilter::All, |source| (**source).clone())
}

/// The patch that turns `known` into `now`, where both are encodings of partly loaded values.
///
/// # Errors
///
/// `Invalid`, naming the field, if one differs that was not loaded, or that no path can name.
pub(crate) fn changes(known: &Body, now: &Body, selection: &SourceFilter) -> Result<Patch> {
    let (known, now) = (known.to_object()?, now.to_object()?);
    let mut diff = Diff {
        selection,
        path: Vec::new(),
        patch: Patch::new(),
    };
    diff.objects(&known, &now)?;
    Ok(diff.patch)
}

struct Diff<'a> {
    selection: &'a SourceFilter,
    path: Vec<&'a str>,
    patch: Patch,
}

impl<'a> Diff<'a> {
    fn objects(
        &mut self,
        known: &'a Map<String, Value>,
        now: &'a Map<String, Value>,
    ) -> Result<()> {
        let gone = known.keys().filter(|name| !now.contains_key(*name));
        for name in now.keys().chain(gone) {
            self.path.push(name);
            self.values(known.get(name), now.get(name))?;
            self.path.pop();
        }
        Ok(())
    }

    fn values(&mut self, known: Option<&'a Value>, now: Option<&'a Value>) -> Result<()> {
        if known == now {
            return Ok(());
        }
        if let (Some(Value::Object(known)), Some(Value::Object(now))) = (known, now) {
            return self.objects(known, now);
        }
        let path = FieldPath::new(self.path.join(".")).and_then(|path| {
            if self.path.iter().any(|name| name.contains('.')) {
                return Err(Error::invalid(format!(
                    "a member of field {path} has a dot in its name"
                )));
            }
            Ok(path)
        });
        let path = path.map_err(|error| {
            Error::invalid(format!(
                "the change cannot be saved from a partly loaded document: {}",
                error.message()
            ))
        })?;
        if self.selection.covers(&path) {
            let patch = std::mem::take(&mut self.patch);
            self.patch = match now {
                Some(now) => patch.set(path, now.clone()),
                None => patch.unset(path),
            };
            return Ok(());
        }
        match (known, now) {
            // Part of the object was loaded: what of it changed decides.
            (None | Some(Value::Null), Some(Value::Object(now))) if !now.is_empty() => {
                self.added(now)
            }
            (None | Some(Value::Null), None | Some(Value::Null)) => Ok(()),
            _ => Err(not_loaded(&path)),
        }
    }

    fn added(&mut self, now: &'a Map<String, Value>) -> Result<()> {
        for (name, value) in now {
            self.path.push(name);
            self.values(None, Some(value))?;
            self.path.pop();
        }
        Ok(())
    }
}

#[cold]
fn not_loaded(path: &FieldPath) -> Error {
    Error::invalid(format!(
        "field {path} was changed but not loaded, or loaded in part: select it, or load the whole document"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::patch::Change;

    fn check(selection: impl IntoSelection, known: Value, now: Value) -> Result<Vec<Change>> {
        let selection = selection.into_selection()?;
        let (known, now) = (Body::encode(&known)?, Body::encode(&now)?);
        changes(&known, &now, &selection).map(|patch| patch.changes().to_vec())
    }

    fn path(path: &str) -> FieldPath {
        path.parse().unwrap()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let changes = check(
            ["a", "b.c", "gone"],
            json!({"a": 1, "b": {"c": [1], "d": null}, "gone": 3, "other": null}),
            json!({"a": 1, "b": {"c": [2], "d": null}, "other": null}),
        );
        assert_eq!(
            changes.unwrap(),
            [
                Change::Set(path("b.c"), json!([2])),
                Change::Unset(path("gone"))
            ]
        );
        let changes = check(
            ["b.c"],
            json!({"b": null}),
            json!({"b": {"c": 1, "d": null}}),
        );
        assert_eq!(changes.unwrap(), [Change::Set(path("b.c"), json!(1))]);
        let changes = check(["b"], json!({"b": null}), json!({"b": {"c": 1}}));
        assert_eq!(changes.unwrap(), [Change::Set(path("b"), json!({"c": 1}))]);
    }

    #[test]
    fn a_change_of_what_was_not_loaded_is_refused() {
        for (known, now, field) in [
            (json!({"x": null}), json!({"x": 1}), "field x "),
            (json!({}), json!({"x": {"y": 1}}), "field x.y "),
            (json!({"b": {"d": 0}}), json!({"b": {"d": 1}}), "field b.d "),
            (
                json!({"b": [{"c": 1}]}),
                json!({"b": [{"c": 2}]}),
                "field b ",
            ),
            (json!({"b": {"c": 1}}), json!({"b": null}), "field b "),
            (json!({"a": {}}), json!({"a": {"x.y": 1}}), "a dot"),
        ] {
            let error = check(["a", "b.c"], known, now).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
            assert!(error.message().contains(field), "{error}");
        }
    }

    #[test]
    fn the_key_is_always_selected() {
        let source = |selection: Selection| (*selection.get().unwrap().unwrap()).clone();
        let include = source(Selection::new(["a"], &["id"]));
        assert!(include.covers(&path("id")));
        let exclude = SourceFilter::exclude([path("id"), path("b")]);
        let exclude = source(Selection::new(exclude, &["id"]));
        assert!(exclude.covers(&path("id")) && !exclude.covers(&path("b")));
        assert!(Selection::new([""], &["id"]).get().is_err());
        assert!(
            Selection::new(SourceFilter::All, &["id"])
                .get()
                .unwrap()
                .is_none()
        );
    }
}
