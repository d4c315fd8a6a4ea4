//! The trait family, for the store and for its transactions alike: both carry out the same work,
//! the one on a connection of the pool, the other on its own.

use std::time::Duration;

use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::Model;
use strongroom_core::store::{Health, ServerInfo};

use crate::pool::ASK_EVERY;

/// What the macros of the family, of stores and of transactions speak of, whichever the server. The
/// module that they stand in imports it all.
pub(crate) mod names {
    pub(crate) use std::fmt;
    pub(crate) use std::sync::Arc;
    pub(crate) use std::time::Duration;

    pub(crate) use async_trait::async_trait;
    pub(crate) use strongroom_core::error::{Error, ErrorKind, Operation, Result};
    pub(crate) use strongroom_core::model::{CollectionName, Model, RawDocument};
    pub(crate) use strongroom_core::store::{
        AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
        CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest,
        Explanation, FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply,
        MatchingRequest, Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search,
        ServerInfo, Store, Transact, Transaction,
    };

    pub(crate) use crate::levels::LevelId;
    pub(crate) use crate::outcomes::{self, Outcomes};
    pub(crate) use crate::pages::{self, Place};
    pub(crate) use crate::scan::StoreScan;
    pub(crate) use crate::session::Session;
    pub(crate) use crate::work::Around;
    pub(crate) use crate::{aggregate, bulk, explain, group, matching, search, write};

    pub(crate) use super::{of_call, until_answered};
}

/// The error of a call, which says what it is about.
pub(crate) fn of_call(error: Error, operation: Operation, model: Option<&Model>) -> Error {
    let error = error.with_operation(operation);
    match model {
        Some(model) => error.with_collection(model.name().clone()),
        None => error,
    }
}

/// Asks a server again and again until it answers, for so long at most. Each time it is checked that
/// there is something to wait for.
pub(crate) async fn until_answered<F>(
    timeout: Duration,
    check: impl Fn() -> Result<()>,
    ask: impl Fn() -> F,
) -> Result<Health>
where
    F: Future<Output = Result<ServerInfo>>,
{
    let mut last = None;
    let asked = async {
        loop {
            check()?;
            match ask().await {
                Ok(_) => return Ok(Health::Ready),
                Err(error) if error.is_retryable() => last = Some(error),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    let asked = tokio::time::timeout(timeout, asked).await;
    asked.unwrap_or_else(|_| {
        let waited = timeout.as_millis();
        let message = format!("the server did not answer within {waited} ms");
        let error = Error::new(ErrorKind::Timeout, message);
        Err(match last {
            Some(last) => error.with_source(last),
            None => error,
        })
    })
}

/// Implements the family but its root for a type with the methods `shared()` and
/// `run(operation, around, model, work, violates)`.
macro_rules! family {
    ($type:ty) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Load for $type {
            async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
                let statements = self.shared().statements(&request.model);
                let model = request.model.clone();
                let around = load::around(&statements, &request);
                let work: Work<_> = Box::new(move |c, _| {
                    Box::pin(async move { load::load(c, &statements, &request).await })
                });
                self.run(Operation::Load, around, Some(model), work, |_| false)
                    .await
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Save for $type {
            async fn save(&self, request: SaveRequest) -> Result<Receipt> {
                let SaveRequest { model, write, .. } = request;
                let statements = self.shared().statements(&model);
                let around = if write::needs_transaction(&write) {
                    Around::Transaction
                } else {
                    Around::Write
                };
                let key = write.key.clone();
                let work: Work<_> = Box::new(move |c, undo| {
                    Box::pin(async move { write::write(c, &statements, &write, undo).await })
                });
                self.run(Operation::Save, around, Some(model), work, |_| false)
                    .await
                    .map_err(|e| e.with_key(key))
            }
        }

        impl $type {
            async fn run_bulk(&self, model: Arc<Model>, work: Work<Outcomes>) -> Result<Outcomes> {
                let (operation, around) = (Operation::Bulk, Around::Transaction);
                self.run(operation, around, Some(model), work, outcomes::violates)
                    .await
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Bulk for $type {
            async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
                let statements = self.shared().statements(&request.model);
                let model = request.model.clone();
                let order = at_once::order(&model, &request.items)
                    .filter(|order| !request.atomic && order.len() <= at_once::MOST);
                let Some(order) = order else {
                    let work: Work<_> = Box::new(move |c, undo| {
                        Box::pin(async move {
                            let BulkRequest { items, atomic, .. } = &request;
                            bulk::bulk(c, &statements, items, *atomic, undo).await
                        })
                    });
                    return self.run_bulk(model, work).await.map(BulkReply::new);
                };
                // One statement, and for what that leaves a transaction.
                let items = request.items;
                let around = at_once::around(&statements, &items);
                let (asked, by) = (items.clone(), statements.clone());
                let work: Work<_> = Box::new(move |c, undo| {
                    Box::pin(async move {
                        let mut told = outcomes::untold(&asked);
                        at_once::write(c, &by, &asked, &order, undo, &mut told).await?;
                        Ok(told)
                    })
                });
                let mut told = self
                    .run(Operation::Bulk, around, Some(model.clone()), work, |_| {
                        false
                    })
                    .await?;
                let left = Arc::new(outcomes::left(&items, &told));
                if !left.is_empty() {
                    let asked = left.clone();
                    let work: Work<_> = Box::new(move |c, undo| {
                        Box::pin(
                            async move { bulk::locked(c, &statements, &asked, false, undo).await },
                        )
                    });
                    let outcomes = match self.run_bulk(model, work).await {
                        // The others have taken effect.
                        Err(error) if left.len() < items.len() => outcomes::of_each(&error, &left),
                        outcomes => outcomes?,
                    };
                    outcomes::fill(&mut told, outcomes);
                }
                Ok(BulkReply::new(told.into_iter().flatten().collect()))
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Search for $type {
            async fn find(&self, request: FindRequest) -> Result<Page> {
                let around = if search::needs_snapshot(&request) {
                    Around::Snapshot
                } else {
                    Around::Read
                };
                let model = request.model.clone();
                let work: Work<_> =
                    Box::new(move |c, _| Box::pin(async move { search::find(c, &request).await }));
                self.run(Operation::Find, around, Some(model), work, |_| false)
                    .await
            }

            async fn count(&self, request: CountRequest) -> Result<u64> {
                let model = request.model.clone();
                let work: Work<_> =
                    Box::new(move |c, _| Box::pin(async move { search::count(c, &request).await }));
                self.run(Operation::Count, Around::Read, Some(model), work, |_| false)
                    .await
            }

            async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
                let model = request.model.clone();
                let work: Work<_> = Box::new(move |c, _| {
                    Box::pin(async move { aggregate::aggregate(c, &request).await })
                });
                self.run(
                    Operation::Aggregate,
                    Around::Snapshot,
                    Some(model),
                    work,
                    |_| false,
                )
                .await
            }

            async fn group(&self, request: GroupRequest) -> Result<Groups> {
                let model = request.model.clone();
                let work: Work<_> =
                    Box::new(move |c, _| Box::pin(async move { group::group(c, &request).await }));
                self.run(Operation::Group, Around::Read, Some(model), work, |_| false)
                    .await
            }

            async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
                let collection = request.model.name().clone();
                let opened = self.open_scan(request).await;
                opened.map_err(|e| {
                    e.with_operation(Operation::Scan)
                        .with_collection(collection)
                })
            }

            async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
                let statements = self.shared().statements(&request.model);
                let model = request.model.clone();
                let operation = request.action.operation();
                let work: Work<_> = Box::new(move |c, undo| {
                    Box::pin(async move {
                        let step = matching::find(c, &request).await?;
                        if step.items.is_empty() {
                            return Ok(step.reply(Outcomes::new()));
                        }
                        let bulk = bulk::bulk(c, &statements, &step.items, false, undo).await;
                        Ok(step.reply(bulk?))
                    })
                });
                self.run(operation, Around::Transaction, Some(model), work, |reply| {
                    let mut failures = reply.failures.iter();
                    failures.any(|(_, e)| e.kind() == ErrorKind::UniqueViolation)
                })
                .await
            }

            async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
                let model = request.model().clone();
                let work: Work<_> = Box::new(move |c, _| {
                    Box::pin(async move { explain::explain(c, &request).await })
                });
                self.run(
                    Operation::Explain,
                    Around::Snapshot,
                    Some(model),
                    work,
                    |_| false,
                )
                .await
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Schema for $type {
            async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
                let model = request.model.clone();
                let asked = model.clone();
                let work: Work<_> =
                    Box::new(move |c, _| Box::pin(async move { schema::fits(c, &asked).await }));
                let fits = self
                    .run(
                        Operation::Ensure,
                        Around::Read,
                        Some(model.clone()),
                        work,
                        |_| false,
                    )
                    .await?;
                if let Some(report) = fits {
                    return Ok(report);
                }
                let wanted = model.clone();
                let work: Work<_> =
                    Box::new(move |c, _| Box::pin(async move { schema::ensure(c, &wanted).await }));
                self.run(Operation::Ensure, Around::Schema, Some(model), work, |_| {
                    false
                })
                .await
            }

            async fn describe(
                &self,
                collection: CollectionName,
            ) -> Result<Option<CollectionDescription>> {
                let work: Work<_> = Box::new(move |c, _| {
                    Box::pin(async move { schema::describe(c, &collection).await })
                });
                self.run(Operation::Describe, Around::Snapshot, None, work, |_| false)
                    .await
            }

            async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
                let work: Work<_> = Box::new(move |c, _| {
                    Box::pin(async move { schema::drop_collection(c, &collection).await })
                });
                self.run(
                    Operation::DropCollection,
                    Around::Schema,
                    None,
                    work,
                    |_| false,
                )
                .await
            }

            async fn refresh(&self, collection: CollectionName) -> Result<()> {
                let named = collection.clone();
                let work: Work<_> = Box::new(move |c, _| {
                    Box::pin(async move { schema::require(c, &collection).await })
                });
                self.run(Operation::Refresh, Around::Read, None, work, |_| false)
                    .await
                    .map_err(|e| e.with_collection(named))
            }

            async fn ready(&self, timeout: Duration) -> Result<Health> {
                let check = || self.shared().links.check_open();
                let ready = until_answered(timeout, check, || self.server_info()).await;
                ready.map_err(|e| e.with_operation(Operation::Ready))
            }

            async fn server_info(&self) -> Result<ServerInfo> {
                let work: Work<_> =
                    Box::new(move |c, _| Box::pin(async move { schema::server_info(c).await }));
                self.run(Operation::ServerInfo, Around::Read, None, work, |_| false)
                    .await
            }
        }
    };
}

pub(crate) use family;
