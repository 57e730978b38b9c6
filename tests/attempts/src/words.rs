//! The arguments of an attempt.

use std::ffi::CString;

use crate::descriptor::read_file;
use crate::environment;
use crate::verdict::{During as _, Stop};

/// The arguments of an attempt, without its name.
pub(crate) struct Words(Vec<String>);

impl Words {
    /// These words.
    pub(crate) const fn new(words: Vec<String>) -> Self {
        Self(words)
    }

    /// The words, with `~` at the start of one replaced by the home of this program, and `@NAME` by what the file of
    /// that name in the current folder says.
    pub(crate) fn resolved(words: &[String]) -> Result<Self, Stop> {
        let resolve = |word: &String| {
            if let Some(rest) = word.strip_prefix('~') {
                return Ok(format!("{}{rest}", scratch()?));
            }
            match word.strip_prefix('@') {
                Some(name) => {
                    let bytes = read_file(&c_string(name)?).during(format!("read the argument `{name}`"))?;
                    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
                }
                None => Ok(word.clone()),
            }
        };
        words.iter().map(resolve).collect::<Result<_, _>>().map(Self)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[String] {
        &self.0
    }

    /// A word, if there are as many.
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(String::as_str)
    }

    /// A word.
    pub(crate) fn text(&self, index: usize) -> Result<&str, Stop> {
        self.get(index)
            .ok_or_else(|| Stop::Misused(format!("argument {} is missing", index + 1)))
    }

    /// A word as a path.
    pub(crate) fn path(&self, index: usize) -> Result<CString, Stop> {
        c_string(self.text(index)?)
    }

    /// A word as a number, also a hexadecimal one.
    pub(crate) fn number(&self, index: usize) -> Result<i64, Stop> {
        let word = self.text(index)?;
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).map(u64::cast_signed),
            None => word.parse(),
        };
        number.map_err(|_| Stop::Misused(format!("`{word}` is not a number")))
    }

    /// A word as a process: its number, `self`, or `parent` for the one that started this program.
    pub(crate) fn process(&self, index: usize) -> Result<i64, Stop> {
        match self.text(index)? {
            "self" => Ok(i64::from(std::process::id())),
            "parent" => Ok(i64::from(environment::parent())),
            _ => self.number(index),
        }
    }
}

/// A text as the kernel takes it.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> Result<CString, Stop> {
    CString::new(text).map_err(|_| Stop::Misused("an argument holds a zero byte".to_owned()))
}

/// A name in a folder that no other process uses.
pub(crate) fn own_name(folder: &str, kind: &str) -> Result<CString, Stop> {
    c_string(format!("{folder}/wrun-attempt-{kind}-{}", std::process::id()))
}

/// The folder that this program may write in: its home.
pub(crate) fn scratch() -> Result<String, Stop> {
    std::env::var("HOME").map_err(|_| Stop::unavailable("there is no $HOME"))
}
