//! The canonical encoding that ids are made from.
//!
//! JSON in the spirit of RFC 8785: keys sorted, no white space, no floating-point numbers, strings in Unicode
//! normalisation form C, and *absent* in place of null or a default. It is text, so that two requests can be
//! compared by eye and a miss can be explained.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

/// A value in canonical form. Equal meaning is equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Canon {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text in normalisation form C.
    Text(String),
    /// Values whose order has a meaning.
    List(Vec<Self>),
    /// Named values; the order of names has no meaning.
    Map(BTreeMap<String, Self>),
}

/// A JSON value that has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonError {
    /// A number with a fraction or outside of 64 bits.
    #[error("`{0}` is not a whole number of 64 bits")]
    Number(String),
}

impl Canon {
    /// Text, normalised.
    pub fn text(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        // ASCII is in normalisation form C, and a lock is a long text of it.
        Self::Text(if text.is_ascii() {
            text.to_owned()
        } else {
            text.nfc().collect()
        })
    }

    /// A whole number.
    #[must_use]
    pub const fn integer(number: i64) -> Self {
        Self::Integer(number)
    }

    /// A list in the order given.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().collect())
    }

    /// A list whose order and repetitions have no meaning.
    pub fn set(items: impl IntoIterator<Item = Self>) -> Self {
        let mut items: Vec<Self> = items.into_iter().collect();
        items.sort();
        items.dedup();
        Self::List(items)
    }

    /// A map of the fields given.
    pub fn map<K: AsRef<str>>(fields: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(
            fields
                .into_iter()
                .map(|(key, value)| (key.as_ref().nfc().collect(), value))
                .collect(),
        )
    }

    /// A map of those fields that are present: `None`, an empty list and an empty map are left out, so that a
    /// default that is written out is the same as one that is not.
    pub fn fields<K: AsRef<str>>(fields: impl IntoIterator<Item = (K, Option<Self>)>) -> Self {
        Self::map(fields.into_iter().filter_map(|(key, value)| {
            let value = value?;
            let empty = matches!(&value, Self::List(items) if items.is_empty())
                || matches!(&value, Self::Map(map) if map.is_empty());
            (!empty).then_some((key, value))
        }))
    }

    /// The canonical form of a JSON value; members that are null are left out.
    ///
    /// # Errors
    /// A number that is not whole.
    pub fn from_json(value: &Value) -> Result<Self, CanonError> {
        Ok(match value {
            Value::Null => Self::Map(BTreeMap::new()),
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Integer(
                number
                    .as_i64()
                    .ok_or_else(|| CanonError::Number(number.to_string()))?,
            ),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect::<Result<_, _>>()?),
            Value::Object(members) => Self::Map(
                members
                    .iter()
                    .filter(|(_, member)| !member.is_null())
                    .map(|(key, member)| Ok((key.nfc().collect(), Self::from_json(member)?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    /// The same value as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Integer(number) => Value::from(*number),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, member)| (key.clone(), member.to_json()))
                    .collect(),
            ),
        }
    }

    /// A member of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.get(key),
            _ => None,
        }
    }

    /// The text, if this is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if this is a list; nothing otherwise.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The bytes that are hashed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Text(text) => write_string(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (index, (key, member)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    member.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A JSON string with the escapes of RFC 8785, section 3.2.2.2, which are those of `serde_json`.
fn write_string(text: &str, out: &mut String) {
    out.push_str(&Value::String(text.to_owned()).to_string());
}

impl std::fmt::Display for Canon {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        formatter.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_bytes_read_back_to_the_same_bytes(value in json()) {
            let canon = Canon::from_json(&value).unwrap();
            let read: Value = serde_json::from_slice(&canon.to_bytes()).unwrap();
            prop_assert_eq!(Canon::from_json(&read).unwrap().to_bytes(), canon.to_bytes());
        }
    }

    #[test]
    fn composed_and_decomposed_text_are_one() {
        assert_eq!(Canon::text("é"), Canon::text("e\u{301}"));
    }

    #[test]
    fn order_of_keys_has_no_meaning_and_order_of_lists_has() {
        let one: Value = serde_json::from_str(r#"{"b": [1, 2], "a": true}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a": true, "b": [1, 2], "c": null}"#).unwrap();
        let three: Value = serde_json::from_str(r#"{"a": true, "b": [2, 1]}"#).unwrap();
        assert_eq!(Canon::from_json(&one), Canon::from_json(&two));
        assert_ne!(Canon::from_json(&one), Canon::from_json(&three));
        assert_eq!(
            Canon::from_json(&one).unwrap().to_string(),
            r#"{"a":true,"b":[1,2]}"#
        );
    }

    #[test]
    fn a_fraction_has_no_canonical_form() {
        assert!(Canon::from_json(&serde_json::json!({"a": 1.5})).is_err());
    }
}
