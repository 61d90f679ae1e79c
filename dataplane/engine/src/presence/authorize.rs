//! Who may watch whom. The one place that says so, behind a trait: rules documents come later.

use super::package::Info;

/// What a watcher may have (RFC 3857 4.7 states; row C130 `sub-handling`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Everything.
    Active,
    /// Not decided yet: a subscription without state (row C112).
    Pending,
    /// Nothing: 403 at first, `terminated;reason=rejected` later.
    Rejected,
}

/// The question, all in normal form.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Presentity.
    pub aor: &'a str,
    /// Watcher.
    pub watcher: &'a str,
    /// Event package.
    pub package: &'a Info,
}

/// A policy. It is asked at each SUBSCRIBE, so a refresh follows a change of mind.
pub trait Authorize {
    /// What this watcher may have.
    fn decide(&self, asked: Asked<'_>) -> Decision;
}

/// The policy while there are no rules documents (row C30): everybody with `force_active`; without
/// it nobody has said yes yet, but for the presentity itself and packages that need no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Row C30.
    pub force_active: bool,
}

impl Authorize for Switch {
    fn decide(&self, asked: Asked<'_>) -> Decision {
        let own = asked.aor == asked.watcher;
        // Who watches whom is nobody else's business, under force_active too (RFC 3857 4.5).
        if asked.package.id.watched().is_some() {
            return if own { Decision::Active } else { Decision::Rejected };
        }
        if self.force_active || own || !asked.package.req_auth {
            Decision::Active
        } else {
            Decision::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::package::PackageId;
    use super::*;

    fn decide(force_active: bool, watcher: &str, package: PackageId) -> Decision {
        Switch { force_active }.decide(Asked {
            aor: "alice@example.com",
            watcher,
            package: package.info(),
        })
    }

    #[test]
    fn without_rules_a_watcher_waits_and_force_active_lets_everybody_in() {
        assert_eq!(decide(true, "bob@example.com", PackageId::PRESENCE), Decision::Active);
        assert_eq!(decide(false, "bob@example.com", PackageId::PRESENCE), Decision::Pending);
        assert_eq!(decide(false, "alice@example.com", PackageId::PRESENCE), Decision::Active);
    }

    #[test]
    fn watcher_information_is_for_the_presentity_alone() {
        assert_eq!(decide(true, "bob@example.com", PackageId::PRESENCE_WINFO), Decision::Rejected);
        assert_eq!(decide(false, "alice@example.com", PackageId::PRESENCE_WINFO), Decision::Active);
    }
}
