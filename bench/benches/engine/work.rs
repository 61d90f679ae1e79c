//! The operations, over a shard that holds many presentities: each in batches, whose messages are
//! written and whose leftovers are removed while nobody measures.

use std::time::Duration;

use pharos_engine::Span;

use crate::message::{EXPIRES, ok, options, port, publish, subscribe, value};
use crate::stand::{Post, Stand};

/// Messages in a batch.
const BATCH: usize = 2_048;
/// As long as a shard keeps what answers repeats, and as long as the disk may lag.
const SETTLE: Span = Span::seconds(33);
/// Watchers of the one presentity that a fan-out is for.
pub(crate) const WATCHERS: usize = 1_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A first PUBLISH.
    Initial,
    /// A PUBLISH without a document.
    Refresh,
    /// A PUBLISH with a new document.
    Modify,
    /// A PUBLISH with Expires 0.
    Remove,
    /// A SUBSCRIBE, its NOTIFY and the 200 to that.
    Subscribe,
    /// A NOTIFY and its 200, of 1 000 that one PUBLISH leads to, to 64 addresses.
    FanOut,
    /// The same to one address.
    FanOutOne,
    /// A refresh that comes again.
    Repeat,
    /// OPTIONS.
    Options,
    /// A PUBLISH for an AoR of another shard.
    Foreign,
}

impl Op {
    /// All, with the names they are called by.
    pub(crate) const ALL: [(&'static str, Self); 10] = [
        ("initial", Self::Initial),
        ("refresh", Self::Refresh),
        ("modify", Self::Modify),
        ("remove", Self::Remove),
        ("subscribe", Self::Subscribe),
        ("fanout", Self::FanOut),
        ("fanout-one", Self::FanOutOne),
        ("repeat", Self::Repeat),
        ("options", Self::Options),
        ("foreign", Self::Foreign),
    ];
}

#[derive(Clone, Default)]
struct User {
    tag: String,
    cseq: u32,
}

/// A shard at work.
pub(crate) struct Work {
    pub(crate) stand: Stand,
    users: Vec<User>,
    /// Users that the operation runs over.
    members: Vec<usize>,
    /// Where the walk over the users is.
    at: usize,
    watchers: usize,
    fanning: bool,
    post: Post,
}

impl Work {
    /// A shard in which so many users have published.
    pub(crate) fn new(op: Op, commit: bool, presentities: usize) -> Self {
        let shards = if op == Op::Foreign { 2 } else { 1 };
        let mut work = Self {
            stand: Stand::new(commit, shards),
            users: vec![User::default(); presentities],
            members: (0..presentities).collect(),
            at: 0,
            watchers: 0,
            fanning: false,
            post: Post::default(),
        };
        match op {
            Op::Foreign => work.members.retain(|n| {
                let before = work.stand.forwarded;
                work.post.clear();
                work.post.write(port(*n), |out| publish(out, *n, 1, "", true, EXPIRES));
                work.stand.deliver(&work.post);
                work.stand.forwarded > before
            }),
            _ => work.fill(presentities),
        }
        work.stand.sent.clear();
        work
    }

    /// A shard with nothing in it, for so many users; buffers stay as they are.
    pub(crate) fn emptied(self, commit: bool, users: usize) -> Self {
        let tag = "x".repeat(32);
        let user = User { tag, cseq: 0 };
        let mut users = vec![user; users];
        users.iter_mut().for_each(|user| user.tag.clear());
        let stand = self.stand.emptied(commit);
        Self { stand, users, members: Vec::new(), watchers: 0, ..self }
    }

    /// The first so many users publish.
    pub(crate) fn fill(&mut self, presentities: usize) {
        for first in (0..presentities).step_by(BATCH) {
            let users: Vec<usize> = (first..presentities.min(first + BATCH)).collect();
            self.publish(&users, true, EXPIRES);
        }
        self.stand.pass(SETTLE);
    }

    /// Do it so many times, or a little more often; the time for so many.
    pub(crate) fn run(&mut self, op: Op, times: u64) -> Duration {
        let (mut time, mut done) = (Duration::ZERO, 0);
        while done < times {
            let batch = BATCH.min((times - done) as usize).max(1);
            let (more, count) = self.batch(op, batch);
            time += more;
            done += count as u64;
        }
        Duration::from_nanos((time.as_nanos() * u128::from(times) / u128::from(done)) as u64)
    }

    /// The time it took, and how often it was done.
    fn batch(&mut self, op: Op, count: usize) -> (Duration, usize) {
        let time = match op {
            Op::Initial => {
                let users = self.fresh(count);
                self.stand.counting = true;
                let time = self.publish(&users, true, EXPIRES) + self.stand.pass(SETTLE);
                self.stand.counting = false;
                self.publish(&users, false, 0);
                self.stand.pass(SETTLE);
                time
            }
            Op::Remove => {
                let users = self.fresh(count);
                self.publish(&users, true, EXPIRES);
                self.stand.pass(SETTLE);
                self.stand.counting = true;
                self.publish(&users, false, 0) + self.stand.pass(SETTLE)
            }
            Op::Refresh | Op::Modify => {
                let users = self.walk(count);
                self.stand.counting = true;
                self.publish(&users, op == Op::Modify, EXPIRES)
            }
            Op::Repeat => {
                let users = self.walk(count);
                self.publish(&users, false, EXPIRES);
                self.stand.counting = true;
                let time = self.stand.deliver(&self.post);
                self.answers();
                time
            }
            Op::Subscribe => self.subscriptions(count),
            Op::FanOut | Op::FanOutOne => self.fan_out(op),
            Op::Options | Op::Foreign => {
                self.post.clear();
                for n in self.walk(count) {
                    let user = &mut self.users[n];
                    user.cseq += 1;
                    self.post.write(port(n), |out| match op {
                        Op::Options => options(out, n, user.cseq),
                        _ => publish(out, n, user.cseq, "", true, EXPIRES),
                    });
                }
                self.stand.counting = true;
                let time = self.stand.deliver(&self.post);
                self.stand.sent.clear();
                time
            }
        };
        self.stand.counting = false;
        (time, if matches!(op, Op::FanOut | Op::FanOutOne) { WATCHERS } else { count })
    }

    /// Users that have nothing published.
    fn fresh(&mut self, count: usize) -> Vec<usize> {
        let first = self.users.len();
        self.users.resize(first + count, User::default());
        (first..first + count).collect()
    }

    /// The next so many users in an order that no cache likes: each once before any comes again.
    fn walk(&mut self, count: usize) -> Vec<usize> {
        // A prime that divides no count of users that is used here.
        const STEP: usize = 1_000_003;
        let next = |_| {
            self.at = (self.at + STEP) % self.members.len();
            self.members[self.at]
        };
        (0..count).map(next).collect()
    }

    /// Each of these users publishes; the time it took.
    fn publish(&mut self, users: &[usize], body: bool, expires: u32) -> Duration {
        self.post.clear();
        for n in users {
            let user = &mut self.users[*n];
            user.cseq += 1;
            let (tag, cseq) = (&user.tag, user.cseq);
            self.post.write(port(*n), |out| publish(out, *n, cseq, tag, body, expires));
        }
        let time = self.stand.deliver(&self.post);
        let answers = self.stand.sent.texts().filter(|text| text.starts_with("SIP/2.0 "));
        let mut count = 0;
        for (n, text) in users.iter().zip(answers) {
            assert!(text.starts_with("SIP/2.0 200 "), "{text}");
            let tag = value(text, "SIP-ETag").filter(|_| expires > 0);
            let known = &mut self.users[*n].tag;
            known.clear();
            known.push_str(tag.unwrap_or_default());
            count += 1;
        }
        assert_eq!(count, users.len(), "each has its answer");
        if !self.fanning {
            self.stand.sent.clear();
        }
        time
    }

    fn answers(&mut self) {
        assert_eq!(self.stand.sent.len(), self.post.len(), "each has its answer");
        self.stand.sent.clear();
    }

    /// New watchers of users that have published, with their NOTIFYs; and gone again.
    fn subscriptions(&mut self, count: usize) -> Duration {
        let pairs: Vec<(usize, usize)> = self.walk(count).into_iter().enumerate().collect();
        let first = self.watchers;
        self.stand.counting = true;
        let (time, tags) = self.subscribe(first, &pairs);
        let time = time + self.stand.pass(SETTLE);
        self.stand.counting = false;
        self.post.clear();
        for ((place, user), tag) in pairs.iter().zip(&tags) {
            let w = first + place;
            self.post.write(port(w), |out| subscribe(out, w, *user, 2, tag, 0));
        }
        self.stand.deliver(&self.post);
        self.acknowledge();
        self.stand.pass(SETTLE);
        time
    }

    /// Watchers from number `first` on, each of its user; the time, and our tags.
    pub(crate) fn subscribe(
        &mut self,
        first: usize,
        pairs: &[(usize, usize)],
    ) -> (Duration, Vec<String>) {
        self.watchers += pairs.len();
        self.post.clear();
        for (place, user) in pairs {
            let w = first + place;
            self.post.write(port(w), |out| subscribe(out, w, *user, 1, "", EXPIRES));
        }
        let time = self.stand.deliver(&self.post);
        let answers = self.stand.sent.texts().filter(|text| text.starts_with("SIP/2.0 "));
        let tag =
            |text: &str| value(text, "To").and_then(|to| Some(to.split_once(";tag=")?.1.into()));
        let tags: Vec<String> = answers.filter_map(tag).collect();
        assert_eq!(tags.len(), pairs.len(), "each has its answer");
        let (more, notifies) = self.acknowledge();
        assert_eq!(notifies, pairs.len(), "each has its NOTIFY");
        (time + more, tags)
    }

    /// Answer the NOTIFYs that were sent, and those that follow; the time of that, and how many.
    fn acknowledge(&mut self) -> (Duration, usize) {
        let (mut time, mut count) = (Duration::ZERO, 0);
        loop {
            self.post.clear();
            for text in self.stand.sent.texts().filter(|text| text.starts_with("NOTIFY ")) {
                let uri = text.split_once(" SIP/2.0").map_or("", |(start, _)| start);
                let from = uri.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                self.post.write(from.unwrap_or(port(0)), |out| ok(out, text));
            }
            self.stand.sent.clear();
            if self.post.len() == 0 {
                return (time, count);
            }
            count += self.post.len();
            time += self.stand.deliver(&self.post) + self.stand.work();
        }
    }

    /// One change of a presentity that many watch.
    fn fan_out(&mut self, op: Op) -> Duration {
        if self.watchers == 0 {
            // Watchers with numbers that are 64 apart are at one address.
            let apart = if op == Op::FanOutOne { 64 } else { 1 };
            for first in (0..WATCHERS).step_by(200) {
                let pairs: Vec<_> = (0..200).map(|place| ((first + place) * apart, 0)).collect();
                self.subscribe(0, &pairs);
            }
            self.stand.pass(SETTLE);
        }
        (self.fanning, self.stand.counting) = (true, true);
        let time = self.publish(&[0], true, EXPIRES) + self.stand.work();
        let (more, count) = self.acknowledge();
        assert_eq!(count, WATCHERS, "each watcher has its NOTIFY");
        time + more
    }

    /// So many watchers of so many users.
    pub(crate) fn watch(&mut self, watchers: usize, users: usize) {
        let known = self.watchers;
        for first in (0..watchers).step_by(BATCH) {
            let places = 0..BATCH.min(watchers - first);
            let pairs: Vec<_> = places.map(|place| (place, (first + place) % users)).collect();
            self.subscribe(known + first, &pairs);
        }
        self.stand.pass(Span::seconds(40));
    }
}
