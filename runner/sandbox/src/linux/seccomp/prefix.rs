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

/// `BPF_JMP | BPF_JA`.
const JUMP: u16 = 0x05;

/// Calls that one return serves: a jump leads 255 instructions further at most.
const SHARED: usize = 254;

/// Has the number of the call looked at next.
pub(super) const LOAD_NUMBER: sock_filter = instruction(LOAD, 0, 0, NUMBER);

/// What lets every other call through.
pub(super) const ALLOW: sock_filter = instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

const fn fails_with(errno: i32) -> sock_filter {
    instruction(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

/// The filter with what comes before it. It is one program, since the kernel takes its time to install each.
pub(super) fn with(absent: &[c_long], filter: &[sock_filter]) -> Vec<sock_filter> {
    let mut program = vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(JUMP_IF_EQUAL, 1, 0, THIS),
        fails_with(libc::ENOSYS),
        LOAD_NUMBER,
        instruction(JUMP_IF_AT_LEAST, 0, 1, X32),
        fails_with(libc::ENOSYS),
    ];
    program.extend(failing(absent, libc::ENOSYS));
    program.extend_from_slice(filter);
    program
}

/// Has these calls fail, whatever their arguments, where the number of the call is what is looked at. The compiler takes
/// five instructions for each, of which the kernel has to make machine code at every start.
pub(super) fn failing(calls: &[c_long], errno: i32) -> Vec<sock_filter> {
    let numbers: Vec<u32> = calls
        .iter()
        .filter_map(|number| u32::try_from(*number).ok())
        .collect();
    let mut program = Vec::new();
    for some in numbers.chunks(SHARED) {
        // To the return behind the last one and the jump over it.
        let further = (1..=some.len())
            .rev()
            .map(|further| u8::try_from(further).unwrap_or(u8::MAX));
        program.extend(
            some.iter()
                .zip(further)
                .map(|(number, further)| instruction(JUMP_IF_EQUAL, further, 0, *number)),
        );
        program.extend([instruction(JUMP, 0, 0, 1), fails_with(errno)]);
    }
    program
}
