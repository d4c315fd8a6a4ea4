//! What users hold: a [`Database`] over any store, typed collections, versioned values.
//!
//! Handles are generic and thin: they encode, call the store through its layers, and decode. Only
//! an `async fn` here touches a store; field access, `Debug`, serialisation and `Drop` never do.
//!
//! In the way of a call: [`Database`] hands out a [`Collection`], which builds a request by the
//! type's [`Document`] and the codec, and makes a [`Versioned`] of the reply. Conflict retry lives
//! here and not in a layer, because it has to load again and run the caller's closure again.

pub mod aggregate;
mod bulk;
mod codec;
mod collection;
mod computed;
mod context;
mod cursors;
mod database;
mod document;
mod explain;
mod field;
mod find;
mod group;
mod hit;
mod key;
mod lazy;
mod limits;
mod load;
mod loader;
mod matching;
mod output;
mod page;
mod partial;
mod parts;
mod prepare;
mod reference;
mod retry;
mod save;
mod stamps;
mod stopped;
mod stream;
mod transaction;
#[cfg(feature = "transfer")]
pub mod transfer;
mod turns;
mod unknown;
mod update;
mod versioned;
mod view;

pub use bulk::{Bulk, BulkProgress};
pub use collection::{Collection, UnchangedSave};
pub use database::{Database, DatabaseBuilder, UuidIds};
pub use document::{Document, IdSource};
pub use field::{
    Binary, Field, FieldType, GeneratedId, IntoField, IntoOperand, KeyPart, ObjectType, StampField,
    kinds,
};
pub use find::Find;
pub use group::{Group, GroupPage, Groups, Ranked};
pub use hit::Hit;
pub use key::IntoKey;
pub use lazy::{Lazy, LazyProperty, Resolver};
pub use limits::Limits;
pub use loader::{Link, Links, Resolve};
pub use matching::{MatchingProgress, MatchingSummary, WriteMatching};
pub use output::{Output, output_json, to_output};
pub use page::Page;
pub use partial::{IntoFieldPath, IntoSelection};
pub use reference::{Ref, ReferenceField, RefersTo};
pub use retry::{RetryPolicy, retry_on_conflict};
pub use save::{Deleted, Saved};
pub use stopped::Stopped;
pub use stream::Streaming;
pub use transaction::{TransactionOptions, Tx};
pub use versioned::Versioned;
pub use view::View;

#[doc(hidden)]
pub use lazy::{settle_all, settle_one};
#[doc(hidden)]
pub use output::strip_secrets;
