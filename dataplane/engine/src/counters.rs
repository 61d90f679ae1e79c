//! Counters and gauges of a shard: plain integers, read by [`crate::Command::Metrics`].

use alloc::vec::Vec;

use crate::reject::Reject;

/// One sample: the exported name, an optional label pair, and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Name without prefix, such as `sip_requests`; counters get `_total` from the exporter.
    pub name: &'static str,
    /// What it counts, one sentence.
    pub help: &'static str,
    /// Counter (only rises) or gauge.
    pub counter: bool,
    /// Label name and value, such as `("reason", "bad_cseq")`.
    pub label: Option<(&'static str, &'static str)>,
    /// The value.
    pub value: u64,
}

/// All samples of one shard.
pub type Snapshot = Vec<Sample>;

macro_rules! counts {
    ($($variant:ident $name:literal $help:literal,)*) => {
        /// Counters without a label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)] // each has its help text
        pub enum Count { $($variant,)* }

        const COUNTS: &[(&str, &str)] = &[$(($name, $help),)*];
    };
}

counts! {
    MessagesIn "sip_messages_received" "Messages from the network.",
    MessagesOut "sip_messages_sent" "Messages to the network.",
    Forwarded "sip_messages_forwarded" "Messages handed to the shard that owns them.",
    KeepAlives "sip_keep_alives" "Keep-alives received.",
    Retransmissions "sip_retransmissions_received" "Requests received again.",
    Resent "sip_retransmissions_sent" "Requests and answers sent again.",
    LateAnswers "sip_late_answers" "Answers dropped: the transaction was over (RFC 4320).",
    Timeouts "sip_client_timeouts" "Requests of ours that nobody answered.",
    Unreachable "sip_client_unreachable" "Requests of ours that could not be delivered.",
    TcpFallbacks "sip_tcp_fallbacks" "Large requests sent over UDP since TCP was refused.",
    LookUps "dns_look_ups" "Questions to the resolver.",
    LookUpsRefused "dns_look_ups_refused" "Requests given up since too many wait for the resolver.",
    WindowFull "sip_window_full" "Requests held back since too many are under way.",
    FlowsFull "sip_flows_full" "Connections not kept account of.",
    TimersFull "timers_full" "Timers that found no room.",
    LogSuppressed "log_lines_suppressed" "Log lines not written.",
    StoresRefused "store_requests_refused" "Storage requests refused since too many are under way.",
    Notifies "presence_notifies" "NOTIFYs given to a transaction.",
    NotifiesTooLarge "presence_notifies_too_large" "NOTIFYs sent empty: too large a document.",
    WritesDropped "presence_writes_dropped" "Ends of objects that the store was not told of.",
    NotifiesFailed "presence_notifies_failed" "NOTIFYs without a 2xx.",
    SubscriptionsLost "presence_subscriptions_lost" "Subscriptions ended by a failed NOTIFY.",
    ObjectsUnknown "presence_objects_unknown" "Stored objects that could not be used.",
}

/// Request methods and statuses are counted by these; the last of each is for all others.
const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PUBLISH",
    "SUBSCRIBE",
    "NOTIFY",
    "MESSAGE",
    "REFER",
    "INFO",
    "PRACK",
    "UPDATE",
    "other",
];
const STATUSES: [(u16, &str); 33] = [
    (100, "100"),
    (180, "180"),
    (200, "200"),
    (202, "202"),
    (204, "204"),
    (302, "302"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (407, "407"),
    (408, "408"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (416, "416"),
    (420, "420"),
    (423, "423"),
    (480, "480"),
    (481, "481"),
    (482, "482"),
    (483, "483"),
    (487, "487"),
    (489, "489"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (505, "505"),
    (513, "513"),
    (603, "603"),
    (0, "other"),
];

/// Received or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the network.
    In,
    /// To the network.
    Out,
}

/// The counters of a shard.
#[derive(Clone, Debug)]
pub struct Counters {
    counts: [u64; COUNTS.len()],
    rejects: [u64; Reject::ALL.len()],
    methods: [[u64; METHODS.len()]; 2],
    statuses: [[u64; STATUSES.len()]; 2],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            counts: [0; COUNTS.len()],
            rejects: [0; Reject::ALL.len()],
            methods: [[0; METHODS.len()]; 2],
            statuses: [[0; STATUSES.len()]; 2],
        }
    }
}

impl Counters {
    /// One more.
    pub fn add(&mut self, count: Count) {
        self.counts[count as usize] += 1;
    }

    /// One message refused for this reason.
    pub fn reject(&mut self, reject: Reject) {
        self.rejects[reject as usize] += 1;
    }

    /// One request with this method.
    pub fn request(&mut self, way: Way, method: &[u8]) {
        let known = METHODS.iter().position(|known| known.as_bytes() == method);
        self.methods[way as usize][known.unwrap_or(METHODS.len() - 1)] += 1;
    }

    /// One response with this status.
    pub fn response(&mut self, way: Way, status: u16) {
        let known = STATUSES.iter().position(|(known, _)| *known == status);
        self.statuses[way as usize][known.unwrap_or(STATUSES.len() - 1)] += 1;
    }

    /// The value of one counter.
    pub fn count(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    /// Messages refused for this reason.
    pub fn rejected(&self, reject: Reject) -> u64 {
        self.rejects[reject as usize]
    }

    /// Everything, in a fixed order.
    pub fn write(&self, out: &mut Snapshot) {
        for ((name, help), value) in COUNTS.iter().zip(self.counts) {
            out.push(Sample { name, help, counter: true, label: None, value });
        }
        for (reject, value) in Reject::ALL.iter().zip(self.rejects) {
            let (name, help) = ("sip_rejects", "Messages refused, by reason.");
            let label = Some(("reason", reject.name()));
            out.push(Sample { name, help, counter: true, label, value });
        }
        let requests = [
            ("sip_requests_received", "Requests received, by method."),
            ("sip_requests_sent", "Requests sent, by method."),
        ];
        for ((name, help), values) in requests.iter().zip(&self.methods) {
            for (method, value) in METHODS.iter().zip(values) {
                let label = Some(("method", *method));
                out.push(Sample { name, help, counter: true, label, value: *value });
            }
        }
        let responses = [
            ("sip_responses_received", "Responses received, by status."),
            ("sip_responses_sent", "Responses sent, by status."),
        ];
        for ((name, help), values) in responses.iter().zip(&self.statuses) {
            for ((_, status), value) in STATUSES.iter().zip(values) {
                let label = Some(("status", *status));
                out.push(Sample { name, help, counter: true, label, value: *value });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(counters: &Counters, name: &str, label: Option<&str>) -> u64 {
        let mut out = Vec::new();
        counters.write(&mut out);
        let mut found = out
            .iter()
            .filter(|sample| sample.name == name && sample.label.map(|(_, value)| value) == label);
        found.next().unwrap().value
    }

    #[test]
    fn everything_counted_shows_under_its_name() {
        let mut counters = Counters::default();
        counters.add(Count::Resent);
        counters.reject(Reject::Merged);
        counters.request(Way::In, b"PUBLISH");
        counters.request(Way::Out, b"FROB");
        counters.response(Way::Out, 200);
        counters.response(Way::In, 299);
        assert_eq!(value(&counters, "sip_retransmissions_sent", None), 1);
        assert_eq!(value(&counters, "sip_rejects", Some("merged_request")), 1);
        assert_eq!(value(&counters, "sip_requests_received", Some("PUBLISH")), 1);
        assert_eq!(value(&counters, "sip_requests_sent", Some("other")), 1);
        assert_eq!(value(&counters, "sip_responses_sent", Some("200")), 1);
        assert_eq!(value(&counters, "sip_responses_received", Some("other")), 1);
        assert_eq!(value(&counters, "sip_requests_received", Some("INVITE")), 0);
    }
}
