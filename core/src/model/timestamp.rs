//! Points in time as documents hold them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// In JSON it is that number; as text it is RFC 3339 in UTC with three digits of fraction.
/// The range is the years -9999 to 9999.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::Timestamp;
///
/// let t: Timestamp = "2018-02-07T01:26:13.840Z".parse()?;
/// assert_eq!(t.as_millis(), 1_517_966_773_840);
/// assert_eq!(t.to_string(), "2018-02-07T01:26:13.840Z");
/// assert_eq!(serde_json::to_string(&t).unwrap(), "1517966773840");
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest: -9999-01-02T01:59:59Z.
    pub const MIN: Self = Self(-377_705_023_201_000);
    /// The latest: 9999-12-30T22:00:00Z.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// Checks and takes milliseconds since the epoch.
    ///
    /// # Errors
    ///
    /// `Invalid` outside the years -9999 to 9999.
    pub fn from_millis(millis: i64) -> Result<Self> {
        jiff::Timestamp::from_millisecond(millis)
            .map(|_| Self(millis))
            .map_err(|e| {
                Error::invalid(format!(
                    "timestamp of {millis} ms is outside the years -9999 to 9999"
                ))
                .with_source(e)
            })
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The system clock's time, cut to milliseconds.
    #[must_use]
    pub fn now() -> Self {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
        };
        // A clock outside the range is held at its edge; it cannot fail a write.
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The time from `earlier` to this one, or zero if it is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = Error;

    fn try_from(millis: i64) -> Result<Self> {
        Self::from_millis(millis)
    }
}

impl From<Timestamp> for i64 {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed: jiff::Timestamp = text.parse().map_err(|e| {
            Error::invalid(format!("{text:?} is not an RFC 3339 timestamp")).with_source(e)
        })?;
        Self::from_millis(parsed.as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_edges() {
        let t = |s: &str| s.parse::<Timestamp>().unwrap();
        assert_eq!(t("1970-01-01T00:00:00Z").as_millis(), 0);
        assert_eq!(t("1969-12-31T23:59:59.999Z").as_millis(), -1);
        assert_eq!(
            t("2018-02-07T02:26:13.840+01:00").to_string(),
            "2018-02-07T01:26:13.840Z"
        );
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!("2018-02-30T00:00:00Z".parse::<Timestamp>().is_err());
        assert!(Timestamp::from_millis(i64::MAX).is_err());
        assert_eq!(Timestamp::MIN.to_string(), "-009999-01-02T01:59:59.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00.000Z");
        assert!(Timestamp::from_millis(Timestamp::MIN.0).is_ok());
        assert!(Timestamp::from_millis(Timestamp::MIN.0 - 1).is_err());
        assert!(Timestamp::from_millis(Timestamp::MAX.0).is_ok());
        assert!(Timestamp::from_millis(Timestamp::MAX.0 + 1).is_err());
        assert!(Timestamp::now() > t("2024-01-01T00:00:00Z"));
    }
}
