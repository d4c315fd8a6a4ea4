//! Splitting the items of a bulk into parts that a store takes.

use crate::error::{Error, Result};
use crate::store::{Action, BulkItem, Write};

/// The items that are left, handed out in parts.
pub(crate) struct Parts {
    pub(crate) items: std::iter::Peekable<std::vec::IntoIter<Result<BulkItem>>>,
    pub(crate) most_items: usize,
    pub(crate) most_bytes: usize,
}

/// The next items: those to send, and those that are refused, with their places.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) send: Vec<BulkItem>,
    pub(crate) refused: Vec<(usize, Error)>,
}

impl Parts {
    pub(crate) fn next_part(&mut self) -> Option<Part> {
        self.items.peek()?;
        let mut part = Part {
            send: Vec::with_capacity(self.items.len().min(self.most_items)),
            refused: Vec::new(),
        };
        let mut bytes = 0_usize;
        while part.send.len() < self.most_items {
            let size = match self.items.peek() {
                None => break,
                Some(Ok(item)) => size_of(item),
                Some(Err(_)) => 0,
            };
            if !part.send.is_empty() && bytes.saturating_add(size) > self.most_bytes {
                break;
            }
            bytes = bytes.saturating_add(size);
            let place = part.send.len() + part.refused.len();
            match self.items.next() {
                Some(Ok(item)) => part.send.push(item),
                Some(Err(error)) => part.refused.push((place, error)),
                None => break,
            }
        }
        Some(part)
    }
}

fn size_of(item: &BulkItem) -> usize {
    match item {
        BulkItem::Write(Write {
            action: Action::Put(body),
            ..
        }) => body.len(),
        _ => 0,
    }
}
