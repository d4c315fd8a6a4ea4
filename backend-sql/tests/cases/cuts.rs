//! Connections that are cut under writes, and what the writes are said to have come to.

use std::sync::Arc;

use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::layers::{LayerOptions, default_stack};
use strongroom_core::model::{Body, Expected, Key, Version};
use strongroom_core::patch::Patch;
use strongroom_core::store::{
    Action, BeginOptions, BulkItem, BulkRequest, Load, LoadRequest, Receipt, Store, Write,
};

use crate::support::proxy::{At, Cut, Proxy};
use crate::support::{Named, Options, SqlStore};

/// How many connections are cut before the server hears of what is sent, and as many after.
fn cuts() -> usize {
    let full = std::env::var_os("STRONGROOM_FULL").is_some_and(|value| value == "1");
    if full { 1_000 } else { 100 }
}

/// What is known of a document: its version and its number.
type State = Option<(Version, i64)>;

struct Bench {
    named: Named,
    /// The store whose connections are cut, with all layers.
    through: Arc<dyn Store>,
}

#[derive(Debug, Default)]
struct Tally {
    cut: usize,
    acknowledged: usize,
    refused: usize,
    unknown_deletes: usize,
}

fn key(id: &str) -> Key {
    Key::new(id).unwrap()
}

fn put(id: &str, n: i64, expected: impl Into<Expected>) -> Write {
    Write::put(
        key(id),
        Body::parse(format!(r#"{{"n":{n}}}"#)).unwrap(),
        expected,
    )
}

fn count_up(id: &str, expected: impl Into<Expected>) -> Write {
    let patch = Patch::new().increment("n".parse().unwrap(), 1);
    Write::patch(key(id), patch, expected)
}

impl Bench {
    async fn state(&self, id: &str) -> State {
        let request = LoadRequest::new(self.named.model.clone(), vec![key(id)]);
        let loaded = self.named.store.load(request).await.unwrap();
        let found = loaded.first().unwrap().as_ref()?;
        let body = found.body.to_object().unwrap();
        Some((found.version, body.get("n").unwrap().as_i64().unwrap()))
    }

    async fn bulk(&self, writes: &[Write], atomic: bool) -> Vec<Result<Receipt, Error>> {
        let items = writes.iter().cloned().map(BulkItem::Write).collect();
        let mut request = BulkRequest::new(self.named.model.clone(), items);
        request.atomic = atomic;
        match self.through.bulk(request).await {
            Ok(reply) => reply.outcomes,
            Err(error) => {
                let copy = || Error::new(error.kind(), error.to_string());
                writes.iter().map(|_| Err(copy())).collect()
            }
        }
    }

    /// All in one transaction: the receipts if it was committed.
    async fn transaction(&self, writes: &[Write]) -> Result<Vec<Receipt>, Error> {
        let transact = self.through.transact().unwrap();
        let transaction = transact.begin(BeginOptions::new()).await?;
        let mut receipts = Vec::new();
        for write in writes {
            receipts.push(transaction.save(self.named.save(write.clone())).await?);
        }
        transaction.commit().await?;
        Ok(receipts)
    }
}

/// What the number of the document is if the write takes effect.
fn after(write: &Write, before: State) -> Option<i64> {
    match &write.action {
        Action::Put(body) => body.to_object().unwrap().get("n").unwrap().as_i64(),
        Action::Patch(_) => Some(before.unwrap().1 + 1),
        Action::Delete => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cut_writes_came_to_is_told_truly() {
    let named = Named::connect(2).await;
    let proxy = Proxy::start(&named.url()).await;
    let options = Options::from_url(&proxy.url()).unwrap();
    // A write that is alone needs two messages at least.
    all_are_told(named, &proxy, options, [2, 7]).await;
}

/// One writer has the documents for itself, so every write could take effect. How many of the
/// messages can be the one that is cut is said for a write that is alone, and for several together.
pub(crate) async fn all_are_told(
    named: Named,
    proxy: &Proxy,
    options: Options,
    [messages, messages_together]: [usize; 2],
) {
    let through = SqlStore::connect(options.connections(2)).await.unwrap();
    let through = default_stack(Arc::new(through), &LayerOptions::new());
    let bench = Bench { named, through };
    for cut in [Cut::Before, Cut::After] {
        let mut tally = Tally::default();
        let mut round = 0_usize;
        while tally.cut < cuts() {
            round += 1;
            assert!(
                round < 20 * cuts(),
                "too few connections were cut: {tally:?}"
            );
            let n = i64::try_from(round).unwrap();
            let form = round % 6;
            let ids = ["a", "b", "c"];
            let [a, b, c] = ids;
            let mut before = Vec::new();
            for id in ids {
                before.push(bench.state(id).await);
            }
            let at = |which: usize| before.get(which).copied().unwrap();
            let exactly = |which: usize| match at(which) {
                Some((version, _)) => Expected::Exactly(version),
                None => Expected::Absent,
            };
            let patch = |which: usize, expected| match at(which) {
                Some(_) => count_up(ids[which], expected),
                None => put(ids[which], n, Expected::Absent),
            };
            let writes = match round % 5 {
                0 => vec![put(a, n, exactly(0))],
                1 => vec![put(b, n, Expected::Any)],
                2 => vec![patch(1, Expected::Any)],
                3 => vec![patch(0, exactly(0))],
                _ => match at(2) {
                    Some(_) => vec![Write::delete(key(c), exactly(2))],
                    None => vec![put(c, n, Expected::Absent)],
                },
            };
            let many = match round % 4 {
                0 => vec![put(a, n, exactly(0)), put(b, n, Expected::Any)],
                1 => vec![
                    patch(0, exactly(0)),
                    patch(1, Expected::Any),
                    put(c, n, exactly(2)),
                ],
                2 => vec![put(c, n, exactly(2)), put(a, n, Expected::Any)],
                _ => vec![patch(1, exactly(1)), put(a, n, exactly(0))],
            };
            let last = if form < 3 {
                messages
            } else {
                messages_together
            };
            proxy.cut(cut, At::Message(round / 6 % last));
            let (writes, outcomes) = match form {
                0..=2 => {
                    let request = bench.named.save(writes[0].clone());
                    let saved = bench.through.save(request).await;
                    (writes, vec![saved])
                }
                3 | 4 => {
                    let outcomes = bench.bulk(&many, form == 4).await;
                    (many, outcomes)
                }
                _ => {
                    let outcomes = match bench.transaction(&many).await {
                        Ok(receipts) => receipts.into_iter().map(Ok).collect(),
                        Err(error) => {
                            let copy = || Error::new(error.kind(), error.to_string());
                            many.iter().map(|_| Err(copy())).collect()
                        }
                    };
                    (many, outcomes)
                }
            };
            tally.cut += usize::from(proxy.was_cut());
            assert_eq!(writes.len(), outcomes.len());
            for (write, outcome) in writes.iter().zip(outcomes) {
                let id = write.key.id().as_str();
                let which = ids.iter().position(|known| *known == id).unwrap();
                let (was, is) = (at(which), bench.state(id).await);
                let about = format!("round {round}, form {form}, {cut:?}: {write:?}: {outcome:?}");
                match &outcome {
                    Ok(receipt) => {
                        tally.acknowledged += 1;
                        assert_eq!(is.map(|(_, n)| n), after(write, was), "{about}");
                        assert_eq!(receipt.version, is.map(|(version, _)| version), "{about}");
                    }
                    Err(error) if error.kind() == ErrorKind::Indeterminate => {
                        assert!(matches!(write.action, Action::Delete), "{about}");
                        tally.unknown_deletes += 1;
                    }
                    Err(error) => {
                        tally.refused += 1;
                        let kind = error.kind();
                        let fair = [
                            ErrorKind::Unavailable,
                            ErrorKind::Timeout,
                            ErrorKind::Contended,
                            ErrorKind::Cancelled,
                        ];
                        assert!(fair.contains(&kind), "{about}");
                        assert_eq!(is, was, "{about}");
                    }
                }
            }
        }
        println!("{cut:?}: {tally:?}");
        assert!(tally.acknowledged > tally.refused, "{tally:?}");
    }
    bench.through.close().await.unwrap();
    bench.named.done().await;
}
