//! The way of a save to the writing connection.
//!
//! A save that finds the connection free carries out its own write, together with those that came
//! meanwhile. Those that come while it does are carried out next, by a task that goes on for as
//! long as orders come in. There is no timer: a save that is alone is carried out at once.

use std::sync::Arc;

use strongroom_core::error::{Error, Result};
use strongroom_core::store::{Receipt, Write};
use tokio::sync::oneshot;

use super::desk::{Desk, Entered, Lease, Order, Waiting, Word};
use super::round::{alone, together};
use super::run::{Attempt, Patience, busy, run};
use crate::options::SqliteOptions;
use crate::statements::Statements;

/// Most writes of one round.
const MAX_ROUND: usize = 1_024;
/// How often a round steps back so that those of the round before can come back with more.
const STEPS_BACK: usize = 4;

/// Saves one document.
///
/// Dropping the future withdraws the write if nobody has taken it; otherwise it is carried out.
pub(crate) async fn save(
    desk: &Arc<Desk>,
    options: &Arc<SqliteOptions>,
    statements: Arc<Statements>,
    write: Write,
) -> Result<Receipt> {
    match desk.enter(Order { statements, write })? {
        Entered::Lead {
            lease,
            order,
            company,
        } => {
            if company {
                // The lease is held meanwhile: if this future is dropped here, it goes on.
                tokio::task::yield_now().await;
                let others = desk.take_orders(MAX_ROUND);
                desk.note_company(others.len());
                lead(options, lease, order, others).await
            } else {
                lead(options, lease, order, Vec::new()).await
            }
        }
        Entered::Wait(claim) => match claim.wait(options.write_wait).await? {
            Word::Outcome(outcome) => outcome,
            Word::Lead(lease, order) => {
                let others = desk.take_orders(MAX_ROUND);
                lead(options, lease, order, others).await
            }
        },
    }
}

async fn lead(
    options: &Arc<SqliteOptions>,
    lease: Lease,
    own: Box<Order>,
    others: Vec<Waiting>,
) -> Result<Receipt> {
    let (mode, limit) = (options.write_mode, options.busy_timeout);
    let (_lease, outcome) = if others.is_empty() {
        let clock = options.clock.clone();
        let work = move |writer: &mut super::Writer, _| alone(writer, &*clock, &own);
        run(options, mode, limit, lease, work).await
    } else {
        let mut round = Round::new(options.clone(), Some(own), others);
        let work = move |writer: &mut super::Writer, patience| round.attempt(writer, patience);
        run(options, mode, limit, lease, work).await
    };
    outcome.flatten()
}

/// Carries out what waits for as long as something does and nobody waits for a turn of its own.
pub(super) async fn drive(desk: Arc<Desk>, options: Arc<SqliteOptions>, lease: Lease) {
    let (mode, limit) = (options.write_mode, options.busy_timeout);
    let mut others = desk.take_orders(MAX_ROUND);
    let mut held = Some(lease);
    while let Some(mut lease) = held.take() {
        lease.succeed_by_task();
        if others.is_empty() {
            return;
        }
        let told = others.len();
        let mut round = Round::new(options.clone(), None, others);
        let work = move |writer: &mut super::Writer, patience| round.attempt(writer, patience);
        (held, _) = run(&options, mode, limit, lease, work).await;
        // Those who were told may come back with their next writes in a moment, which is short
        // beside a commit: with them there is one instead of two.
        let expected = desk.waiting() + told;
        for _ in 0..STEPS_BACK {
            tokio::task::yield_now().await;
            if desk.waiting() >= expected {
                break;
            }
        }
        others = desk.take_more_orders(MAX_ROUND);
    }
}

/// Orders that are carried out together, and those who wait for them.
struct Round {
    options: Arc<SqliteOptions>,
    /// The leader's own order comes first and has nobody to be told.
    orders: Vec<(Box<Order>, Option<oneshot::Sender<Word>>)>,
}

impl Round {
    fn new(options: Arc<SqliteOptions>, own: Option<Box<Order>>, others: Vec<Waiting>) -> Self {
        let own = own.map(|order| (order, None));
        let others = others.into_iter().map(|w| (w.order, Some(w.word)));
        Self {
            options,
            orders: own.into_iter().chain(others).collect(),
        }
    }

    /// Carries the orders out and tells those who wait. Hands out the leader's own outcome.
    fn attempt(
        &mut self,
        writer: &mut super::Writer,
        patience: Patience,
    ) -> Attempt<Result<Receipt>> {
        let orders: Vec<&Order> = self.orders.iter().map(|(order, _)| &**order).collect();
        let outcomes = match together(writer, &*self.options.clock, &orders) {
            Attempt::Done(outcomes) => outcomes,
            Attempt::Busy if patience == Patience::Short => return Attempt::Busy,
            Attempt::Busy => orders
                .iter()
                .map(|_| Err(busy(self.options.busy_timeout)))
                .collect(),
        };
        let mut own = None;
        for ((_, word), outcome) in self.orders.drain(..).zip(outcomes) {
            match word {
                // Who went away in the meantime is not told.
                Some(word) => drop(word.send(Word::Outcome(outcome))),
                None => own = Some(outcome),
            }
        }
        Attempt::Done(own.unwrap_or_else(|| Err(Error::internal("a round without a leader"))))
    }
}
