//! Pages and counts.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::collection::{Collection, Stored};
use super::shared::Moment;
use crate::error::{Error, Result};
use crate::model::{Key, Model, Routing};
use crate::query::{Cursor, Filter, Matcher, Placer, Position};
use crate::store::{CountRequest, FindRequest, MAX_PAGE, Page, PageStart, Total, TotalCount};

/// A document among the others.
pub(super) type Entry<'a> = (&'a Key, &'a Arc<Stored>);

impl Collection {
    pub(super) fn count(&self, request: &CountRequest, moment: &Moment) -> Result<u64> {
        let CountRequest {
            model,
            filter,
            routing,
        } = request;
        let hits = self.hits(model, filter, routing.as_ref(), moment)?;
        count(hits.among(self.documents.iter()), u64::MAX)
    }

    pub(super) fn find(&self, request: &FindRequest, moment: &Moment) -> Result<Page> {
        check_window(request)?;
        let model = &request.model;
        let hits = self.hits(model, &request.filter, request.routing.as_ref(), moment)?;
        let placer = Placer::for_query(&request.sort, &request.filter, model)?;
        let place = request
            .start
            .cursor()
            .map(|cursor| position(cursor, request));
        let place = place.transpose()?;
        let backward = request.start.is_backward();
        let total = match request.total {
            Total::None => None,
            Total::Exact => Some(total(&hits, self, u64::MAX)?),
            Total::AtMost(most) => Some(total(&hits, self, most)?),
        };
        // One more than the page tells whether anything lies beyond it.
        let wanted = request.limit + 1;
        let mut found: Vec<(Position, Entry<'_>)> = if request.sort.is_empty() && !backward {
            // The documents are kept in this very order, so the page can be cut out of it.
            let start = place.map_or(Bound::Unbounded, |p| Bound::Excluded(&p.key));
            let range = self.documents.range::<Key, _>((start, Bound::Unbounded));
            hits.among(range)
                .skip(request.offset)
                .take(wanted)
                .map(|entry| place_of(&placer, entry?))
                .collect::<Result<_>>()?
        } else {
            let all = hits.among(self.documents.iter());
            let mut all: Vec<_> = all
                .map(|entry| place_of(&placer, entry?))
                .collect::<Result<_>>()?;
            if let Some(place) = place {
                let side = if backward {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                all.retain(|(position, _)| placer.compare(position, place) == side);
            }
            all.sort_unstable_by(|(a, _), (b, _)| placer.compare(a, b));
            if backward {
                all.reverse();
            }
            all.into_iter().skip(request.offset).take(wanted).collect()
        };
        let more = found.len() > request.limit;
        found.truncate(request.limit);
        if backward {
            found.reverse();
        }
        let now = moment.now();
        let documents = found
            .iter()
            .map(|(_, (key, stored))| stored.hand_out(key, &request.source, now));
        let documents = documents.collect::<Result<_>>()?;
        let scores = found.iter();
        let scores = scores.filter_map(|(position, _)| position.score(&request.sort));
        let scores = scores.collect();
        let first = found.first().map(|(position, _)| position.clone());
        let last = found.pop().map(|(position, _)| position);
        let page = Page::new(documents, total).with_scores(scores);
        Ok(page.with_cursors(request, first, last, more))
    }

    pub(super) fn hits<'q>(
        &self,
        model: &Arc<Model>,
        filter: &Filter,
        routing: Option<&'q Routing>,
        moment: &Moment,
    ) -> Result<Hits<'q>> {
        if routing.is_some() && !self.model.is_routed() {
            return Err(Error::invalid(format!(
                "collection {} is not routed: no routing can be asked for",
                self.model.name()
            )));
        }
        Ok(Hits {
            matcher: Matcher::new(filter, model)?.with_functions(moment.functions().clone()),
            routing,
        })
    }
}

/// Which documents a query is about.
pub(super) struct Hits<'q> {
    matcher: Matcher,
    routing: Option<&'q Routing>,
}

impl Hits<'_> {
    pub(super) fn among<'a>(
        &self,
        documents: impl Iterator<Item = Entry<'a>>,
    ) -> impl Iterator<Item = Result<Entry<'a>>> {
        documents
            .filter(|(key, _)| self.routing.is_none() || key.routing() == self.routing)
            .filter_map(|entry| match entry.1.object() {
                Ok(object) => match self.matcher.matches(entry.0, object) {
                    Ok(true) => Some(Ok(entry)),
                    Ok(false) => None,
                    Err(error) => Some(Err(error)),
                },
                Err(error) => Some(Err(error.with_key(entry.0.clone()))),
            })
    }
}

/// The place of a document in the order of a query, with the document.
pub(super) fn place_of<'a>(placer: &Placer, entry: Entry<'a>) -> Result<(Position, Entry<'a>)> {
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
    if offset > 0 && request.start != PageStart::First {
        return Err(Error::invalid(
            "page has an offset, which only counts from the beginning of a query",
        ));
    }
    if offset.saturating_add(limit) > MAX_PAGE {
        return Err(Error::invalid(format!(
            "page ends at document {}, allowed with an offset is {MAX_PAGE}: use a cursor",
            offset.saturating_add(limit)
        )));
    }
    Ok(())
}
