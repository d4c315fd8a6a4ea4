//! What the figures were measured on, and the memory of a process.

use std::path::Path;
use std::process::Command;

use crate::measure::StreamArm;

type Failure = Box<dyn std::error::Error>;

/// Prints machine, versions and command.
pub fn print() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines()
                .find(|line| line.starts_with("model name"))
                .and_then(|line| line.split_once(':'))
                .map(|(_, name)| name.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc")
        .arg("--version")
        .output()
        .map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
        .unwrap_or_default();
    println!("machine: {cpu}, {cores} cores, {}", std::env::consts::OS);
    println!("versions: {rustc}, SQLite {}", rusqlite::version());
    println!(
        "command: cargo xtask bench {}",
        std::env::args().skip(1).collect::<Vec<_>>().join(" ")
    );
}

/// Runs one arm of a stream in a process of its own, and tells how far its memory grew.
pub fn memory_of(arm: StreamArm, name: &str, file: Option<&Path>) -> Result<String, Failure> {
    let mut process = Command::new(std::env::current_exe()?);
    process.args(["--memory-of", &format!("{arm:?}").to_lowercase()]);
    if let Some(file) = file {
        process.arg("--folder").arg(file);
    }
    let told = process.arg(name).output()?;
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into());
    }
    Ok(String::from_utf8(told.stdout)?.trim().to_owned())
}

/// The memory that this process has now, in KiB.
pub fn resident() -> Result<u64, Failure> {
    status("VmRSS")
}

/// How far the memory of this process grew, in words.
pub fn grown(before: u64, documents: u64) -> Result<String, Failure> {
    let peak = status("VmHWM")?;
    let grown = peak.saturating_sub(before);
    Ok(format!(
        "grew by {grown} KiB, to {peak} KiB, for {documents} documents"
    ))
}

/// A figure of the process, in KiB.
fn status(name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next());
    Ok(figure.ok_or("the process has no such figure")?.parse()?)
}
