//! Who waits for a window: a destination that has as many requests under way as it may have, or the
//! shard itself. Each destination has its own line, so that a place that opens is a look at one
//! subscription, however many wait elsewhere.

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use super::Presence;
use super::subscription::Delivery;
use super::tables::SubscriptionId;
use crate::map::{Hashing, Map};
use crate::sip::Sip;
use crate::{Core, limits};

/// The lines.
pub(super) struct Blocked {
    /// By destination; a line is there while somebody stands in it.
    towards: Map<SocketAddr, VecDeque<SubscriptionId>>,
    /// Those who wait for a place in the shard, wherever they want to.
    anywhere: VecDeque<SubscriptionId>,
    /// Destinations with a line whose window has opened.
    ready: VecDeque<SocketAddr>,
    /// A NOTIFY has ended since those who may try again did.
    ended: bool,
    len: usize,
}

impl Blocked {
    pub(super) fn new(core: &mut Core) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&core.random().to_be_bytes());
        key[8..].copy_from_slice(&core.random().to_be_bytes());
        Self {
            towards: Map::with_hasher(Hashing::new(key)),
            anywhere: VecDeque::new(),
            ready: VecDeque::new(),
            ended: false,
            len: 0,
        }
    }

    /// How many wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Nobody waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One more waits: for this destination, or for a place in the shard.
    pub(super) fn add(&mut self, id: SubscriptionId, towards: Option<SocketAddr>) {
        self.len += 1;
        match towards {
            Some(peer) => self.towards.entry(peer).or_default().push_back(id),
            None => self.anywhere.push_back(id),
        }
    }

    /// A NOTIFY has ended: there may be a place in the shard.
    pub(super) const fn ended(&mut self) {
        self.ended = true;
    }

    /// Somebody may try again.
    pub(super) fn may_go_on(&self) -> bool {
        self.ended && !(self.ready.is_empty() && self.anywhere.is_empty())
    }

    fn pop_towards(&mut self, peer: SocketAddr) -> Option<SubscriptionId> {
        let line = self.towards.get_mut(&peer)?;
        let id = line.pop_front();
        if line.is_empty() {
            self.towards.remove(&peer);
        }
        self.len -= usize::from(id.is_some());
        id
    }

    fn pop_anywhere(&mut self) -> Option<SubscriptionId> {
        let id = self.anywhere.pop_front();
        self.len -= usize::from(id.is_some());
        id
    }
}

impl Presence {
    /// Let those try again whose window may have opened.
    pub(super) fn unblock(&mut self, core: &mut Core, sip: &mut Sip, left: &mut usize) {
        while let Some(peer) = sip.pop_opened() {
            if self.blocked.towards.contains_key(&peer) {
                self.blocked.ready.push_back(peer);
                self.blocked.ended = true;
            }
        }
        if !core::mem::take(&mut self.blocked.ended) {
            return;
        }
        while *left > 0
            && sip.has_room()
            && let Some(peer) = self.blocked.ready.pop_front()
        {
            self.unblock_towards(core, sip, peer, left);
        }
        let mut tries = self.blocked.anywhere.len().min(limits::OUTPUTS_PER_TICK * 4);
        while *left > 0
            && tries > 0
            && sip.has_room()
            && let Some(id) = self.blocked.pop_anywhere()
        {
            tries -= 1;
            *left -= usize::from(self.retry(core, sip, id));
        }
        // Those not looked at yet have the next turn.
        self.blocked.ended |= *left == 0 || tries == 0 && sip.has_room();
    }

    /// The line of one destination, until its window is full. That opens again; what else stops it
    /// leaves the destination ready.
    fn unblock_towards(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        peer: SocketAddr,
        left: &mut usize,
    ) {
        while sip.has_room_for(peer) {
            if *left == 0 {
                break;
            }
            let Some(id) = self.blocked.pop_towards(peer) else { return };
            *left -= usize::from(self.retry(core, sip, id));
        }
        if sip.has_room_for(peer) || !sip.has_room() {
            self.blocked.ready.push_front(peer);
        }
    }

    /// True when its NOTIFY went out.
    fn retry(&mut self, core: &mut Core, sip: &mut Sip, id: SubscriptionId) -> bool {
        match self.tables.subscriptions.get_mut(id) {
            Some(subscription) if subscription.delivery == Delivery::Blocked => {
                subscription.delivery = Delivery::Idle;
                self.deliver(core, sip, id)
            }
            _ => false,
        }
    }
}
