//! The tables, as the steps that made them.
//!
//! `user_version` counts the steps that a file has seen. A step that was released is never
//! changed; what is new is a new step.

use rusqlite::{Connection, Result, TransactionBehavior};

/// Marks a file as ours: "LLMP".
pub(crate) const APPLICATION_ID: i32 = 0x4c4c_4d50;

/// Every step, oldest first.
pub(crate) const STEPS: [&str; 2] = [
    "CREATE TABLE state (
        kind TEXT NOT NULL,
        provider TEXT NOT NULL,
        key TEXT NOT NULL,
        model TEXT NOT NULL,
        value TEXT NOT NULL,
        saved_at INTEGER NOT NULL,
        PRIMARY KEY (kind, provider, key, model)
    ) WITHOUT ROWID;
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        endpoint TEXT NOT NULL,
        asked TEXT NOT NULL,
        stream INTEGER NOT NULL,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        provider TEXT NOT NULL,
        key TEXT NOT NULL,
        model TEXT NOT NULL,
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        total_tokens INTEGER,
        estimated INTEGER NOT NULL,
        cost_nanos INTEGER,
        first_token_ms INTEGER,
        duration_ms INTEGER NOT NULL,
        hops TEXT,
        skipped TEXT
    );",
    "CREATE TABLE usage (
        quarter_start INTEGER NOT NULL,
        provider TEXT NOT NULL,
        key TEXT NOT NULL,
        model TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        total_tokens INTEGER NOT NULL,
        estimated_tokens INTEGER NOT NULL,
        cost_nanos INTEGER NOT NULL,
        first_token_ms INTEGER NOT NULL,
        first_token_count INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        PRIMARY KEY (quarter_start, provider, key, model)
    ) WITHOUT ROWID;
    INSERT INTO usage
    SELECT quarter_start, provider, key, model, sum(attempts), sum(failures), sum(requests),
        sum(refused), sum(prompt), sum(completion), sum(total), sum(estimated), sum(cost),
        sum(first_token), sum(first_count), sum(duration)
    FROM (
        SELECT at - (at % 900000 + 900000) % 900000 AS quarter_start, provider, key, model,
            hops IS NULL AND provider <> '' AS attempts, 0 AS failures,
            provider <> '' AS requests, provider = '' AS refused,
            ifnull(prompt_tokens, 0) AS prompt, ifnull(completion_tokens, 0) AS completion,
            coalesce(total_tokens,
                ifnull(prompt_tokens, 0) + ifnull(completion_tokens, 0)) AS total,
            iif(estimated, coalesce(total_tokens,
                ifnull(prompt_tokens, 0) + ifnull(completion_tokens, 0)), 0) AS estimated,
            ifnull(cost_nanos, 0) AS cost, ifnull(first_token_ms, 0) AS first_token,
            first_token_ms IS NOT NULL AS first_count, duration_ms AS duration
        FROM requests
        UNION ALL
        SELECT at - (at % 900000 + 900000) % 900000, hop.value ->> 'provider',
            hop.value ->> 'key', hop.value ->> 'model', 1, hop.value ->> 'kind' IS NOT NULL,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        FROM requests, json_each(requests.hops) AS hop
        WHERE json_valid(requests.hops)
    )
    GROUP BY quarter_start, provider, key, model;",
];

/// How many steps this program knows.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// Takes the steps that the file has not seen, each in a transaction of its own.
///
/// # Errors
/// Whatever the file answers; the steps before the failing one stay done.
pub(crate) fn migrate(connection: &mut Connection, from: i64) -> Result<()> {
    for (done, step) in STEPS.iter().enumerate().skip(usize::try_from(from).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", done as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that has seen the first `version` steps.
    fn old(version: usize) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for step in &STEPS[..version] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", version as i64).unwrap();
        connection
    }

    fn rows(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn every_older_version_becomes_the_newest_with_its_rows() {
        for version in 1..STEPS.len() {
            let mut connection = old(version);
            connection
                .execute_batch("INSERT INTO state VALUES ('kind', 'p', 'k', 'm', '{}', 1);")
                .unwrap();
            migrate(&mut connection, version as i64).unwrap();
            assert_eq!(rows(&connection, "SELECT kind || value FROM state"), ["kind{}"]);
            let done: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(done, VERSION);
        }
    }

    #[test]
    fn usage_is_filled_from_the_requests_that_are_there() {
        let mut connection = old(1);
        let hops = r#"[{"provider":"x","key":"k2","model":"n","kind":"timeout"},
                       {"provider":"p","key":"k","model":"m","result":"200"}]"#;
        connection
            .execute_batch(&format!(
                "INSERT INTO requests VALUES
                 (1, 900001, '/', 'a', 0, 200, 'answered', 'p', 'k', 'm', 7, 3, NULL, 1, 50, 20, 90,
                  NULL, NULL),
                 (2, 900002, '/', 'a', 0, 200, 'answered', 'p', 'k', 'm', 7, 3, 11, 0, NULL, NULL,
                  80, '{hops}', NULL),
                 (3, 1800000, '/', 'a', 0, 503, 'refused', '', '', '', NULL, NULL, NULL, 0, NULL,
                  NULL, 1, 'not JSON', NULL);"
            ))
            .unwrap();
        migrate(&mut connection, 1).unwrap();
        let sums = "SELECT concat_ws(' ', quarter_start, provider, attempts, failures, requests,
            refused, prompt_tokens, completion_tokens, total_tokens, estimated_tokens, cost_nanos,
            first_token_ms, first_token_count, duration_ms) FROM usage ORDER BY 1";
        assert_eq!(
            rows(&connection, sums),
            [
                "1800000  0 0 0 1 0 0 0 0 0 0 0 1",
                "900000 p 2 0 2 0 14 6 21 10 50 20 1 170",
                "900000 x 1 1 0 0 0 0 0 0 0 0 0 0",
            ]
        );
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut connection = old(1);
        connection.execute_batch("CREATE TABLE usage (in_the_way);").unwrap();
        assert!(migrate(&mut connection, 1).is_err());
        let done: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(done, 1);
    }
}
