//! Connections: which there are, to whom, and who has to know when one goes.
//!
//! A shard keeps account of the connections it holds and of those of other shards that brought it
//! messages. The holder remembers which shards it handed messages to and tells them when the
//! connection goes, so that nobody sends into the void for long.

use core::net::SocketAddr;

use smallvec::SmallVec;

use crate::core::Timer;
use crate::counters::Count;
use crate::io::Mesh;
use crate::limits;
use crate::map::{Hashing, Map};
use crate::net::{FlowId, ListenerId, Path, ShardId, Transport};
use crate::sip::SipTimer;
use crate::{Core, Instant, Span};

/// One connection.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) peer: SocketAddr,
    pub(super) transport: Transport,
    pub(super) listener: ListenerId,
    /// Established; before that messages are queued by the runtime.
    pub(super) up: bool,
    last_used: Instant,
    told: SmallVec<[ShardId; 4]>,
}

/// All connections that this shard knows.
#[derive(Debug)]
pub(super) struct Flows {
    flows: Map<FlowId, Flow>,
    by_peer: Map<(SocketAddr, Transport), FlowId>,
    serial: u64,
}

impl Flows {
    pub(super) fn new(hashing: Hashing) -> Self {
        Self { flows: Map::with_hasher(hashing), by_peer: Map::with_hasher(hashing), serial: 0 }
    }

    /// A message came: its connection, if any, is known from now on.
    pub(super) fn seen(&mut self, core: &mut Core, path: &Path) {
        let Some(id) = path.flow else { return };
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.last_used = core.now.instant;
            return;
        }
        if self.is_full() {
            core.counters.add(Count::FlowsFull);
            return;
        }
        self.insert(core, id, path.listener, Transport::Tcp, path.peer, true);
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// There may be connections that are not accounted for.
    pub(super) fn is_full(&self) -> bool {
        self.flows.len() >= limits::FLOWS_MAX
    }

    /// The index by peer leads to connections there are.
    pub(super) fn check(&self) {
        for (place, id) in &self.by_peer {
            let flow = self.flows.get(id);
            assert!(flow.is_some_and(|flow| (flow.peer, flow.transport) == *place));
        }
    }

    pub(super) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id)
    }

    /// The connection to this peer, when there is one.
    pub(super) fn to_peer(&self, peer: SocketAddr, transport: Transport) -> Option<FlowId> {
        self.by_peer.get(&(peer, transport)).copied()
    }

    /// The connection to this peer, opened if need be; `None` when there are too many.
    pub(super) fn connect(
        &mut self,
        core: &mut Core,
        listener: ListenerId,
        transport: Transport,
        peer: SocketAddr,
    ) -> Option<FlowId> {
        if let Some(id) = self.to_peer(peer, transport) {
            self.used(core, id);
            return Some(id);
        }
        if self.is_full() {
            core.counters.add(Count::FlowsFull);
            return None;
        }
        self.serial += 1;
        let id = FlowId::opened(core.config.shard, self.serial);
        self.insert(core, id, listener, transport, peer, false);
        let idle = core.now.instant + Span::millis(limits::FLOW_IDLE_MS);
        core.set_timer(idle, Timer::Sip(SipTimer::FlowIdle(id)));
        core.emit_connect(id, listener, transport, peer);
        Some(id)
    }

    pub(super) fn used(&mut self, core: &Core, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.last_used = core.now.instant;
        }
    }

    pub(super) fn opened(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.up = true;
        }
    }

    /// A message of this connection goes to another shard, which so comes to know it.
    pub(super) fn told(&mut self, id: FlowId, shard: ShardId) {
        if let Some(flow) = self.flows.get_mut(&id)
            && !flow.told.contains(&shard)
        {
            flow.told.push(shard);
        }
    }

    /// The connection is gone: forget it, and tell whoever may send on it.
    pub(super) fn gone(&mut self, core: &mut Core, id: FlowId) {
        let Some(flow) = self.flows.remove(&id) else { return };
        if self.by_peer.get(&(flow.peer, flow.transport)) == Some(&id) {
            self.by_peer.remove(&(flow.peer, flow.transport));
        }
        for shard in flow.told {
            core.emit_mesh(shard, Mesh::FlowGone { flow: id });
        }
    }

    /// Close a connection of ours that nobody has used for long, else look again later.
    pub(super) fn idle(&mut self, core: &mut Core, id: FlowId) {
        let Some(flow) = self.flows.get(&id) else { return };
        let end = flow.last_used + Span::millis(limits::FLOW_IDLE_MS);
        if end <= core.now.instant {
            core.emit_close(id);
            self.gone(core, id);
        } else {
            core.set_timer(end, Timer::Sip(SipTimer::FlowIdle(id)));
        }
    }

    fn insert(
        &mut self,
        core: &Core,
        id: FlowId,
        listener: ListenerId,
        transport: Transport,
        peer: SocketAddr,
        up: bool,
    ) {
        let told = SmallVec::new();
        let flow = Flow { peer, transport, listener, up, last_used: core.now.instant, told };
        self.flows.insert(id, flow);
        // The newest connection to a peer is the one most likely alive.
        self.by_peer.insert((peer, transport), id);
    }
}
