//! What kind of guest a file holds, told from its first bytes.

use wasmtime::Engine;

use super::error::WasiError;

/// The two kinds of guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuestKind {
    /// A core module for WASI 0.1.
    Module,
    /// A component for WASI 0.2.
    Component,
}

/// The magic number, and behind it the version and the layer (component model, `Binary.md`).
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MAGIC: &[u8] = b"\0asm";

impl GuestKind {
    /// Tells the kind of a binary.
    ///
    /// # Errors
    /// [`WasiError::NotWasm`], saying what the bytes look like instead. Precompiled code is native code and is never
    /// taken from outside.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, WasiError> {
        if bytes.starts_with(MODULE) {
            return Ok(Self::Module);
        }
        if bytes.starts_with(COMPONENT) {
            return Ok(Self::Component);
        }
        let (found, hint) = describe(bytes);
        Err(WasiError::NotWasm { found, hint })
    }
}

fn describe(bytes: &[u8]) -> (&'static str, &'static str) {
    if bytes.is_empty() {
        return ("empty", "check the path and the build that wrote the file");
    }
    if bytes.starts_with(MAGIC) {
        return (
            "WebAssembly of a version that is not known",
            "build it again with a current toolchain for `wasm32-wasip1` or `wasm32-wasip2`",
        );
    }
    if Engine::detect_precompiled(bytes).is_some() {
        return (
            "precompiled native code",
            "pass the `.wasm` file that it was made from: compiled code is kept by the runner itself, and never taken \
             from outside because it runs without the guest's limits",
        );
    }
    if bytes.starts_with(b"\x7fELF") {
        return (
            "a native program",
            "run it as a command, or build it for `wasm32-wasip1` or `wasm32-wasip2`",
        );
    }
    if bytes.starts_with(b"#!") {
        return ("a script", "run it as a command");
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(") || text.starts_with(b";;") {
        return (
            "WebAssembly text",
            "translate it with `wasm-tools parse guest.wat -o guest.wasm`",
        );
    }
    (
        "something else",
        "check the path; a WebAssembly binary begins with the four bytes `\\0asm`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> &'static str {
        match GuestKind::of(bytes) {
            Err(WasiError::NotWasm { found, .. }) => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn binaries_are_told_apart() {
        assert_eq!(
            GuestKind::of(&wat::parse_str("(module)").unwrap()).unwrap(),
            GuestKind::Module
        );
        assert_eq!(
            GuestKind::of(&wat::parse_str("(component)").unwrap()).unwrap(),
            GuestKind::Component
        );
    }

    #[test]
    fn what_is_no_binary_is_named() {
        assert_eq!(found(b""), "empty");
        assert_eq!(found(b"  \n(module)"), "WebAssembly text");
        assert_eq!(found(b";; a comment\n(component)"), "WebAssembly text");
        assert_eq!(
            found(b"\0asm\x02\0\0\0"),
            "WebAssembly of a version that is not known"
        );
        assert_eq!(found(b"\0as"), "something else");
        assert_eq!(found(b"#!/bin/sh\n"), "a script");
        assert_eq!(found(b"\x7fELF\x02\x01\x01"), "a native program");
    }
}
