//! Providers that count over another span than the minute that they list.

use std::time::Duration;

use simulated::{Behaviour, HeaderDialect, Limits, Quotas, Refill, SimulatedProvider};
use tokio::task::JoinSet;

use crate::harness::{MS, Setup, good, now, question};
use crate::shared::at_once;

const SPAN: Duration = Duration::from_secs(2);
const LASTS: Duration = Duration::from_secs(8);

/// What came of many requests to one that lists 600 in a minute and lets in 20 in two seconds:
/// those that were refused and those that were not.
async fn asked(dialect: HeaderDialect, refill: Refill) -> (u64, u64) {
    let quotas = Quotas { requests_per_minute: Some(20), ..Quotas::default() };
    let limits = Limits { quotas, refill, dialect, minute: SPAN, ..Limits::default() };
    let a = SimulatedProvider::start(Behaviour::Limiting(limits)).await.unwrap();
    let b = good("b").await;
    let listed = "limits: {rpm: 600}";
    let proxy = Setup::new().provider("a", &a).with(listed).provider("b", &b).start().await;
    let (began, mut taken) = (now(), 0);
    while began.elapsed() < LASTS {
        for heard in at_once(&proxy, &vec![question(false); 3]).await {
            assert_eq!(heard.status, 200);
            taken += u64::from(heard.by() == "a");
        }
        tokio::time::sleep(MS * 50).await;
    }
    (a.count() - taken, taken)
}

/// About a hundred are let in, and three times as many are sent.
#[tokio::test]
async fn a_span_that_nobody_lists_is_found_by_a_few_refusals() {
    let mut all = JoinSet::new();
    for refill in [Refill::Fixed, Refill::Continuous] {
        for dialect in [HeaderDialect::OpenAi, HeaderDialect::Cerebras, HeaderDialect::Groq] {
            all.spawn(async move { (refill, dialect, asked(dialect, refill).await) });
        }
    }
    for (refill, dialect, (refused, taken)) in all.join_all().await {
        assert!(refused <= 15, "{dialect:?} {refill:?}: {refused} in vain, {taken} taken");
        // Fewer where this machine was too slow to send them.
        assert!(taken >= 60, "{dialect:?} {refill:?}: {refused} in vain, {taken} taken");
    }
}
