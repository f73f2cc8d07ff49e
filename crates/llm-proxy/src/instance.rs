//! Who we are, so that a request of our own that comes back to us is known: a provider may be a
//! proxy whose provider we are.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Sent to providers on this machine only.
pub(crate) const INSTANCE: HeaderName = HeaderName::from_static("x-llm-proxy-instance");

static OURS: LazyLock<HeaderValue> = LazyLock::new(|| {
    let random = RandomState::new().build_hasher().finish();
    HeaderValue::from(random)
});

/// The value that stands for this process.
pub(crate) fn ours() -> HeaderValue {
    OURS.clone()
}

/// Whether a request has come through this process already.
pub(crate) fn has_been_here(headers: &HeaderMap) -> bool {
    headers.get_all(INSTANCE).iter().any(|one| one == *OURS)
}
