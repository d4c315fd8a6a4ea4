//! What the quickstart shows, step by step, in the order in which `main` runs them.

pub mod change;
pub mod facets;
pub mod find;
pub mod load;
pub mod store;
pub mod transfer;

use indicatif::{ProgressBar, ProgressStyle};

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

fn heading(text: &str) {
    println!("\n— {text}");
}

/// A progress bar; nothing is drawn where the output is no terminal.
fn bar(of: &'static str) -> Result<ProgressBar, Box<dyn std::error::Error>> {
    let style = ProgressStyle::with_template("  [{bar:40}] {pos}/{len} {msg}, {per_sec}")?;
    Ok(ProgressBar::no_length().with_style(style).with_message(of))
}
