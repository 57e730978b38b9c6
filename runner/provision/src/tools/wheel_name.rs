//! File names of wheels (PEP 427; PEP 425 for the tags).

use pep440_rs::Version;

use super::platform_tags::PlatformTags;

/// What the file name of a wheel says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WheelName {
    /// The whole name.
    pub(crate) file: String,
    /// The distribution, as it stands in the name.
    pub(crate) distribution: String,
    /// The version, as it stands in the name.
    written_version: String,
    /// The version.
    pub(crate) version: Version,
    python: String,
    abi: String,
    platform: String,
}

impl WheelName {
    /// Reads a file name; `None` if it is not that of a wheel.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let parts: Vec<&str> = file.strip_suffix(".whl")?.split('-').collect();
        let ([distribution, version, python, abi, platform]
        | [distribution, version, _, python, abi, platform]) = *parts.as_slice()
        else {
            return None;
        };
        Some(Self {
            file: file.to_owned(),
            distribution: distribution.to_owned(),
            written_version: version.to_owned(),
            version: version.parse().ok()?,
            python: python.to_owned(),
            abi: abi.to_owned(),
            platform: platform.to_owned(),
        })
    }

    /// The first half of the names of its `.data` and `.dist-info` folders.
    pub(crate) fn stem(&self) -> String {
        format!("{}-{}", self.distribution, self.written_version)
    }

    /// How well it fits a machine for any Python 3; `None` if it does not. More is better: a wheel for the platform
    /// goes before one for all.
    pub(crate) fn fit(&self, tags: &PlatformTags) -> Option<u8> {
        let any_python = self.python.split('.').any(|tag| tag == "py3") && self.abi == "none";
        if !any_python {
            return None;
        }
        self.platform.split('.').filter_map(|tag| tags.fit(tag)).max()
    }

    /// Whether it is pure Python for any Python 3.
    pub(crate) fn is_pure(&self) -> bool {
        self.fit(&PlatformTags::none()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_wheels_are_read() {
        let wheel =
            WheelName::parse("uv-0.9.3-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").unwrap();
        assert_eq!(wheel.stem(), "uv-0.9.3");
        assert!(!wheel.is_pure());
        assert!(WheelName::parse("pip-23.0.1-py3-none-any.whl").unwrap().is_pure());
        assert!(
            WheelName::parse("pip-19.2.3-py2.py3-none-any.whl")
                .unwrap()
                .is_pure()
        );
        assert!(WheelName::parse("x-1.0-1-py3-none-any.whl").is_some());
        for bad in ["pip-23.0.1.tar.gz", "pip.whl", "x-nonsense-py3-none-any.whl"] {
            assert!(WheelName::parse(bad).is_none(), "{bad}");
        }
    }
}
