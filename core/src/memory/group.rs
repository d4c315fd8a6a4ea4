//! The first documents of each group.

use std::collections::BTreeMap;

use super::collection::Collection;
use super::search::{Entry, place_of};
use super::shared::Moment;
use crate::error::{Error, Result};
use crate::model::{Scalar, in_range};
use crate::query::{FieldReader, Ordered, Placer, Position};
use crate::store::{Group, GroupRequest, Groups, MAX_GROUPS, MAX_PAGE, Ranked, Ranking};

type Placed<'a> = (Position, Entry<'a>);

impl Collection {
    pub(super) fn group(&self, request: &GroupRequest, moment: &Moment) -> Result<Groups> {
        in_range("group has a size of", request.size, MAX_PAGE)?;
        in_range("number of groups is", request.groups, MAX_GROUPS)?;
        let model = &request.model;
        let hits = self.hits(model, &request.filter, request.routing.as_ref(), moment)?;
        let reader = FieldReader::new(model, &request.by)?;
        let placer = Placer::for_query(&request.sort, &request.filter, model)?;
        let after = request.after.clone().map(Ordered::new);
        let mut members: BTreeMap<Ordered, Vec<Placed<'_>>> = BTreeMap::new();
        for hit in hits.among(self.documents.iter()) {
            let entry = hit?;
            let Some(value) = reader.values(entry.1.object()?).into_iter().next() else {
                continue;
            };
            let value = Ordered::new(value);
            if after.as_ref().is_none_or(|after| value > *after) {
                let placed = place_of(&placer, entry)?;
                members.entry(value).or_default().push(placed);
            }
        }
        let more = members.len() > request.groups;
        let now = moment.now();
        let mut count = 0;
        let mut groups = Vec::new();
        for (Ordered(value), mut placed) in members.into_iter().take(request.groups) {
            placed.sort_unstable_by(|(a, _), (b, _)| placer.compare(a, b));
            let ranked = ranked(&placed, request.ranking);
            let first: Vec<_> = ranked
                .take_while(|(rank, _)| *rank <= request.size as u64)
                .collect();
            count += first.len();
            if count > MAX_PAGE {
                return Err(Error::invalid(format!(
                    "documents that tie make groups of more than {MAX_PAGE} documents in all, the most allowed"
                )));
            }
            let documents = first.into_iter().map(|(rank, (key, stored))| {
                let document = stored.hand_out(key, &request.source, now)?;
                Ok(Ranked::new(rank, document))
            });
            groups.push(Group::new(value, documents.collect::<Result<_>>()?));
        }
        let next = groups.last().filter(|_| more);
        let next: Option<Scalar> = next.map(|group| group.key.clone());
        Ok(Groups::new(groups, next))
    }
}

/// Numbers the documents of a group, which are in order.
fn ranked<'p, 'a>(
    placed: &'p [Placed<'a>],
    ranking: Ranking,
) -> impl Iterator<Item = (u64, Entry<'a>)> + use<'p, 'a> {
    let mut before: Option<(&Position, u64)> = None;
    (1_u64..).zip(placed).map(move |(row, (position, entry))| {
        let rank = match (ranking, before) {
            (Ranking::RowNumber, _) | (_, None) => row,
            // The sort's values alone tell whether two documents tie: the key breaks ties.
            (_, Some((there, rank))) if there.values == position.values => rank,
            (Ranking::Rank, Some(_)) => row,
            (Ranking::DenseRank, Some((_, rank))) => rank + 1,
        };
        before = Some((position, rank));
        (rank, *entry)
    })
}
