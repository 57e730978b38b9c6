//! Which platform tags of wheels fit this machine (PEP 425, PEP 600, PEP 656).

use std::path::Path;

use wrun_core::platform::Platform;

use crate::error::ProvisionError;
use crate::files;
use crate::host::TaskHost;

/// The C library of a Linux machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Libc {
    Glibc(u32, u32),
    Musl(u32, u32),
}

/// What decides whether a platform tag fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlatformTags {
    arch: String,
    libc: Option<Libc>,
}

impl PlatformTags {
    /// A machine that only takes what fits all of them.
    pub(crate) fn none() -> Self {
        Self {
            arch: String::new(),
            libc: None,
        }
    }

    /// What is linked to musl, as programs are that need no library of the machine that they run on (PEP 656).
    pub(crate) fn musl(platform: &Platform) -> Self {
        const VERSION: Libc = Libc::Musl(1, 2);
        Self {
            arch: platform.arch.clone(),
            libc: (platform.os == "linux").then_some(VERSION),
        }
    }

    /// How well a tag fits: `None` not at all, 0 as everywhere, 1 for this platform.
    pub(crate) fn fit(&self, tag: &str) -> Option<u8> {
        if tag == "any" {
            return Some(0);
        }
        let rest = tag.strip_suffix(&self.arch)?.strip_suffix('_')?;
        let needed = match rest {
            "linux" => return self.libc.map(|_| 1),
            "manylinux1" => Libc::Glibc(2, 5),
            "manylinux2010" => Libc::Glibc(2, 12),
            "manylinux2014" => Libc::Glibc(2, 17),
            _ => {
                let (kind, version) = rest.split_once('_')?;
                let (major, minor) = version.split_once('_')?;
                let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
                match kind {
                    "manylinux" => Libc::Glibc(major, minor),
                    "musllinux" => Libc::Musl(major, minor),
                    _ => return None,
                }
            }
        };
        let fits = match (self.libc?, needed) {
            (Libc::Glibc(major, minor), Libc::Glibc(needed_major, needed_minor))
            | (Libc::Musl(major, minor), Libc::Musl(needed_major, needed_minor)) => {
                major == needed_major && minor >= needed_minor
            }
            _ => false,
        };
        fits.then_some(1)
    }
}

impl TaskHost {
    /// What fits this machine. On Linux the C library is asked for its version.
    pub(crate) async fn platform_tags(&self) -> Result<PlatformTags, ProvisionError> {
        let Platform { os, arch } = &self.platform;
        let libc = if os == "linux" {
            self.libc(arch).await?
        } else {
            None
        };
        Ok(PlatformTags {
            arch: arch.clone(),
            libc,
        })
    }

    async fn libc(&self, arch: &str) -> Result<Option<Libc>, ProvisionError> {
        // The loader of musl is at one fixed path for each architecture, and says its version when it is started.
        let musl = Path::new("/lib").join(format!("ld-musl-{arch}.so.1"));
        let asked = if files::is_executable(&musl) {
            self.probe(musl, Vec::<String>::new()).await
        } else {
            self.probe("/usr/bin/getconf".into(), ["GNU_LIBC_VERSION"]).await
        };
        match asked {
            Ok(captured) => {
                Ok(read_libc(&captured.stdout_text()).or_else(|| read_libc(&captured.stderr_text())))
            }
            Err(ProvisionError::Cancelled) => Err(ProvisionError::Cancelled),
            Err(_) => Ok(None),
        }
    }
}

/// Reads `glibc 2.36`, or the lines `musl libc (x86_64)` and `Version 1.2.5`.
fn read_libc(text: &str) -> Option<Libc> {
    let (name, version): (fn(u32, u32) -> Libc, &str) =
        if let Some(version) = text.trim().strip_prefix("glibc ") {
            (Libc::Glibc, version)
        } else {
            text.trim().strip_prefix("musl libc")?;
            (
                Libc::Musl,
                text.lines().find_map(|line| line.strip_prefix("Version "))?,
            )
        };
    let mut numbers = version.trim().split('.').map_while(|part| part.parse().ok());
    Some(name(numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(libc: Libc, tag: &str) -> Option<u8> {
        PlatformTags {
            arch: "x86_64".to_owned(),
            libc: Some(libc),
        }
        .fit(tag)
    }

    #[test]
    fn tags_fit_by_architecture_and_library() {
        let debian = Libc::Glibc(2, 36);
        for tag in [
            "linux_x86_64",
            "manylinux1_x86_64",
            "manylinux2014_x86_64",
            "manylinux_2_36_x86_64",
        ] {
            assert_eq!(fit(debian, tag), Some(1), "{tag}");
        }
        assert_eq!(fit(debian, "any"), Some(0));
        for tag in [
            "manylinux_2_37_x86_64",
            "manylinux_2_17_aarch64",
            "musllinux_1_1_x86_64",
            "win_amd64",
            "x86_64",
        ] {
            assert_eq!(fit(debian, tag), None, "{tag}");
        }
        assert_eq!(fit(Libc::Musl(1, 2), "musllinux_1_1_x86_64"), Some(1));
        assert_eq!(fit(Libc::Musl(1, 2), "manylinux_2_17_x86_64"), None);
        assert_eq!(PlatformTags::none().fit("linux_x86_64"), None);
    }

    #[test]
    fn libraries_say_their_versions() {
        assert_eq!(read_libc("glibc 2.36\n"), Some(Libc::Glibc(2, 36)));
        assert_eq!(
            read_libc("musl libc (x86_64)\nVersion 1.2.5\nUsage"),
            Some(Libc::Musl(1, 2))
        );
        assert_eq!(read_libc(""), None);
    }
}
