//! Limits of the process: a login shell gives 1024 open files softly and many more on request.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limits of open files and locked memory to the hard ones. What is still too
/// little is named when the runtime looks.
pub(crate) fn raise() {
    for resource in [Resource::Nofile, Resource::Memlock] {
        let Rlimit { current, maximum } = getrlimit(resource);
        if current == maximum {
            continue;
        }
        if let Err(error) = setrlimit(resource, Rlimit { current: maximum, maximum }) {
            tracing::warn!("the limit {resource:?} stays at {current:?}: {error}");
        }
    }
}
