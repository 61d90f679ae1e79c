//! What must be true of a shard between any two inputs. Simulators and tests call
//! [`Shard::check`] after each step; it looks at everything, so it is not for production.

use crate::Shard;

impl Shard {
    /// Compare what is kept twice with each other and with its bound.
    ///
    /// # Panics
    /// When the shard contradicts itself: a defect of the engine, never of its input.
    pub fn check(&self) {
        self.core.check();
        self.sip.check();
    }
}
