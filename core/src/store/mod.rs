//! The trait family that adapters implement, with its requests and replies.
//!
//! Adapters implement [`Load`], [`Save`], [`Bulk`], [`Search`], [`Schema`] and the root,
//! [`Store`]; where the engine has transactions also [`Transact`] and [`Transaction`]. All are
//! object-safe and untyped, and no method has a default, so that a wrapper that forgets one does
//! not compile. What every adapter MUST keep is said at each trait, and the conformance suite
//! checks it.
//!
//! Requests are checked before they reach an adapter (see [`layers`](crate::layers)): names, ids,
//! paths and versions by their types, filters, sorts, limits and routing by the check layer.

mod aggregate;
mod bulk;
mod capabilities;
mod computed;
mod decide;
mod explain;
mod forward;
mod group;
mod load;
mod matching;
mod save;
mod scan;
mod schema;
mod search;
mod stamps;
mod transact;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;

pub use aggregate::{
    AggregateReply, AggregateRequest, AggregateResult, AggregateResults, Bucket, Cardinality,
    SingleBucket, Stats, Terms,
};
pub use bulk::{Bulk, BulkItem, BulkReply, BulkRequest};
pub use capabilities::{Capabilities, FunctionSupport, Stamping};
pub use computed::{Computed, Made};
pub use decide::Intent;
pub use explain::{ExplainRequest, ExplainedStatement, Explanation};
pub(crate) use forward::pass_on;
pub use group::{Group, GroupRequest, Groups, MAX_GROUPS, Ranked, Ranking};
pub use load::{Load, LoadRequest};
pub use matching::{MatchingAction, MatchingReply, MatchingRequest};
pub use save::{Action, Effect, Receipt, Refresh, Save, SaveRequest, Write, WriteStamps};
pub use scan::{Scan, ScanRequest};
pub use schema::{CollectionDescription, EnsureReport, EnsureRequest, Health, Schema, ServerInfo};
pub use search::{CountRequest, FindRequest, MAX_PAGE, Page, PageStart, Search, Total, TotalCount};
pub use stamps::Stamps;
pub use transact::{BeginOptions, Isolation, Transact, Transaction};

/// The root of the family: everything that an engine does for documents.
///
/// A store is shared: all methods take `&self` and any number of calls run at once. Dropping the
/// future of any call, at any await, MUST leave the store usable and the data whole: the call's
/// effect either takes place entirely or not at all.
#[async_trait]
pub trait Store: Load + Save + Bulk + Search + Schema + Debug + Send + Sync {
    /// What this store can do. It MUST be true: the suite checks it both ways.
    fn capabilities(&self) -> &Capabilities;

    /// The store's transactions, if the engine has them.
    fn transact(&self) -> Option<Arc<dyn Transact>>;

    /// Waits for the calls under way, then lets go of connections, threads and files. Calls that
    /// come later fail with `Unavailable`. Closing twice is no error.
    ///
    /// # Errors
    ///
    /// `Internal` or `Unavailable` if something that was written could not be made durable.
    async fn close(&self) -> Result<()>;
}
