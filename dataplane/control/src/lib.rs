//! The control plane: a thread of its own, off the cores of the shards.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`log`] | lines of the shards and of the start-up, as text or JSON, never blocking a shard |
//! | [`metrics`] | `/metrics`: counters and gauges of all shards in the Prometheus text format |
//! | [`health`] | `/healthz`: 200, or 503 with the reasons |
//! | `process` | what the kernel says about this process |
//! | [`resolve`] | DNS questions of the shards (RFC 3263 asks them one by one) |
//! | `shards` | questions to the shards and their answers |
//! | `http` | connections of the two pages, bounded in number and time |

pub mod health;
mod http;
pub mod log;
pub mod metrics;
mod process;
pub mod resolve;
mod shards;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use pharos_engine::counters::Snapshot;
use pharos_runtime::ControlPort;
use tokio::sync::watch;

use metrics::Metric;
use resolve::Resolver;
use shards::Shards;

/// What the control plane asks of the rest of the process when a page is read.
pub struct Probes {
    /// What each shard's runtime counts, in shard order.
    pub runtime: Box<dyn Fn() -> Vec<Snapshot> + Send + Sync>,
    /// Figures that belong to no shard, such as the lanes'.
    pub metrics: Box<dyn Fn() -> Vec<Metric> + Send + Sync>,
    /// What is wrong right now, a sentence each; none = healthy.
    pub ailments: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// Tells a supervisor that all shards are alive, as long as they are.
pub struct Heartbeat {
    /// Time from one to the next.
    pub every: Duration,
    /// Called when every shard has answered.
    pub beat: Box<dyn Fn() + Send>,
}

/// The bound address of the pages, before anything runs: a taken port is known early.
pub struct Bound(TcpListener);

/// The running control plane.
pub struct Control {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// Binds `address`.
///
/// # Errors
/// The address is taken or not of this machine.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Bound(listener))
}

impl Bound {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread or its event loop cannot be made.
    pub fn start(
        self,
        port: ControlPort,
        probes: Probes,
        heartbeat: Option<Heartbeat>,
    ) -> io::Result<Control> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("pharos-control".into())
            .spawn(move || runtime.block_on(run(self.0, port, probes, heartbeat, stopped)))?;
        Ok(Control { stop, thread })
    }
}

impl Control {
    /// Stops the pages and the resolver, and waits for the thread.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the control thread ended with a panic");
        }
    }
}

async fn run(
    listener: TcpListener,
    port: ControlPort,
    probes: Probes,
    heartbeat: Option<Heartbeat>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("the control address cannot be served: {error}");
            return;
        }
    };
    let shards = Arc::new(Shards::new(port, Resolver::of_system()));
    let pump = tokio::spawn(shards::pump(Arc::clone(&shards)));
    let heart = heartbeat.map(|heartbeat| tokio::spawn(beat(Arc::clone(&shards), heartbeat)));
    let pages = tokio::spawn(http::serve(listener, shards, Arc::new(probes)));
    let _ = stopped.wait_for(|stop| *stop).await;
    for task in heart.into_iter().chain([pages, pump]) {
        task.abort();
    }
}

async fn beat(shards: Arc<Shards>, heartbeat: Heartbeat) -> Infallible {
    let mut ticks = tokio::time::interval(heartbeat.every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if health::silent(&shards.snapshots().await).is_empty() {
            (heartbeat.beat)();
        }
    }
}
