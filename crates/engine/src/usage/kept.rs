//! The use of a deployment or key as it is kept, and back.

use super::{Learned, Metered, Usage};
use crate::Timestamp;
use crate::kept::{KeptCount, KeptSpan, KeptUse};
use crate::limits::Limits;
use crate::window::Count;

impl Usage {
    /// What is worth keeping, of the day that begins at `day`.
    pub(crate) fn kept(&self, day: Timestamp) -> KeptUse {
        let counts = self.metered.iter().map(Metered::kept);
        KeptUse {
            day: if self.has_counts_of_day() { day } else { Timestamp::default() },
            requests: self.requests_today,
            tokens: self.tokens_today,
            first_word: self.first_word,
            calibration: self.calibration,
            pace: self.pace,
            learned: self.learned.iter().map(Learned::kept).collect(),
            counts: counts
                .chain(self.restored.iter().cloned())
                .filter(|count| !count.span.is_empty())
                .collect(),
        }
    }

    /// What was kept, with the daily counts if they are of the day that begins at `day`. What
    /// counts against limits waits until the limits are known.
    pub(crate) fn restored(kept: &KeptUse, day: Timestamp, now: Timestamp) -> Self {
        let mut usage = Self {
            requests_today: kept.requests,
            tokens_today: kept.tokens,
            first_word: kept.first_word,
            calibration: kept.calibration,
            pace: kept.pace.believed(now),
            restored: kept.counts.iter().map(|count| count.believed(now)).collect(),
            ..Self::default()
        };
        if kept.day != day {
            usage.begin_day();
        }
        for learned in &kept.learned {
            let learned = Learned::restored(learned, now);
            if !usage.learned.iter().any(|other| other.is_of(&learned.budget)) {
                usage.learned.push(learned);
            }
        }
        usage
    }

    /// Whether any count belongs to the present day.
    pub(crate) const fn has_counts_of_day(&self) -> bool {
        self.requests_today > 0 || self.tokens_today > 0
    }

    /// Whether `limits` are others than those that are counted, or have to take up what was kept.
    pub(crate) fn has_other_limits(&self, limits: &Limits) -> bool {
        *limits != self.limits || !self.restored.is_empty()
    }
}

impl KeptSpan {
    /// Whether nothing counts.
    fn is_empty(&self) -> bool {
        match self {
            Self::Rolling(amounts) => amounts.is_empty(),
            Self::Calendar { used, .. } => *used == 0,
        }
    }
}

impl KeptCount {
    /// What was used later than now, by a clock that was put back since, counts as used now;
    /// what was used in another day of the calendar does not count.
    fn believed(&self, now: Timestamp) -> Self {
        let mut count = self.clone();
        match &mut count.span {
            KeptSpan::Rolling(amounts) => {
                for (then, _) in amounts {
                    *then = (*then).min(now);
                }
            }
            KeptSpan::Calendar { begins, ends, used } => {
                if !(*begins..*ends).contains(&now) {
                    *used = 0;
                }
            }
        }
        count
    }

    /// The count as it goes on under a limit of this window and day, if it is of such a one.
    pub(super) fn for_limits(&self, limit: u64, limits: &Limits) -> Option<Count> {
        let mut count = Count::new(self.window, limit, limits);
        count.take_up(&self.span).then_some(count)
    }
}
