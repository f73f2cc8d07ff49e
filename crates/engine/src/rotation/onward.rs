//! A journey that begins anew, since the answer that it had found broke off.

use std::time::Duration;

use super::Rotation;
use crate::Timestamp;

impl Rotation {
    /// Begins anew after an answer broke off: without the deployments that had begun it, with those
    /// that were not tried yet, and those whose limit may be over in time. The deadline is given for
    /// as many as are left.
    pub fn begin_again(&mut self, deadline: impl FnOnce(usize) -> Timestamp) {
        for (index, progress) in self.progress.iter_mut().enumerate() {
            let failed = self.tried.iter().filter(|tried| tried.candidate == index).count();
            progress.spent |= progress.tries as usize > failed;
        }
        let spent = self.progress.iter().filter(|progress| progress.spent).count();
        self.deadline = deadline(self.chain.len() - spent);
        self.waited = Duration::ZERO;
        self.waiting_since = None;
    }

    /// Lets a deployment be tried once more that can be asked in another way.
    pub fn give_again(&mut self, deployment: usize) {
        for (candidate, progress) in self.chain.iter().zip(&mut self.progress) {
            progress.spent &= candidate.deployment != deployment;
        }
    }
}
