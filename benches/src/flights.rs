//! Flights: many small documents, read from a file or made from a fixed seed.

use std::path::Path;

use serde::{Deserialize, Serialize};
use strongroom::prelude::*;

/// How many flights are made where no file is given.
const COUNT: usize = 200_000;
/// When the day of the flights begins: 2001-01-01, in milliseconds.
const DAY: i64 = 978_307_200_000;

/// One flight.
#[derive(Document, Clone, Debug, Serialize, Deserialize)]
#[document(collection = "flights")]
pub struct Flight {
    #[document(id)]
    pub id: String,
    /// In minutes.
    pub delay: i64,
    /// In miles.
    #[document(indexed)]
    pub distance: i64,
    /// The hour of the day.
    pub time: f64,
    #[document(indexed)]
    pub departed: Timestamp,
}

/// A flight as files have it.
#[derive(Deserialize)]
struct Recorded {
    delay: i64,
    distance: i64,
    time: f64,
}

impl Recorded {
    fn numbered(self, number: usize) -> Flight {
        let minutes = (self.time * 60.0).round() as i64;
        Flight {
            id: format!("flight-{number:07}"),
            delay: self.delay,
            distance: self.distance,
            time: self.time,
            departed: Timestamp::from_millis(DAY + minutes * 60_000).expect("a time of 2001"),
        }
    }
}

/// Reads flights from a file, a JSON array of `{"delay", "distance", "time"}`; without one makes
/// them.
pub fn flights(file: Option<&Path>) -> Result<Vec<Flight>, Box<dyn std::error::Error>> {
    let recorded: Vec<Recorded> = match file {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => made(),
    };
    let numbered = recorded.into_iter().enumerate();
    Ok(numbered.map(|(n, flight)| flight.numbered(n)).collect())
}

/// Flights whose delays, distances and times are spread as those of a real day: between the same
/// tenths, in the order of their times, with about as many different values.
fn made() -> Vec<Recorded> {
    const DELAYS: [f64; 11] = [
        -86.0, -15.0, -10.0, -7.0, -4.0, 0.0, 4.0, 9.0, 17.0, 37.0, 1444.0,
    ];
    const DISTANCES: [f64; 11] = [
        30.0, 195.0, 267.0, 337.0, 430.0, 569.0, 696.0, 888.0, 1076.0, 1559.0, 4962.0,
    ];
    const TIMES: [f64; 11] = [
        0.0, 7.17, 8.75, 10.42, 12.08, 13.67, 15.42, 17.08, 18.7, 20.48, 23.98,
    ];
    let mut random = Random(2_001);
    (0..COUNT)
        .map(|n| {
            let distance = between(&DISTANCES, random.unit());
            let step = if distance < 1559.0 { 3.0 } else { 6.0 };
            Recorded {
                delay: between(&DELAYS, random.unit()).round() as i64,
                distance: ((distance / step).round() * step) as i64,
                time: (between(&TIMES, n as f64 / COUNT as f64) * 60.0).round() / 60.0,
            }
        })
        .collect()
}

/// The value at a place from 0 to 1, given the tenths. Few values are near the two ends.
fn between(tenths: &[f64; 11], place: f64) -> f64 {
    let at = ((place * 10.0) as usize).min(9);
    let within = place * 10.0 - at as f64;
    let within = match at {
        0 => 1.0 - (1.0 - within).powi(4),
        9 => within.powi(8),
        _ => within,
    };
    tenths[at] + (tenths[at + 1] - tenths[at]) * within
}

/// The generator SplitMix64.
struct Random(u64);

impl Random {
    /// A number from 0 up to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
