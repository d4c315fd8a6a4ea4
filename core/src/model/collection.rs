//! What a collection holds: its name, whether it is routed, and the fields with a kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::MAX_FIELDS;
use super::{CollectionName, FieldPath, Key, Scalar};
use crate::error::{Error, ErrorKind, Result};

/// What a declared field holds, and so how engines compare, index and analyse it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Text compared as a whole, as UTF-8 bytes.
    Keyword,
    /// Text that is analysed and searched by its words; not compared, not sorted.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number within `i64`.
    Integer,
    /// A finite `f64`.
    Float,
    /// A number that search engines keep as a whole multiple of 1/`factor`; elsewhere a float.
    ScaledFloat {
        /// How many steps there are between two whole numbers.
        factor: u32,
    },
    /// A [`Timestamp`](super::Timestamp): UTC milliseconds.
    Timestamp,
    /// Base64 text that is stored, and tested for existence only.
    Bytes,
    /// An object, whose own fields are declared under its path.
    Object,
    /// An array of objects of which each is matched for itself.
    Nested,
}

impl Kind {
    /// The kind's name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::ScaledFloat { .. } => "scaled float",
            Self::Timestamp => "timestamp",
            Self::Bytes => "bytes",
            Self::Object => "object",
            Self::Nested => "nested",
        }
    }

    /// Whether values of the kind have an order that filters and sorts may use.
    #[must_use]
    pub const fn is_comparable(self) -> bool {
        !matches!(self, Self::Text | Self::Bytes | Self::Object | Self::Nested)
    }

    /// Whether a filter may compare fields of the kind with `value`.
    #[must_use]
    pub fn takes(self, value: &Scalar) -> bool {
        match self {
            Self::Keyword => matches!(value, Scalar::Text(_)),
            Self::Boolean => matches!(value, Scalar::Boolean(_)),
            Self::Timestamp => matches!(value, Scalar::Integer(_)),
            Self::Integer | Self::Float | Self::ScaledFloat { .. } => {
                matches!(value, Scalar::Integer(_) | Scalar::Float(_))
            }
            Self::Text | Self::Bytes | Self::Object | Self::Nested => false,
        }
    }
}

/// One declared field of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FieldDeclaration {
    /// Where the field is.
    pub path: FieldPath,
    /// What it holds.
    pub kind: Kind,
    /// Whether a document may hold several values: the field or one above it is an array. A body
    /// never holds an array in a field that is not declared so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub many: bool,
    /// Whether SQL engines index it. Search engines index every declared field. Where a document may
    /// hold several values, PostgreSQL has an index for filters by some value that is equal or one of
    /// a list; other SQL engines have none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub indexed: bool,
    /// Whether no two documents of the collection may hold the same value. No value is no
    /// violation.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// Whether the value is left out of output, logs and recordings.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl FieldDeclaration {
    /// A field with no more said than where it is and what it holds.
    #[must_use]
    pub fn new(path: FieldPath, kind: Kind) -> Self {
        Self {
            path,
            kind,
            many: false,
            indexed: false,
            unique: false,
            secret: false,
        }
    }

    /// A field that may hold several values.
    #[must_use]
    pub fn many(mut self) -> Self {
        self.many = true;
        self
    }

    /// A field that SQL engines index.
    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.indexed = true;
        self
    }

    /// A field whose values are unique in the collection.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// A field that is left out of output, logs and recordings.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// What becomes of fields that the Rust type does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// They survive a save.
    #[default]
    Keep,
    /// A save of the whole document drops them.
    Drop,
    /// Loading a document that has some is an error.
    Deny,
}

/// The model of a collection: what adapters know of it.
///
/// Every request carries its model, so an adapter keeps no registry. Two models of one collection
/// within one database handle are refused.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{FieldDeclaration, Kind, Model};
///
/// let model = Model::builder("users")
///     .field(FieldDeclaration::new("email".parse()?, Kind::Keyword).unique())
///     .field(FieldDeclaration::new("logins".parse()?, Kind::Integer))
///     .build()?;
/// assert_eq!(model.name().as_str(), "users");
/// assert!(model.field("email").is_some_and(|f| f.unique));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    name: CollectionName,
    #[serde(default, skip_serializing_if = "is_false")]
    routed: bool,
    fields: BTreeMap<FieldPath, FieldDeclaration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<FieldPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<FieldPath>,
    #[serde(default)]
    unknown: UnknownFields,
    #[serde(skip)]
    of_objects: bool,
}

impl Model {
    /// Begins a model of the collection `name`.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> ModelBuilder {
        ModelBuilder {
            name: name.into(),
            routed: false,
            fields: Vec::new(),
            created: None,
            updated: None,
            unknown: UnknownFields::default(),
        }
    }

    /// The collection's name.
    #[must_use]
    pub fn name(&self) -> &CollectionName {
        &self.name
    }

    /// Whether documents are identified by routing and id instead of the id alone.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        self.routed
    }

    /// The declared fields, by path.
    pub fn fields(&self) -> impl Iterator<Item = &FieldDeclaration> {
        self.fields.values()
    }

    /// The declaration of the field at `path`.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&FieldDeclaration> {
        self.fields.get(path)
    }

    /// The declaration of the field at `path`.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming field and collection, if the model does not declare it.
    pub fn require(&self, path: &FieldPath) -> Result<&FieldDeclaration> {
        self.fields.get(path).ok_or_else(|| {
            Error::invalid(format!(
                "field {path} is not declared by the model of collection {}",
                self.name
            ))
            .with_collection(self.name.clone())
        })
    }

    /// The model of the objects of a nested field: what is declared within it, with paths that
    /// begin there. It has no indexes, and every field may hold several values.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming field and collection, if the model does not declare the field.
    pub fn of_nested(&self, field: &FieldPath) -> Result<Self> {
        self.require(field)?;
        let within = self.fields.values().filter_map(|declared| {
            let path = declared.path.relative_to(field).ok()?;
            let mut relative = FieldDeclaration::new(path.clone(), declared.kind).many();
            relative.secret = declared.secret;
            Some((path, relative))
        });
        Ok(Self {
            name: self.name.clone(),
            routed: false,
            fields: within.collect(),
            created: None,
            updated: None,
            unknown: self.unknown,
            of_objects: true,
        })
    }

    /// Whether this is the model of the objects of a nested field, made by
    /// [`of_nested`](Self::of_nested), and not of documents.
    #[must_use]
    pub fn is_of_objects(&self) -> bool {
        self.of_objects
    }

    /// The field that holds the time of creation, if any.
    #[must_use]
    pub fn created(&self) -> Option<&FieldPath> {
        self.created.as_ref()
    }

    /// The field that holds the time of the last change, if any.
    #[must_use]
    pub fn updated(&self) -> Option<&FieldPath> {
        self.updated.as_ref()
    }

    /// What becomes of fields that the Rust type does not know.
    #[must_use]
    pub fn unknown_fields(&self) -> UnknownFields {
        self.unknown
    }

    /// Checks that a key has a routing if and only if the collection is routed.
    ///
    /// # Errors
    ///
    /// `Invalid` if it does not.
    pub fn check_key(&self, key: &Key) -> Result<()> {
        match (self.routed, key.routing()) {
            (true, Some(_)) | (false, None) => Ok(()),
            (true, None) => Err(self.bad_key(key, "is routed: its keys demand a routing")),
            (false, Some(_)) => Err(self.bad_key(key, "is not routed: its keys have no routing")),
        }
    }

    fn bad_key(&self, key: &Key, what: &str) -> Error {
        Error::invalid(format!("collection {} {what}", self.name))
            .with_collection(self.name.clone())
            .with_key(key.clone())
    }

    /// The fields that `self`, the wanted model, adds to `stored`, in order of their paths.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch`, naming the field, if the two disagree about routing or about a field
    /// that both declare. Fields that only `stored` declares are no disagreement.
    pub fn extends(&self, stored: &Self) -> Result<Vec<&FieldDeclaration>> {
        let mismatch = |message: String| {
            Err(Error::new(ErrorKind::SchemaMismatch, message).with_collection(self.name.clone()))
        };
        if self.routed != stored.routed {
            let word = |routed| if routed { "routed" } else { "not routed" };
            return mismatch(format!(
                "the collection is {}, the model says it is {}",
                word(stored.routed),
                word(self.routed)
            ));
        }
        let mut added = Vec::new();
        for (path, wanted) in &self.fields {
            match stored.fields.get(path) {
                None => added.push(wanted),
                Some(there) if there.kind != wanted.kind => {
                    return mismatch(format!(
                        "field {path} is stored as {}, the model says {}",
                        there.kind.as_str(),
                        wanted.kind.as_str()
                    ));
                }
                Some(there) if there.many != wanted.many => {
                    let word = |many| if many { "many values" } else { "one value" };
                    return mismatch(format!(
                        "field {path} is stored with {}, the model says {}",
                        word(there.many),
                        word(wanted.many)
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(added)
    }
}

/// Builds a [`Model`].
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    name: String,
    routed: bool,
    fields: Vec<FieldDeclaration>,
    created: Option<String>,
    updated: Option<String>,
    unknown: UnknownFields,
}

impl ModelBuilder {
    /// Identifies documents by routing and id.
    #[must_use]
    pub fn routed(mut self) -> Self {
        self.routed = true;
        self
    }

    /// Declares a field.
    #[must_use]
    pub fn field(mut self, field: FieldDeclaration) -> Self {
        self.fields.push(field);
        self
    }

    /// Names the field that the store fills with the time of creation, and declares it.
    #[must_use]
    pub fn created(mut self, path: impl Into<String>) -> Self {
        self.created = Some(path.into());
        self
    }

    /// Names the field that the store fills with the time of each change, and declares it.
    #[must_use]
    pub fn updated(mut self, path: impl Into<String>) -> Self {
        self.updated = Some(path.into());
        self
    }

    /// Says what becomes of fields that the Rust type does not know.
    #[must_use]
    pub fn unknown(mut self, unknown: UnknownFields) -> Self {
        self.unknown = unknown;
        self
    }

    /// Checks and builds the model.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name is not allowed, a path is not allowed or declared twice, a field
    /// lies under one that is neither object nor nested, a unique field is not a comparable
    /// single value, a stamp is declared as something else than a timestamp, or there are more
    /// than [`MAX_FIELDS`] fields.
    pub fn build(self) -> Result<Arc<Model>> {
        let name = CollectionName::new(self.name)?;
        let fail = |message: String| Err(Error::invalid(message).with_collection(name.clone()));
        let mut fields = BTreeMap::new();
        for field in self.fields {
            if let Some(twice) = fields.insert(field.path.clone(), field) {
                return fail(format!("field {} is declared twice", twice.path));
            }
        }
        let mut stamp = |path: Option<String>| -> Result<Option<FieldPath>> {
            let Some(path) = path.map(FieldPath::new).transpose()? else {
                return Ok(None);
            };
            let field = fields
                .entry(path.clone())
                .or_insert_with(|| FieldDeclaration::new(path.clone(), Kind::Timestamp));
            if field.kind != Kind::Timestamp || field.many {
                return Err(Error::invalid(format!(
                    "field {path} holds a stamp and must be a single timestamp"
                )));
            }
            Ok(Some(path))
        };
        let created = stamp(self.created)?;
        let updated = stamp(self.updated)?;
        if created.is_some() && created == updated {
            return fail("one field cannot hold both stamps".to_owned());
        }
        if fields.len() > MAX_FIELDS {
            return fail(format!(
                "{} fields are declared, allowed are {MAX_FIELDS}",
                fields.len()
            ));
        }
        for path in fields.keys().cloned().collect::<Vec<_>>() {
            let mut many = false;
            let mut above = path.parent();
            while let Some(ancestor) = above {
                if let Some(declared) = fields.get(&ancestor) {
                    if !matches!(declared.kind, Kind::Object | Kind::Nested) {
                        return fail(format!(
                            "field {path} lies under {ancestor}, which is declared as {}",
                            declared.kind.as_str()
                        ));
                    }
                    many |= declared.many || declared.kind == Kind::Nested;
                }
                above = ancestor.parent();
            }
            if let Some(field) = fields.get_mut(&path) {
                field.many |= many || field.kind == Kind::Nested;
                if field.unique && (field.many || !field.kind.is_comparable()) {
                    return fail(format!(
                        "field {path} cannot be unique: it is not a single comparable value"
                    ));
                }
            }
        }
        Ok(Arc::new(Model {
            name,
            routed: self.routed,
            fields,
            created,
            updated,
            unknown: self.unknown,
            of_objects: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str, kind: Kind) -> FieldDeclaration {
        FieldDeclaration::new(path.parse().unwrap(), kind)
    }

    #[test]
    fn many_is_inherited() {
        let model = Model::builder("orders")
            .field(field("items", Kind::Object).many())
            .field(field("items.price", Kind::Float))
            .field(field("buyer.name", Kind::Keyword))
            .build()
            .unwrap();
        assert!(model.field("items.price").unwrap().many);
        assert!(!model.field("buyer.name").unwrap().many);
    }

    #[test]
    fn the_model_of_objects_says_so() {
        let model = Model::builder("orders")
            .field(field("items", Kind::Nested))
            .field(field("items.price", Kind::Float))
            .build()
            .unwrap();
        let objects = model.of_nested(&"items".parse().unwrap()).unwrap();
        assert!(objects.is_of_objects() && !model.is_of_objects());
        let stored = serde_json::to_string(&*model).unwrap();
        assert_eq!(serde_json::from_str::<Model>(&stored).unwrap(), *model);
    }

    #[test]
    fn refuses_contradictions() {
        let bad = [
            Model::builder("a").field(field("x", Kind::Text).unique()),
            Model::builder("a").field(field("x", Kind::Keyword).many().unique()),
            Model::builder("a")
                .field(field("x", Kind::Keyword))
                .field(field("x.y", Kind::Keyword)),
            Model::builder("a")
                .field(field("x", Kind::Keyword))
                .field(field("x", Kind::Integer)),
            Model::builder("a")
                .field(field("t", Kind::Integer))
                .created("t"),
            Model::builder("a").created("t").updated("t"),
            Model::builder("A"),
        ];
        for bad in bad {
            assert_eq!(
                bad.clone().build().unwrap_err().kind(),
                ErrorKind::Invalid,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn extension_adds_and_never_changes() {
        let old = Model::builder("a")
            .field(field("x", Kind::Keyword))
            .build()
            .unwrap();
        let more = Model::builder("a")
            .field(field("x", Kind::Keyword))
            .field(field("y", Kind::Integer))
            .build()
            .unwrap();
        let other = Model::builder("a")
            .field(field("x", Kind::Integer))
            .build()
            .unwrap();
        assert_eq!(more.extends(&old).unwrap().len(), 1);
        assert!(old.extends(&more).unwrap().is_empty());
        let error = other.extends(&old).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert!(error.to_string().contains("field x"), "{error}");
    }
}
