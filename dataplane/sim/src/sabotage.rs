//! Broken promises, one at a time: what the checkers are for, and the proof that they can fail.
//!
//! Each is made outside the engine, on the disk or on the wire, where it looks as if the engine had
//! done it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use pharos_engine::Instant;

use crate::message::Sip;
use crate::setup::SERVER;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The disk says "stored" before it is.
    AnswerBeforeCommit,
    /// A crash takes the last commit with it, which was acknowledged.
    LoseAcknowledged,
    /// The disk says "stored" and stores nothing.
    NeverWrite,
    /// What has ended stays on the disk.
    KeepForgotten,
    /// Every sixteenth NOTIFY has the CSeq of the one before it.
    ReuseCseq,
    /// Every third NOTIFY is taken for delivered and never sent.
    SwallowNotify,
    /// A PUBLISH that comes again gets another entity-tag.
    NewTagForRepeat,
    /// A PUBLISH or SUBSCRIBE that comes again after a crash gets other tags.
    NewTagAfterCrash,
    /// Every NOTIFY is followed by another before it is answered.
    TwoInFlight,
    /// NOTIFYs say nothing of their length.
    NoContentLength,
}

impl Sabotage {
    /// All of it.
    pub const ALL: [Self; 10] = [
        Self::AnswerBeforeCommit,
        Self::LoseAcknowledged,
        Self::NeverWrite,
        Self::KeepForgotten,
        Self::ReuseCseq,
        Self::SwallowNotify,
        Self::NewTagForRepeat,
        Self::NewTagAfterCrash,
        Self::TwoInFlight,
        Self::NoContentLength,
    ];
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|sabotage| sabotage.to_string() == text);
        known.ok_or_else(|| {
            let all: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
            format!("not one of {}", all.join(", "))
        })
    }
}

/// Who does it, on the wire.
#[derive(Debug)]
pub(crate) struct Saboteur {
    what: Sabotage,
    count: u64,
    /// CSeq of the last NOTIFY by its dialog.
    cseqs: BTreeMap<String, u32>,
    /// The life in which a transaction was answered first.
    answered: BTreeMap<String, u32>,
}

/// What becomes of a message.
#[derive(Debug, Default)]
pub(crate) struct Tampered {
    /// These are sent instead.
    pub(crate) sent: Vec<Vec<u8>>,
    /// The server gets this as if the peer had sent it.
    pub(crate) answer: Option<Vec<u8>>,
}

impl Saboteur {
    pub(crate) const fn new(what: Sabotage) -> Self {
        Self { what, count: 0, cseqs: BTreeMap::new(), answered: BTreeMap::new() }
    }

    /// What the server wanted to send, as it leaves.
    pub(crate) fn tamper(&mut self, life: u32, bytes: &[u8]) -> Tampered {
        let sip = Sip::read(Instant(0), (SERVER, 5060).into(), false, bytes);
        let text = String::from_utf8_lossy(bytes).into_owned();
        let notify = sip.is_request() && sip.method() == "NOTIFY";
        let mut out = Tampered::default();
        match self.what {
            Sabotage::ReuseCseq if notify => out.sent.push(self.reuse_cseq(&sip, &text)),
            Sabotage::SwallowNotify if notify => {
                self.count += 1;
                match self.count.is_multiple_of(3) {
                    true => out.answer = Some(sip.answer("200 OK", "t", &[])),
                    false => out.sent.push(text.into_bytes()),
                }
            }
            Sabotage::NewTagForRepeat if sip.status() == 200 && sip.method() == "PUBLISH" => {
                out.sent.push(self.retag(&sip, &text, life, |_| true));
            }
            Sabotage::NewTagAfterCrash if matches!(sip.status(), 200 | 202) => {
                out.sent.push(self.retag(&sip, &text, life, |first| first != life));
            }
            Sabotage::TwoInFlight if notify => {
                let again = text.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1);
                let cseq = format!("CSeq: {} ", sip.cseq());
                let next = format!("CSeq: {} ", sip.cseq() + 1);
                out.sent.push(text.into_bytes());
                out.sent.push(again.replacen(&cseq, &next, 1).into_bytes());
            }
            Sabotage::NoContentLength if notify => {
                let line = format!("Content-Length: {}\r\n", sip.header("Content-Length"));
                out.sent.push(text.replacen(&line, "", 1).into_bytes());
            }
            _ => out.sent.push(text.into_bytes()),
        }
        out
    }

    fn reuse_cseq(&mut self, sip: &Sip, text: &str) -> Vec<u8> {
        self.count += 1;
        let last = self.cseqs.insert(sip.header("Call-ID").to_owned(), sip.cseq());
        let Some(last) = last.filter(|_| self.count.is_multiple_of(16)) else {
            return text.as_bytes().to_vec();
        };
        let (now, then) = (format!("CSeq: {} ", sip.cseq()), format!("CSeq: {last} "));
        text.replacen(&now, &then, 1).into_bytes()
    }

    /// Another entity-tag, or To-tag, when this was answered before.
    fn retag(&mut self, sip: &Sip, text: &str, life: u32, wrong: impl Fn(u32) -> bool) -> Vec<u8> {
        let first = self.answered.get(&key(sip)).copied();
        self.answered.entry(key(sip)).or_insert(life);
        if !first.is_some_and(wrong) {
            return text.as_bytes().to_vec();
        }
        let tag = match sip.method() {
            "PUBLISH" => sip.etag(),
            _ => sip.parameter("To", "tag").unwrap_or_default(),
        };
        text.replacen(tag, &format!("{tag}x"), 1).into_bytes()
    }
}

fn key(sip: &Sip) -> String {
    format!("{} {}", sip.method(), sip.branch())
}
