//! `--exit-with-parent`: an app that bundles the proxy must not leave it behind, not even when
//! the app is killed and cannot tell us.

use std::os::unix::process::parent_id;
use std::time::Duration;

/// How soon the end of the parent is noticed. There is no portable way to be told.
const LOOK: Duration = Duration::from_millis(250);

/// The process that started us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent(u32);

impl Parent {
    /// The present parent.
    pub(crate) fn now() -> Self {
        Self(parent_id())
    }

    /// Waits until it is gone: the system then gives us another parent.
    pub(crate) async fn gone(self) {
        while parent_id() == self.0 {
            tokio::time::sleep(LOOK).await;
        }
    }
}
