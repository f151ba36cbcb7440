//! Moments as the API writes them.

use serde::{Deserialize, Serialize};

/// Seconds since the Unix epoch, the fraction being milliseconds by convention.
///
/// Invariant: finite, since neither JSON nor a count of milliseconds can say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(f64);

const MILLIS_PER_SECOND: f64 = 1000.0;

impl Timestamp {
    /// From milliseconds since the epoch.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis as f64 / MILLIS_PER_SECOND)
    }

    /// Milliseconds since the epoch, rounded; a moment beyond the range of `i64` becomes its nearest end.
    pub fn as_millis(self) -> i64 {
        (self.0 * MILLIS_PER_SECOND).round() as i64
    }

    /// Seconds since the epoch.
    pub fn as_seconds(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_the_wire() {
        let moment = Timestamp::from_millis(1_427_245_911_525);
        assert_eq!(serde_json::to_string(&moment).unwrap(), "1427245911.525");
        assert_eq!(
            serde_json::from_str::<Timestamp>("1427245911.525").unwrap().as_millis(),
            1_427_245_911_525
        );
    }

    #[test]
    fn whole_seconds_and_absurd_moments_are_read() {
        assert_eq!(serde_json::from_str::<Timestamp>("12").unwrap().as_millis(), 12_000);
        assert_eq!(serde_json::from_str::<Timestamp>("1e300").unwrap().as_millis(), i64::MAX);
    }
}
