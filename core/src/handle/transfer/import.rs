//! From JSON lines to a collection.

use std::fmt;
use std::sync::Arc;

use tokio::io::AsyncBufRead;

use super::super::collection::Collection;
use super::super::context::Annotate as _;
use super::super::document::Document;
use super::super::stopped::Stopped;
use super::lines::{Line, next_line};
use super::{Existing, FAILURES, PIECE, count, is_of_document};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{Body, Expected, MAX_BODY_BYTES, Model};
use crate::store::BulkItem;

impl<T: Document> Collection<T> {
    /// Begins to create documents from JSON lines: one body a line, in UTF-8, as
    /// [`Find::export`](super::super::Find::export) writes them. Sent by [`Import::send`].
    ///
    /// Each line is decoded, which tells its key and whether it fits the type; what the type does
    /// not know of it is kept where the model says so. An id that is to be generated is drawn if
    /// the line has none, and stamps that it lacks are set. Empty lines are passed over.
    ///
    /// `from` is anything that reads with a buffer: a `tokio::io::BufReader` over a file, or bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let lines = "{\"name\":\"ada\",\"logins\":3}\n{\"name\":\"bob\"}\nno JSON\n";
    /// let done = users
    ///     .import(lines.as_bytes())
    ///     .progress(|so_far| println!("{} lines", so_far.lines))
    ///     .send()
    ///     .await?;
    /// assert_eq!((done.written, done.failed), (2, 1));
    /// assert_eq!(done.failures[0].0, 3, "the number of the line");
    /// # Ok(()) }) }
    /// ```
    pub fn import<R: AsyncBufRead + Send + Unpin>(&self, from: R) -> Import<T, R> {
        Import {
            collection: self.clone(),
            from,
            existing: Existing::Refuse,
            piece: PIECE,
            skip: 0,
            keep: FAILURES,
            max_failures: u64::MAX,
            progress: None,
        }
    }
}

type Progress = Box<dyn FnMut(&ImportSummary) + Send>;

/// An import; [`Collection::import`] begins it.
#[must_use = "nothing is written before it is sent"]
pub struct Import<T, R> {
    collection: Collection<T>,
    from: R,
    existing: Existing,
    piece: usize,
    skip: u64,
    keep: usize,
    max_failures: u64,
    progress: Option<Progress>,
}

/// What an import did, or did so far.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImportSummary {
    /// How many lines are done with, those that were skipped among them. To go on with an import
    /// that was stopped, [skip](Import::skip_lines) so many.
    pub lines: u64,
    /// How many documents were created or replaced.
    pub written: u64,
    /// How many were there already and were kept, as [`Existing::Keep`] asks.
    pub kept: u64,
    /// How many lines failed, whether their errors were kept or not.
    pub failed: u64,
    /// The first failures, each with the number of its line from 1 on. At most as many as
    /// [`Import::keep_failures`] says.
    pub failures: Vec<(u64, Error)>,
}

impl<T: Document, R: AsyncBufRead + Send + Unpin> Import<T, R> {
    /// What is done about a document that is there already: by default it is a failure.
    /// [`Existing::Replace`] replaces whatever is there.
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// How many documents are sent at once, 1,000 by default and at least 1.
    pub fn batch(mut self, documents: usize) -> Self {
        self.piece = documents.max(1);
        self
    }

    /// Passes over so many lines: goes on where an import was stopped.
    pub fn skip_lines(mut self, lines: u64) -> Self {
        self.skip = lines;
        self
    }

    /// How many failures are kept with their errors, 1,000 by default. Further ones are counted.
    pub fn keep_failures(mut self, most: usize) -> Self {
        self.keep = most;
        self
    }

    /// Stops when more lines than this have failed; by default none stops it.
    pub fn max_failures(mut self, most: u64) -> Self {
        self.max_failures = most;
        self
    }

    /// Calls this after each batch.
    pub fn progress(mut self, progress: impl FnMut(&ImportSummary) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Reads all lines and writes the documents, batch after batch: while one is written, no
    /// further line is read. Dropping the future leaves some of them written, each of them whole.
    ///
    /// A line that is no document of the type, or whose document is refused, is told among the
    /// failures and does not stop the others.
    ///
    /// # Errors
    ///
    /// [`Stopped<ImportSummary>`](Stopped) of the error tells what was done. `Unavailable`, with
    /// the error as its source, if a line could not be read; `Invalid`, with the last failure,
    /// after more failures than are allowed; `Unavailable`, `Timeout`, `Contended` if a batch was
    /// not written, or not as a whole: with [`Existing::Keep`] the import can be put again;
    /// `Indeterminate` if that is not known.
    pub async fn send(mut self) -> Result<ImportSummary> {
        let model = self.collection.model()?.clone();
        let mut summary = ImportSummary::default();
        match self.run(&model, &mut summary).await {
            Ok(()) => Ok(summary),
            Err(error) => {
                let done = format!(
                    "{} lines were done with, {} documents written",
                    summary.lines, summary.written
                );
                let stopped = Err(Stopped::error(error, summary, done));
                stopped.at(Operation::Bulk, &model)
            }
        }
    }

    async fn run(&mut self, model: &Arc<Model>, summary: &mut ImportSummary) -> Result<()> {
        let mut items = Vec::new();
        let mut numbers = Vec::new();
        let mut number = 0;
        loop {
            // White space around the body is no part of it.
            let line = next_line(&mut self.from, MAX_BODY_BYTES + 1_024).await;
            let line = line.map_err(|e| not_read(number + 1, e))?;
            let at_end = line.is_none();
            if let Some(line) = line {
                number += 1;
                if number > self.skip
                    && let Some(item) = self.item(model, line, number == 1).transpose()
                {
                    items.push(item);
                    numbers.push(number);
                }
            }
            if items.len() < self.piece && !at_end {
                continue;
            }
            self.write(model, std::mem::take(&mut items), &numbers, summary)
                .await?;
            numbers.clear();
            summary.lines = number;
            if let Some(progress) = &mut self.progress {
                progress(summary);
            }
            if at_end {
                return Ok(());
            }
        }
    }

    /// The write that a line asks for; `None` for an empty line.
    fn item(&self, model: &Model, line: Line, is_first: bool) -> Result<Option<BulkItem>> {
        let mut line = match line {
            Line::Whole(line) => line,
            Line::TooLong(bytes) => {
                return Err(Error::invalid(format!(
                    "line has {bytes} bytes, the body that it holds may have {MAX_BODY_BYTES}"
                )));
            }
        };
        if is_first && line.starts_with("\u{feff}".as_bytes()) {
            line.drain(..3);
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let expected = match self.existing {
            Existing::Refuse | Existing::Keep => Expected::Absent,
            Existing::Replace => Expected::Any,
        };
        let body = Body::parse(line)?;
        let write = self.collection.prepare_import(model, &body, expected)?;
        Ok(Some(write.into()))
    }

    async fn write(
        &self,
        model: &Arc<Model>,
        items: Vec<Result<BulkItem>>,
        numbers: &[u64],
        summary: &mut ImportSummary,
    ) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let outcomes = self.collection.send_items(model, items).await?;
        for (outcome, number) in outcomes.into_iter().zip(numbers) {
            let error = match outcome {
                Ok(_) => {
                    summary.written += 1;
                    continue;
                }
                Err(error) => error,
            };
            let is_there = error.kind() == ErrorKind::AlreadyExists;
            if is_there && self.existing == Existing::Keep {
                summary.kept += 1;
                continue;
            }
            if !is_of_document(&error) {
                return Err(error);
            }
            summary.failed += 1;
            if summary.failed > self.max_failures {
                let message = format!("line {number}: {}", error.message());
                return Err(Error::new(error.kind(), message).with_source(error));
            }
            if summary.failures.len() < self.keep {
                summary.failures.push((*number, error));
            }
        }
        Ok(())
    }
}

impl<T, R> fmt::Debug for Import<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import")
            .field("collection", &self.collection)
            .field("existing", &self.existing)
            .field("batch", &count(self.piece))
            .finish_non_exhaustive()
    }
}

fn not_read(line: u64, error: std::io::Error) -> Error {
    let message = format!("line {line} could not be read: {error}");
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}
