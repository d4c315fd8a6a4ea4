//! What the quickstart shows, step by step, in the order in which `main` runs them.

pub mod change;
pub mod facets;
pub mod find;
pub mod load;
pub mod store;
pub mod transfer;

use indicatif::{ProgressBar, ProgressStyle};
use strongroom::{Error, ErrorKind};

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs a step. What the engine cannot do it says before it does any of it, and the program goes
/// on with the next step.
pub async fn shown(step: impl Future<Output = Outcome>) -> Outcome {
    match step.await {
        Err(error) if is_unsupported(&*error) => {
            println!("  left out, because this engine cannot do it: {error}");
            Ok(())
        }
        outcome => outcome,
    }
}

fn is_unsupported(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<Error>()
        .is_some_and(|error| error.kind() == ErrorKind::Unsupported)
}

fn heading(text: &str) {
    println!("\n— {text}");
}

/// A progress bar; nothing is drawn where the output is no terminal.
fn bar(of: &'static str) -> Result<ProgressBar, Box<dyn std::error::Error>> {
    let style = ProgressStyle::with_template("  [{bar:40}] {pos}/{len} {msg}, {per_sec}")?;
    Ok(ProgressBar::no_length().with_style(style).with_message(of))
}
