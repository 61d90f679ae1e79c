//! What clients have in common: they act when it is their time, and say when that is next.

use std::fmt;

use pharos_engine::Instant;

use crate::phone::Phone;
use crate::random::Random;

/// What the time is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Anything may happen.
    Storm,
    /// Everybody keeps up what is there.
    Calm,
}

/// What a client sees of the world when it acts.
pub(crate) struct Scene<'s> {
    pub(crate) now: Instant,
    pub(crate) mood: Mood,
    pub(crate) random: &'s mut Random,
    /// Numbers given out.
    pub(crate) serial: &'s mut u64,
    /// Users that can be watched: p0, p1, ...
    pub(crate) users: u64,
    /// Milliseconds between two deeds, at the most.
    pub(crate) pause: u64,
    /// Longest Expires, seconds.
    pub(crate) longest: u64,
    /// User agents may misbehave.
    pub(crate) manners: bool,
    /// In the calm: from then on everybody publishes once more.
    pub(crate) renewal: Instant,
}

impl Scene<'_> {
    /// A number that was never given before.
    pub(crate) const fn number(&mut self) -> u64 {
        *self.serial += 1;
        *self.serial
    }

    /// Seconds that somebody asks for.
    pub(crate) const fn expires(&mut self) -> u64 {
        self.random.between(60, self.longest)
    }
}

/// A user agent with a will.
pub(crate) trait Client: fmt::Debug {
    /// Do something; when to do the next thing.
    fn act(&mut self, scene: &mut Scene<'_>) -> Instant;

    /// Its user agent.
    fn phone(&self) -> &Phone;

    /// Faults stop: be good from now on.
    fn behave(&mut self) {}
}
