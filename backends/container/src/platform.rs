//! Platforms of images.

use std::fmt;

use serde::{Deserialize, Serialize};
use wrun_core::platform::Platform;

/// The platform of an image, in the words of Go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImagePlatform {
    #[serde(default)]
    pub(crate) os: String,
    #[serde(rename = "architecture", default)]
    pub(crate) arch: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

impl fmt::Display for ImagePlatform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.arch)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl ImagePlatform {
    /// That of a machine. Images are of Linux, also where an engine runs them on another system.
    pub(crate) fn of(machine: &Platform) -> Self {
        let (arch, variant) = match machine.arch.as_str() {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self {
            os: "linux".to_owned(),
            arch: arch.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    /// Reads `os/arch` or `os/arch/variant`.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-'))
        };
        let [os, arch, variant @ ..] = parts.as_slice() else {
            return Err(format!("`{text}` is not a platform"));
        };
        if variant.len() > 1 || !parts.iter().all(plain) {
            return Err(format!("`{text}` is not a platform"));
        }
        let arch = match *arch {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "i386" => "386",
            other => other,
        };
        let mut platform = Self {
            os: (*os).to_owned(),
            arch: arch.to_owned(),
            variant: variant.first().map(|variant| (*variant).to_owned()),
        };
        if platform.usual_variant() == platform.variant.as_deref() {
            platform.variant = None;
        }
        Ok(platform)
    }

    /// The variant that is meant where none is written and that an entry may or may not name.
    fn usual_variant(&self) -> Option<&'static str> {
        match self.arch.as_str() {
            "arm64" => Some("v8"),
            "amd64" => Some("v1"),
            _ => None,
        }
    }

    /// How well an image of the platform `offered` runs on this one; `None` if it does not. The higher the better.
    pub(crate) fn runs(&self, offered: &Self) -> Option<u32> {
        if self.os != offered.os || self.arch != offered.arch {
            return None;
        }
        let level = |platform: &Self| {
            let named = platform.variant.as_deref().or_else(|| platform.usual_variant());
            named.map(|variant| {
                variant
                    .trim_start_matches('v')
                    .parse::<u32>()
                    .map_err(|_| variant.to_owned())
            })
        };
        match (level(self), level(offered)) {
            // What is built for less runs too, and what is built for more does not.
            (Some(Ok(own)), Some(Ok(other))) => (other <= own).then_some(other + 1),
            (own, other) if own == other => Some(1),
            (_, None) | (None, Some(_)) => Some(0),
            _ => None,
        }
    }

    /// Whether it is that of WebAssembly modules.
    pub(crate) fn is_wasm(&self) -> bool {
        self.arch == "wasm" || self.os.starts_with("wasi")
    }

    /// Whether it says that it is no platform at all, as attestations beside images do.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.os.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> ImagePlatform {
        ImagePlatform::parse(text).unwrap()
    }

    fn best<'a>(own: &str, offered: &[&'a str]) -> Option<&'a str> {
        offered
            .iter()
            .copied()
            .filter_map(|offer| Some((platform(own).runs(&platform(offer))?, offer)))
            .max_by_key(|(score, _)| *score)
            .map(|(_, offer)| offer)
    }

    #[test]
    fn the_best_that_runs_is_taken() {
        let all = [
            "linux/amd64",
            "linux/arm/v5",
            "linux/arm/v7",
            "linux/arm64/v8",
            "windows/amd64",
        ];
        assert_eq!(best("linux/amd64", &all), Some("linux/amd64"));
        assert_eq!(best("linux/arm64", &all), Some("linux/arm64/v8"));
        assert_eq!(best("linux/arm/v7", &all), Some("linux/arm/v7"));
        assert_eq!(best("linux/arm/v6", &all), Some("linux/arm/v5"));
        assert_eq!(best("linux/s390x", &all), None);
        assert_eq!(best("linux/amd64", &["linux/amd64/v3"]), None);
        assert_eq!(
            best(
                "linux/amd64/v3",
                &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"]
            ),
            Some("linux/amd64/v2")
        );
    }

    #[test]
    fn what_is_written_is_read_in_one_form() {
        assert_eq!(platform("linux/aarch64/v8"), platform("linux/arm64"));
        assert_eq!(platform("linux/x86_64").to_string(), "linux/amd64");
        assert_eq!(platform("linux/arm/v7").to_string(), "linux/arm/v7");
        for bad in ["", "linux", "linux/", "linux/arm/v7/x", "linux/a b"] {
            assert!(ImagePlatform::parse(bad).is_err(), "{bad}");
        }
        let machine = Platform {
            os: "macos".to_owned(),
            arch: "aarch64".to_owned(),
        };
        assert_eq!(ImagePlatform::of(&machine).to_string(), "linux/arm64");
    }
}
