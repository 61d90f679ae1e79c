//! `verify`: what is stored is whole and fits together.

use std::io::Write;
use std::path::Path;

use hashbrown::HashSet;
use pharos_storage::record::{Publication, Subscription, Watcher};
use pharos_storage::{Kind, ObjectId, aor_hash, decode, lane_of};
use serde_json::json;

use super::follow::{Copied, Follower};
use super::{ToolError, line, meta};
use crate::directory::Meta;
use crate::index::Mix;

/// What was looked at and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records read.
    pub records: u64,
    /// Live objects decoded.
    pub objects: u64,
    /// What is wrong; each was written as a line too.
    pub problems: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// A record fails its checksum.
    Damaged,
    /// A live object is no record of any version this program knows.
    Undecodable,
    /// A record's hash is not that of its AoR under the directory's key.
    Hash,
    /// An object lies in a lane that its hash does not choose.
    Lane,
    /// A publication names a body that is not there.
    NoBody,
    /// A body that no publication names.
    Orphan,
}

impl Problem {
    const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "record fails its checksum",
            Self::Undecodable => "object cannot be decoded",
            Self::Hash => "hash is not that of the AoR",
            Self::Lane => "object in the wrong lane",
            Self::NoBody => "publication without its body",
            Self::Orphan => "body without a publication",
        }
    }
}

/// Reads every record and checks every live object; one JSON line for each problem and one for the
/// whole.
///
/// # Errors
/// See [`ToolError`]; a problem is not an error.
pub fn verify(dir: &Path, out: &mut dyn Write) -> Result<Verified, ToolError> {
    let meta = meta(dir)?;
    let mut verified = Verified::default();
    for lane in 0..meta.lanes {
        let Some(follower) = Follower::open(dir, lane)? else { continue };
        let mut check = Check { lane, meta: &meta, out, verified: &mut verified };
        check.lane(follower)?;
    }
    let Verified { records, objects, problems } = verified;
    line(out, &json!({ "records": records, "objects": objects, "problems": problems }))?;
    Ok(verified)
}

struct Check<'c> {
    lane: u16,
    meta: &'c Meta,
    out: &'c mut dyn Write,
    verified: &'c mut Verified,
}

impl Check<'_> {
    fn lane(&mut self, mut follower: Follower) -> Result<(), ToolError> {
        let mut damaged = Vec::new();
        follower.catch_up(&mut |sequence, _, entry| {
            self.verified.records += 1;
            if entry.is_none() {
                damaged.push(sequence);
            }
        })?;
        for sequence in damaged {
            self.problem(Problem::Damaged, json!({ "sequence": sequence }))?;
        }
        let (mut bodies, mut named) = (Vec::new(), HashSet::<u64, Mix>::default());
        let body_of = |object: &pharos_storage::Object<'_>| match object.kind {
            Kind::Publication => {
                let body = decode::<Publication>(object.bytes).ok()?.body;
                (body != 0).then_some(ObjectId(body))
            }
            _ => None,
        };
        follower.objects(&body_of, &mut |_, object| {
            self.verified.objects += 1;
            if object.kind == Kind::Body {
                bodies.push(object.id);
            }
            self.object(&object, &mut |body| _ = named.insert(body))
        })?;
        follower.catch_up(&mut |_, _, _| {})?;
        for id in bodies.into_iter().filter(|id| !named.contains(&id.0) && follower.holds(*id)) {
            self.problem(Problem::Orphan, json!({ "id": id.0 }))?;
        }
        follower.close();
        Ok(())
    }

    fn object(&mut self, object: &Copied, name: &mut dyn FnMut(u64)) -> Result<(), ToolError> {
        let aor = match object.kind {
            Kind::Body => Ok(None),
            Kind::Publication => decode::<Publication>(&object.bytes).map(|record| {
                if record.body != 0 {
                    name(record.body);
                }
                Some((record.aor, record.body != 0 && object.related.is_none()))
            }),
            Kind::Subscription => {
                decode::<Subscription>(&object.bytes).map(|record| Some((record.aor, false)))
            }
            Kind::Watcher => {
                decode::<Watcher>(&object.bytes).map(|record| Some((record.aor, false)))
            }
        };
        let at = json!({ "id": object.id.0, "kind": object.kind.name() });
        if lane_of(object.hash, self.meta.lanes) != self.lane {
            self.problem(Problem::Lane, at.clone())?;
        }
        match aor {
            Err(_) => self.problem(Problem::Undecodable, at),
            Ok(Some((aor, _))) if aor_hash(&self.meta.key, aor.as_bytes()) != object.hash => {
                self.problem(Problem::Hash, at)
            }
            Ok(Some((_, true))) => self.problem(Problem::NoBody, at),
            Ok(_) => Ok(()),
        }
    }

    fn problem(&mut self, problem: Problem, mut at: serde_json::Value) -> Result<(), ToolError> {
        self.verified.problems += 1;
        at["lane"] = self.lane.into();
        at["problem"] = problem.name().into();
        line(self.out, &at)
    }
}
