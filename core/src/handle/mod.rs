//! What users hold: a [`Database`](database) over any store, typed collections, versioned values.
//!
//! Handles are generic and thin: they encode, call the store through its layers, and decode. Only
//! an `async fn` here touches a store; field access, `Debug`, serialisation and `Drop` never do.

mod document;
mod field;

pub use document::{Document, IdSource};
pub use field::{
    Field, FieldType, GeneratedId, IntoField, IntoOperand, KeyPart, ObjectType, StampField, kinds,
};
