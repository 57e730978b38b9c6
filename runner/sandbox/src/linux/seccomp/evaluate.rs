//! Running a filter as the kernel does, on the registers of a call that it told of.
//!
//! Where calls are watched, those that are refused are told too, and whoever is told answers with the error that the
//! filter would have given. It finds out which they are by the same program, so that neither refuses more or less than
//! the other. Registers cannot change while a call waits, unlike what they point to, at which no filter looks.

use seccompiler::sock_filter;

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_ALU | BPF_AND | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
/// `BPF_JMP` with `BPF_JA`, and with `BPF_JEQ`, `BPF_JGT` and `BPF_JGE`, each with `BPF_K`.
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_AT_LEAST: u16 = 0x35;

/// What the program returns for a call; `None` if it is no program that this understands.
pub(super) fn evaluate(program: &[sock_filter], call: &libc::seccomp_data) -> Option<u32> {
    let words = words(call);
    let (mut accumulator, mut next) = (0_u32, 0_usize);
    // Jumps only go forward, so no program takes more steps than it has instructions.
    for _ in program {
        let instruction = program.get(next)?;
        let operand = instruction.k;
        let branch = |taken: bool| usize::from(if taken { instruction.jt } else { instruction.jf });
        next += 1;
        match instruction.code {
            LOAD if operand.is_multiple_of(4) => {
                accumulator = *words.get(usize::try_from(operand / 4).ok()?)?;
            }
            AND => accumulator &= operand,
            JUMP => next = next.checked_add(usize::try_from(operand).ok()?)?,
            JUMP_IF_EQUAL => next += branch(accumulator == operand),
            JUMP_IF_GREATER => next += branch(accumulator > operand),
            JUMP_IF_AT_LEAST => next += branch(accumulator >= operand),
            RETURN => return Some(operand),
            _ => return None,
        }
    }
    None
}

/// `struct seccomp_data` in words, as it lies in the memory of these architectures: the lower half of a number first.
fn words(call: &libc::seccomp_data) -> [u32; 16] {
    let halves =
        |number: u64| [number & u64::from(u32::MAX), number >> 32].map(|half| half.try_into().unwrap_or(0));
    let mut words = [0; 16];
    let all = [call.nr.cast_unsigned(), call.arch]
        .into_iter()
        .chain(halves(call.instruction_pointer))
        .chain(call.args.into_iter().flat_map(halves));
    for (to, from) in words.iter_mut().zip(all) {
        *to = from;
    }
    words
}
