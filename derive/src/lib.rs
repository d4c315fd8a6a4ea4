//! The derives of Strongroom: [`Document`] for what a collection holds, [`Object`] for structs
//! within documents.
//!
//! A derive reads the struct's `#[document(…)]` and `#[serde(…)]` attributes, refuses what cannot
//! work with a message that says what to do, and writes the implementation of the core's traits.
//! What it writes names everything by absolute paths through one hidden module of the core, so it
//! compiles whatever the user's module has in scope.
//!
//! Modules, in reading order: `attributes`, `serde_attributes`, `case`, `kind`, `names` and
//! `types` read; `field` and `container` judge; `handles`, `document` and `object` write.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod attributes;
mod case;
mod container;
mod document;
mod errors;
mod field;
mod handles;
mod kind;
mod names;
mod object;
mod serde_attributes;
mod types;

/// Makes a struct the document of a collection.
///
/// It implements `Document`, and adds `Self::fields()`, which hands out typed handles of the
/// fields. The struct derives serde's `Serialize` and `Deserialize` too: a document is stored as
/// the JSON object that serde writes, under the names that serde gives its fields.
///
/// ```
/// # extern crate strongroom_core as strongroom;
/// # use strongroom::handle::Document as _;
/// use serde::{Deserialize, Serialize};
/// use strongroom::model::{Kind, Timestamp};
/// use strongroom_derive::Document;
///
/// #[derive(Document, Serialize, Deserialize)]
/// #[document(collection = "users")]
/// struct User {
///     #[document(id)]
///     username: String,
///     #[document(indexed)]
///     region: String,
///     #[document(text)]
///     bio: String,
///     #[document(created)]
///     created_at: Option<Timestamp>,
///     logins: u64,
/// }
///
/// # fn main() -> strongroom::Result<()> {
/// let f = User::fields();
/// let filter = f.region().eq("eu").and(f.logins().gte(3));
/// let patch = f.logins().increment(1).and(f.region().set("us"));
///
/// let model = User::model()?;
/// filter.check(&model)?;
/// patch.check()?;
/// assert!(model.field("bio").is_some_and(|field| field.kind == Kind::Text));
/// # Ok(())
/// # }
/// ```
///
/// # On the struct
///
/// - `collection = "users"`: the collection's name, 1 to 100 bytes of `a-z`, `0-9`, `_` and `-`
///   that begin with a letter. Needed.
/// - `unknown = "keep"`, `"drop"` or `"deny"`: what becomes of stored fields that the struct does
///   not have. They survive a save (the default), a save drops them, or a load that meets one
///   fails.
/// - `id = path::to::function`: the id is computed by a `fn(&Self) -> String`.
/// - `routing = path::to::function`: the collection is routed, by a `fn(&Self) -> String`.
/// - `fields = Name`: the name of the struct of handles, `UserFields` for `User` otherwise.
/// - `crate = path`: where the facade or the core is found, `::strongroom` otherwise.
///
/// # On a field
///
/// A field is declared to the model with the kind that its type has, so that filters may ask for
/// it: `String`, `char` and `Uuid` are keywords, integers, floats, `bool` and `Timestamp` what
/// they say, maps are objects, a `Ref` is a reference, a struct that derives [`Object`] is an
/// object with declared fields of its own; `Option`, `Box` and arrays are what they hold.
///
/// - `id`: the field holds the id: text, a `Uuid` or a whole number. With `id(generated)` an
///   insert draws a `UUIDv7` into an empty `String`, a nil `Uuid` or a `None`.
/// - `routing`: the collection is routed, by this field.
/// - `keyword`, `text`, `boolean`, `integer`, `float`, `scaled_float(factor = 100)`, `timestamp`,
///   `bytes`: another kind than that of the type, or that of a type that has none.
/// - `object`: a struct that derives [`Object`]; said by its type already. `object(open)`:
///   anything that serialises to an object, of which no field is declared.
/// - `nested`: an array of objects that derive [`Object`], each matched for itself.
/// - `unmapped`: stored, and not declared: no filter or sort sees it.
/// - `many`: the field holds an array, where its type has an alias that hides this.
/// - `indexed`: SQL engines index it; one of many values only PostgreSQL does, for values that are
///   equal. `unique`: no two documents hold the same value.
/// - `created`, `updated`: a `Timestamp` or `Option<Timestamp>` that the store fills.
/// - `secret`: left out of output, logs and recordings. `Debug` is the struct's own: a derived one
///   prints the field.
/// - `lazy = path::to::resolver`: a `Lazy<V>`, computed for a page of documents at once by an
///   `async fn(&Database, &[&Self]) -> Result<Vec<V>>`, one value for each document in order.
///   `lazy_each = path::to::resolver` computes it for one document, by an
///   `async fn(&Database, &Self) -> Result<V>`. It is never stored, which serde must be told:
///   `#[serde(default, skip_serializing_if = "Lazy::is_hidden")]`.
///
/// # References and lazy properties
///
/// ```
/// # extern crate strongroom_core as strongroom;
/// # use std::sync::Arc;
/// use serde::{Deserialize, Serialize};
/// use strongroom::handle::{Database, Lazy, Ref, Resolve, output_json};
/// use strongroom::memory::MemoryStore;
/// use strongroom_derive::Document;
///
/// #[derive(Document, Serialize, Deserialize)]
/// #[document(collection = "teams")]
/// struct Team {
///     #[document(id)]
///     name: String,
/// }
///
/// #[derive(Document, Serialize, Deserialize)]
/// #[document(collection = "people")]
/// struct Person {
///     #[document(id)]
///     name: String,
///     team: Ref<Team>,
///     #[document(lazy = greetings)]
///     #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
///     greeting: Lazy<String>,
/// }
///
/// async fn greetings(_: &Database, people: &[&Person]) -> strongroom::Result<Vec<String>> {
///     Ok(people.iter().map(|person| format!("hello {}", person.name)).collect())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> strongroom::Result<()> {
/// let db = Database::new(Arc::new(MemoryStore::new()));
/// let (teams, people) = (db.collection::<Team>(), db.collection::<Person>());
/// teams.ensure().await?;
/// people.ensure().await?;
/// let red = teams.insert(Team { name: "red".into() }).await?;
/// let ada = Person { name: "ada".into(), team: Ref::from(&red), greeting: Lazy::new() };
/// let ada = people.insert(ada).await?;
/// assert!(ada.team.get().is_none());
///
/// people.resolve([&ada], Resolve::all()).await?;
/// assert_eq!(ada.team.require()?.name, "red");
/// assert_eq!(
///     output_json(&*ada)?,
///     r#"{"greeting":"hello ada","name":"ada","team":{"name":"red"}}"#
/// );
/// # Ok(())
/// # }
/// ```
///
/// # What serde says
///
/// `rename`, `rename_all`, `skip` and `skip_serializing` are honoured: paths have the names that
/// are stored, and what is not stored is no field. Renames that differ between writing and
/// reading, attributes that hide the fields (`transparent`, `into`) and `flatten` on a declared
/// field are refused.
#[proc_macro_derive(Document, attributes(document))]
pub fn derive_document(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    document::expand(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Makes a struct an object within documents, whose fields are declared under the object's path.
///
/// A handle of the object hands out handles of its fields: `User::fields().address().city()`.
///
/// ```
/// # extern crate strongroom_core as strongroom;
/// use serde::{Deserialize, Serialize};
/// use strongroom::query::Filter;
/// use strongroom_derive::{Document, Object};
///
/// #[derive(Object, Serialize, Deserialize)]
/// struct Address {
///     #[document(indexed)]
///     city: String,
///     street: String,
/// }
///
/// #[derive(Document, Serialize, Deserialize)]
/// #[document(collection = "users")]
/// struct User {
///     #[document(id(generated))]
///     id: String,
///     address: Option<Address>,
/// }
///
/// # fn main() -> strongroom::Result<()> {
/// let filter = User::fields().address().city().eq("Paris");
/// assert_eq!(filter, Filter::eq("address.city", "Paris")?);
/// # Ok(())
/// # }
/// ```
///
/// The attributes are those of [`Document`], without the ones that speak of a whole document:
/// on the struct `fields` and `crate`; on a field the kinds, `unmapped`, `many`, `indexed`,
/// `unique` and `secret`.
#[proc_macro_derive(Object, attributes(document))]
pub fn derive_object(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    object::expand(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
