//! `/healthz`: is this server able to do its work?

use pharos_engine::counters::Snapshot;

/// What is wrong with the shards: those that did not answer.
pub(crate) fn silent(snapshots: &[Option<Snapshot>]) -> Vec<String> {
    let silent = |(shard, snapshot): (usize, &Option<Snapshot>)| {
        snapshot.is_none().then(|| format!("shard {shard} does not answer"))
    };
    snapshots.iter().enumerate().filter_map(silent).collect()
}

/// The page: status code and JSON body with every reason.
pub fn page(reasons: &[String]) -> (u16, String) {
    match reasons {
        [] => (200, serde_json::json!({ "status": "good" }).to_string()),
        _ => (503, serde_json::json!({ "status": "failing", "reasons": reasons }).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_make_it_503() {
        assert_eq!(page(&[]), (200, r#"{"status":"good"}"#.into()));
        let (status, body) = page(&silent(&[Some(Vec::new()), None]));
        assert_eq!(status, 503);
        assert_eq!(body, r#"{"reasons":["shard 1 does not answer"],"status":"failing"}"#);
    }
}
