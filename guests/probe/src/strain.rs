//! What can be tried on limits: of time, of memory, of the stack, of output.

use std::arch::wasm32::memory_grow;
use std::hint;
use std::io::{self, ErrorKind, Write};

const PAGES_PER_MIB: usize = 16;

/// Writes that many bytes to stdout, in lines of 64.
pub(crate) fn flood(bytes: u64) -> io::Result<()> {
    let mut chunk = vec![b'.'; 64 * 1024];
    for line in chunk.chunks_mut(64) {
        line[63] = b'\n';
    }
    let mut stdout = io::stdout().lock();
    let mut left = bytes;
    while left > 0 {
        let size = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        stdout.write_all(&chunk[..size])?;
        left -= size as u64;
    }
    stdout.flush()
}

/// Takes that much memory and writes to every byte of it.
pub(crate) fn allocate(bytes: usize) -> io::Result<()> {
    let mut block = Vec::new();
    block
        .try_reserve_exact(bytes)
        .map_err(|error| io::Error::new(ErrorKind::OutOfMemory, error))?;
    block.resize(bytes, 1_u8);
    hint::black_box(&block);
    println!("ok");
    Ok(())
}

/// Grows the memory of this guest until the host says no, and prints how many MiB were had.
pub(crate) fn grow() -> io::Result<()> {
    // Printing takes memory too the first time, and afterwards there is none to be had.
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "growing")?;
    let mut had = 0;
    while memory_grow::<0>(PAGES_PER_MIB) != usize::MAX {
        had += 1;
    }
    writeln!(stdout, "{had} MiB")
}

/// Calls itself until the stack is used up.
pub(crate) fn recurse() {
    fn descend(depth: u64) -> u64 {
        if depth == u64::MAX {
            return 0;
        }
        // The compiler would make a loop of it if it could see through the result.
        hint::black_box(descend(depth + 1)) + 1
    }
    println!("{}", descend(0));
}

/// Keeps the processor busy for ever.
pub(crate) fn spin() -> ! {
    loop {
        hint::spin_loop();
    }
}
