//! What outlasts a request: counts, cooldowns and history, kept in a file beside the road.

