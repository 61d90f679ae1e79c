//! Commit mode: a 2xx means that the state survives any crash, and nothing that a watcher saw is
//! lost by one. The model replays the run with crashes that take nothing.

use super::Found;
use crate::history::History;
use crate::model::Model;

pub(super) fn check(history: &History) -> Found {
    if history.loss.0 > 0 {
        return Ok(());
    }
    Model::replay(history).map(drop)
}
