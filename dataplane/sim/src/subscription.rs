//! A subscription as its subscriber keeps it: the dialog and its NOTIFYs (RFC 6665 4.1).

use std::cell::{Cell, RefCell};

use pharos_engine::Span;

use crate::message::{Request, Sip};
use crate::phone::Phone;

/// What [`Phone::subscribe`] began.
#[derive(Debug)]
pub struct Subscription {
    phone: Phone,
    request: Request,
    cseq: Cell<u32>,
    read: Cell<usize>,
    target: RefCell<String>,
    /// The 2xx to the initial SUBSCRIBE.
    pub ok: Sip,
}

/// A NOTIFY that is due comes within this time.
const SOON: Span = Span::seconds(2);

impl Subscription {
    #[track_caller]
    pub(crate) fn begin(phone: Phone, request: &Request) -> Self {
        let ok = phone.answer(request).unwrap_or_else(|| phone.send(request));
        assert!(matches!(ok.status(), 200 | 202), "wanted 2xx, got\n{ok}");
        let target = RefCell::new(ok.contact().to_owned());
        let (request, cseq, read) = (request.clone(), Cell::new(1), Cell::new(0));
        Self { phone, request, cseq, read, target, ok }
    }

    /// The Call-ID of its dialog.
    pub fn call_id(&self) -> &str {
        self.request.header("Call-ID")
    }

    /// The server's tag in its dialog.
    pub fn to_tag(&self) -> &str {
        self.ok.parameter("To", "tag").unwrap_or_default()
    }

    /// All NOTIFYs in its dialog, each once, in the order of arrival.
    pub fn notifies(&self) -> Vec<Sip> {
        let tag = self.request.header("From").split_once("tag=").map_or("", |(_, tag)| tag);
        let ours = |sip: &Sip| {
            sip.method() == "NOTIFY"
                && sip.header("Call-ID") == self.call_id()
                && sip.parameter("To", "tag") == Some(tag)
                && sip.parameter("From", "tag") == Some(self.to_tag())
        };
        self.phone.requests().into_iter().filter(ours).collect()
    }

    /// The next NOTIFY that was not read yet, waiting for it if need be.
    pub fn next(&self, wait: Span) -> Option<Sip> {
        let read = self.read.get();
        self.phone.world.drive_until(wait, || self.notifies().len() > read);
        let next = self.notifies().into_iter().nth(read)?;
        self.read.set(read + 1);
        Some(next)
    }

    /// The next NOTIFY, which is due now.
    ///
    /// # Panics
    /// When none comes within 2 s.
    #[track_caller]
    pub fn notify(&self) -> Sip {
        let Some(notify) = self.next(SOON) else {
            panic!("{} is owed a NOTIFY after {:?}", self.phone.aor(), self.notifies().last())
        };
        notify
    }

    /// No NOTIFY comes within this time.
    ///
    /// # Panics
    /// When one does.
    #[track_caller]
    pub fn quiet(&self, span: Span) {
        if let Some(notify) = self.next(span) {
            panic!("nothing has changed, but this came\n{notify}")
        }
    }

    /// The last NOTIFY of all that came.
    ///
    /// # Panics
    /// When none ever came.
    #[track_caller]
    pub fn last(&self) -> Sip {
        let notifies = self.notifies();
        self.read.set(notifies.len());
        notifies.last().cloned().expect("a NOTIFY came")
    }

    /// A SUBSCRIBE in the dialog with the next CSeq, to the server's Contact.
    pub fn request(&self, expires: u32) -> Request {
        self.cseq.set(self.cseq.get() + 1);
        let to = format!("{};tag={}", self.request.header("To"), self.to_tag());
        self.phone
            .again(&self.request)
            .uri(&self.target.borrow())
            .set("To", to)
            .set("CSeq", format!("{} SUBSCRIBE", self.cseq.get()))
            .set("Expires", expires)
    }

    /// Send a request of [`Subscription::request`]; `None` when no answer comes.
    pub fn try_send(&self, request: &Request) -> Option<Sip> {
        self.phone.try_send(request)
    }

    /// RFC 6665 4.1.2.2: go on for so many seconds.
    pub fn refresh(&self, expires: u32) -> Sip {
        self.phone.send(&self.request(expires))
    }

    /// RFC 6665 4.1.2.3: end it.
    pub fn end(&self) -> Sip {
        self.refresh(0)
    }
}
