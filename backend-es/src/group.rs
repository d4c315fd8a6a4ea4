//! The first documents of each group: buckets of the grouping field, each with its top hits.

use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_core::model::Scalar;
use strongroom_core::store::{Group, GroupRequest, Groups, MAX_GROUPS, MAX_PAGE, Ranked, Ranking};
use strongroom_core::{Error, Result};

use crate::aggregate::{has_inexact, key, read, with_inexact};
use crate::analysis::TextAnalysis;
use crate::answer::{Hit, Hits, Unread};
use crate::compile::{self, Place};
use crate::index::Index;
use crate::search::check_size;
use crate::store::EsStore;

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<Unread>,
}

#[derive(Deserialize)]
struct First {
    hits: Hits,
}

impl EsStore {
    pub(crate) async fn group_now(&self, request: &GroupRequest) -> Result<Groups> {
        // How many documents tie is not known before they were seen: a group that ends within
        // the ranks asked for is asked for more of.
        let mut documents = match request.ranking {
            Ranking::RowNumber => request.size,
            Ranking::Rank | Ranking::DenseRank => request.size.saturating_mul(2) + 8,
        };
        loop {
            documents = documents.min(MAX_PAGE + 1);
            let body = |index: &Index| group_body(request, documents, index.texts());
            let asked = self.ask_now(&request.model, &request.sort, body);
            let (index, answer) = asked.await?;
            if has_inexact(&answer.aggregations)? {
                return self.group_by_reading(request).await;
            }
            let told: Buckets = read(&answer.aggregations, "groups")?;
            if let Some(groups) = groups(request, &told.buckets, documents, &index)? {
                return Ok(groups);
            }
            if documents > MAX_PAGE {
                return Err(too_many());
            }
            documents = documents.saturating_mul(8);
        }
    }
}

pub(crate) fn group_body(
    request: &GroupRequest,
    documents: usize,
    texts: &TextAnalysis,
) -> Result<Value> {
    check_size("group has a size of", request.size, MAX_PAGE)?;
    check_size("number of groups is", request.groups, MAX_GROUPS)?;
    request.filter.check(&request.model)?;
    let place = Place::documents(&request.model).read_by(texts);
    let mut query = compile::asked(&request.filter, &request.sort, place)?;
    if let Some(after) = &request.after {
        query = compile::both(compile::greater(&request.by, after, place)?, query);
    }
    Ok(json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "size": 0,
        "track_total_hits": false,
        "aggs": with_inexact(compile::group(request, documents)?, [&request.by], &request.model)?,
    }))
}

fn too_many() -> Error {
    Error::invalid(format!(
        "documents that tie make groups of more than {MAX_PAGE} documents in all, the most allowed"
    ))
}

/// The groups, or `None` if one of them has to be asked for more documents.
fn groups(
    request: &GroupRequest,
    told: &[Unread],
    asked: usize,
    index: &Index,
) -> Result<Option<Groups>> {
    let kind = request.model.require(&request.by)?.kind;
    let mut groups = Vec::new();
    let mut count = 0;
    let width = compile::width(&request.sort, &request.model)?;
    for bucket in told.iter().take(request.groups) {
        let hits = read::<First>(bucket, "first")?.hits.hits;
        let is_full = hits.len() >= asked;
        let mut documents: Vec<Ranked> = Vec::new();
        let mut ended = false;
        let mut rank = Rank::default();
        for (row, hit) in (1_u64..).zip(hits) {
            let number = rank.of(request.ranking, width, row, &hit);
            if number > request.size as u64 {
                ended = true;
                break;
            }
            documents.push(Ranked::new(
                number,
                hit.into_document(index, &request.source)?,
            ));
        }
        if is_full && !ended && request.ranking != Ranking::RowNumber {
            return Ok(None);
        }
        count += documents.len();
        if count > MAX_PAGE {
            return Err(too_many());
        }
        groups.push(Group::new(key(kind, bucket)?, documents));
    }
    let more = told.len() > request.groups;
    let next: Option<Scalar> = groups.last().filter(|_| more).map(|g| g.key.clone());
    Ok(Some(Groups::new(groups, next)))
}

/// The numbers of a group's documents, one after another.
#[derive(Default)]
struct Rank {
    before: Option<(Vec<Value>, u64)>,
}

impl Rank {
    fn of(&mut self, ranking: Ranking, width: usize, row: u64, hit: &Hit) -> u64 {
        // The sort's values alone tell whether two documents tie: the key breaks ties.
        let values: Vec<Value> = hit.sort.iter().take(width).cloned().collect();
        let number = match (ranking, &self.before) {
            (Ranking::RowNumber, _) | (_, None) => row,
            (_, Some((before, number))) if *before == values => *number,
            (Ranking::Rank, Some(_)) => row,
            (Ranking::DenseRank, Some((_, number))) => number + 1,
        };
        self.before = Some((values, number));
        number
    }
}
