//! Which kind a Rust type has as a field, and what it declares.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::super::loader::Links;
use super::{Field, kinds};
use crate::error::Result;
use crate::model::{DocumentId, FieldDeclaration, Kind, ModelBuilder, Routing, Timestamp};

/// The kind that a Rust type has when the derive is not told another one.
///
/// `#[derive(Object)]` implements it for a struct whose fields are to be declared one by one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no kind of its own as a field of a document",
    note = "say its kind, such as `#[document(keyword)]`, add `#[derive(Object)]` to it if it is a struct of yours, or leave it out of filters and indexes with `#[document(unmapped)]`"
)]
pub trait FieldType {
    /// The marker of the kind.
    type Kind;
    /// What the field holds, without a surrounding `Option`; a `Vec` for every array.
    type Value;
    /// The handle of a field of this type in documents `T`: a [`Field`], or for an object a handle
    /// that also hands out those of its own fields.
    type Handle<T, K, V>: From<Field<T, K, V>>;
    /// The kind.
    const KIND: Kind;
    /// Whether a value of the type is an array.
    const MANY: bool;
    /// Whether SQL engines can index the field: its values are compared.
    const INDEXABLE: bool = Self::KIND.is_comparable();

    /// Adds the field, and those within it, to a model.
    ///
    /// # Errors
    ///
    /// `Invalid` if a path becomes too long or too deep.
    fn declare(field: FieldDeclaration, model: ModelBuilder) -> Result<ModelBuilder> {
        Ok(model.field(field))
    }

    /// Shows the walk every reference in the field.
    fn links(&self, _links: &mut Links<'_>) {}
}

/// A struct whose fields are declared one by one; `#[derive(Object)]` implements it.
#[diagnostic::on_unimplemented(
    message = "the fields of `{Self}` are not declared",
    note = "add `#[derive(Object)]` to it, or say `#[document(object(open))]` if only its presence is to be asked for"
)]
pub trait ObjectType: FieldType {}

#[diagnostic::do_not_recommend]
impl<O: ObjectType> ObjectType for Option<O> {}
#[diagnostic::do_not_recommend]
impl<O: ObjectType> ObjectType for Vec<O> {}
#[diagnostic::do_not_recommend]
impl<O: ObjectType> ObjectType for Box<O> {}

macro_rules! leaf {
    ($kind:ident: $($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl FieldType for $t {
            type Kind = kinds::$kind;
            type Value = $t;
            type Handle<T, K, V> = Field<T, K, V>;
            const KIND: Kind = Kind::$kind;
            const MANY: bool = false;
        }
    )*};
}
leaf!(Integer: i8, i16, i32, i64, u8, u16, u32, u64, isize, usize);
leaf!(Float: f32, f64);
leaf!(Boolean: bool);
leaf!(Keyword: Cow<'static, str>, String, Arc<str>, Box<str>, char, Uuid, DocumentId, Routing);
leaf!(Timestamp: Timestamp);

macro_rules! map {
    ($map:ident $(, $state:ident)?) => {
        #[diagnostic::do_not_recommend]
        impl<N, X $(, $state)?> FieldType for $map<N, X $(, $state)?> {
            type Kind = kinds::Object;
            type Value = Self;
            type Handle<T, K, V> = Field<T, K, V>;
            const KIND: Kind = Kind::Object;
            const MANY: bool = false;
        }
    };
}
map!(BTreeMap);
map!(HashMap, S);

#[diagnostic::do_not_recommend]
impl FieldType for serde_json::Map<String, serde_json::Value> {
    type Kind = kinds::Object;
    type Value = Self;
    type Handle<T, K, V> = Field<T, K, V>;
    const KIND: Kind = Kind::Object;
    const MANY: bool = false;
}

/// Types that look in JSON like what they hold.
macro_rules! transparent {
    ($($outer:ident: $inner:ident),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<F: FieldType> FieldType for $outer<F> {
            type Kind = F::Kind;
            type Value = F::Value;
            type Handle<T, K, V> = F::Handle<T, K, V>;
            const KIND: Kind = F::KIND;
            const MANY: bool = F::MANY;
            const INDEXABLE: bool = F::INDEXABLE;

            fn declare(field: FieldDeclaration, model: ModelBuilder) -> Result<ModelBuilder> {
                F::declare(field, model)
            }

            fn links(&self, links: &mut Links<'_>) {
                $inner(self, links);
            }
        }
    )*};
}
transparent!(Option: within_option, Box: within_box);

fn within_option<F: FieldType>(outer: &Option<F>, links: &mut Links<'_>) {
    if let Some(inner) = outer {
        inner.links(links);
    }
}

fn within_box<F: FieldType>(outer: &F, links: &mut Links<'_>) {
    outer.links(links);
}

macro_rules! array {
    ([$($generics:tt)*] $outer:ty) => {
        #[diagnostic::do_not_recommend]
        impl<F: FieldType, $($generics)*> FieldType for $outer {
            type Kind = F::Kind;
            type Value = Vec<F>;
            type Handle<T, K, V> = F::Handle<T, K, V>;
            const KIND: Kind = F::KIND;
            const MANY: bool = true;
            const INDEXABLE: bool = F::INDEXABLE;

            fn declare(field: FieldDeclaration, model: ModelBuilder) -> Result<ModelBuilder> {
                F::declare(field.many(), model)
            }

            fn links(&self, links: &mut Links<'_>) {
                self.iter().for_each(|inner| inner.links(links));
            }
        }
    };
}
array!([] Vec<F>);
array!([] VecDeque<F>);
array!([] BTreeSet<F>);
array!([S] HashSet<F, S>);
array!([const N: usize] [F; N]);
