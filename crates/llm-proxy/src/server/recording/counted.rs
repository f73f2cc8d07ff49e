//! A request that has ended, counted for `GET /metrics`.

use engine::Timestamp;

use super::{CLIENT_LEFT, Hop, Outcome, Recording};
use crate::observe::metrics::{Came, Ended};

impl Recording {
    /// Counts the request and each of its attempts.
    pub(super) fn count(&self, now: Timestamp) {
        for hop in &self.hops {
            self.count_hop(hop, hop.ended(now));
        }
        let ended = match self.outcome {
            Outcome::Answered => Ended::Well,
            Outcome::Interrupted => Ended::Interrupted,
            Outcome::Refused => Ended::Refused,
            Outcome::Left => Ended::Left,
        };
        let metrics = &self.app.metrics;
        metrics.ended(ended, self.told_status(), self.first_word.is_some(), self.waited);
        let meters = match self.served().filter(|_| ended != Ended::Refused) {
            Some(hop) => hop.route.meters.model(hop.series).at(self.endpoint),
            None => metrics.unserved(self.endpoint),
        };
        meters.request(ended, self.arrived.until(now));
        if let (Some(span), Some(first)) =
            (self.first_word, self.hops.iter().find(|hop| hop.answered))
        {
            first.route.meters.model(first.series).at(self.endpoint).first_token(span);
        }
    }

    fn count_hop(&self, hop: &Hop, ended: Timestamp) {
        let provider = &hop.route.meters.provider;
        let model = hop.route.meters.model(hop.series).at(self.endpoint);
        let came = hop.came();
        if came == Came::Interrupted {
            provider.came(Came::Answered);
        }
        provider.came(came);
        if let Some(kind) = hop.kind.filter(|_| hop.set_aside) {
            provider.set_aside(kind);
        }
        let whole = hop.started.until(ended);
        model.attempt(came, whole);
        if hop.answered {
            provider.used(hop.usage.total().unwrap_or(0));
            provider.used_about(hop.estimated);
            model.used(&hop.usage);
            if self.stream {
                model.streamed(hop.took, whole, hop.usage.completion_tokens);
            }
        }
    }

    /// The status that the client was told; that of web servers' logs if it left.
    pub(super) fn told_status(&self) -> u16 {
        if self.outcome == Outcome::Left { CLIENT_LEFT } else { self.status }
    }
}

impl Hop {
    /// What came of it.
    pub(super) fn came(&self) -> Came {
        match (self.answered, self.kind) {
            (true, None) => Came::Answered,
            (true, Some(_)) => Came::Interrupted,
            (false, Some(kind)) => Came::Failed(kind),
            (false, None) => Came::Left,
        }
    }

    /// When it ended, of a request that ends `now`.
    pub(super) fn ended(&self, now: Timestamp) -> Timestamp {
        let without_answer = || if self.answered { now } else { self.started.after(self.took) };
        self.broke_at.unwrap_or_else(without_answer)
    }
}
