//! System calls as the kernel takes them.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::errno::Errno;

/// Paths that are relative are so to the current folder.
pub(crate) const HERE: i32 = libc::AT_FDCWD;

/// An argument of a call.
pub(crate) enum Arg<'a> {
    /// A number, a set of flags or a descriptor.
    Number(i64),
    /// A path or a name.
    Text(&'a CStr),
    /// Something that the kernel reads.
    Bytes(&'a [u8]),
    /// Something that the kernel fills.
    Out(&'a mut [u8]),
}

impl Arg<'_> {
    fn word(&mut self) -> i64 {
        let address = match self {
            Self::Number(number) => return *number,
            Self::Text(text) => text.as_ptr().expose_provenance(),
            Self::Bytes(bytes) => bytes.as_ptr().expose_provenance(),
            Self::Out(bytes) => bytes.as_mut_ptr().expose_provenance(),
        };
        (address as u64).cast_signed()
    }
}

impl From<i32> for Arg<'_> {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Arg<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number.cast_signed())
    }
}

impl From<usize> for Arg<'_> {
    fn from(number: usize) -> Self {
        Self::Number((number as u64).cast_signed())
    }
}

impl From<&OwnedFd> for Arg<'_> {
    fn from(descriptor: &OwnedFd) -> Self {
        Self::Number(descriptor.as_raw_fd().into())
    }
}

impl<'a> From<&'a CStr> for Arg<'a> {
    fn from(text: &'a CStr) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a std::ffi::CString> for Arg<'a> {
    fn from(text: &'a std::ffi::CString) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Arg<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a mut [u8]> for Arg<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Self::Out(bytes)
    }
}

impl<'a, const N: usize> From<&'a mut [u8; N]> for Arg<'a> {
    fn from(bytes: &'a mut [u8; N]) -> Self {
        Self::Out(bytes)
    }
}

/// Makes a call. Where the kernel fills something, it must be as long as what the kernel fills; no call may be made that
/// takes memory away from this program or lets another process change it.
pub(crate) fn system_call<const N: usize>(number: i64, arguments: [Arg<'_>; N]) -> Result<i64, Errno> {
    let mut words = [0; 6];
    for (word, mut argument) in words.iter_mut().zip(arguments) {
        *word = argument.word();
    }
    let [first, second, third, fourth, fifth, sixth] = words;
    #[expect(
        unsafe_code,
        reason = "this is how a program asks the kernel for what no library offers"
    )]
    // SAFETY: every address is that of a borrow that lasts until the call has returned, which is exclusive where the
    // kernel writes; that it is long enough, and that nothing else is changed, is what callers promise.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) };
    if result == -1 {
        Err(Errno::last())
    } else {
        Ok(result)
    }
}

/// Makes a call with whatever can be an argument.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::call::system_call($number, [$($crate::call::Arg::from($argument)),*])
    };
}
pub(crate) use call;

/// The words of a structure, as the kernel reads them.
pub(crate) fn words_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A list of texts, closed by a null address, as `execve(2)` takes it. It is of use as long as the texts are there.
pub(crate) fn list_of(texts: &[std::ffi::CString]) -> Vec<u8> {
    let addresses = texts.iter().map(|text| text.as_ptr().expose_provenance());
    addresses.chain([0]).flat_map(usize::to_ne_bytes).collect()
}
