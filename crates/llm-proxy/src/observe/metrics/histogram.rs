//! How a measure is spread: counts by upper bound, which requests add to without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a histogram measures: its upper bounds in whole steps, and how many steps are one unit.
#[derive(Debug)]
pub(crate) struct Measure {
    bounds: &'static [u64],
    per_unit: u64,
}

const MICROS: u64 = 1_000_000;

/// Tokens of one request. The bounds of all four are those that the `OpenTelemetry` conventions
/// for generative AI recommend.
pub(crate) static TOKENS: Measure = Measure {
    bounds: &[
        1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
        67_108_864,
    ],
    per_unit: 1,
};

/// Seconds of a whole operation.
pub(crate) static DURATION: Measure = Measure {
    bounds: &[
        10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000,
        10_240_000, 20_480_000, 40_960_000, 81_920_000,
    ],
    per_unit: MICROS,
};

/// Seconds to the first token.
pub(crate) static FIRST_TOKEN: Measure = Measure {
    bounds: &[
        1_000, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 250_000, 500_000, 750_000,
        1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000,
    ],
    per_unit: MICROS,
};

/// Seconds for each further token.
pub(crate) static PER_TOKEN: Measure = Measure {
    bounds: &[
        10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000,
        750_000, 1_000_000, 2_500_000,
    ],
    per_unit: MICROS,
};

/// Counts of one measure by upper bound.
#[derive(Debug)]
pub(crate) struct Histogram {
    measure: &'static Measure,
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    /// In steps.
    sum: AtomicU64,
}

/// A histogram as it is told.
#[derive(Debug, PartialEq)]
pub(crate) struct Spread {
    /// Upper bounds with the number of values that are not above them.
    pub(crate) buckets: Vec<(f64, u64)>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

impl Histogram {
    pub(crate) fn new(measure: &'static Measure) -> Self {
        let counts = (0..=measure.bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { measure, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a value in steps.
    pub(crate) fn add(&self, steps: u64) {
        let bucket = self.measure.bounds.partition_point(|bound| *bound < steps);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(steps, Ordering::Relaxed);
    }

    /// Counts a span of time.
    pub(crate) fn add_span(&self, span: Duration) {
        self.add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }

    /// What it holds; `None` while it is empty.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let unit = self.measure.per_unit as f64;
        let mut count = 0;
        let mut upto = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let (above, within) = self.counts.split_last()?;
        let bounds = self.measure.bounds.iter().map(|bound| *bound as f64 / unit);
        let buckets = bounds.zip(within.iter().map(&mut upto)).collect();
        let count = upto(above);
        let sum = self.sum.load(Ordering::Relaxed) as f64 / unit;
        (count > 0).then_some(Spread { buckets, sum, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_a_bound_belongs_to_it() {
        let histogram = Histogram::new(&DURATION);
        assert_eq!(histogram.spread(), None);
        for millis in [10, 11, 100_000] {
            histogram.add_span(Duration::from_millis(millis));
        }
        let spread = histogram.spread().unwrap();
        assert_eq!(spread.buckets[..2], [(0.01, 1), (0.02, 2)]);
        assert_eq!(spread.buckets.last(), Some(&(81.92, 2)));
        assert_eq!((spread.count, spread.sum), (3, 100.021));
    }

    #[test]
    fn bounds_rise() {
        for measure in [&TOKENS, &DURATION, &FIRST_TOKEN, &PER_TOKEN] {
            assert!(measure.bounds.is_sorted_by(|one, next| one < next));
        }
    }
}
