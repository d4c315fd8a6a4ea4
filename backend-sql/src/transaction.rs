//! What a user holds of a transaction, alike on all servers.

/// Makes the type of transactions of an engine: a level of a session. The module that it stands in
/// has what the family's macro needs.
macro_rules! transaction {
    ($type:ident, $engine:ty) => {
        /// Begins a transaction. A dropped future leaves none open.
        pub(crate) async fn begin(
            shared: &Arc<Shared>,
            options: &BeginOptions,
        ) -> Result<Arc<dyn Transaction>> {
            let wait = options.wait.unwrap_or(shared.options.common.wait);
            let begun = shared.sessions.begin(&shared.links, options, wait).await;
            let (session, level) = begun?;
            Ok(Arc::new($type {
                shared: shared.clone(),
                session,
                level,
            }))
        }

        /// What a user holds of a level.
        #[derive(Debug)]
        struct $type {
            shared: Arc<Shared>,
            session: Arc<Session<$engine>>,
            level: LevelId,
        }

        impl $type {
            fn shared(&self) -> &Arc<Shared> {
                &self.shared
            }

            async fn run<T: Send>(
                &self,
                operation: Operation,
                around: Around,
                model: Option<Arc<Model>>,
                work: Work<T>,
                violates: fn(&T) -> bool,
            ) -> Result<T> {
                let outcome = self
                    .session
                    .call(self.level, around, model.as_deref(), work, violates)
                    .await;
                outcome.map_err(|e| of_call(e, operation, model.as_deref()))
            }

            async fn open_scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
                let mut scan = TransactionScan {
                    session: self.session.clone(),
                    level: self.level,
                    request: pages::first_page(request),
                    place: Place::Closed,
                };
                scan.place = Place::Read(scan.page().await?);
                Ok(Box::new(scan))
            }
        }

        impl Drop for $type {
            fn drop(&mut self) {
                self.session.give_up(self.level);
            }
        }

        $crate::family::family!($type);

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Store for $type {
            fn capabilities(&self) -> &Capabilities {
                &self.shared.capabilities
            }

            fn transact(&self) -> Option<Arc<dyn Transact>> {
                Some(Arc::new(Savepoints {
                    shared: self.shared.clone(),
                    session: self.session.clone(),
                    level: self.level,
                }))
            }

            async fn close(&self) -> Result<()> {
                let closed = self.session.roll_back(self.level).await;
                closed.map_err(|e| e.with_operation(Operation::Close))
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Transaction for $type {
            async fn commit(&self) -> Result<()> {
                let committed = self.session.commit(self.level).await;
                committed.map_err(|e| e.with_operation(Operation::Commit))
            }

            async fn rollback(&self) -> Result<()> {
                let undone = self.session.roll_back(self.level).await;
                undone.map_err(|e| e.with_operation(Operation::Rollback))
            }

            fn abandon(&self) {
                self.session.give_up(self.level);
            }
        }

        /// Begins savepoints in a level, without keeping it open.
        #[derive(Debug)]
        struct Savepoints {
            shared: Arc<Shared>,
            session: Arc<Session<$engine>>,
            level: LevelId,
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Transact for Savepoints {
            async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
                let begun = self.session.begin_savepoint(self.level, &options).await;
                let level = begun.map_err(|e| e.with_operation(Operation::Begin))?;
                Ok(Arc::new($type {
                    shared: self.shared.clone(),
                    session: self.session.clone(),
                    level,
                }))
            }
        }

        /// A scan within a transaction, on the transaction's own connection.
        #[derive(Debug)]
        struct TransactionScan {
            session: Arc<Session<$engine>>,
            level: LevelId,
            request: FindRequest,
            place: Place,
        }

        impl TransactionScan {
            async fn page(&self) -> Result<Page> {
                let request = self.request.clone();
                let model = request.model.clone();
                let work: Work<_> =
                    Box::new(move |c, _| Box::pin(async move { search::find(c, &request).await }));
                self.session
                    .call(self.level, Around::Read, Some(&model), work, |_| false)
                    .await
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Scan for TransactionScan {
            async fn next(&mut self) -> Result<Vec<RawDocument>> {
                // The state comes back only with an answer, so a dropped future leaves the scan closed.
                let page = match std::mem::replace(&mut self.place, Place::Closed) {
                    Place::Read(page) => Ok(page),
                    Place::Behind(start) => {
                        self.request.start = start;
                        self.page().await
                    }
                    Place::Done => {
                        self.place = Place::Done;
                        return Ok(Vec::new());
                    }
                    Place::Closed => Err(pages::cancelled()),
                };
                let mut page = page.map_err(|e| {
                    e.with_operation(Operation::ScanNext)
                        .with_collection(self.request.model.name().clone())
                })?;
                self.place = Place::behind(&mut page);
                Ok(page.documents)
            }

            async fn close(&mut self) -> Result<()> {
                self.place = Place::Closed;
                Ok(())
            }
        }
    };
}

pub(crate) use transaction;
