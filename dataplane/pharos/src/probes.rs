//! What the control thread asks of the rest: figures of runtime and lanes, and what ails them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pharos_control::Probes;
use pharos_control::metrics::Metric;
use pharos_runtime::Gauges;
use pharos_storage_lmdb::{Health, Snapshot};

/// A lane whose oldest operation waits longer than this answers 503 to new work, nanoseconds.
const SLOW: u64 = 1_000_000_000;

/// The probes of a running server; it is unhealthy once `draining` is set.
pub(crate) fn of(gauges: &Gauges, draining: &Arc<AtomicBool>) -> Probes {
    let [for_runtime, for_lanes, for_health] = [gauges.clone(), gauges.clone(), gauges.clone()];
    let draining = Arc::clone(draining);
    Probes {
        runtime: Box::new(move || for_runtime.shards().map(|(_, snapshot)| snapshot).collect()),
        metrics: Box::new(move || lane_metrics(&for_lanes.lanes())),
        ailments: Box::new(move || {
            let mut ailments = lane_ailments(&for_health.lanes());
            if draining.load(Ordering::Relaxed) {
                ailments.push("the server is stopping".into());
            }
            ailments
        }),
    }
}

fn lane_ailments(lanes: &[Snapshot]) -> Vec<String> {
    let ailment = |(lane, snapshot): (usize, &Snapshot)| match snapshot.health {
        Health::Closed => Some(format!(
            "lane {lane} is closed since a commit failed; what it keeps is safe, restart the server"
        )),
        Health::Full => Some(format!("lane {lane} has no room: the disk or its map is full")),
        Health::Good if snapshot.oldest_age > SLOW => {
            let millis = snapshot.oldest_age / 1_000_000;
            Some(format!("lane {lane} is slow: its oldest operation has waited {millis} ms"))
        }
        Health::Good => None,
    };
    lanes.iter().enumerate().filter_map(ailment).collect()
}

const NANOS: f64 = 1e-9;

/// `name kind "help" value;` for each figure of a lane.
macro_rules! figures {
    ($lane:ident: $($name:ident $kind:ident $help:literal $value:expr;)*) => {
        vec![$(Metric {
            counter: figures!(@$kind),
            ..Metric::gauge(concat!("lane_", stringify!($name)), $help, $value)
        },)*]
    };
    (@counter) => { true };
    (@gauge) => { false };
}

fn figures(lane: &Snapshot) -> Vec<Metric> {
    figures! { lane:
        healthy gauge "1 while the lane commits, 0 when it is full or closed."
            f64::from(u8::from(lane.health == Health::Good));
        queued_operations gauge "Operations that wait for their commit."
            lane.queued_ops as f64;
        queued_bytes gauge "Bytes that they hold."
            lane.queued_bytes as f64;
        oldest_age_seconds gauge "How long the oldest of them has waited."
            lane.oldest_age as f64 * NANOS;
        commits counter "Commits that returned."
            lane.commits as f64;
        commits_failed counter "Commits that failed."
            lane.failed_commits as f64;
        commit_seconds counter "Time spent in commits."
            lane.commit_nanos as f64 * NANOS;
        commit_seconds_max gauge "The longest commit."
            lane.commit_nanos_max as f64 * NANOS;
        operations counter "Operations made durable."
            lane.ops as f64;
        appended_bytes counter "Bytes appended for them."
            lane.appended_bytes as f64;
        moved_records counter "Records that the cleaner moved to the head."
            lane.moved_records as f64;
        freed_bytes counter "Bytes that the cleaner gave back."
            lane.freed_bytes as f64;
        refused counter "Requests not taken: the lane was behind or closed."
            lane.refused as f64;
        failed counter "Requests taken whose commit failed."
            lane.failed as f64;
        objects gauge "Live objects."
            lane.objects as f64;
        live_bytes gauge "Bytes of their records."
            lane.live_bytes as f64;
        log_bytes gauge "Bytes of all records; at most twice the live ones and 64 MiB."
            lane.log_bytes as f64;
        damaged_records gauge "Records that failed their checksum at the start."
            lane.damaged as f64;
    }
}

fn lane_metrics(lanes: &[Snapshot]) -> Vec<Metric> {
    let of = |(lane, snapshot): (usize, &Snapshot)| {
        figures(snapshot).into_iter().map(move |metric| metric.label("lane", lane))
    };
    lanes.iter().enumerate().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(health: Health, oldest_age: u64) -> Snapshot {
        Snapshot {
            queued_ops: 0,
            queued_bytes: 0,
            oldest_age,
            health,
            commits: 3,
            failed_commits: 0,
            ops: 0,
            appended_bytes: 0,
            moved_records: 0,
            freed_bytes: 0,
            refused: 0,
            failed: 0,
            commit_nanos: 1_500_000_000,
            commit_nanos_max: 0,
            objects: 0,
            live_bytes: 0,
            log_bytes: 0,
            damaged: 0,
        }
    }

    /// Architecture section 5: closed, full and slow lanes are told apart.
    #[test]
    fn ailing_lanes_are_named() {
        let lanes = [
            lane(Health::Good, 0),
            lane(Health::Full, 0),
            lane(Health::Closed, 0),
            lane(Health::Good, 2_000_000_000),
        ];
        let ailments = lane_ailments(&lanes);
        assert_eq!(ailments.len(), 3);
        assert!(ailments[0].starts_with("lane 1 has no room"));
        assert!(ailments[1].starts_with("lane 2 is closed"));
        assert!(ailments[2].ends_with("waited 2000 ms"));
    }

    #[test]
    fn every_lane_has_its_figures() {
        let metrics = lane_metrics(&[lane(Health::Good, 0), lane(Health::Full, 0)]);
        let page = pharos_control::metrics::page(&metrics);
        assert!(page.contains("pharos_lane_commit_seconds_total{lane=\"0\"} 1.5\n"), "{page}");
        assert!(page.contains("pharos_lane_healthy{lane=\"1\"} 0\n"), "{page}");
    }
}
