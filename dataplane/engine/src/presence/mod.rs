//! Presence: PUBLISH (RFC 3903), SUBSCRIBE and NOTIFY (RFC 6665), composition and the event
//! packages.
//!
//! | file | what |
//! | --- | --- |
//! | `tables` | presentities, their topics (one for each package in use), links and look-ups |
//! | `queue` | one change of an AoR at a time: validate, store, apply, answer, notify |
//! | `publish`, `publication` | PUBLISH and what it makes |
//! | `subscribe`, `subscription` | SUBSCRIBE and what it makes |
//! | `authorize` | who may watch whom |
//! | `views` | what watchers see, composed once per change |
//! | `notify`, `outcome` | the next NOTIFY of a dialog, and what became of it |
//! | `work` | fan-out, the paced restart: lists that take more than one turn |
//! | `blocked` | who waits for a full window |
//! | `winfo` | who watches, told to the presentity |
//! | `durable`, `records` | what is stored of a change, and how |
//! | `behind`, `recover` | later to the store, and back |
//! | `read`, `refusal` | what a request says, and why it is refused |
//! | `package` | the event packages: pure functions of documents |

pub mod authorize;
mod behind;
mod blocked;
mod durable;
mod gauges;
mod notify;
mod outcome;
pub mod package;
mod publication;
mod publish;
mod queue;
mod read;
mod records;
mod recover;
mod refusal;
mod slab;
mod subscribe;
mod subscription;
mod tables;
#[cfg(test)]
mod trial;
mod views;
mod winfo;
mod work;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use pharos_storage::{Object, StoreError};

use crate::chunks::Chunks;
use crate::counters::Sample;
use crate::sip::{Incoming, Outcome, Sip, User};
use crate::{Core, Instant, Span};
use authorize::{Authorize, Switch};
use behind::{Dirty, Written};
use blocked::Blocked;
use package::{PackageId, Packages};
use queue::Job;
use recover::Recovery;
use slab::Id;
use subscription::Reserved;
use tables::{PresentityId, PublicationId, RowId, SubscriptionId, Tables};
use views::Memo;
use work::{Fan, Restart};

/// Presence's timers.
#[derive(Clone, Copy, Debug)]
pub enum PresenceTimer {
    /// A publication has reached its end.
    PublicationEnd(PublicationId),
    /// A subscription has reached its end.
    SubscriptionEnd(SubscriptionId),
    /// A watcher may be told something again.
    Notify(SubscriptionId),
    /// A watcher has waited long enough for permission.
    RowEnd(RowId),
    /// The next step of the paced restart.
    Restart,
    /// The next share of write-behind.
    WriteBehind,
}

/// Who waits for a storage reply.
#[derive(Debug)]
pub enum StoreOwner {
    /// The change under way of a presentity.
    Change(PresentityId),
    /// A subscription whose CSeqs were used up, and up to where it may go on.
    Reserve(SubscriptionId, Reserved),
    /// Nobody: it is tried again when it fails.
    Behind(Written),
}

/// The value of Allow-Events: every package served (row C70).
pub fn allow_events() -> &'static str {
    Packages::ALLOW_EVENTS
}

/// The value of Accept for a package's published bodies, or where there are none for its NOTIFY's.
pub fn accept(package: PackageId) -> &'static str {
    let info = package.info();
    info.publish_types.first().copied().unwrap_or(info.notify_type)
}

/// All presentities of a shard.
pub struct Presence {
    tables: Tables,
    authorize: Box<dyn Authorize + Send>,
    /// Least time between two NOTIFYs of a dialog, by package.
    intervals: [Span; PackageId::COUNT],
    recovery: Recovery,
    /// Changes and reservations that a lane has and has not answered.
    under_way: usize,
    fans: VecDeque<Fan>,
    blocked: Blocked,
    restart: Option<Restart>,
    dirty: Chunks<(Instant, Dirty)>,
    /// The shard stops: nothing is begun that could wait.
    draining: bool,
    /// The timer of the next step of write-behind is set.
    winding: bool,
    /// How many dirty objects are to be written now.
    quota: usize,
    memo: Option<Memo>,
    /// Scratch for the header lines of a NOTIFY.
    headers: Vec<u8>,
    /// Scratch for the body of a NOTIFY.
    body: Vec<u8>,
}

impl Presence {
    /// Nothing published, nobody subscribed.
    pub fn new(core: &mut Core) -> Self {
        Self {
            tables: Tables::new(core.keys.clone()),
            authorize: Box::new(Switch { force_active: core.config.presence.force_active }),
            intervals: Self::intervals(core),
            recovery: Recovery::default(),
            under_way: 0,
            fans: VecDeque::new(),
            blocked: Blocked::new(core),
            restart: None,
            dirty: Chunks::default(),
            draining: false,
            winding: false,
            quota: 0,
            memo: None,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A PUBLISH or SUBSCRIBE to answer.
    pub fn on_request(&mut self, core: &mut Core, sip: &mut Sip, incoming: Incoming<'_>) {
        self.admit(core, sip, &incoming);
        self.work(core, sip);
    }

    /// What became of a request of ours.
    pub fn on_outcome(&mut self, core: &mut Core, sip: &mut Sip, user: User, outcome: Outcome<'_>) {
        let User::Notify(bits) = user;
        if let Some(id) = Id::from_bits(bits) {
            self.on_notified(core, sip, id, &outcome);
        }
        self.work(core, sip);
    }

    /// A lane's reply.
    pub fn on_stored(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        owner: StoreOwner,
        result: Result<(), StoreError>,
    ) {
        match owner {
            StoreOwner::Change(presentity) => {
                self.on_change_stored(core, sip, presentity, result);
            }
            StoreOwner::Reserve(id, reserved) => {
                self.on_reserved(core, sip, id, result.ok().map(|()| reserved));
            }
            StoreOwner::Behind(written) => self.on_written(core, written, result),
        }
        self.work(core, sip);
    }

    /// A timer of ours fired.
    pub fn on_timer(&mut self, core: &mut Core, sip: &mut Sip, timer: PresenceTimer) {
        let ends = !matches!(timer, PresenceTimer::Restart | PresenceTimer::WriteBehind);
        if self.draining && ends {
            // What ends from now on is told by the next start, as all that ends while down.
            return;
        }
        match timer {
            PresenceTimer::PublicationEnd(id) => {
                let Some(publication) = self.tables.publications.get_mut(id) else { return };
                publication.timer = None;
                let owner = self.tables.topics[publication.topic].presentity;
                self.in_turn(core, sip, owner, Job::PublicationEnd(id));
            }
            PresenceTimer::SubscriptionEnd(id) => {
                let Some(subscription) = self.tables.subscriptions.get_mut(id) else { return };
                subscription.timer = None;
                let owner = self.tables.topics[subscription.topic].presentity;
                self.in_turn(core, sip, owner, Job::SubscriptionEnd(id));
            }
            PresenceTimer::Notify(id) => self.on_wake(core, sip, id),
            PresenceTimer::RowEnd(id) => self.on_row_end(core, id),
            PresenceTimer::Restart => self.on_restart_step(core, sip),
            PresenceTimer::WriteBehind => self.on_write_behind(core),
        }
    }

    /// A stored object, at start.
    pub fn on_object(&mut self, core: &mut Core, object: Object<'_>) {
        self.recover(core, object);
    }

    /// All objects are here.
    pub fn on_recovered(&mut self, core: &mut Core, clean: bool) {
        self.recovered(core, clean);
    }

    /// Go on with work lists, by at most `limits::OUTPUTS_PER_TICK` outputs.
    pub fn tick(&mut self, core: &mut Core, sip: &mut Sip) {
        self.work(core, sip);
    }

    /// When [`Presence::tick`] has something to do: now while work remains.
    pub fn next_work(&self, core: &Core) -> Option<Instant> {
        self.work_waits().then_some(core.now.instant)
    }

    /// Write back what is dirty. New requests are refused by the SIP layer.
    pub fn on_drain(&mut self, core: &mut Core, sip: &mut Sip) {
        self.draining = true;
        self.quota = self.dirty.len();
        self.work(core, sip);
    }

    /// Nothing is in flight, nothing unwritten, and nobody is owed a state from the last start: a
    /// stop before that is not a clean one.
    pub fn is_drained(&self) -> bool {
        let told = self.fans.is_empty() && self.blocked.is_empty() && self.restart.is_none();
        self.under_way == 0 && self.dirty.is_empty() && told
    }

    /// What there is, for metrics.
    pub fn gauges(&self, out: &mut Vec<Sample>) {
        self.write_gauges(out);
    }
}
