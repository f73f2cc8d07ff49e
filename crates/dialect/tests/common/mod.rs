//! A refusal by nobody in particular, as it is read.

use dialect::{Reading, Reply, failure};
use engine::Timestamp;
use http::HeaderMap;
use serde_json::Value;

/// What a refusal of a request tells.
pub(crate) fn read(status: u16, body: &Value, request: &[u8]) -> Reading {
    let (headers, now) = (HeaderMap::new(), Timestamp::from_secs(1_795_323_600));
    let reply = Reply { provider: "", model: "m1", status, headers: &headers, request, now };
    failure(&reply, body.to_string().as_bytes())
}
