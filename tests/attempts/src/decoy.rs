//! A neighbour: a process of the machine with something of everything that can be got at from outside of it.

use std::ffi::CString;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::ExitCode;

use serde_json::json;

use crate::call::{call, words_of};
use crate::descriptor::{open, owned, write};
use crate::ipc::attach;
use crate::keys::Canary;
use crate::say;
use crate::verdict::{During as _, Stop};
use crate::words::{Words, c_string};

/// `decoy NAME MARKER FOLDER`: opens `secret.txt` of the folder, listens, shares memory, keeps a key, and says in one
/// line of JSON where all of it is. It says `signalled` when it gets SIGURG, and ends with its standard input.
pub(crate) fn decoy(words: &Words) -> ExitCode {
    match play(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            say(&format!("{}\n", json!({ "error": stop.to_string() })));
            ExitCode::FAILURE
        }
    }
}

fn play(words: &Words) -> Result<(), Stop> {
    let (name, marker, folder) = (words.text(0)?, words.text(1)?, words.text(2)?);
    tell_of_signals()?;
    call!(libc::SYS_umask, 0).during("umask")?;
    call!(libc::SYS_chdir, &c_string(folder)?).during("chdir")?;
    let secret = open(c"secret.txt", libc::O_RDWR, 0).during("open the secret")?;
    let memory: &'static str = Box::leak(format!("{marker} in memory").into_boxed_str());
    let tcp = serve_tcp(marker)?;
    let udp = serve_udp()?;
    serve_unix(name, marker, folder)?;
    let _datagrams = UnixDatagram::bind(format!("{folder}/datagrams")).during("listen")?;
    let shared = Shared::make(name, marker)?;
    // Where keys are not kept there is nothing to find.
    let key = Canary::add(&c_string(name)?, marker.as_bytes());
    let found = json!({
        "pid": std::process::id(),
        "address": format!("0x{:x}", memory.as_ptr().expose_provenance()),
        "descriptor": secret.as_raw_fd(),
        "tcp": tcp, "udp": udp, "ipc": shared.key.to_string(), "key": key.is_ok(),
    });
    say(&format!("{found}\n"));
    let mut ignored = Vec::new();
    std::io::stdin().read_to_end(&mut ignored).during("wait")?;
    Ok(())
}

/// Says when a signal comes.
fn tell_of_signals() -> Result<(), Stop> {
    let set = (1_u64 << (libc::SIGURG - 1)).to_ne_bytes();
    call!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, set.as_slice(), 0, 8).during("block the signal")?;
    let signals = call!(libc::SYS_signalfd4, -1, set.as_slice(), 8, libc::SFD_CLOEXEC)
        .and_then(owned)
        .during("signalfd")?;
    std::thread::spawn(move || {
        let mut information = [0_u8; 128];
        while call!(libc::SYS_read, &signals, &mut information, 128).is_ok() {
            say("signalled\n");
        }
    });
    Ok(())
}

/// Answers a line with the marker and the line.
fn answer(stream: impl std::io::Read + Write, marker: &str) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).is_ok() {
        // A client that goes away is no matter of the server.
        drop(stream.get_mut().write_all(format!("{marker} {line}").as_bytes()));
    }
}

fn serve_tcp(marker: &str) -> Result<u16, Stop> {
    let listener = TcpListener::bind("0.0.0.0:0").during("listen")?;
    let port = listener.local_addr().during("find the port")?.port();
    let marker = marker.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &marker);
        }
    });
    Ok(port)
}

fn serve_udp() -> Result<u16, Stop> {
    let socket = UdpSocket::bind("0.0.0.0:0").during("listen")?;
    let port = socket.local_addr().during("find the port")?.port();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // A client that goes away is no matter of the server.
            drop(socket.send_to(buffer.get(..length).unwrap_or_default(), from));
        }
    });
    Ok(port)
}

/// Listens at a path that everybody may use, and at a name without one.
fn serve_unix(name: &str, marker: &str, folder: &str) -> Result<(), Stop> {
    let address = SocketAddr::from_abstract_name(name).during("make the address")?;
    let listeners = [
        UnixListener::bind_addr(&address).during("listen")?,
        UnixListener::bind(format!("{folder}/socket")).during("listen")?,
    ];
    for listener in listeners {
        let marker = marker.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &marker);
            }
        });
    }
    Ok(())
}

/// What System V and POSIX share by key and name.
struct Shared {
    key: i32,
    memory: i64,
    semaphores: i64,
    messages: i64,
    queue: CString,
    file: CString,
}

impl Shared {
    fn make(name: &str, marker: &str) -> Result<Self, Stop> {
        const HOW: i32 = libc::IPC_CREAT | libc::IPC_EXCL | 0o666;
        let key = i32::try_from(std::process::id()).unwrap_or_default() | 0x5757_0000;
        let memory = call!(libc::SYS_shmget, key, 4096, HOW).during("shmget")?;
        let semaphores = call!(libc::SYS_semget, key, 1, HOW).during("semget")?;
        let messages = call!(libc::SYS_msgget, key, HOW).during("msgget")?;
        let queue = c_string(name)?;
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        // One message of 64 bytes: a user may have only so many bytes in queues.
        let attributes = words_of(&[0, 1, 64, 0, 0, 0, 0, 0]);
        call!(libc::SYS_mq_open, &queue, flags, 0o666, &attributes)
            .and_then(owned)
            .during("mq_open")?;
        let file = c_string(format!("/dev/shm/{name}"))?;
        let shared = open(&file, flags, 0o666).during("create in /dev/shm")?;
        write(&shared, marker.as_bytes()).during("write in /dev/shm")?;
        let address = attach(memory, 0).during("shmat")?;
        #[expect(unsafe_code, reason = "the kernel gives shared memory as an address")]
        // SAFETY: the segment is new and a page long, which is more than a marker is, and nobody else knows of it yet.
        unsafe {
            std::ptr::copy_nonoverlapping(marker.as_ptr(), address, marker.len().min(4096));
        }
        Ok(Self {
            key,
            memory,
            semaphores,
            messages,
            queue,
            file,
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What somebody else has removed is gone as well.
        let _ = call!(libc::SYS_shmctl, self.memory, libc::IPC_RMID, 0);
        let _ = call!(libc::SYS_semctl, self.semaphores, 0, libc::IPC_RMID, 0);
        let _ = call!(libc::SYS_msgctl, self.messages, libc::IPC_RMID, 0);
        let _ = call!(libc::SYS_mq_unlink, &self.queue);
        crate::descriptor::remove(&self.file);
    }
}
