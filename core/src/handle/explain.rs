//! Asking what an engine would be asked.

use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::find::Find;
use crate::error::{Operation, Result};
use crate::store::{ExplainRequest, Explanation};

impl<T: Document> Find<T> {
    /// Says what [`page`](Self::page) would ask the engine, in its own language, without asking
    /// it for documents. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let f = User::fields();
    /// let asked = users.find(f.region().eq("eu")).sort(f.logins().desc()).explain().await?;
    /// assert!(asked.to_string().contains("region"));
    /// # Ok(()) }) }
    /// ```
    pub async fn explain(self) -> Result<Explanation> {
        let (model, selection) = self.collection.selected(Operation::Explain)?;
        let request = self.page_request(model, selection.as_ref(), self.page_limit())?;
        self.collection.explain(ExplainRequest::Find(request)).await
    }

    /// Says what [`count`](Self::count) would ask the engine. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`count`](Self::count).
    pub async fn explain_count(self) -> Result<Explanation> {
        let request = self.count_request()?;
        self.collection
            .explain(ExplainRequest::Count(request))
            .await
    }

    /// Says what [`stream`](Self::stream) would ask the engine: for its scan, or for its first
    /// page. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream).
    pub async fn explain_stream(self) -> Result<Explanation> {
        let (model, selection) = self.collection.selected(Operation::Explain)?;
        let request = match self.scan_request(model, selection.as_ref())? {
            Some(scan) => ExplainRequest::Scan(scan),
            None => {
                let batch = self.stream_batch();
                ExplainRequest::Find(self.page_request(model, selection.as_ref(), batch)?)
            }
        };
        self.collection.explain(request).await
    }
}

impl<T: Document> Collection<T> {
    pub(crate) async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        let model = request.model().clone();
        let explained = self.context.store.explain(request).await;
        explained.at(Operation::Explain, &model)
    }
}
