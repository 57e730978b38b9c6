//! The numbers of users and groups that a user may hand to containers (`subuid(5)`, `subgid(5)`).

/// What gives a user such numbers.
pub const SUBORDINATE_IDS: &str = "this user has too few subordinate user and group ids, which engines without root need for \
     the users of an image: add the line `USER:100000:65536` with the user's name to `/etc/subuid` and to `/etc/subgid` (as root: \
     `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`), see to it that `newuidmap` is installed, and run \
     `podman system migrate`; see `man subuid` and podman's rootless tutorial";

/// What is said where a file belongs to a user who has no number.
const INSUFFICIENT: &str = "potentially insufficient UIDs or GIDs";

/// Why an engine or a builder failed, if it is for want of such numbers.
#[must_use]
pub fn wants_subordinate_ids(said: &str) -> Option<&str> {
    let lines = || said.lines().rev().map(str::trim);
    if let Some(reason) = lines().find_map(|line| line.find(INSUFFICIENT).and_then(|at| line.get(at..))) {
        return Some(reason);
    }
    // What is said beside it depends on the step.
    let is_without = said.contains("/etc/subuid");
    lines().find(|line| {
        ["newuidmap", "newgidmap"].iter().any(|word| line.contains(word))
            || (is_without && line.contains("chown ") && line.contains("invalid argument"))
            || (is_without && line.contains("setting supplemental groups list"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_want_of_numbers_is_told_from_other_failures() {
        // podman 4.3 and buildah 1.28, for a user without a line in `/etc/subuid`.
        let load = "time=\"2026\" level=error msg=\"no subuid ranges found for user \\\"ada\\\" in /etc/subuid\"\n\
            Error: payload does not match any of the supported image formats:\n \
            * docker-archive: writing blob: ApplyLayer stdout:  stderr: potentially insufficient UIDs or GIDs available in \
            user namespace (requested 42:43 for /etc/x): Check /etc/subuid\n * dir: not a directory";
        assert!(wants_subordinate_ids(load).unwrap().starts_with(INSUFFICIENT));
        let copy = "level=warning msg=\"Found no UID ranges set aside for user \\\"ada\\\" in /etc/subuid.\"\n\
            Error: building at STEP: copier: put: error setting ownership of \"/x\" to 42:43: lchown /x: invalid argument";
        assert!(wants_subordinate_ids(copy).unwrap().contains("lchown /x"));
        // What a step says that is isolated by `chroot`.
        let run = "level=warning msg=\"Found no GID ranges set aside for user \\\"ada\\\" in /etc/subuid.\"\n\
            error setting supplemental groups list: operation not permitted\nError: exit status 1";
        assert!(
            wants_subordinate_ids(run)
                .unwrap()
                .contains("supplemental groups")
        );
        let newuidmap = "cannot set up namespace using \"/usr/bin/newuidmap\": exit status 1";
        assert_eq!(wants_subordinate_ids(newuidmap), Some(newuidmap));
        // It is always warned of, and so is no reason by itself.
        let other = "level=warning msg=\"Found no UID ranges set aside for user \\\"ada\\\" in /etc/subuid.\"\nError: exit status 1";
        assert_eq!(wants_subordinate_ids(other), None);
    }
}
