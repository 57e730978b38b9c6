//! Where control groups are mounted: `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// A mounted hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// The group, by its name in the hierarchy, that is seen at the mount point.
    root: PathBuf,
    /// Where it is mounted.
    point: PathBuf,
    /// Which hierarchy it is.
    hierarchy: Hierarchy,
}

/// Which hierarchy a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hierarchy {
    /// The one of version 2.
    Unified,
    /// One of version 1, by its mount options; the names of its controllers are among them.
    Legacy(Vec<OsString>),
}

impl Mount {
    /// Whether it is the hierarchy of version 2.
    pub(super) fn is_unified(&self) -> bool {
        self.hierarchy == Hierarchy::Unified
    }

    /// Whether it is the hierarchy of version 1 that has this controller.
    pub(super) fn has(&self, controller: &str) -> bool {
        match &self.hierarchy {
            Hierarchy::Unified => false,
            Hierarchy::Legacy(options) => options.iter().any(|option| option == controller),
        }
    }

    /// Where it is mounted.
    pub(super) fn point(&self) -> &Path {
        &self.point
    }

    /// The folder of a group, from its name in the hierarchy; `None` if this mount does not show it.
    pub(super) fn folder(&self, group: &Path) -> Option<PathBuf> {
        let below = group.strip_prefix(&self.root).ok()?;
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        below
            .components()
            .all(plain)
            .then(|| self.point.components().chain(below.components()).collect())
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let root = fields.nth(3)?;
        let point = fields.next()?;
        // A variable number of optional fields follows, up to a hyphen.
        let _separator = fields.find(|field| *field == b"-")?;
        let kind = fields.next()?;
        let options = fields.nth(1)?;
        let hierarchy = match kind {
            b"cgroup2" => Hierarchy::Unified,
            b"cgroup" => Hierarchy::Legacy(options.split(|byte| *byte == b',').map(unescape).collect()),
            _ => return None,
        };
        Some(Self {
            root: unescape(root).into(),
            point: unescape(point).into(),
            hierarchy,
        })
    }
}

/// The mounts of control groups, in the order of the file. A line that is none is passed over.
pub(super) fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n')
        .filter_map(Mount::parse)
        .collect()
}

/// Undoes what the kernel does to spaces, tabs, line feeds and backslashes: `\` and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
            }
            _ => None,
        };
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            after.get(3..).unwrap_or_default()
        } else {
            after
        };
    }
    OsString::from_vec(plain)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Mount {
        let mounts = parse(line.as_bytes());
        assert_eq!(mounts.len(), 1, "{line}");
        mounts.into_iter().next().unwrap()
    }

    #[test]
    fn a_unified_machine_has_one_mount() {
        let text = "23 30 0:22 / /sys rw,nosuid - sysfs sysfs rw\n\
            27 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 \
            rw,nsdelegate,memory_recursiveprot\n\
            28 23 0:27 / /sys/fs/pstore rw - pstore pstore rw\n";
        let mounts = parse(text.as_bytes());
        assert_eq!(mounts.len(), 1);
        assert!(mounts[0].is_unified());
        assert!(!mounts[0].has("memory") && !mounts[0].has("rw"));
        assert_eq!(mounts[0].point(), Path::new("/sys/fs/cgroup"));
        assert_eq!(
            mounts[0]
                .folder(Path::new("/user.slice/session-2.scope"))
                .unwrap(),
            Path::new("/sys/fs/cgroup/user.slice/session-2.scope")
        );
        assert_eq!(
            mounts[0].folder(Path::new("/")).unwrap().as_os_str(),
            "/sys/fs/cgroup"
        );
    }

    #[test]
    fn a_legacy_machine_has_one_mount_for_each_set_of_controllers() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let mounts = parse(text.as_bytes());
        let having =
            |controller: &str| -> Vec<_> { mounts.iter().filter(|mount| mount.has(controller)).collect() };
        assert_eq!(mounts.len(), 4);
        assert_eq!(
            having("cpu").first().unwrap().point(),
            Path::new("/sys/fs/cgroup/cpu,cpuacct")
        );
        assert_eq!(having("cpuacct").len(), 1);
        assert_eq!(
            having("memory").len(),
            1,
            "a hierarchy that is called so is not one"
        );
        assert_eq!(having("pids").len(), 0);
    }

    #[test]
    fn a_container_sees_part_of_a_hierarchy() {
        let mount = one("1 2 0:3 /docker/abc /sys/fs/cgroup/memory ro master:2 - cgroup cgroup rw,memory");
        assert_eq!(
            mount.folder(Path::new("/docker/abc")).unwrap().as_os_str(),
            "/sys/fs/cgroup/memory"
        );
        assert_eq!(
            mount.folder(Path::new("/docker/abc/x/y")).unwrap(),
            Path::new("/sys/fs/cgroup/memory/x/y")
        );
        assert_eq!(mount.folder(Path::new("/docker/abcd")), None);
        assert_eq!(mount.folder(Path::new("/")), None);
    }

    #[test]
    fn a_group_outside_of_the_namespace_has_no_folder() {
        let mount = one("1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
        assert_eq!(mount.folder(Path::new("/../other")), None);
        assert_eq!(mount.folder(Path::new("relative")), None);
    }

    #[test]
    fn spaces_are_escaped() {
        let mount = one(r"1 2 0:3 /a\040b\134c /mnt/with\011tab\012 rw - cgroup2 my\040source rw");
        assert_eq!(mount.point(), Path::new("/mnt/with\ttab\n"));
        assert_eq!(
            mount.folder(Path::new("/a b\\c/d")).unwrap(),
            Path::new("/mnt/with\ttab\n/d")
        );
        assert_eq!(
            unescape(br"\04\400\8\\377").as_bytes(),
            b"\\04\\400\\8\\\xff".as_slice()
        );
    }

    proptest! {
        #[test]
        fn what_the_kernel_escapes_is_undone(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut escaped = Vec::new();
            for byte in &name {
                if b" \t\n\\".contains(byte) {
                    escaped.extend(format!("\\{byte:03o}").bytes());
                } else {
                    escaped.push(*byte);
                }
            }
            prop_assert_eq!(unescape(&escaped).into_vec(), name);
        }

        #[test]
        fn no_text_is_too_much(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&text));
        }

        #[test]
        fn optional_fields_do_not_matter(fields in proptest::collection::vec("(shared|master):[0-9]{1,3}|unbindable", 0..4)) {
            let line = format!("1 2 0:3 /r /p rw {} - cgroup cgroup rw,pids", fields.join(" ")).replace("  ", " ");
            let mount = one(&line);
            prop_assert!(mount.has("pids"));
            prop_assert_eq!(mount.point(), Path::new("/p"));
        }

        #[test]
        fn a_folder_is_below_the_mount_point(group in "(/[a-z.]{1,4}){0,4}/?") {
            let mount = one("1 2 0:3 / /point rw - cgroup2 cgroup2 rw");
            if let Some(folder) = mount.folder(Path::new(&group)) {
                prop_assert!(folder.starts_with("/point"));
                prop_assert!(!folder.components().any(|part| part == std::path::Component::ParentDir));
            }
        }
    }
}
