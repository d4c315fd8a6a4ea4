//! Pages and counts.

use std::ops::Bound;
use std::sync::Arc;

use super::collection::{Collection, Stored};
use crate::error::{Error, Result};
use crate::model::{Key, Model, Routing, Timestamp};
use crate::query::{Cursor, Filter, Matcher, Placer, Position};
use crate::store::{CountRequest, FindRequest, MAX_PAGE, Page, Total, TotalCount};

type Entry<'a> = (&'a Key, &'a Arc<Stored>);

impl Collection {
    pub(super) fn count(&self, request: &CountRequest) -> Result<u64> {
        let hits = self.hits(&request.model, &request.filter, request.routing.as_ref())?;
        count(hits.among(self.documents.iter()), u64::MAX)
    }

    pub(super) fn find(&self, request: &FindRequest, now: Timestamp) -> Result<Page> {
        check_window(request)?;
        let model = &request.model;
        let hits = self.hits(model, &request.filter, request.routing.as_ref())?;
        let placer = Placer::new(&request.sort, model)?;
        let after = request
            .after
            .as_ref()
            .map(|cursor| position(cursor, request));
        let after = after.transpose()?;
        let total = match request.total {
            Total::None => None,
            Total::Exact => Some(total(&hits, self, u64::MAX)?),
            Total::AtMost(most) => Some(total(&hits, self, most)?),
        };
        // One more than the page tells whether anything follows it.
        let wanted = request.limit + 1;
        let mut found: Vec<(Position, Entry<'_>)> = if request.sort.is_empty() {
            // The documents are kept in this very order, so the page can be cut out of it.
            let start = after.map_or(Bound::Unbounded, |p| Bound::Excluded(&p.key));
            let range = self.documents.range::<Key, _>((start, Bound::Unbounded));
            hits.among(range)
                .skip(request.offset)
                .take(wanted)
                .map(|entry| place(&placer, entry?))
                .collect::<Result<_>>()?
        } else {
            let all = hits.among(self.documents.iter());
            let mut all: Vec<_> = all
                .map(|entry| place(&placer, entry?))
                .collect::<Result<_>>()?;
            if let Some(after) = after {
                all.retain(|(position, _)| placer.compare(position, after).is_gt());
            }
            all.sort_unstable_by(|(a, _), (b, _)| placer.compare(a, b));
            all.into_iter().skip(request.offset).take(wanted).collect()
        };
        let more = found.len() > request.limit;
        found.truncate(request.limit);
        let documents = found
            .iter()
            .map(|(_, (key, stored))| stored.hand_out(key, &request.source, now));
        let documents = documents.collect::<Result<_>>()?;
        let last = found.pop().filter(|_| more);
        let next = last.map(|(position, _)| {
            Cursor::new(
                position,
                model.name(),
                &request.filter,
                &request.sort,
                request.routing.as_ref(),
            )
        });
        Ok(Page::new(documents, next, total))
    }

    fn hits<'q>(
        &self,
        model: &Model,
        filter: &Filter,
        routing: Option<&'q Routing>,
    ) -> Result<Hits<'q>> {
        if routing.is_some() && !self.model.is_routed() {
            return Err(Error::invalid(format!(
                "collection {} is not routed: no routing can be asked for",
                self.model.name()
            )));
        }
        Ok(Hits {
            matcher: Matcher::new(filter, model)?,
            routing,
        })
    }
}

/// Which documents a query is about.
struct Hits<'q> {
    matcher: Matcher,
    routing: Option<&'q Routing>,
}

impl Hits<'_> {
    fn among<'a>(
        &self,
        documents: impl Iterator<Item = Entry<'a>>,
    ) -> impl Iterator<Item = Result<Entry<'a>>> {
        documents
            .filter(|(key, _)| self.routing.is_none() || key.routing() == self.routing)
            .filter_map(|entry| match entry.1.object() {
                Ok(object) => self.matcher.matches(object).then_some(Ok(entry)),
                Err(error) => Some(Err(error.with_key(entry.0.clone()))),
            })
    }
}

fn place<'a>(placer: &Placer, entry: Entry<'a>) -> Result<(Position, Entry<'a>)> {
    let (key, stored) = entry;
    Ok((placer.place(key, stored.object()?), entry))
}

fn position<'r>(cursor: &'r Cursor, request: &FindRequest) -> Result<&'r Position> {
    let position = cursor.position(
        request.model.name(),
        &request.filter,
        &request.sort,
        request.routing.as_ref(),
    )?;
    position.check(&request.sort, &request.model)?;
    Ok(position)
}

/// Counts up to one more than `most`.
fn total(hits: &Hits<'_>, collection: &Collection, most: u64) -> Result<TotalCount> {
    let value = count(
        hits.among(collection.documents.iter()),
        most.saturating_add(1),
    )?;
    Ok(TotalCount {
        value: value.min(most),
        exact: value <= most,
    })
}

fn count<'a>(hits: impl Iterator<Item = Result<Entry<'a>>>, most: u64) -> Result<u64> {
    let mut count = 0;
    for hit in hits {
        hit?;
        count += 1;
        if count == most {
            break;
        }
    }
    Ok(count)
}

fn check_window(request: &FindRequest) -> Result<()> {
    let FindRequest { limit, offset, .. } = *request;
    if limit == 0 || limit > MAX_PAGE {
        return Err(Error::invalid(format!(
            "page of {limit} documents was asked for, allowed are 1 to {MAX_PAGE}"
        )));
    }
    if offset > 0 && request.after.is_some() {
        return Err(Error::invalid("page has both an offset and a cursor"));
    }
    if offset.saturating_add(limit) > MAX_PAGE {
        return Err(Error::invalid(format!(
            "page ends at document {}, allowed with an offset is {MAX_PAGE}: use a cursor",
            offset.saturating_add(limit)
        )));
    }
    Ok(())
}
