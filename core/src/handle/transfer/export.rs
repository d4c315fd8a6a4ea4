//! From a collection to JSON lines.

use std::fmt;

use futures_util::TryStreamExt as _;
use serde_json::value::RawValue;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::super::context::Annotate as _;
use super::super::document::Document;
use super::super::find::Find;
use crate::error::{Error, ErrorKind, Operation, Result};

/// How many bytes are gathered before they are written.
const BUFFER: usize = 64 * 1024;

impl<T: Document> Find<T> {
    /// Begins to write the bodies of all that matches as JSON lines: one document a line, in UTF-8,
    /// as the store holds it, with what the type does not know of it. Sent by [`Export::send`].
    ///
    /// Order, limit, selection, batch size and the state of the data are those of
    /// [`stream`](Self::stream). Keys are not written beside the bodies: [`Collection::import`]
    /// reads them from the values.
    ///
    /// [`Collection::import`]: super::super::Collection::import
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert_many(["ada", "bob"].map(User::new)).await?;
    /// let mut lines = Vec::new();
    /// let done = users.find(Filter::all()).export(&mut lines).send().await?;
    /// assert_eq!(done.documents, 2);
    ///
    /// users.delete("ada", Expected::Any).await?;
    /// let done = users.import(&lines[..]).send().await?;
    /// assert_eq!((done.written, done.failed), (1, 1), "bob was there already");
    /// # Ok(()) }) }
    /// ```
    pub fn export<W: AsyncWrite + Send + Unpin>(self, to: W) -> Export<T, W> {
        Export {
            find: self,
            to,
            progress: None,
        }
    }
}

/// How far an export is, and what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportProgress {
    /// How many documents were written, one a line.
    pub documents: u64,
    /// How many bytes.
    pub bytes: u64,
}

type Progress = Box<dyn FnMut(ExportProgress) + Send>;

/// An export; [`Find::export`] begins it.
#[must_use = "nothing is written before it is sent"]
pub struct Export<T, W> {
    find: Find<T>,
    to: W,
    progress: Option<Progress>,
}

impl<T: Document, W: AsyncWrite + Send + Unpin> Export<T, W> {
    /// Calls this each time some 64 KiB were written, and at the end.
    pub fn progress(mut self, progress: impl FnMut(ExportProgress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Writes all lines and flushes. A slow writer holds up the reading. Dropping the future leaves
    /// a part of the lines written.
    ///
    /// # Errors
    ///
    /// `Unavailable`, with the error as its source, if the lines could not be written; otherwise
    /// as for [`Find::page`]. What was written then is a part: all lines but the last are whole.
    pub async fn send(mut self) -> Result<ExportProgress> {
        let model = self.find.collection.model()?.clone();
        let mut done = ExportProgress::default();
        let written = self.write(&mut done).await;
        written.at(Operation::Scan, &model)?;
        Ok(done)
    }

    async fn write(&mut self, done: &mut ExportProgress) -> Result<()> {
        let mut documents = self.find.clone().stream_as::<Box<RawValue>>();
        let mut buffer = Vec::with_capacity(BUFFER);
        let (mut gathered, mut at_end) = (0, false);
        while !at_end {
            match documents.try_next().await? {
                Some(document) => {
                    // A line break in JSON is white space between values.
                    let text = document.get().bytes();
                    buffer.extend(text.map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { b }));
                    buffer.push(b'\n');
                    gathered += 1;
                }
                None => at_end = true,
            }
            if buffer.len() < BUFFER && !at_end {
                continue;
            }
            self.to.write_all(&buffer).await.map_err(not_written)?;
            done.bytes += super::count(buffer.len());
            done.documents += gathered;
            gathered = 0;
            buffer.clear();
            if let Some(progress) = &mut self.progress {
                progress(*done);
            }
        }
        self.to.flush().await.map_err(not_written)
    }
}

impl<T, W> fmt::Debug for Export<T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("find", &self.find)
            .finish_non_exhaustive()
    }
}

fn not_written(error: std::io::Error) -> Error {
    let message = format!("the lines could not be written: {error}");
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}
