//! Text of the operating system in JSON: a string if it is UTF-8, else an array of its bytes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use serde::{Deserialize, Serialize};

/// Text as the operating system has it: any bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl From<&OsStr> for Text {
    fn from(text: &OsStr) -> Self {
        text.to_str().map_or_else(
            || Self::Bytes(text.as_bytes().to_vec()),
            |text| Self::Utf8(text.to_owned()),
        )
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> Self {
        match text {
            Text::Utf8(text) => text.into(),
            Text::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

/// For `#[serde(with)]` on an [`OsString`] or a path.
pub(crate) mod os {
    use std::ffi::{OsStr, OsString};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Text;

    pub(crate) fn serialize<T: AsRef<OsStr>, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Text::from(value.as_ref()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: From<OsString>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Text::deserialize(deserializer).map(|text| OsString::from(text).into())
    }
}

/// For `#[serde(with)]` on a list of [`OsString`].
pub(crate) mod os_list {
    use std::ffi::OsString;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Text;

    pub(crate) fn serialize<S: Serializer>(value: &[OsString], serializer: S) -> Result<S::Ok, S::Error> {
        let list: Vec<Text> = value.iter().map(|text| text.as_os_str().into()).collect();
        list.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OsString>, D::Error> {
        let list = Vec::<Text>::deserialize(deserializer)?;
        Ok(list.into_iter().map(Into::into).collect())
    }
}

/// For `#[serde(with)]` on a list of pairs of [`OsString`].
pub(crate) mod os_pairs {
    use std::ffi::OsString;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Text;

    pub(crate) fn serialize<S: Serializer>(
        value: &[(OsString, OsString)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let list: Vec<(Text, Text)> = value
            .iter()
            .map(|(name, value)| (name.as_os_str().into(), value.as_os_str().into()))
            .collect();
        list.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(OsString, OsString)>, D::Error> {
        let list = Vec::<(Text, Text)>::deserialize(deserializer)?;
        Ok(list
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect())
    }
}
