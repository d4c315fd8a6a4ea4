//! Pages: one `_search`, whole or an error.

use serde_json::{Value, json};
use strongroom_core::model::RawDocument;
use strongroom_core::query::{Position, Sort};
use strongroom_core::store::{FindRequest, MAX_PAGE, Page, PageStart, Total, TotalCount};
use strongroom_core::{Error, Result};

use crate::analysis::TextAnalysis;
use crate::answer::{Hit, HitTotal};
use crate::compile::{self, Place};
use crate::index::Index;
use crate::load::Source;
use crate::store::EsStore;

/// The scores of documents, if the order looks at them.
fn scores(hits: &[Hit], request: &FindRequest) -> Result<Vec<f64>> {
    let sorts = &request.sort;
    let Some(at) = sorts.iter().position(Sort::is_by_score) else {
        return Ok(Vec::new());
    };
    let at = compile::width(sorts.get(..at).unwrap_or_default(), &request.model)?;
    let told = hits.iter().map(|hit| compile::score(hit.sort.get(at)?));
    let told: Option<Vec<f64>> = told.collect();
    told.ok_or_else(|| Error::internal("the search engine told no score"))
}

/// Checks what every page must keep, whoever asks for it.
fn check_window(request: &FindRequest) -> Result<()> {
    let end = request.limit.saturating_add(request.offset);
    if request.limit == 0 || end > MAX_PAGE {
        return Err(Error::invalid(format!(
            "page ends at document {end} and holds {}, allowed are 1 to {MAX_PAGE}",
            request.limit
        )));
    }
    if request.offset > 0 && request.start != PageStart::First {
        return Err(Error::invalid("page has both an offset and a cursor"));
    }
    Ok(())
}

fn position(request: &FindRequest) -> Result<Option<&Position>> {
    let Some(cursor) = request.start.cursor() else {
        return Ok(None);
    };
    let position = cursor.position(
        request.model.name(),
        &request.filter,
        &request.sort,
        request.routing.as_ref(),
    )?;
    position.check(&request.sort, &request.model)?;
    Ok(Some(position))
}

pub(crate) fn page_body(request: &FindRequest, texts: &TextAnalysis) -> Result<Value> {
    check_window(request)?;
    request.filter.check(&request.model)?;
    Sort::check(&request.sort, &request.model)?;
    let place = Place::documents(&request.model).read_by(texts);
    let query = compile::asked(&request.filter, &request.sort, place)?;
    let mut body = json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "sort": compile::order(&request.sort, &request.model, request.start.is_backward())?,
        "from": request.offset,
        // One more than the page tells whether anything follows it.
        "size": request.limit + 1,
        "seq_no_primary_term": true,
        "_source": Source::parts(&request.source),
        "track_total_hits": match request.total {
            Total::Exact => json!(true),
            Total::AtMost(most) => json!(i32::try_from(most).unwrap_or(i32::MAX)),
            _ => json!(false),
        },
    });
    if let (Some(after), Some(body)) = (position(request)?, body.as_object_mut()) {
        let backward = request.start.is_backward();
        let values = compile::search_after(after, &request.sort, &request.model, backward)?;
        body.insert("search_after".to_owned(), json!(values));
    }
    Ok(body)
}

fn total(wanted: Total, total: Option<HitTotal>) -> Option<TotalCount> {
    let total = total?;
    let exact = total.relation == "eq";
    match wanted {
        Total::None => None,
        Total::AtMost(most) if total.value > most => Some(TotalCount {
            value: most,
            exact: false,
        }),
        _ => Some(TotalCount {
            value: total.value,
            exact,
        }),
    }
}

impl EsStore {
    pub(crate) async fn find_now(&self, request: &FindRequest) -> Result<Page> {
        let body = |index: &Index| page_body(request, index.texts());
        let asked = self.ask_now(&request.model, &request.sort, body);
        let (index, answer) = asked.await?;
        let mut hits = answer.hits.hits;
        let more = hits.len() > request.limit;
        hits.truncate(request.limit);
        if request.start.is_backward() {
            hits.reverse();
        }
        let scores = scores(&hits, request)?;
        let first = hits.first().map(|hit| hit.sort.clone());
        let last = hits.last_mut().map(|hit| std::mem::take(&mut hit.sort));
        let documents: Vec<RawDocument> = hits
            .into_iter()
            .map(|hit| hit.into_document(&index, &request.source))
            .collect::<Result<_>>()?;
        let place_of = |document: Option<&RawDocument>, told: Option<Vec<Value>>| {
            document
                .zip(told)
                .map(|(document, told)| {
                    compile::position(&document.key, &told, &request.sort, &request.model)
                })
                .transpose()
        };
        let first = place_of(documents.first(), first)?;
        let last = place_of(documents.last(), last)?;
        let total = total(request.total, answer.hits.total);
        let page = Page::new(documents, total).with_scores(scores);
        Ok(page.with_cursors(request, first, last, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::ErrorKind;
    use strongroom_core::model::{FieldDeclaration, Kind, Model};
    use strongroom_core::query::{Filter, Order};

    fn body(request: &FindRequest) -> Result<Value> {
        page_body(request, &TextAnalysis::new())
    }

    fn request() -> FindRequest {
        let n = FieldDeclaration::new("n".parse().unwrap(), Kind::Integer);
        let model = Model::builder("a").field(n).build().unwrap();
        FindRequest::new(model, Filter::all())
    }

    #[test]
    fn ties_break_by_key() {
        let mut request = request();
        let order = |request: &FindRequest| body(request).unwrap()["sort"].to_string();
        assert_eq!(order(&request), r#"[{"k":"asc"}]"#);
        request.sort = vec![
            Sort::descending("n".parse().unwrap()),
            Sort::by_id(Order::Descending),
        ];
        assert_eq!(
            order(&request),
            concat!(
                r#"[{"body.n":{"missing":"_last","mode":"max","order":"desc"}},"#,
                r#"{"hi.n":{"missing":"_last","mode":"max","order":"desc"}},"#,
                r#"{"k":"desc"},{"k":"asc"}]"#
            )
        );
        request.sort = vec![Sort::ascending("z".parse().unwrap())];
        assert_eq!(body(&request).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn pages_at_their_limits() {
        let kind = |limit, offset| {
            let mut request = request();
            request.limit = limit;
            request.offset = offset;
            body(&request).err().map(|e| e.kind())
        };
        assert_eq!(kind(1, 0), None);
        assert_eq!(kind(10_000, 0), None);
        assert_eq!(kind(1, 9_999), None);
        assert_eq!(kind(0, 0), Some(ErrorKind::Invalid));
        assert_eq!(kind(10_001, 0), Some(ErrorKind::Invalid));
        assert_eq!(kind(1, 10_000), Some(ErrorKind::Invalid));
    }
}
