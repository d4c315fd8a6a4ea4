//! Load, apply, save; again after a conflict.

use super::collection::Collection;
use super::context::{Annotate as _, Scope};
use super::document::Document;
use super::key::IntoKey;
use super::versioned::Versioned;
use crate::error::{Error, Operation, Result};
use crate::model::Key;

impl<T: Document> Collection<T> {
    /// Loads a document, applies a change and saves it; again as a whole when someone was faster,
    /// by the database's [`RetryPolicy`](super::RetryPolicy). In a transaction it is tried once:
    /// there the transaction is run again.
    ///
    /// Once an update of a document met a conflict, the updates of it through clones of one
    /// database handle take turns, in order. The closure may run several times, each time on a fresh
    /// load. If it changes nothing,
    /// nothing is written. Dropping the future leaves the document changed or not.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no document under the key; `Contended`, with the last conflict as
    /// its source, when attempts or time run out; otherwise as for [`save`](Self::save).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert(User::new("ada")).await?;
    /// let ada = users.update("ada", |user| user.logins += 1).await?;
    /// assert_eq!(ada.logins, 1);
    /// # Ok(()) }) }
    /// ```
    pub async fn update(
        &self,
        key: impl IntoKey,
        mut change: impl FnMut(&mut T),
    ) -> Result<Versioned<T>> {
        self.try_update(key, |value| {
            change(value);
            Ok(())
        })
        .await
    }

    /// As [`update`](Self::update), with a change that may refuse: its error ends the update, and
    /// nothing is written.
    ///
    /// # Errors
    ///
    /// What the closure fails with; otherwise as for [`update`](Self::update).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert(User::new("ada")).await?;
    /// let refused = users
    ///     .try_update("ada", |user| {
    ///         user.logins = user.logins.checked_sub(1).ok_or_else(|| Error::invalid("no logins left"))?;
    ///         Ok(())
    ///     })
    ///     .await;
    /// assert_eq!(refused.unwrap_err().message(), "no logins left");
    /// # Ok(()) }) }
    /// ```
    pub async fn try_update(
        &self,
        key: impl IntoKey,
        mut change: impl FnMut(&mut T) -> Result<()>,
    ) -> Result<Versioned<T>> {
        let model = self.model()?;
        let key = key.into_key().at(Operation::Load, model)?;
        let mut attempts = self.context.retry().start();
        let mut turn = None;
        let place = (model.name().clone(), key);
        let (turns, key) = (&self.context.shared.turns, &place.1);
        let in_transaction = self.context.scope == Scope::Transaction;
        loop {
            // The change does not await, so who has the turn is soon done with it.
            if turn.is_none() && !in_transaction && turns.are_taken(&place) {
                turn = Some(turns.take(place.clone(), attempts.left()).await);
            }
            let mut document = self.demand(key).await?;
            change(&mut document)?;
            let failure = match self.save(&mut document).await {
                Ok(_) => return Ok(document),
                Err(failure) => failure,
            };
            if turn.is_some() {
                attempts.again(failure).await?;
            } else {
                attempts.next(failure)?;
                turn = Some(turns.take(place.clone(), attempts.left()).await);
            }
        }
    }

    /// As [`try_update`](Self::try_update), with a change that awaits, such as a call of another
    /// service: it takes the value and hands it back. It should be quick: the longer it takes, the
    /// likelier someone is faster.
    ///
    /// # Errors
    ///
    /// What the closure fails with; otherwise as for [`update`](Self::update).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// # async fn ask_elsewhere() -> Result<u64> { Ok(4) }
    /// users.insert(User::new("ada")).await?;
    /// let ada = users
    ///     .update_async("ada", |mut user| async move {
    ///         user.logins += ask_elsewhere().await?;
    ///         Ok(user)
    ///     })
    ///     .await?;
    /// assert_eq!(ada.logins, 4);
    /// # Ok(()) }) }
    /// ```
    pub async fn update_async<F>(
        &self,
        key: impl IntoKey,
        mut change: impl FnMut(T) -> F,
    ) -> Result<Versioned<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let model = self.model()?;
        let key = key.into_key().at(Operation::Load, model)?;
        let mut attempts = self.context.retry().start();
        loop {
            let (value, document) = self.demand(&key).await?.take_value();
            let mut document = document.with_value(change(value).await?);
            match self.save(&mut document).await {
                Ok(_) => return Ok(document),
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    async fn demand(&self, key: &Key) -> Result<Versioned<T>> {
        let document = self.get(key).await?;
        let document = document
            .ok_or_else(|| Error::not_found(key.clone()))
            .at(Operation::Load, self.model()?)?;
        document.origin().remember(&*document);
        Ok(document)
    }
}
