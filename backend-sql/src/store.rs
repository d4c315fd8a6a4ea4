//! What a user holds of a store, alike on all servers.

/// Makes a store of a type with a field `shared`. The module that it stands in has what the family's
/// macro needs, and a `transaction` beside it.
macro_rules! store {
    ($type:ident) => {
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
                _violates: fn(&T) -> bool,
            ) -> Result<T> {
                let outcome = self.shared.run(around, model.as_deref(), work).await;
                outcome.map_err(|e| of_call(e, operation, model.as_deref()))
            }

            async fn open_scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
                let Shared { links, scans, .. } = &*self.shared;
                Ok(Box::new(StoreScan::open(links, scans, request).await?))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("options", &self.shared.options)
                    .finish_non_exhaustive()
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
                Some(Arc::new(self.clone()))
            }

            async fn close(&self) -> Result<()> {
                self.shared.close().await;
                Ok(())
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Transact for $type {
            async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
                let begun = transaction::begin(&self.shared, &options).await;
                begun.map_err(|e| e.with_operation(Operation::Begin))
            }
        }
    };
}

pub(crate) use store;
