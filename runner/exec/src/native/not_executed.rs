//! Why a program that is there was not executed in its sandbox.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wrun_core::outcome::Outcome;
use wrun_core::sandbox::Tier;
use wrun_sandbox::{ImageRoot, NotExecuted};

use super::search::{not_executable, not_found, not_there};

/// The outcome of a task whose program is on the machine.
pub(super) fn on_machine(program: &Path, reason: &NotExecuted, tier: Tier) -> Outcome {
    let system = std::io::Error::from_raw_os_error(reason.errno);
    let is_missing = |path: &Path| {
        path.symlink_metadata()
            .is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    if system.kind() == ErrorKind::NotFound && is_missing(program) {
        return not_there(&program.to_string_lossy(), program);
    }
    let lacks_something = matches!(system.kind(), ErrorKind::NotFound)
        || (tier == Tier::Restricted && system.kind() == ErrorKind::PermissionDenied);
    let why = match &reason.interpreter {
        _ if !lacks_something => system.to_string(),
        Some(interpreter) => of_script(interpreter, &|interpreter| {
            if interpreter.exists() {
                format!(
                    "which is not among what the task may read; add its folder, for instance {}, to `[allow]`, or \
                     have the environment bring it",
                    grant(interpreter)
                )
            } else {
                "which does not exist; add the package that brings it to the environment, or correct the line".to_owned()
            }
        }),
        None if reason.is_readable => {
            "what loads it (the interpreter that its format names) is not on this machine, or not among what the task may read"
                .to_owned()
        }
        None => format!(
            "it is not among what the task may read; add its folder, for instance {}, to `[allow]`",
            grant(program)
        ),
    };
    not_executable(program, why)
}

/// The outcome of a task whose program is in its image.
pub(super) fn in_image(name: &Path, reason: &NotExecuted, image: &ImageRoot) -> Outcome {
    let Some(program) = &reason.program else {
        let is_searched = !name.as_os_str().as_encoded_bytes().contains(&b'/');
        let searched: &[PathBuf] = if is_searched { &image.search_path } else { &[] };
        return not_found(&name.to_string_lossy(), searched);
    };
    let system = std::io::Error::from_raw_os_error(reason.errno);
    let why = match &reason.interpreter {
        _ if system.kind() != ErrorKind::NotFound => system.to_string(),
        Some(interpreter) => of_script(interpreter, &|_| "which is not in the image".to_owned()),
        None => "what loads it (the interpreter that its format names) is not in the image".to_owned(),
    };
    not_executable(Path::new(program), why)
}

/// What is wrong with a script whose interpreter cannot be had; `lacks` says it of one that is named as it should be.
fn of_script(interpreter: &str, lacks: &dyn Fn(&Path) -> String) -> String {
    match interpreter.strip_suffix('\r') {
        Some(meant) => format!(
            "its first line ends with a carriage return, so that it asks for `{meant}\\r` and not for `{meant}`; save it with \
             the line ends of Unix"
        ),
        None => format!(
            "its first line asks for `{}`, {}",
            interpreter.escape_debug(),
            lacks(Path::new(interpreter))
        ),
    }
}

/// The grant by which a program could be read.
fn grant(program: &Path) -> String {
    let folder = program.parent().unwrap_or(program);
    format!("`read = [\"{}\"]`", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(interpreter: Option<&str>, is_readable: bool) -> NotExecuted {
        NotExecuted {
            errno: 2,
            program: Some("/srv/tool".to_owned()),
            is_readable,
            interpreter: interpreter.map(str::to_owned),
        }
    }

    #[test]
    fn each_reason_has_its_own_advice() {
        let tool = std::env::current_exe().unwrap();
        let folder = tool.parent().unwrap().display();
        let of =
            |interpreter, is_readable| match on_machine(&tool, &reason(interpreter, is_readable), Tier::Full)
            {
                Outcome::NotExecutable { reason, .. } => reason,
                other => panic!("{other:?}"),
            };
        let cases = [
            (
                Some("/no/such/python"),
                true,
                "asks for `/no/such/python`, which does not exist",
            ),
            (
                Some("/usr/bin/env"),
                true,
                "add its folder, for instance `read = [\"/usr/bin\"]`",
            ),
            (Some("/bin/sh\r"), true, "ends with a carriage return"),
            (None, true, "what loads it"),
            (
                None,
                false,
                &format!(
                    "it is not among what the task may read; add its folder, for instance `read = [\"{folder}\"]`"
                ),
            ),
        ];
        for (interpreter, is_readable, words) in cases {
            let said = of(interpreter, is_readable);
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        let outcome = on_machine(Path::new("/no/such/tool"), &reason(None, false), Tier::Full);
        let Outcome::NotFound { command, searched } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            (command.as_str(), searched),
            ("/no/such/tool", vec!["/no/such".to_owned()])
        );
    }
}
