//! Bodies that user agents publish.

/// A PIDF document (RFC 3863) about `user@example.com` with one tuple.
pub fn pidf(user: &str, tuple: &str, basic: &str) -> String {
    pidf_with_note(user, tuple, basic, "")
}

/// The same with a note in its tuple, empty = none.
pub fn pidf_with_note(user: &str, tuple: &str, basic: &str, note: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<note>{note}</note>") };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{user}@example.com\">\
         <tuple id=\"{tuple}\"><status><basic>{basic}</basic></status>{note}</tuple></presence>"
    )
}

/// A dialog-info document (RFC 4235) about `user@example.com` with one dialog.
pub fn dialog(user: &str, version: u32, state: &str, id: &str, call: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\r\n\
         <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
         state=\"{state}\" entity=\"sip:{user}@example.com\">\
         <dialog id=\"{id}\" call-id=\"{id}@call\" local-tag=\"l{id}\" direction=\"initiator\">\
         <state>{call}</state></dialog></dialog-info>"
    )
}

/// The same, full, with any number of dialogs: each its id and state.
pub fn dialogs(user: &str, all: &[(String, &str)]) -> String {
    let one = |(id, state): &(String, &str)| {
        format!("<dialog id=\"{id}\" call-id=\"{id}@call\"><state>{state}</state></dialog>")
    };
    format!(
        "<?xml version=\"1.0\"?>\r\n\
         <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
         state=\"full\" entity=\"sip:{user}@example.com\">{}</dialog-info>",
        all.iter().map(one).collect::<String>(),
    )
}

/// A message summary (RFC 3842) of so many new and old voice messages.
pub fn summary(new: u32, old: u32) -> String {
    let waiting = if new > 0 { "yes" } else { "no" };
    format!("Messages-Waiting: {waiting}\r\nVoice-Message: {new}/{old} (0/0)\r\n")
}

/// The media types of the packages.
pub const PIDF: &str = "application/pidf+xml";
/// RFC 4235.
pub const DIALOG_INFO: &str = "application/dialog-info+xml";
/// RFC 3842.
pub const SUMMARY: &str = "application/simple-message-summary";
/// RFC 3858.
pub const WATCHER_INFO: &str = "application/watcherinfo+xml";
