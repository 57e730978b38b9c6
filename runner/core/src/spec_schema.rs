//! The JSON Schema of a backend's spec, made when somebody looks at it: a run whose task file is right needs none.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON Schema (draft 2020-12). Its value is made the first time that it is looked at.
#[derive(Clone)]
pub struct SpecSchema {
    make: fn() -> Value,
    made: Arc<OnceLock<Value>>,
}

impl SpecSchema {
    /// The schema of a type.
    #[must_use]
    pub fn of<T: JsonSchema>() -> Self {
        Self {
            make: || schema_for!(T).to_value(),
            made: Arc::default(),
        }
    }
}

impl Deref for SpecSchema {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.made.get_or_init(self.make)
    }
}

impl From<Value> for SpecSchema {
    fn from(value: Value) -> Self {
        Self {
            make: || Value::Bool(true),
            made: Arc::new(OnceLock::from(value)),
        }
    }
}

impl fmt::Debug for SpecSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

impl PartialEq for SpecSchema {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Serialize for SpecSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SpecSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}
