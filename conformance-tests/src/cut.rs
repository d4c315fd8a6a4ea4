//! Cutting a call off at a chosen await.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use futures_util::future::poll_fn;

/// Polls a future at most `polls` times, each time after it was woken, and drops it then. `None`
/// if it had not ended by then. With 0 it is dropped without having been polled.
pub(crate) async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    if polls == 0 {
        return None;
    }
    let mut future = pin!(future);
    let mut done = 0;
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            done += 1;
            if done >= polls {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}
