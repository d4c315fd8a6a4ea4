//! Typed documents with optimistic concurrency in every write, over any engine.
//!
//! A type derives [`Document`]; a [`Database`] hands out its [`Collection`]; what is loaded is a
//! [`Versioned`] value, and saving it fails with [`ErrorKind::Conflict`] if someone else was
//! faster.
//!
//! # Examples
//!
#![cfg_attr(feature = "derive", doc = "```")]
#![cfg_attr(not(feature = "derive"), doc = "```ignore")]
//! use serde::{Deserialize, Serialize};
//! use strongroom::prelude::*;
//!
//! #[derive(Document, Serialize, Deserialize, Clone, Debug)]
//! #[document(collection = "users")]
//! struct User {
//!     #[document(id)]
//!     username: String,
//!     #[document(indexed)]
//!     region: String,
//!     #[document(created)]
//!     created_at: Option<Timestamp>,
//!     logins: u64,
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let db = strongroom::connect("memory:").await?;
//! let users = db.collection::<User>();
//! users.ensure().await?;
//!
//! let ada = User {
//!     username: "ada".into(),
//!     region: "eu".into(),
//!     created_at: None,
//!     logins: 0,
//! };
//! let mut ada = users.insert(ada).await?;
//! assert!(ada.created_at.is_some());
//!
//! ada.logins += 1;
//! assert!(matches!(users.save(&mut ada).await?, Saved::Updated(_)));
//! assert!(matches!(users.save(&mut ada).await?, Saved::Unchanged(_)));
//!
//! users.update("ada", |user| user.logins += 1).await?;
//! ada.logins = 0;
//! let error = users.save(&mut ada).await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Conflict);
//!
//! let f = User::fields();
//! let page = users
//!     .find(f.region().eq("eu").and(f.logins().gte(2)))
//!     .sort(f.logins().desc())
//!     .limit(50)
//!     .page()
//!     .await?;
//! assert_eq!(page.len(), 1);
//! # Ok::<(), strongroom::Error>(())
//! # }).unwrap();
//! ```
//!
//! The layers of the library are modules: [`handle`] is what users hold, [`store`] the trait
//! family that adapters implement, [`layers`] what wraps any store, [`memory`] the store in
//! memory, [`model`], [`query`] and [`patch`] the vocabulary. `guide` has longer texts, such as how
//! to move from SQLite to a cluster.
//!
//! # Features
//!
//! - `sqlite` (default): the embedded engine, `sqlite://` in [`connect`].
//! - `postgres`: PostgreSQL, `postgres://` in [`connect`].
//! - `mariadb`: MariaDB, `mariadb://` in [`connect`].
//! - `es`: Elasticsearch and OpenSearch, `elasticsearch://` and `opensearch://` in [`connect`].
//! - `derive` (default): `#[derive(Document)]` and `#[derive(Object)]`.
//! - `transfer` (default): [`handle::transfer`], import and export of JSON lines, copies between
//!   stores.
//! - `mock`: mocks of the trait family, for tests.
//! - `signed-cursors`: cursors of pages signed by a secret.
//! - `metrics`: figures of calls for the `metrics` crate.

mod connect;
// Text alone, whose examples need these.
#[cfg(all(any(doc, doctest), feature = "derive", feature = "transfer"))]
pub mod guide;
pub mod prelude;

pub use connect::{connect, open};
#[doc(hidden)]
pub use strongroom_core::__private;
#[cfg(feature = "transfer")]
pub use strongroom_core::handle::transfer;
pub use strongroom_core::handle::{
    Binary, Collection, Database, Document, Lazy, Output, Ref, Resolve, RetryPolicy, Saved, Tx,
    Versioned, aggregate, output_json, retry_on_conflict, to_output,
};
#[cfg(feature = "mock")]
pub use strongroom_core::mock;
pub use strongroom_core::{
    Error, ErrorKind, Operation, Result, clock, error, handle, layers, memory, model, patch, query,
    store,
};
#[cfg(feature = "derive")]
pub use strongroom_derive::{Document, Object};
#[cfg(feature = "es")]
pub use strongroom_es as es;
#[cfg(feature = "sqlite")]
pub use strongroom_sqlite as sqlite;

#[cfg(feature = "mariadb")]
pub use strongroom_sqlx as mariadb;
#[cfg(feature = "postgres")]
pub use strongroom_sqlx as postgres;

/// The examples of the README compile.
#[cfg(all(doctest, feature = "derive", feature = "sqlite", feature = "transfer"))]
#[doc = include_str!("../README.md")]
struct Readme;
