//! The yardstick: a thread that receives a datagram and sends one back, and nothing else.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cpu::thread_time;
use crate::net;

/// Bytes of an answer: what a server says to a PUBLISH.
const ANSWER: usize = 370;

/// A running echo.
#[derive(Debug)]
pub struct Echo {
    /// Where it listens.
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Duration>>,
}

impl Echo {
    /// Starts it.
    ///
    /// # Errors
    /// There is no socket.
    pub fn start() -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        net::enlarge(&socket);
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (address, over) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || serve(&socket, &told));
        Ok(Self { address, over, thread })
    }

    /// Ends it; the CPU time it took.
    ///
    /// # Errors
    /// A system call failed while it ran.
    pub fn stop(self) -> std::io::Result<Duration> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
    }
}

fn serve(socket: &UdpSocket, over: &AtomicBool) -> std::io::Result<Duration> {
    let before = thread_time()?;
    let mut buffer = [0; 4_096];
    while !over.load(Ordering::Relaxed) {
        // Nothing for a while is no error; a client that left is none of ours.
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length.min(ANSWER)], from);
        }
    }
    Ok(thread_time()?.saturating_sub(before))
}
