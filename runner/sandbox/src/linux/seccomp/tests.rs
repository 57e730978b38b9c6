use libc::{c_int, c_long};
use proptest::prelude::*;
use wrun_core::sandbox::Tier;

use super::*;
use crate::policy::{Identity, Network, Resources};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE_NUMBER: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE_NUMBER: u32 = 0xc000_00b7;

fn policy(tier: Tier, network: Network) -> Policy {
    Policy {
        tier,
        job: None,
        program: "/bin/true".into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: "/".into(),
        entries: Vec::new(),
        image: None,
        network,
        proxy: 1023,
        programs: Vec::new(),
        identity: Identity {
            user: 1,
            group: 1,
            becomes: None,
        },
        resources: Resources::default(),
        strict: false,
        keeps_modes: false,
        temporary: 0,
        groups: Vec::new(),
        keep: Vec::new(),
        terminal: None,
        answered: Answered::Watched,
    }
}

fn call(number: c_long, args: [u64; 6]) -> libc::seccomp_data {
    libc::seccomp_data {
        nr: i32::try_from(number).unwrap(),
        arch: ARCHITECTURE_NUMBER,
        instruction_pointer: 0x1234_5678_9abc_def0,
        args,
    }
}

fn word(number: c_int) -> u64 {
    u64::from(number.cast_unsigned())
}

#[test]
fn who_is_told_refuses_what_the_filter_would() {
    let refusing = Refusing::of(&policy(Tier::Full, Network::None)).unwrap();
    let create = word(libc::O_CREAT | libc::O_WRONLY);
    let setuid = u64::from(libc::S_ISUID | 0o755);
    let cases = [
        (libc::SYS_ptrace, [0; 6], true),
        (libc::SYS_getpid, [0; 6], false),
        (libc::SYS_openat, [0, 1, create, setuid, 0, 0], true),
        (libc::SYS_openat, [0, 1, create, 0o755, 0, 0], false),
        (libc::SYS_openat, [0, 1, 0, setuid, 0, 0], false),
        (libc::SYS_clone, [word(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0], true),
        (libc::SYS_clone, [word(libc::SIGCHLD), 0, 0, 0, 0, 0], false),
        (
            libc::SYS_socket,
            [word(libc::AF_INET), word(libc::SOCK_STREAM), 0, 0, 0, 0],
            false,
        ),
        (
            libc::SYS_socket,
            [word(libc::AF_INET), word(libc::SOCK_RAW), 0, 0, 0, 0],
            true,
        ),
        (libc::SYS_socket, [word(libc::AF_PACKET), 0, 0, 0, 0, 0], true),
        (libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0], true),
    ];
    for (number, args, refused) in cases {
        let errno = refusing.errno(&call(number, args));
        assert_eq!(errno, refused.then_some(libc::EPERM), "{number} {args:?}");
    }
}

#[test]
fn a_program_that_is_not_understood_refuses() {
    let odd = |code| {
        Refusing(vec![sock_filter {
            code,
            jt: 0,
            jf: 0,
            k: libc::SECCOMP_RET_ALLOW,
        }])
    };
    let any = call(libc::SYS_getpid, [0; 6]);
    assert_eq!(odd(prefix::RETURN).errno(&any), None);
    assert!(odd(0xff).errno(&any).is_some());
    assert!(Refusing(Vec::new()).errno(&any).is_some());
}

#[test]
fn each_refused_call_has_a_name() {
    for (tier, network) in [
        (Tier::Full, Network::None),
        (Tier::Restricted, Network::None),
        (Tier::Restricted, Network::Host),
    ] {
        let policy = Policy {
            keeps_modes: true,
            ..policy(tier, network)
        };
        for number in rules::refused(&policy).unwrap().keys() {
            assert!(crate::watch::is_named(*number), "{number}");
        }
    }
}

/// Runs something in a thread of its own, which alone is held by the filter of a policy.
fn held<T: Send + 'static>(policy: Policy, work: impl FnOnce(Option<Told>) -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || work(apply(&policy).unwrap()));
    thread.join().unwrap()
}

fn descriptor(told: Option<Told>) -> OwnedFd {
    match told.unwrap() {
        Told::Watched(descriptor) | Told::Sockets(descriptor) => descriptor,
    }
}

fn errno_of_calls() -> [Option<i32>; 3] {
    let errno = |result: c_long| {
        let error = std::io::Error::last_os_error().raw_os_error();
        if result < 0 { error } else { None }
    };
    #[expect(unsafe_code, reason = "the calls themselves are looked at")]
    // SAFETY: the path ends in NUL, the call of `ptrace` asks for nothing that exists, and neither touches memory of
    // this process.
    unsafe {
        [
            errno(libc::syscall(
                libc::SYS_openat,
                libc::AT_FDCWD,
                c"/".as_ptr(),
                libc::O_PATH,
            )),
            errno(libc::syscall(libc::SYS_ptrace, -1, 0, 0, 0)),
            errno(libc::syscall(libc::SYS_getppid)),
        ]
    }
}

#[test]
fn without_anybody_to_answer_every_call_that_is_told_fails() {
    let errors = held(policy(Tier::Full, Network::None), |notifications| {
        drop(descriptor(notifications));
        errno_of_calls()
    });
    assert_eq!(errors, [Some(libc::ENOSYS), Some(libc::ENOSYS), None]);
}

#[test]
fn a_watcher_lets_through_and_refuses_as_without_it() {
    let unwatched = Policy {
        answered: Answered::Nothing,
        ..policy(Tier::Full, Network::None)
    };
    let plain = held(unwatched, |_| errno_of_calls());
    assert_eq!(plain, [None, Some(libc::EPERM), None]);
    let (sender, receiver) = std::sync::mpsc::channel();
    let watched = policy(Tier::Full, Network::None);
    let of_watcher = watched.clone();
    let watching = std::thread::spawn(move || {
        let notifications: OwnedFd = receiver.recv().unwrap();
        crate::watch::Watcher::start(notifications, &of_watcher).unwrap()
    });
    let errors = held(watched, move |notifications| {
        sender.send(descriptor(notifications)).unwrap();
        errno_of_calls()
    });
    assert_eq!(errors, plain);
    let observation = watching.join().unwrap().finish();
    let said: Vec<&str> = observation
        .denials
        .iter()
        .map(|denial| denial.what.as_str())
        .collect();
    assert!(
        matches!(said[..], [ptrace] if ptrace.starts_with("ptrace: ")),
        "{said:?}"
    );
}

#[test]
fn only_the_process_that_was_first_makes_sockets_to_the_network() {
    use rustix::net::{AddressFamily, SocketType, socket};

    let policy = Policy {
        answered: Answered::Sockets,
        ..policy(Tier::Full, Network::Served)
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let guarding = std::thread::spawn(move || {
        let notifications: OwnedFd = receiver.recv().unwrap();
        crate::watch::SocketGuard::start(notifications).unwrap()
    });
    let make = |family| socket(family, SocketType::DGRAM, None).is_ok();
    let child = |script: &str| {
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", script]).stderr(std::process::Stdio::null());
        shell.status().unwrap().success()
    };
    let (own, of_child, noted) = held(policy, move |told| {
        sender.send(descriptor(told)).unwrap();
        let own = [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX].map(make);
        let guard = guarding.join().unwrap();
        let before = guard.has_refused();
        let of_child = ["true", "exec 3<>/dev/udp/127.0.0.1/9"].map(child);
        (own, of_child, [before, guard.has_refused()])
    });
    assert_eq!((own, of_child, noted), ([true; 3], [true, false], [false, true]));
}

proptest! {
    /// A call that is refused and not told would be done, as the filter that refuses is not installed then.
    #[test]
    fn whatever_is_refused_is_told(
        tier in prop::sample::select(vec![Tier::Full, Tier::Restricted]),
        network in prop::sample::select(vec![Network::None, Network::Host]),
        number in 0..480_i64,
        args in prop::array::uniform6(prop_oneof![0..=0xffff_u64, any::<u64>(), Just(word(libc::O_CREAT)), Just(0o4755)]),
    ) {
        let policy = policy(tier, network);
        let call = call(c_long::from(i32::try_from(number).unwrap()), args);
        let told = compile(rules::watched(&policy), SeccompAction::Trace(0)).unwrap();
        let is_told = evaluate::evaluate(&told, &call) != Some(libc::SECCOMP_RET_ALLOW);
        let refused = Refusing::of(&policy).unwrap().errno(&call).is_some();
        prop_assert!(is_told || !refused);
    }
}

#[test]
fn as_many_calls_as_there_are_fail_and_the_next_does_not() {
    for count in [0, 1, 253, 254, 255, 600] {
        let calls: Vec<c_long> = (1000..).take(count).collect();
        let program = [
            vec![prefix::LOAD_NUMBER],
            prefix::failing(&calls, libc::EPERM),
            vec![prefix::ALLOW],
        ]
        .concat();
        let returned = |number: c_long| evaluate::evaluate(&program, &call(number, [0; 6]));
        let refused = Some(libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
        for number in calls.iter().copied() {
            assert_eq!(returned(number), refused, "{number} of {count}");
        }
        let beyond = 1000 + c_long::try_from(count).unwrap();
        assert_eq!(returned(999), Some(libc::SECCOMP_RET_ALLOW), "{count}");
        assert_eq!(returned(beyond), Some(libc::SECCOMP_RET_ALLOW), "{count}");
    }
}
