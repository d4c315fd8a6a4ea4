//! What nearly every file that touches documents needs: `use strongroom::prelude::*`.

pub use strongroom_core::handle::{
    Binary, Collection, Database, Deleted, Document, Lazy, Output, Page, Ref, Resolve, RetryPolicy,
    Saved, TransactionOptions, Tx, Versioned, View, retry_on_conflict,
};
pub use strongroom_core::model::{Expected, Key, Timestamp, Version};
pub use strongroom_core::patch::Patch;
pub use strongroom_core::query::{Filter, Sort};
pub use strongroom_core::store::Total;
pub use strongroom_core::{Error, ErrorKind};
#[cfg(feature = "derive")]
pub use strongroom_derive::{Document, Object};
