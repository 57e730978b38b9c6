//! What comes before a compiled filter: calls of other architectures and of x32 do not exist, nor do some of this one.
//!
//! The compiler kills a process that makes a call of another architecture, and does not know that on x86-64 a call
//! number with bit 30 is one of the x32 interface, which would slip past rules for the plain number.

use std::ffi::c_long;

use seccompiler::sock_filter;

/// `BPF_RET | BPF_K`.
pub(super) const RETURN: u16 = 0x06;
/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`.
const JUMP_IF_AT_LEAST: u16 = 0x35;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64`.
#[cfg(target_arch = "x86_64")]
const THIS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const THIS: u32 = 0xc000_00b7;

/// The bit of x32 calls; no other architecture has calls of such numbers.
const X32: u32 = 0x4000_0000;

const DOES_NOT_EXIST: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();

/// What lets every other call through.
pub(super) const ALLOW: sock_filter = sock_filter {
    code: RETURN,
    jt: 0,
    jf: 0,
    k: libc::SECCOMP_RET_ALLOW,
};

/// The filter with what comes before it. It is one program, since the kernel takes its time to install each.
pub(super) fn with(absent: &[c_long], filter: &[sock_filter]) -> Vec<sock_filter> {
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let mut program = vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(JUMP_IF_EQUAL, 1, 0, THIS),
        instruction(RETURN, 0, 0, DOES_NOT_EXIST),
        instruction(LOAD, 0, 0, NUMBER),
        instruction(JUMP_IF_AT_LEAST, 0, 1, X32),
        instruction(RETURN, 0, 0, DOES_NOT_EXIST),
    ];
    for number in absent.iter().filter_map(|number| u32::try_from(*number).ok()) {
        program.extend([
            instruction(JUMP_IF_EQUAL, 0, 1, number),
            instruction(RETURN, 0, 0, DOES_NOT_EXIST),
        ]);
    }
    program.extend_from_slice(filter);
    program
}
