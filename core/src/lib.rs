//! The core of Strongroom: what every engine adapter implements and every user of one calls.
//!
//! A call goes straight down and straight back: a typed handle ([`handle`]) encodes a value into
//! JSON text, builds a request ([`store`]), sends it through layers ([`layers`]) to an object-safe
//! [`store::Store`], and decodes the reply. Above the codec nothing knows an engine; below it
//! nothing knows the user's type.
//!
//! Modules, in reading order:
//!
//! - [`error`]: one opaque [`Error`], told apart by [`ErrorKind`].
//! - [`clock`]: where the time comes from.
//! - [`model`]: validated names, ids and field paths, versions, bodies, collection models.
//! - [`query`]: filters, sorts, cursors and source filters, as plain data, and what they mean.
//! - [`patch`]: partial changes of a document and the one pure function that applies them.
//! - [`store`]: the trait family that adapters implement, with its requests and replies.
//! - [`layers`]: wrappers around any store: timeout, retry and resolution, tracing, faults.
//! - [`memory`]: the in-memory store, which is also the oracle of the conformance suite.
//! - `mock`, with the feature of its name: mocks of the family by mockall.
//! - [`handle`]: [`handle::Database`] and [`handle::Collection`], what users hold.
//!
//! No engine's name and no driver's type appears in this crate.

pub mod clock;
pub mod error;
pub mod handle;
pub mod layers;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
pub mod model;
pub mod patch;
pub mod query;
pub mod store;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, ErrorKind, Operation, Result};
