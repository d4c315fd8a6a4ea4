//! What the figures were measured on.

use std::process::Command;

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
