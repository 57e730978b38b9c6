//! Ways between processes of one machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

use crate::Attempt;
use crate::call::{call, words_of};
use crate::descriptor::{owned, read_file};
use crate::errno::Errno;
use crate::verdict::{During as _, Stop, Verdict, open_if_marked};
use crate::words::{Words, c_string, own_name, scratch};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "abstract",
        usage: "NAME MARKER",
        run: abstract_socket,
    },
    Attempt {
        name: "unix",
        usage: "PATH MARKER",
        run: unix,
    },
    Attempt {
        name: "own-unix",
        usage: "",
        run: own_unix,
    },
    Attempt {
        name: "socket-pair",
        usage: "",
        run: socket_pair,
    },
    Attempt {
        name: "datagram-pair",
        usage: "PATH",
        run: datagram_pair,
    },
    Attempt {
        name: "numbered-memory",
        usage: "KEY MARKER",
        run: numbered_memory,
    },
    Attempt {
        name: "numbered-semaphores",
        usage: "KEY",
        run: numbered_semaphores,
    },
    Attempt {
        name: "numbered-messages",
        usage: "KEY",
        run: numbered_messages,
    },
    Attempt {
        name: "shared-memory",
        usage: "KEY MARKER",
        run: shared_memory,
    },
    Attempt {
        name: "semaphores",
        usage: "KEY",
        run: semaphores,
    },
    Attempt {
        name: "messages",
        usage: "KEY",
        run: messages,
    },
    Attempt {
        name: "message-queue",
        usage: "NAME",
        run: message_queue,
    },
    Attempt {
        name: "own-shared-memory",
        usage: "",
        run: own_shared_memory,
    },
];

/// What the other side of a stream says first.
fn greeting(stream: UnixStream, marker: &str) -> Verdict {
    (&stream).write_all(b"ping\n").during("write")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).during("read")?;
    open_if_marked(line.as_bytes(), marker, "the answer")
}

fn abstract_socket(words: &Words) -> Verdict {
    let address = SocketAddr::from_abstract_name(words.text(0)?).during("make the address")?;
    let stream = UnixStream::connect_addr(&address).during("connect")?;
    greeting(stream, words.text(1)?)
}

fn unix(words: &Words) -> Verdict {
    let stream = UnixStream::connect(words.text(0)?).during("connect")?;
    greeting(stream, words.text(1)?)
}

/// A socket of its own that it talks to itself through.
fn own_unix(_: &Words) -> Verdict {
    let path = own_name(&scratch()?, "socket")?.to_string_lossy().into_owned();
    let listener = UnixListener::bind(&path).during("bind")?;
    let connected = UnixStream::connect(&path).during("connect");
    crate::descriptor::remove(&c_string(path)?);
    connected?;
    listener.accept().during("accept")?;
    Ok("talked to itself".to_owned())
}

fn socket_pair(_: &Words) -> Verdict {
    let (mut left, right) = UnixStream::pair().during("socketpair")?;
    left.write_all(b"x\n").during("write")?;
    let mut line = String::new();
    BufReader::new(right).read_line(&mut line).during("read")?;
    Ok("talked to itself".to_owned())
}

/// Shared memory of System V, and where it is in this process.
pub(crate) fn attach(id: i64, flags: i32) -> Result<*mut u8, Errno> {
    let address = call!(libc::SYS_shmat, id, 0, flags)?;
    let address = usize::try_from(address).map_err(|_| Errno(libc::EFAULT))?;
    Ok(std::ptr::with_exposed_provenance_mut(address))
}

/// Half of a pair, which no call had to connect, as the sender to a socket with a path.
fn datagram_pair(words: &Words) -> Verdict {
    let (half, _other) = UnixDatagram::pair().during("socketpair")?;
    half.send_to(b"x", words.text(0)?).during("sendto")?;
    Ok("could be sent to".to_owned())
}

/// The number of something of System V, by its key, as the kernel lists it (`sysvipc(7)`).
fn number_of(kind: &str, words: &Words) -> Result<i64, Stop> {
    let key: i64 = words.number(0)?;
    let path = format!("/proc/sysvipc/{kind}");
    let listed = read_file(&c_string(path.as_str())?).during(format!("read {path}"))?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let number = listed.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<i64>);
        (numbers.next()? == Ok(key)).then(|| numbers.next()?.ok())?
    });
    number
        .ok_or(Errno(libc::ENOENT))
        .during(format!("find the key in {path}"))
}

fn numbered_memory(words: &Words) -> Verdict {
    read_memory(number_of("shm", words)?, words.text(1)?)
}

fn numbered_semaphores(words: &Words) -> Verdict {
    let id = number_of("sem", words)?;
    call!(libc::SYS_semctl, id, 0, libc::GETVAL, 0).during("semctl")?;
    Ok("could be read".to_owned())
}

fn numbered_messages(words: &Words) -> Verdict {
    let id = number_of("msg", words)?;
    let message = words_of(&[1, 0]);
    call!(libc::SYS_msgsnd, id, message.as_slice(), 1, libc::IPC_NOWAIT).during("msgsnd")?;
    Ok("could be sent to".to_owned())
}

fn shared_memory(words: &Words) -> Verdict {
    let id = call!(libc::SYS_shmget, words.number(0)?, 0, 0).during("shmget")?;
    read_memory(id, words.text(1)?)
}

fn read_memory(id: i64, marker: &str) -> Verdict {
    let memory = attach(id, libc::SHM_RDONLY).during("shmat")?;
    #[expect(unsafe_code, reason = "the kernel gives shared memory as an address")]
    // SAFETY: the segment was just attached and is a page or more long; it stays attached as long as the program runs,
    // and its owner has written to it before it told anybody of it.
    let content = unsafe { std::slice::from_raw_parts(memory.cast_const(), 64) };
    open_if_marked(content, marker, "the memory")
}

fn semaphores(words: &Words) -> Verdict {
    call!(libc::SYS_semget, words.number(0)?, 0, 0).during("semget")?;
    Ok("could be found".to_owned())
}

fn messages(words: &Words) -> Verdict {
    call!(libc::SYS_msgget, words.number(0)?, 0).during("msgget")?;
    Ok("could be found".to_owned())
}

fn message_queue(words: &Words) -> Verdict {
    call!(
        libc::SYS_mq_open,
        &words.path(0)?,
        libc::O_RDONLY | libc::O_NONBLOCK,
        0,
        0
    )
    .and_then(owned)
    .during("mq_open")?;
    Ok("could be opened".to_owned())
}

/// Shared memory that nobody else has a key to.
fn own_shared_memory(_: &Words) -> Verdict {
    let id = call!(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600).during("shmget")?;
    call!(libc::SYS_shmctl, id, libc::IPC_RMID, 0).during("shmctl")?;
    if id < 0 {
        return Err(Stop::blocked("no number"));
    }
    Ok("could be made".to_owned())
}
