//! What is compared: Pharos in both modes of durability, Kamailio in both of storage.

use std::path::PathBuf;
use std::time::Duration;

use pharos_bench::peer::{Peer, is_installed, kamailio, pharos};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Pharos that answers at once. What it writes behind follows within a second (by default 30),
    /// so that it falls into the measurement.
    Periodic,
    /// Pharos that answers after the commit.
    Commit,
    /// Kamailio in memory, with so many workers.
    Memory(usize),
    /// Kamailio writing through to MariaDB, with eight.
    Database,
}

impl System {
    /// After a phase: for what was put off.
    pub(crate) fn settle(self) -> Duration {
        match self {
            Self::Periodic => Duration::from_millis(1_500),
            _ => Duration::from_millis(300),
        }
    }

    /// For the progress bar.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Periodic => "Pharos periodic".into(),
            Self::Commit => "Pharos commit".into(),
            Self::Memory(workers) => format!("Kamailio memory, {workers} workers"),
            Self::Database => "Kamailio database".into(),
        }
    }
}

/// Lines of Pharos' configuration beyond the mode.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra<'a> {
    /// At the top level.
    pub(crate) top: &'a str,
    /// Under `[presence]`.
    pub(crate) presence: &'a str,
}

/// How they are started.
#[derive(Clone, Debug)]
pub(crate) struct Systems {
    /// Our binary.
    pub(crate) pharos: PathBuf,
    /// Numbers of Kamailio's workers to try; none = leave Kamailio out.
    pub(crate) workers: Vec<usize>,
    /// The database as well.
    pub(crate) database: bool,
}

impl Systems {
    /// Leaves out what is not installed.
    pub(crate) fn only_installed(&mut self) {
        if !is_installed("kamailio") {
            self.workers.clear();
        }
        self.database &= is_installed("mariadbd") && !self.workers.is_empty();
    }

    /// Kamailio in memory, with each number of workers.
    pub(crate) fn memory(&self) -> impl Iterator<Item = System> {
        self.workers.iter().map(|workers| System::Memory(*workers))
    }

    /// The configuration of ours.
    pub(crate) fn setup(&self, system: System, extra: Extra<'_>) -> pharos::Setup {
        let storage = match system {
            System::Periodic => "durability = \"periodic\"\nupdate_period = 1\n",
            _ => "durability = \"commit\"\n",
        };
        let Extra { top, presence } = extra;
        let text = format!("{top}\n[storage]\n{storage}[presence]\n{presence}\n");
        pharos::Setup::new(&self.pharos, &text)
    }

    /// Starts one afresh.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(&self, system: System, extra: Extra<'_>) -> Result<Peer, String> {
        match system {
            System::Periodic | System::Commit => self.setup(system, extra).start(),
            System::Memory(workers) => kamailio::start(kamailio::Mode::Memory, workers),
            System::Database => kamailio::start(kamailio::Mode::Database, 8),
        }
    }
}
