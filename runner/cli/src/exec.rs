//! `wrun exec`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use wrun::core::grants::PathGrant;
use wrun::core::net::{Net, NetRule};
use wrun::{Access, Grants, GuestRun, Limits, Module, Output, Runner, Stdin, Stdio};

use crate::args::Exec;
use crate::denied::Place;
use crate::drive::follow;
use crate::failure::Failure;
use crate::speak::Speaker;

/// Runs a WebAssembly program with exactly what is listed, with the meanings of `wasmtime run`.
pub(crate) async fn exec(runner: &Runner, arguments: &Exec, speaker: &Arc<Speaker>) -> Result<u8, Failure> {
    let Exec {
        dir,
        env,
        net,
        timeout,
        memory,
        module,
        args,
    } = arguments;
    let name = module
        .file_name()
        .map_or_else(|| "guest".to_owned(), |name| name.to_string_lossy().into_owned());
    let rules = rules(net)?;
    let limits = Limits {
        time: *timeout,
        memory: *memory,
        ..Limits::default()
    };
    let guest = GuestRun {
        module: Module::File(
            std::path::absolute(module).map_err(|error| Failure::io("find the module", error))?,
        ),
        args: args
            .iter()
            .map(|argument| {
                argument.clone().into_string().map_err(|raw| {
                    Failure::usage(
                        format!("the argument `{}` is not UTF-8", raw.display()),
                        "WASI passes arguments as UTF-8 text",
                    )
                })
            })
            .collect::<Result<_, _>>()?,
        env: env
            .iter()
            .map(|pair| variable(pair))
            .collect::<Result<BTreeMap<_, _>, _>>()?,
        grants: Grants {
            paths: dir.iter().map(|text| folder(text)).collect::<Result<_, _>>()?,
            net: if rules.is_empty() {
                Net::None
            } else {
                Net::Listed(rules)
            },
            limits,
        },
        stdio: Stdio {
            stdin: Stdin::Inherit,
            output: Output::Inherit,
            terminal: None,
        },
        output_events: speaker.is_json(),
    };
    follow(runner.exec(guest), &name, false, Place::Options, speaker, None).await
}

/// `HOST`, `HOST::GUEST` or `HOST::GUEST::ro`.
fn folder(text: &str) -> Result<PathGrant, Failure> {
    let mut parts = text.splitn(3, "::");
    let host = parts.next().unwrap_or_default();
    let guest = parts.next().unwrap_or(host);
    let access = match parts.next() {
        None | Some("rw") => Access::Write,
        Some("ro") => Access::Read,
        Some(other) => {
            return Err(Failure::usage(
                format!("--dir {text}: `{other}` is neither `ro` nor `rw`"),
                "write HOST::GUEST::ro for a folder that the program can only look at",
            ));
        }
    };
    if host.is_empty() || guest.is_empty() {
        return Err(Failure::usage(
            format!("--dir {text}: a name is missing"),
            "write HOST::GUEST",
        ));
    }
    let path = PathBuf::from(host)
        .canonicalize()
        .map_err(|error| Failure::io(format!("use the folder `{host}` of --dir"), error))?;
    Ok(PathGrant {
        host: path,
        guest: guest.to_owned(),
        access,
    })
}

/// `NAME=VALUE`, or `NAME` for the caller's variable of that name.
fn variable(pair: &str) -> Result<(String, String), Failure> {
    if let Some((name, value)) = pair.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    match std::env::var(pair) {
        Ok(value) => Ok((pair.to_owned(), value)),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(
            format!("--env {pair}: the variable is not UTF-8 text"),
            "WASI passes variables as UTF-8 text",
        )),
        Err(std::env::VarError::NotPresent) => Err(Failure::usage(
            format!("--env {pair}: the variable is not set"),
            format!("set it, or write --env {pair}=VALUE"),
        )),
    }
}

/// The rules that `--net` lists.
///
/// # Errors
/// One is no rule.
pub(crate) fn rules(listed: &[String]) -> Result<Vec<NetRule>, Failure> {
    listed
        .iter()
        .map(|rule| {
            rule.parse().map_err(|error| {
                Failure::usage(
                    format!("--net {rule}: {error}"),
                    "for instance `--net example.org:443`",
                )
            })
        })
        .collect()
}
