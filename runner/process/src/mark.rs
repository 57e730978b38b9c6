//! The variable by which members of a tree are known.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;

/// The variable that is added to the environment of every tree: a random name of the tree, after those of the trees
/// that it is inside of, separated by `.`.
pub const MARK: &str = "WRUN_RUN";

/// The name of a tree.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    #[cfg(any(target_os = "linux", test))]
    id: String,
    value: OsString,
}

impl Mark {
    /// A new name, of 128 random bits.
    pub(crate) fn new() -> io::Result<Self> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let id = format!("{:032x}", u128::from_be_bytes(bytes));
        let value = match std::env::var_os(MARK) {
            Some(mut outer) => {
                outer.push(".");
                outer.push(&id);
                outer
            }
            None => OsString::from(&id),
        };
        Ok(Self {
            #[cfg(any(target_os = "linux", test))]
            id,
            value,
        })
    }

    /// The variable's value.
    pub(crate) fn value(&self) -> &OsStr {
        &self.value
    }

    /// Whether an environment, as NUL-separated `NAME=value`, is one of this tree or of a tree inside of it.
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn is_in(&self, environment: &[u8]) -> bool {
        environment.split(|byte| *byte == 0).any(|variable| {
            variable
                .strip_prefix(MARK.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
                .is_some_and(|value| {
                    value
                        .split(|byte| *byte == b'.')
                        .any(|id| id == self.id.as_bytes())
                })
        })
    }

    /// Whether a variable is the mark.
    pub(crate) fn is_name(name: &OsStr) -> bool {
        name.as_bytes() == MARK.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_on_its_own_and_inside_of_others() {
        let mark = Mark::new().unwrap();
        let id = mark.id.clone();
        assert!(mark.is_in(format!("A=b\0WRUN_RUN={id}\0C=d\0").as_bytes()));
        assert!(mark.is_in(format!("WRUN_RUN=outer.{id}.inner").as_bytes()));
        assert!(!mark.is_in(format!("X=WRUN_RUN={id}\0WRUN_RUN=other\0").as_bytes()));
        assert!(!mark.is_in(b""));
    }
}
