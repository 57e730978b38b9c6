//! The doors of x86-64: the one of 32-bit programs, the numbers of the x32 interface, and the page that older programs
//! ask for the time.

use std::arch::asm;

use crate::call::{Arg, system_call};
use crate::errno::Errno;
use crate::verdict::{During as _, Stop, Verdict, open_if_marked};
use crate::words::Words;

/// Makes a call as a 32-bit program does.
fn by_interrupt(number: u32, arguments: [u32; 3]) -> Result<u32, Errno> {
    let [first, second, third] = arguments;
    let result: u64;
    #[expect(unsafe_code, reason = "there is no other way into this door")]
    // SAFETY: callers hand over numbers, and addresses of memory that stays and is as long as the call needs; rbx, which
    // the compiler keeps, is put back, and the registers that older kernels clear are given up.
    unsafe {
        asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inout("rax") u64::from(number) => result,
            in("rcx") u64::from(second),
            in("rdx") u64::from(third),
            in("rsi") 0_u64,
            in("rdi") 0_u64,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let low = u32::try_from(result & u64::from(u32::MAX)).unwrap_or_default();
    let signed = low.cast_signed();
    if (-4095..0).contains(&signed) {
        return Err(Errno(-signed));
    }
    Ok(low)
}

pub(super) fn int80(words: &Words) -> Verdict {
    let way = words.text(0)?;
    let (number, arguments) = match way {
        "getpid" => (20, [0; 3]),
        // CLONE_NEWUSER
        "unshare" => (310, [0x1000_0000, 0, 0]),
        // PTRACE_TRACEME
        "ptrace" => (26, [0; 3]),
        // The number of the user's keyring, without making one.
        "keyctl" => (288, [0, 0xffff_fffc, 0]),
        // AF_INET, SOCK_DGRAM
        "socket" => (359, [2, 2, 0]),
        _ => return Err(Stop::Misused(format!("`{way}` is no call for this door"))),
    };
    let result = by_interrupt(number, arguments).during(format!("{way} by int 0x80"))?;
    Ok(format!("{way} by int 0x80 gave {result}"))
}

/// Reads a file by `open` and `read` of 32-bit programs, which see the first four gigabytes only.
pub(super) fn int80_read(words: &Words) -> Verdict {
    const LENGTH: usize = 8192;
    let path = words.path(0)?;
    let path = path.as_bytes_with_nul();
    if path.len() > LENGTH / 2 {
        return Err(Stop::Misused("the path is too long".to_owned()));
    }
    #[expect(
        unsafe_code,
        reason = "memory at an address that fits 32 bits is asked of the kernel"
    )]
    // SAFETY: the memory is new, is longer than what is copied there and lasts as long as the program.
    let (address, content) = unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            LENGTH,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        );
        if memory == libc::MAP_FAILED {
            return Err(Errno::last()).during("mmap");
        }
        std::ptr::copy_nonoverlapping(path.as_ptr(), memory.cast(), path.len());
        (
            memory.expose_provenance(),
            memory.cast::<u8>().add(LENGTH / 2).cast_const(),
        )
    };
    let address = u32::try_from(address).map_err(|_| Stop::unavailable("the memory is too high"))?;
    let descriptor = by_interrupt(5, [address, 0, 0]).during("open by int 0x80")?;
    let half = u32::try_from(LENGTH / 2).unwrap_or_default();
    let length = by_interrupt(3, [descriptor, address + half, half]).during("read by int 0x80")?;
    let length = usize::try_from(length).unwrap_or_default().min(LENGTH / 2);
    #[expect(unsafe_code, reason = "what the kernel has written lies at an address")]
    // SAFETY: the second half of the memory has been there, and zero, from the start; nothing writes to it any more.
    let content = unsafe { std::slice::from_raw_parts(content, length) };
    open_if_marked(content, words.text(1)?, "the file")
}

/// Makes a call by its x32 number.
pub(super) fn x32(words: &Words) -> Verdict {
    const BIT: i64 = 0x4000_0000;
    let way = words.text(0)?;
    let arguments: [Arg<'_>; 2] = match way {
        "unshare" => [libc::CLONE_NEWUSER.into(), 0.into()],
        "keyctl" => [0.into(), (-4).into()],
        _ => [0.into(), 0.into()],
    };
    let number = match way {
        "getpid" => libc::SYS_getpid,
        "unshare" => libc::SYS_unshare,
        // 521, of the numbers that are x32's own.
        "ptrace" => 521,
        "keyctl" => libc::SYS_keyctl,
        _ => return Err(Stop::Misused(format!("`{way}` is no call for this door"))),
    };
    let result = system_call(BIT | number, arguments).during(format!("{way} of x32"))?;
    Ok(format!("{way} of x32 gave {result}"))
}

/// Asks the old page for the time. It gives away nothing, and is here to see that no filter falls over it.
pub(super) fn vsyscall(_: &Words) -> Verdict {
    const TIME: usize = 0xffff_ffff_ff60_0400;
    #[expect(
        unsafe_code,
        reason = "the page is at a fixed address and not known to any library"
    )]
    // SAFETY: the kernel answers a call to this address, or ends the process, which has nothing else to do.
    let seconds = unsafe {
        let time: extern "C" fn(*mut i64) -> i64 = std::mem::transmute(TIME);
        time(std::ptr::null_mut())
    };
    if seconds == 0 {
        return Err(Stop::blocked("it gave no time"));
    }
    Ok(format!("it is {seconds}"))
}
