//! A publication as its publisher keeps it: the entity-tag and the means to go on (RFC 3903 4).

use std::cell::RefCell;

use crate::message::{Request, Sip};
use crate::phone::Phone;

/// What [`Phone::publish`] began.
#[derive(Debug)]
pub struct Publication {
    phone: Phone,
    event: String,
    content_type: String,
    etag: RefCell<String>,
    /// The 200 to the initial PUBLISH.
    pub ok: Sip,
}

impl Publication {
    #[track_caller]
    pub(crate) fn begin(phone: Phone, event: &str, content_type: &str, request: &Request) -> Self {
        let ok = phone.send(request).expect(200);
        let etag = RefCell::new(ok.etag().to_owned());
        Self { phone, event: event.into(), content_type: content_type.into(), etag, ok }
    }

    /// The entity-tag of the last 200.
    pub fn etag(&self) -> String {
        self.etag.borrow().clone()
    }

    /// A PUBLISH that names this publication; empty `body` = none.
    pub fn request(&self, body: &str) -> Request {
        let request = self.phone.publish_request(&self.event, &self.content_type, body);
        request.set("SIP-If-Match", self.etag())
    }

    /// Send a request of [`Publication::request`] and remember the new entity-tag of a 200.
    pub fn send(&self, request: &Request) -> Sip {
        let answer = self.phone.send(request);
        if answer.status() == 200 {
            answer.etag().clone_into(&mut self.etag.borrow_mut());
        }
        answer
    }

    /// RFC 3903 4.3: say that it still holds.
    pub fn refresh(&self) -> Sip {
        self.send(&self.request(""))
    }

    /// RFC 3903 4.4: put another document in its place.
    pub fn modify(&self, body: &str) -> Sip {
        self.send(&self.request(body))
    }

    /// RFC 3903 4.5: take it back.
    pub fn remove(&self) -> Sip {
        self.send(&self.request("").set("Expires", 0))
    }
}
