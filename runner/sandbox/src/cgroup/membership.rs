//! Which groups this process is in: `/proc/self/cgroup` (`cgroups(7)`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The group that this process is in, in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Membership {
    /// The controllers of the hierarchy; none for version 2, one that begins with `name=` for a hierarchy without.
    controllers: Vec<String>,
    unified: bool,
    /// The group, by its name in the hierarchy, as this process's namespace has it.
    pub(super) group: PathBuf,
}

impl Membership {
    /// Whether it is the hierarchy of version 2.
    pub(super) const fn is_unified(&self) -> bool {
        self.unified
    }

    /// Whether it is the hierarchy of version 1 that has this controller.
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let number = fields.next()?;
        let controllers = std::str::from_utf8(fields.next()?).ok()?;
        let group = Path::new(OsStr::from_bytes(fields.next()?));
        group.is_absolute().then(|| Self {
            unified: number == b"0" && controllers.is_empty(),
            controllers: controllers
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            group: group.to_owned(),
        })
    }
}

/// One for each line. A line that is none is passed over.
pub(super) fn parse(text: &[u8]) -> Vec<Membership> {
    text.split(|byte| *byte == b'\n')
        .filter_map(Membership::parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(text: &str, controller: Option<&str>) -> Option<PathBuf> {
        parse(text.as_bytes())
            .into_iter()
            .find(|membership| {
                controller.map_or_else(|| membership.is_unified(), |name| membership.has(name))
            })
            .map(|membership| membership.group)
    }

    #[test]
    fn memberships_of_known_machines() {
        let unified = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n";
        let legacy = "12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n";
        let hybrid = "9:name=systemd:/\n8:pids:/\n4:memory:/a/b\n1:cpu:/\n0::/\n";
        let cases = [
            (
                unified,
                None,
                Some("/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope"),
            ),
            (unified, Some("memory"), None),
            (legacy, None, None),
            (legacy, Some("cpu"), Some("/docker/abc")),
            (legacy, Some("cpuacct"), Some("/docker/abc")),
            (legacy, Some("pids"), None),
            (legacy, Some("systemd"), None),
            (hybrid, None, Some("/")),
            (hybrid, Some("memory"), Some("/a/b")),
            (hybrid, Some("pids"), Some("/")),
        ];
        for (text, controller, expected) in cases {
            assert_eq!(
                group(text, controller),
                expected.map(PathBuf::from),
                "{controller:?} in {text}"
            );
        }
    }

    #[test]
    fn a_group_can_have_colons_and_spaces() {
        assert_eq!(group("0::/a:b c/d\n", None), Some(PathBuf::from("/a:b c/d")));
        assert_eq!(group("3:pids:/x:y\n", Some("pids")), Some(PathBuf::from("/x:y")));
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        for text in [
            "",
            "\n\n",
            "0:",
            "0::",
            "0::relative",
            "memory",
            "\u{0}:\u{0}:\u{0}",
        ] {
            assert_eq!(parse(text.as_bytes()), Vec::new(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&text));
        }

        #[test]
        fn what_is_written_is_read(
            number in 1_u32..20,
            names in proptest::collection::vec("[a-z_]{1,8}", 1..4),
            path in "(/[^/\n\0]{1,8}){1,4}",
        ) {
            let memberships = parse(format!("{number}:{}:{path}\n", names.join(",")).as_bytes());
            prop_assert_eq!(memberships.len(), 1);
            prop_assert!(names.iter().all(|name| memberships[0].has(name)));
            prop_assert!(!memberships[0].is_unified());
            prop_assert_eq!(&memberships[0].group, Path::new(&path));
        }
    }
}
