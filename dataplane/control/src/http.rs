//! The two pages over HTTP/1.1: at most [`CONNECTIONS`] at a time, each for a bounded time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::metrics::Metric;
use crate::shards::Shards;
use crate::{Probes, health, log, metrics, process};

/// Connections served at a time; the next waits in the kernel's queue.
const CONNECTIONS: usize = 64;
/// A client that has not sent its request head by then is let go.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// A connection's whole life; a scraper opens the next.
const LIFETIME: Duration = Duration::from_secs(120);
/// After a failed accept (no descriptors left), until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct Pages {
    shards: Arc<Shards>,
    probes: Arc<Probes>,
}

/// Serves until the task is aborted.
pub(crate) async fn serve(
    listener: TcpListener,
    shards: Arc<Shards>,
    probes: Arc<Probes>,
) -> Infallible {
    let router = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(health_page))
        .with_state(Pages { shards, probes });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    connection(stream, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("a connection to the control address was not taken: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that leaves in the middle is no news.
    let _ = tokio::time::timeout(LIFETIME, connection).await;
}

/// `?by=shard` shows each shard apart.
async fn metrics_page(State(pages): State<Pages>, RawQuery(query): RawQuery) -> Response {
    let by_shard = match query.as_deref() {
        None => false,
        Some("by=shard") => true,
        Some(_) => {
            return (StatusCode::BAD_REQUEST, "only ?by=shard is known here\n").into_response();
        }
    };
    let snapshots = pages.shards.snapshots().await;
    let silent = snapshots.iter().filter(|snapshot| snapshot.is_none()).count();
    let mut all = vec![
        Metric::gauge("build_info", "Version of this server.", 1.0)
            .label("version", env!("CARGO_PKG_VERSION")),
        Metric::gauge("shards", "Shards of this process.", snapshots.len() as f64),
        Metric::gauge("shards_silent", "Shards that did not answer in time.", silent as f64),
        Metric::counter(
            "log_lines_lost",
            "Log lines dropped because they could not be written in time.",
            pages.shards.log_lines_lost() + log::lines_lost(),
        ),
    ];
    all.extend(metrics::of_shards(&snapshots, by_shard));
    let runtime: Vec<_> = (pages.probes.runtime)().into_iter().map(Some).collect();
    all.extend(metrics::of_shards(&runtime, by_shard));
    all.extend((pages.probes.metrics)());
    all.extend(process::metrics());
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, metrics::page(&all)).into_response()
}

async fn health_page(State(pages): State<Pages>) -> Response {
    let mut reasons = health::silent(&pages.shards.snapshots().await);
    reasons.extend((pages.probes.ailments)());
    let (status, body) = health::page(&reasons);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
