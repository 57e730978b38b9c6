//! A machine on which a call fails.

use std::ffi::CString;
use std::process::ExitCode;

use crate::call::{call, list_of, words_of};
use crate::descriptor::open;
use crate::errno::Errno;
use crate::say;
use crate::words::{Words, c_string};

/// Calls by name.
const CALLS: &[(&str, i64)] = &[
    ("unshare", libc::SYS_unshare),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("setns", libc::SYS_setns),
    ("mount", libc::SYS_mount),
    ("umount2", libc::SYS_umount2),
    ("pivot_root", libc::SYS_pivot_root),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("open_tree", libc::SYS_open_tree),
    ("open_tree_attr", 467),
    ("move_mount", libc::SYS_move_mount),
    ("fsopen", libc::SYS_fsopen),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsmount", libc::SYS_fsmount),
    ("sethostname", libc::SYS_sethostname),
    ("setdomainname", libc::SYS_setdomainname),
    ("socket", libc::SYS_socket),
    ("socketpair", libc::SYS_socketpair),
    ("bind", libc::SYS_bind),
    ("ioctl", libc::SYS_ioctl),
    ("fcntl", libc::SYS_fcntl),
    ("setresuid", libc::SYS_setresuid),
    ("setresgid", libc::SYS_setresgid),
    ("setuid", libc::SYS_setuid),
    ("setgid", libc::SYS_setgid),
    ("setgroups", libc::SYS_setgroups),
    ("capset", libc::SYS_capset),
    ("prctl", libc::SYS_prctl),
    ("seccomp", libc::SYS_seccomp),
    ("landlock_create_ruleset", libc::SYS_landlock_create_ruleset),
    ("landlock_add_rule", libc::SYS_landlock_add_rule),
    ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
    ("memfd_create", libc::SYS_memfd_create),
    ("prlimit64", libc::SYS_prlimit64),
    ("setrlimit", libc::SYS_setrlimit),
    ("execve", libc::SYS_execve),
    ("execveat", libc::SYS_execveat),
    ("setsid", libc::SYS_setsid),
    ("close_range", libc::SYS_close_range),
    ("chdir", libc::SYS_chdir),
    ("fchownat", libc::SYS_fchownat),
    ("unlinkat", libc::SYS_unlinkat),
    ("fchdir", libc::SYS_fchdir),
    ("mkdirat", libc::SYS_mkdirat),
    ("symlinkat", libc::SYS_symlinkat),
    ("openat2", libc::SYS_openat2),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    ("sched_setaffinity", libc::SYS_sched_setaffinity),
    ("sendmsg", libc::SYS_sendmsg),
    ("umask", libc::SYS_umask),
    #[cfg(target_arch = "x86_64")]
    ("mkdir", libc::SYS_mkdir),
    #[cfg(target_arch = "x86_64")]
    ("symlink", libc::SYS_symlink),
];

/// How an argument of a call is looked at.
enum Condition {
    /// Whatever it is.
    Any,
    /// Its low half is this.
    Is(u32, u32),
    /// Its low half has one of these bits.
    Has(u32, u32),
    /// It is not zero.
    IsSet(u32),
}

/// A call that fails.
struct Rule {
    number: u32,
    condition: Condition,
    errno: u32,
}

/// `CALL=ERRNO`, `CALL:INDEX=NUMBER=ERRNO`, `CALL:INDEX&BITS=ERRNO` or `CALL:INDEX!=ERRNO`.
fn parse(text: &str) -> Option<Rule> {
    let (what, errno) = text.rsplit_once('=')?;
    let (name, condition) = match what.split_once(':') {
        None => (what, Condition::Any),
        Some((name, condition)) => (name, parse_condition(condition)?),
    };
    let (_, number) = CALLS.iter().find(|(known, _)| *known == name)?;
    Some(Rule {
        number: u32::try_from(*number).ok()?,
        condition,
        errno: u32::try_from(Errno::parse(errno)?.0).ok()?,
    })
}

fn parse_condition(text: &str) -> Option<Condition> {
    let number = |word: &str| match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    };
    if let Some(index) = text.strip_suffix('!') {
        return Some(Condition::IsSet(number(index)?));
    }
    if let Some((index, bits)) = text.split_once('&') {
        return Some(Condition::Has(number(index)?, number(bits)?));
    }
    let (index, value) = text.split_once('=')?;
    Some(Condition::Is(number(index)?, number(value)?))
}

/// An instruction of a filter: code, jumps, operand (`struct sock_filter`).
type Instruction = (u16, u8, u8, u32);

/// `BPF_LD | BPF_W | BPF_ABS`
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`
const IF_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JSET | BPF_K`
const IF_ANY_BIT: u16 = 0x45;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;

/// Where the low half of an argument is in what a filter sees (`struct seccomp_data`).
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The filter of some rules; everything else goes through.
fn filter(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for rule in rules {
        let fails = (RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | rule.errno);
        let body: Vec<Instruction> = match rule.condition {
            Condition::Any => vec![fails],
            Condition::Is(index, value) => {
                vec![(LOAD, 0, 0, argument(index)), (IF_EQUAL, 0, 1, value), fails]
            }
            Condition::Has(index, bits) => {
                vec![(LOAD, 0, 0, argument(index)), (IF_ANY_BIT, 0, 1, bits), fails]
            }
            Condition::IsSet(index) => vec![
                (LOAD, 0, 0, argument(index)),
                (IF_ANY_BIT, 2, 0, u32::MAX),
                (LOAD, 0, 0, argument(index) + 4),
                (IF_ANY_BIT, 0, 1, u32::MAX),
                fails,
            ],
        };
        program.push((LOAD, 0, 0, 0));
        let length = u8::try_from(body.len()).unwrap_or_default();
        program.push((IF_EQUAL, 0, length, rule.number));
        program.extend(body);
    }
    program.push((RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

/// Puts a filter on this process and all that it starts.
fn install(program: &[Instruction]) -> Result<(), Errno> {
    let bytes: Vec<u8> = program
        .iter()
        .flat_map(|(code, yes, no, operand)| {
            let mut instruction = code.to_ne_bytes().to_vec();
            instruction.extend([*yes, *no]);
            instruction.extend(operand.to_ne_bytes());
            instruction
        })
        .collect();
    let header = words_of(&[program.len() as u64, bytes.as_ptr().expose_provenance() as u64]);
    let apply = || call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &header);
    if apply().is_ok() {
        return Ok(());
    }
    // Whoever is not root has to give up on getting more rights first.
    call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
    apply().map(drop)
}

/// Becomes a program, by the call that `execve` denied does not touch. Gives an exit code where that fails.
pub(crate) fn execute(command: &[String]) -> u8 {
    const FAILED: u8 = 2;
    let texts: Result<Vec<CString>, _> = command.iter().map(|word| c_string(word.as_str())).collect();
    let Ok(texts) = texts else { return FAILED };
    let Some(program) = texts.first() else {
        return FAILED;
    };
    let variables: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| {
            let (name, value) = (name.into_encoded_bytes(), value.into_encoded_bytes());
            c_string([name, b"=".to_vec(), value].concat()).ok()
        })
        .collect();
    let Ok(file) = open(program, libc::O_PATH, 0) else {
        return FAILED;
    };
    let (arguments, environment) = (list_of(&texts), list_of(&variables));
    let result = call!(
        libc::SYS_execveat,
        &file,
        c"",
        &arguments,
        &environment,
        libc::AT_EMPTY_PATH
    );
    if result.is_err_and(|errno| errno.0 == libc::EPERM) {
        // It is this call that is denied.
        let _ = call!(libc::SYS_execve, program, &arguments, &environment);
    }
    FAILED
}

/// `deny RULE[,RULE…] -- PROGRAM [ARGUMENT…]`: becomes a program for which some calls fail.
pub(crate) fn deny(words: &Words) -> ExitCode {
    let [rules, separator, command @ ..] = words.all() else {
        return ExitCode::from(2);
    };
    let parsed: Option<Vec<Rule>> = rules.split(',').map(parse).collect();
    match parsed {
        Some(parsed) if separator == "--" => {
            if let Err(errno) = install(&filter(&parsed)) {
                say(&format!("the filter cannot be installed: {errno}\n"));
                return ExitCode::from(2);
            }
            ExitCode::from(execute(command))
        }
        _ => {
            say(&format!("`{rules}` are no rules, or there is no `--`\n"));
            ExitCode::from(2)
        }
    }
}
