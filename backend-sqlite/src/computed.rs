//! Functions in what is written: run before the writer is taken, where they need no stored
//! document, and on a thread that may block.

use std::sync::Arc;

use strongroom_core::error::{Error, Result};
use strongroom_core::model::Model;
use strongroom_core::query::Functions;
use strongroom_core::store::{BulkItem, Write};

use crate::shared::Shared;

impl Shared {
    /// Makes a write ready whose fields functions make. Dropping the future writes nothing; a
    /// function that runs goes on to its end.
    pub(crate) async fn ready(&self, model: &Arc<Model>, mut write: Write) -> Result<Write> {
        let (functions, model) = (self.options.functions.clone(), model.clone());
        blocking(move || {
            write.make_ready(&functions, &model)?;
            Ok(write)
        })
        .await
    }

    /// Makes the items of a bulk ready, as [`ready`](Self::ready) does.
    pub(crate) async fn ready_items(
        &self,
        model: &Arc<Model>,
        mut items: Arc<Vec<BulkItem>>,
    ) -> Result<Arc<Vec<BulkItem>>> {
        let (functions, model) = (self.options.functions.clone(), model.clone());
        blocking(move || {
            make_ready(Arc::make_mut(&mut items).as_mut_slice(), &functions, &model)?;
            Ok(items)
        })
        .await
    }
}

/// Whether functions make a field of some item.
pub(crate) fn calls_functions(items: &[BulkItem]) -> bool {
    items
        .iter()
        .any(|item| matches!(item, BulkItem::Write(write) if !write.computed.is_empty()))
}

/// Makes the items ready whose fields functions make.
pub(crate) fn make_ready(
    items: &mut [BulkItem],
    functions: &Functions,
    model: &Model,
) -> Result<()> {
    items.iter_mut().try_for_each(|item| match item {
        BulkItem::Write(write) => write.make_ready(functions, model),
        BulkItem::Check { .. } => Ok(()),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::internal("a function was given up half-way").with_source(e))?
}
