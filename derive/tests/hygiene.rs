//! What the derives write compiles in any module and under any lint.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    unused_results,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items
)]

/// A module whose names are not those that one expects.
#[no_implicit_prelude]
pub mod hostile {
    use ::serde::{Deserialize, Serialize};
    use ::strongroom_core::handle::{Database, Lazy, Ref};
    use ::strongroom_core::model::Timestamp;
    use ::strongroom_derive::{Document, Object};

    /// Not the result of the standard library.
    #[derive(Debug)]
    pub struct Result;
    /// Not the vector of the standard library.
    #[derive(Debug)]
    pub struct Vec;
    /// Not the option of the standard library.
    #[derive(Debug)]
    pub struct Option;
    /// Not the box of the standard library.
    #[derive(Debug)]
    pub struct Box;
    /// Not the text of the standard library.
    #[derive(Debug)]
    pub struct String;
    /// Not the field of a document.
    #[derive(Debug)]
    pub struct Field;
    /// Not the core.
    pub mod core {}
    /// Not the standard library.
    pub mod std {}

    /// A document with everything.
    #[derive(Document, Serialize, Deserialize, Debug)]
    #[document(collection = "everything", crate = ::strongroom_core)]
    pub struct Everything {
        /// The id.
        #[document(id(generated))]
        pub id: ::std::string::String,
        /// The routing.
        #[document(routing, indexed)]
        pub routing: ::std::string::String,
        /// A keyword.
        #[document(unique)]
        pub unique: ::std::option::Option<::std::string::String>,
        /// Text.
        #[document(text, secret)]
        pub text: ::std::string::String,
        /// A number.
        #[document(scaled_float(factor = 10))]
        pub scaled: f64,
        /// Not mapped.
        #[document(unmapped)]
        pub unmapped: ::serde_json::Value,
        /// An object.
        #[document(object)]
        pub inner: Inner,
        /// Objects.
        #[document(nested)]
        pub many: ::std::vec::Vec<Inner>,
        /// A reference.
        pub reference: ::std::option::Option<Ref<Self>>,
        /// A stamp.
        #[document(created)]
        pub created: ::std::option::Option<Timestamp>,
        /// A stamp.
        #[document(updated)]
        pub updated: ::std::option::Option<Timestamp>,
        /// A lazy property.
        #[document(lazy = lazy)]
        #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
        pub lazy: Lazy<u8>,
        /// A lazy property.
        #[document(lazy_each = lazy_each)]
        #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
        pub each: Lazy<u8>,
        /// Named as a method of the handles.
        pub path: u8,
        /// Named as a function of the document.
        pub fields: u8,
        private: bool,
    }

    /// An object.
    #[derive(Object, Serialize, Deserialize, Debug)]
    #[document(crate = ::strongroom_core)]
    pub struct Inner {
        /// Named as a method of the handles.
        pub path: ::std::string::String,
        /// Named as a method of the handles.
        pub exists: bool,
        clone: u8,
    }

    async fn lazy(
        _: &Database,
        documents: &[&Everything],
    ) -> ::strongroom_core::Result<::std::vec::Vec<u8>> {
        ::std::future::ready(()).await;
        ::std::result::Result::Ok([1].repeat(documents.len()))
    }

    async fn lazy_each(_: &Database, document: &Everything) -> ::strongroom_core::Result<u8> {
        ::std::future::ready(()).await;
        ::std::result::Result::Ok(document.path)
    }
}

#[test]
fn names_of_methods_can_be_names_of_fields() {
    use strongroom_core::query::Filter;

    let f = hostile::Everything::fields();
    let filters = [
        (f.path().eq(1), Filter::eq("path", 1)),
        (f.fields().eq(1), Filter::eq("fields", 1)),
        (f.inner().path().eq("x"), Filter::eq("inner.path", "x")),
        (f.many().exists().is_true(), Filter::eq("many.exists", true)),
        ((*f.inner()).exists(), Filter::exists("inner")),
    ];
    for (typed, untyped) in filters {
        assert_eq!(Some(typed), untyped.ok());
    }
}
