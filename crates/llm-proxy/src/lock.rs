//! Short locks. A thread that panicked while it held one leaves data that is whole: every change
//! under these locks is a single assignment or insertion.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, for a moment and never across an await.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
