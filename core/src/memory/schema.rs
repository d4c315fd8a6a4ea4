//! Ensuring collections.

use std::sync::Arc;

use super::collection::{Collection, UniqueField};
use super::state::State;
use crate::error::Result;
use crate::model::Model;
use crate::store::EnsureReport;

impl State {
    /// Creates a collection, or adds what `wanted` has more. Fails without any change.
    pub(super) fn ensure(&mut self, wanted: &Arc<Model>) -> Result<EnsureReport> {
        let name = wanted.name();
        let Some(collection) = self.collections.get_mut(name) else {
            let collection = Arc::new(Collection::new(wanted.clone())?);
            self.collections.insert(name.clone(), collection);
            return Ok(EnsureReport::created());
        };
        let added = wanted.extends(&collection.model)?;
        let added = added.into_iter().map(|field| field.path.clone()).collect();
        let model = collection.model.union(wanted)?;
        if *model == *collection.model {
            return Ok(EnsureReport::extended(added));
        }
        let unique = newly_unique(collection, &model)?;
        let collection = Arc::make_mut(collection);
        collection.unique.extend(unique);
        collection.model = model;
        Ok(EnsureReport::extended(added))
    }
}

/// The fields that become unique, with the values that documents hold already.
fn newly_unique(collection: &Collection, model: &Model) -> Result<Vec<UniqueField>> {
    let mut fields = Vec::new();
    for field in model.fields().filter(|field| field.unique) {
        if collection.unique.iter().any(|u| u.path == field.path) {
            continue;
        }
        let mut unique = UniqueField::new(model, &field.path)?;
        for (key, stored) in &collection.documents {
            unique
                .add(key, stored.object()?)
                .map_err(|e| e.with_collection(model.name().clone()))?;
        }
        fields.push(unique);
    }
    Ok(fields)
}
