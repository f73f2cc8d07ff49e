//! What requests really cost beside what was estimated of them.
//!
//! A prompt's tokens are estimated from its bytes. How many bytes make a token depends on the
//! language and on the provider, and of an answer without a maximum nobody knows the length
//! beforehand. What answers reported tells more, and the dearest kind of request decides: an
//! average would be refused whenever that kind comes again. So the highest of the latest
//! reports counts, in two ways of which the lower one holds: as a share of the estimate, which
//! is right for long prompts, and as an amount on top of it, which is right for short ones.

use serde::{Deserialize, Serialize};

/// How many reports a generation has. A report counts in its own and in the next one.
const GENERATION: u32 = 256;

/// One hundredth more than ever seen is expected.
const MARGIN: u64 = 100;

/// Shares of the estimate in thousandths; no share below a quarter is believed.
const WHOLE: u64 = 1_000;
const LEAST: u64 = WHOLE / 4;

/// However absurd the reports: never more than four times the estimate, or this much on top.
const MOST_TIMES: u64 = 4;
const MOST_ON_TOP: u64 = 8_192;

/// What a request may use: as estimated, and as experience says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) estimated: u64,
    pub(crate) foreseen: u64,
    /// The part of the estimate that is the most that the answer may use, if that is known.
    pub(crate) reserved: u64,
    /// Whether the answer has no known maximum.
    pub(crate) is_open_ended: bool,
}

/// What the reports on one deployment say; requests with a maximum for the answer by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calibration {
    open_ended: Reports,
    bounded: Reports,
}

/// The highest of the latest reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Reports {
    present: Highest,
    before: Highest,
    /// How many reports the present generation has.
    count: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Highest {
    /// Of the estimate, in thousandths; 0 without any report.
    share: u64,
    /// On top of the estimate.
    on_top: u64,
}

impl Calibration {
    /// What experience makes of an estimate.
    pub(crate) fn foresee(&self, estimated: u64, is_open_ended: bool) -> Demand {
        let reports = if is_open_ended { &self.open_ended } else { &self.bounded };
        let foreseen = reports.foresee(estimated);
        // A maximum that was named is often reserved, however short the answer is.
        let foreseen = if is_open_ended { foreseen } else { foreseen.max(estimated) };
        Demand { estimated, foreseen, reserved: 0, is_open_ended }
    }

    /// Takes a report of what a request really used.
    pub(crate) fn learn(&mut self, demand: Demand, used: u64) {
        let reports = if demand.is_open_ended { &mut self.open_ended } else { &mut self.bounded };
        if used > 0 {
            reports.learn(demand.estimated, used);
        }
    }
}

impl Reports {
    fn learn(&mut self, estimated: u64, used: u64) {
        if self.count >= GENERATION {
            self.before = std::mem::take(&mut self.present);
            self.count = 0;
        }
        self.count += 1;
        let share = used.saturating_mul(WHOLE).div_ceil(estimated.max(1)).max(LEAST);
        let on_top = used.saturating_sub(estimated);
        self.present.share = self.present.share.max(share);
        self.present.on_top = self.present.on_top.max(on_top);
    }

    fn foresee(&self, estimated: u64) -> u64 {
        let share = self.present.share.max(self.before.share);
        if share == 0 {
            return estimated;
        }
        let on_top = self.present.on_top.max(self.before.on_top);
        let by_share = estimated.max(1).saturating_mul(share).div_ceil(WHOLE);
        let likely = by_share.min(estimated.saturating_add(on_top));
        let most = estimated.saturating_mul(MOST_TIMES).max(estimated.saturating_add(MOST_ON_TOP));
        likely.saturating_add(likely.div_ceil(MARGIN)).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: &[(u64, u64)], is_open_ended: bool) -> Calibration {
        let mut calibration = Calibration::default();
        for &(estimated, used) in reports {
            calibration.learn(Demand { estimated, is_open_ended, ..Demand::default() }, used);
        }
        calibration
    }

    fn foreseen(reports: &[(u64, u64)], estimated: u64) -> u64 {
        after(reports, true).foresee(estimated, true).foreseen
    }

    #[test]
    fn without_reports_an_estimate_is_what_it_is() {
        assert_eq!(foreseen(&[], 700), 700);
        assert_eq!(foreseen(&[(700, 0)], 700), 700, "nothing was counted");
    }

    #[test]
    fn the_dearest_kind_decides_by_the_lower_of_share_and_amount() {
        // Thrice the estimate, or 200 on top; and one hundredth more.
        let reports = [(100, 300), (1_000, 1_100)];
        assert_eq!(foreseen(&reports, 50), 150 + 2);
        assert_eq!(foreseen(&reports, 1_000), 1_200 + 12);
        assert_eq!(foreseen(&reports, 0), 3 + 1);
    }

    #[test]
    fn what_costs_less_than_estimated_is_foreseen_so_down_to_a_quarter() {
        assert_eq!(foreseen(&[(1_000, 500)], 1_000), 500 + 5);
        assert_eq!(foreseen(&[(1_000, 1)], 1_000), 250 + 3);
        let bounded = after(&[(1_000, 500)], false);
        assert_eq!(bounded.foresee(1_000, false).foreseen, 1_000, "it may be reserved");
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let mut reports = vec![(100, 300)];
        reports.extend([(100, 100)].repeat(2 * GENERATION as usize - 1));
        assert_eq!(foreseen(&reports, 100), 303);
        reports.push((100, 100));
        assert_eq!(foreseen(&reports, 100), 101);
    }

    #[test]
    fn absurd_reports_are_bounded() {
        for estimated in [0, 100, 2_000] {
            assert_eq!(foreseen(&[(100, u64::MAX)], estimated), estimated.saturating_add(8_192));
        }
        assert_eq!(foreseen(&[(1, u64::MAX)], 10_000), 40_000);
    }
}
