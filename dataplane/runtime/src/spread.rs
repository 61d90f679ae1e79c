//! Which socket of a group gets a datagram: a classic BPF program over words of the Request-URI.
//!
//! A session border controller sends everything from one address, and the kernel's hash of the four
//! addresses would then load one shard. The program hashes the first words of the URI's user
//! instead, so that one sender is spread evenly and the requests of one user stay in order, on one
//! socket. Everything else keeps the kernel's choice: responses, REGISTER and OPTIONS (their URI
//! names a domain), and requests within a dialog, whose URI is our own Contact.

/// Words of the URI that are hashed, from its user part on: 16 bytes tell most users apart and lie
/// before the branch of the top Via, which differs from request to request.
const WORDS: u32 = 4;
/// Returned for "no choice": above any number of sockets, so the kernel hashes the addresses.
const NO_CHOICE: u32 = u32::MAX;

/// One instruction of classic BPF (`sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Operation.
    pub(crate) code: u16,
    /// Instructions to skip when a condition holds.
    pub(crate) when: u8,
    /// Instructions to skip when it does not.
    pub(crate) otherwise: u8,
    /// Operand.
    pub(crate) value: u32,
}

/// A program for one group.
#[derive(Clone, Debug)]
pub(crate) struct Program(Vec<Instruction>);

// Operations, as linux/bpf_common.h numbers them.
const LOAD_WORD: u16 = 0x20;
const LOAD_LENGTH: u16 = 0x80;
const LOAD_SAVED: u16 = 0x60;
const SAVED_TO_X: u16 = 0x61;
const SAVE: u16 = 0x02;
const TO_X: u16 = 0x07;
const LOAD_WORD_AT_X: u16 = 0x40;
const LOAD_BYTE_AT_X: u16 = 0x50;
const ADD_X: u16 = 0x0c;
const MULTIPLY: u16 = 0x24;
const XOR_X: u16 = 0xac;
const SHIFT_RIGHT: u16 = 0x74;
const MODULO: u16 = 0x94;
const SET: u16 = 0x00;
const SKIP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const RETURN_A: u16 = 0x16;

/// Methods whose Request-URI names a user, by their first four bytes, with the offset of the URI.
const METHODS: [(&[u8; 4], u32); 4] = [(b"PUBL", 8), (b"SUBS", 10), (b"MESS", 8), (b"INVI", 7)];

// Scratch words: the hash so far, and the offset of the user part.
const HASH: u32 = 0;
const START: u32 = 1;

impl Program {
    /// For `sockets` sockets; `contact_user` is the user of our own Contact, which names nobody.
    pub(crate) fn new(sockets: u32, contact_user: &str) -> Self {
        let mut code = Vec::new();
        let mut add = |code_: u16, when, otherwise, value| {
            code.push(Instruction { code: code_, when, otherwise, value });
        };
        // Loading beyond the end would end the program with socket 0.
        add(LOAD_LENGTH, 0, 0, 0);
        add(IF_AT_LEAST, 1, 0, 64);
        add(RETURN, 0, 0, NO_CHOICE);
        // Find the offset of the URI by the method.
        add(LOAD_WORD, 0, 0, 0);
        for (index, (method, uri)) in METHODS.iter().enumerate() {
            let left = (METHODS.len() - 1 - index) as u8;
            add(IF_EQUAL, 0, 2, u32::from_be_bytes(**method));
            add(SET, 0, 0, *uri);
            // Over the other methods, three instructions each, and over the return.
            add(SKIP, 0, 0, u32::from(left) * 3 + 1);
        }
        add(RETURN, 0, 0, NO_CHOICE);
        // Past the scheme: `sip:` or, with one byte more, `sips:`.
        add(TO_X, 0, 0, 0);
        add(LOAD_BYTE_AT_X, 0, 0, 3);
        add(IF_EQUAL, 0, 2, u32::from(b':'));
        add(SET, 0, 0, 4);
        add(SKIP, 0, 0, 1);
        add(SET, 0, 0, 5);
        add(ADD_X, 0, 0, 0);
        add(TO_X, 0, 0, 0);
        add(SAVE, 0, 0, START);
        let mut program = Self(code);
        program.leave_out(contact_user);
        program.hash(sockets);
        program
    }

    fn add(&mut self, code: u16, when: u8, otherwise: u8, value: u32) {
        self.0.push(Instruction { code, when, otherwise, value });
    }

    /// Return "no choice" when the user part is `user`. X holds its offset.
    fn leave_out(&mut self, user: &str) {
        // Conditions skip at most 255 instructions, and a load may not pass the end of a message.
        if user.is_empty() || user.len() > 32 {
            return;
        }
        let bytes: Vec<u8> = user.bytes().chain([b'@']).collect();
        for (index, byte) in bytes.iter().enumerate() {
            let left = (bytes.len() - 1 - index) as u8;
            self.add(LOAD_BYTE_AT_X, 0, 0, index as u32);
            // On a difference over the bytes that are left, two each, and over the return.
            self.add(IF_EQUAL, 0, left * 2 + 1, u32::from(*byte));
        }
        self.add(RETURN, 0, 0, NO_CHOICE);
    }

    /// Hash the words from X on, and choose.
    fn hash(&mut self, sockets: u32) {
        self.add(SET, 0, 0, 0x9e37_79b9);
        for word in 0..WORDS {
            self.add(SAVE, 0, 0, HASH);
            self.add(SAVED_TO_X, 0, 0, START);
            self.add(LOAD_WORD_AT_X, 0, 0, word * 4);
            self.add(TO_X, 0, 0, 0);
            self.add(LOAD_SAVED, 0, 0, HASH);
            self.add(XOR_X, 0, 0, 0);
            self.add(MULTIPLY, 0, 0, 0x85eb_ca6b);
            self.add(TO_X, 0, 0, 0);
            self.add(SHIFT_RIGHT, 0, 0, 15);
            self.add(XOR_X, 0, 0, 0);
        }
        self.add(MODULO, 0, 0, sockets.max(1));
        self.add(RETURN_A, 0, 0, 0);
    }

    /// What the kernel is given.
    pub(crate) fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SocketBuffers;
    use crate::socket;
    use std::collections::HashMap;
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    const SOCKETS: usize = 4;

    /// Sockets of one group with the program attached.
    fn group(contact_user: &str) -> (Vec<UdpSocket>, SocketAddr) {
        let mut address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            let socket = socket::bind_udp(address, SocketBuffers::default()).expect("bound");
            address = socket.local_addr().expect("bound").as_socket().expect("IP");
            sockets.push(socket);
        }
        let program = Program::new(SOCKETS as u32, contact_user);
        socket::attach(&sockets[0], &program).expect("the kernel takes the program");
        let sockets: Vec<UdpSocket> = sockets.into_iter().map(UdpSocket::from).collect();
        for socket in &sockets {
            socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
        }
        (sockets, address)
    }

    fn drain(socket: &UdpSocket) -> Vec<String> {
        let mut buffer = [0; 2_048];
        std::iter::from_fn(|| {
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
        .collect()
    }

    fn request(method: &str, user: &str, n: usize) -> String {
        format!(
            "{method} {user}@example.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{n}\r\nCall-ID: {n}\r\n\r\n"
        )
    }

    #[test]
    fn one_sender_is_spread_and_each_user_stays_on_one_socket() {
        let (sockets, address) = group("presence");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a client");
        for n in 0..800 {
            let method = ["PUBLISH", "SUBSCRIBE", "MESSAGE", "INVITE"][n % 4];
            let scheme = if n % 8 < 4 { "sip" } else { "sips" };
            let user = format!("{scheme}:u{}", n / 8);
            client.send_to(request(method, &user, n).as_bytes(), address).expect("sent");
        }
        let mut place = HashMap::new();
        let mut load = [0; SOCKETS];
        for (index, socket) in sockets.iter().enumerate() {
            for message in drain(socket) {
                load[index] += 1;
                let user = message.split([':', '@']).nth(1).expect("a user").to_owned();
                assert_eq!(*place.entry(user).or_insert(index), index, "in order: one socket");
            }
        }
        assert_eq!(load.iter().sum::<usize>(), 800, "none is lost");
        assert!(load.iter().all(|&n| (80..400).contains(&n)), "evenly enough: {load:?}");
    }

    #[test]
    fn what_names_no_user_is_left_to_the_kernel() {
        let (sockets, address) = group("presence");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a client");
        let ours = request("SUBSCRIBE", "sip:presence", 1);
        let register = "REGISTER sip:example.com SIP/2.0\r\n".to_owned() + &"X: y\r\n".repeat(9);
        let response = "SIP/2.0 200 OK\r\n".to_owned() + &"X: y\r\n".repeat(9);
        for message in [&ours, &register, &response, &"\r\n\r\n".to_owned()] {
            client.send_to(message.as_bytes(), address).expect("sent");
        }
        // The kernel's choice depends on the addresses alone: all four on one socket.
        let load: Vec<usize> = sockets.iter().map(|socket| drain(socket).len()).collect();
        assert_eq!(load.iter().filter(|&&n| n > 0).count(), 1, "{load:?}");
        assert_eq!(load.iter().sum::<usize>(), 4);
    }

    #[test]
    fn every_jump_stays_inside() {
        for user in ["", "presence", &"x".repeat(32), &"y".repeat(200)] {
            let program = Program::new(3, user);
            let code = program.instructions();
            for (at, i) in code.iter().enumerate() {
                let far = match i.code {
                    SKIP => i.value as usize,
                    IF_EQUAL | IF_AT_LEAST => usize::from(i.when.max(i.otherwise)),
                    _ => 0,
                };
                assert!(at + 1 + far < code.len() || i.code == RETURN_A, "at {at} of {user}");
            }
        }
    }
}
