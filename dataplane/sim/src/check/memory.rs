//! When all has ended, memory is back where it began: every gauge of every shard is zero, and
//! nothing is left in the store.

use pharos_storage::Kind;

use super::Found;
use crate::world::World;

/// To be called when everything that was ever asked for has expired.
///
/// # Errors
/// Something is left: what.
pub fn memory(world: &World) -> Found {
    let left = world.gauges();
    if !left.is_empty() {
        return Err(format!("left in memory: {left:?}"));
    }
    for kind in Kind::ALL {
        match world.disk(|disk| disk.count(kind)) {
            0 => {}
            count => return Err(format!("left in the store: {count} of {}", kind.name())),
        }
    }
    Ok(())
}
