//! The first documents of each group.

use strongroom_core::error::Error;
use strongroom_core::store::{Group, GroupRequest, Groups, MAX_PAGE, Ranked};

use crate::ask::{Ask, DOCUMENT};
use crate::failure::Failure;

/// Finds the first documents of each group.
pub(crate) async fn group<C: Ask>(
    connection: &mut C,
    request: &GroupRequest,
) -> Result<Groups, Failure> {
    let statement = strongroom_sql::group(C::dialect(), request)?;
    let rows = connection.ask(&statement).await?;
    let wanted = i64::try_from(request.groups).unwrap_or(i64::MAX);
    let mut groups: Vec<Group> = Vec::new();
    let (mut current, mut documents, mut more) = (0, 0, false);
    for found in &rows {
        let (key, first) = C::key(found, request.model.is_routed())?;
        let behind = first + DOCUMENT;
        let number = C::integer(found, behind + 2)?;
        if number > wanted {
            more = true;
            break;
        }
        if number != current {
            current = number;
            let value = C::scalar(found, behind)?;
            let value = value.ok_or_else(|| Error::internal("a group has no value"))?;
            groups.push(Group::new(value, Vec::new()));
        }
        documents += 1;
        if documents > MAX_PAGE {
            let message = format!("ties make groups of more than {MAX_PAGE} documents in all");
            return Err(Error::invalid(message).into());
        }
        let mut document = C::document(found, first, key)?;
        if !request.source.is_all() {
            document.body = request.source.apply(&document.body)?;
        }
        let rank = C::integer(found, behind + 1)?.unsigned_abs();
        if let Some(group) = groups.last_mut() {
            group.documents.push(Ranked::new(rank, document));
        }
    }
    let next = groups.last().filter(|_| more).map(|last| last.key.clone());
    Ok(Groups::new(groups, next))
}
