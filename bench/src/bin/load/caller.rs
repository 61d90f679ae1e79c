//! The clients: each thread has a socket, a share of the users and a share of the window.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use pharos_bench::latency::{Latencies, now};

use crate::args::Args;
use crate::message::{self, User};

/// RFC 3261 T1: first repetition; each next one after twice the time.
const T1: Duration = Duration::from_millis(500);
/// Repetitions before a transaction has failed.
const REPEATS: u32 = 6;

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A first document.
    Initial,
    /// The same for longer (no body).
    Refresh,
    /// Another document.
    Modify,
}

impl Kind {
    /// For the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Initial => "PUBLISH initial",
            Self::Refresh => "PUBLISH refresh",
            Self::Modify => "PUBLISH modify",
        }
    }
}

/// What a phase came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) latencies: Latencies,
    pub(crate) failed: u64,
    pub(crate) repeated: u64,
    pub(crate) seconds: f64,
}

struct Flight {
    cseq: u32,
    start: Instant,
    again: Instant,
    repeats: u32,
}

/// The users, each thread's together.
pub(crate) fn users(args: &Args) -> Vec<Vec<User>> {
    let mut shares = vec![Vec::new(); args.threads];
    for number in 0..args.users {
        shares[number % args.threads].push(User { number, ..User::default() });
    }
    shares
}

/// Every user `rounds` times.
///
/// # Errors
/// A socket failed, or nothing was answered.
pub(crate) fn run_phase(
    args: &Args,
    server: SocketAddr,
    kind: Kind,
    rounds: usize,
    users: &mut [Vec<User>],
) -> Result<Outcome, String> {
    let start = now();
    let outcomes: Vec<Result<Outcome, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = users
            .iter_mut()
            .map(|share| scope.spawn(|| Caller::new(args, server, kind, share)?.run(rounds)))
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err("a thread died".into())))
            .collect()
    });
    let mut all = Outcome { seconds: start.elapsed().as_secs_f64(), ..Outcome::default() };
    for outcome in outcomes {
        let outcome = outcome?;
        all.latencies.add(&outcome.latencies);
        all.failed += outcome.failed;
        all.repeated += outcome.repeated;
    }
    if all.latencies.count() == 0 {
        return Err(format!("{server} answers nothing"));
    }
    Ok(all)
}

struct Caller<'a> {
    socket: UdpSocket,
    local: SocketAddr,
    kind: Kind,
    users: &'a mut [User],
    threads: usize,
    window: usize,
    /// Time between two sends; zero = no pacing.
    pace: Duration,
    flights: HashMap<usize, Flight>,
    outcome: Outcome,
    out: Vec<u8>,
}

impl<'a> Caller<'a> {
    fn new(
        args: &Args,
        server: SocketAddr,
        kind: Kind,
        users: &'a mut [User],
    ) -> Result<Self, String> {
        let failed = |error| format!("a client socket: {error}");
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).map_err(failed)?;
        socket.connect(server).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let pace = match args.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs(args.threads as u64) / u32::try_from(rate).unwrap_or(1),
        };
        Ok(Self {
            socket,
            local,
            kind,
            users,
            threads: args.threads,
            window: args.window / args.threads,
            pace,
            flights: HashMap::new(),
            outcome: Outcome::default(),
            out: Vec::new(),
        })
    }

    fn run(mut self, rounds: usize) -> Result<Outcome, String> {
        let total = self.users.len() * rounds;
        let (mut sent, mut next) = (0, now());
        let mut buffer = [0; 4_096];
        while sent < total || !self.flights.is_empty() {
            // A user has one PUBLISH at a time: the window is at most the number of users.
            while sent < total && self.flights.len() < self.window {
                let index = sent % self.users.len();
                let at = now();
                if self.flights.contains_key(&index) || at < next {
                    break;
                }
                next = (next + self.pace).max(at.checked_sub(self.pace * 64).unwrap_or(at));
                self.begin(index)?;
                sent += 1;
            }
            let paced = sent < total && self.flights.len() < self.window;
            let wait = if paced { next.saturating_duration_since(now()) } else { T1 / 5 };
            self.receive(&mut buffer, wait)?;
        }
        Ok(self.outcome)
    }

    fn begin(&mut self, index: usize) -> Result<(), String> {
        let user = &mut self.users[index];
        user.cseq += 1;
        let start = now();
        let flight = Flight { cseq: user.cseq, start, again: start + T1, repeats: 0 };
        self.flights.insert(index, flight);
        self.send(index)
    }

    fn send(&mut self, index: usize) -> Result<(), String> {
        message::write(&mut self.out, &self.users[index], self.kind, self.local);
        match self.socket.send(&self.out) {
            // A refused datagram is repeated like a lost one.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(format!("sending: {error}")),
        }
    }

    /// Take what has come, waiting at most `wait` for the first.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<(), String> {
        let wait = wait.clamp(Duration::from_micros(50), T1 / 5);
        self.socket.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
        match self.socket.recv(buffer) {
            Ok(length) => self.take(&buffer[..length]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => self.repeat()?,
                ErrorKind::ConnectionRefused | ErrorKind::Interrupted => {}
                _ => return Err(format!("receiving: {error}")),
            },
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(response) = message::read(bytes) else { return };
        let index = response.user / self.threads;
        let Some(flight) = self.flights.get(&index) else { return };
        if flight.cseq != response.cseq || response.status < 200 {
            return;
        }
        if response.status == 200 {
            self.outcome.latencies.record(flight.start);
            response.etag.clone_into(&mut self.users[index].etag);
        } else {
            self.outcome.failed += 1;
        }
        self.flights.remove(&index);
    }

    /// RFC 3261 17.1.2: timer E, and F in the end.
    fn repeat(&mut self) -> Result<(), String> {
        let at = now();
        let due: Vec<usize> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.again <= at)
            .map(|(index, _)| *index)
            .collect();
        for index in due {
            let Some(flight) = self.flights.get_mut(&index) else { continue };
            flight.repeats += 1;
            flight.again = at + T1 * 2_u32.pow(flight.repeats.min(3));
            if flight.repeats > REPEATS {
                self.flights.remove(&index);
                self.outcome.failed += 1;
            } else {
                self.outcome.repeated += 1;
                self.send(index)?;
            }
        }
        Ok(())
    }
}
