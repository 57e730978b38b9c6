//! A guest that is ready to run.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{ExternType, InstancePre, Module, ModuleExport, UnknownImportError};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::code::Program;
use super::engine::Flavour;
use super::error::WasiError;
use super::kind::GuestKind;
use super::state::{ComponentState, ModuleState};

/// A guest that is compiled and linked. Cheap to clone; each run of it starts from nothing.
#[derive(Clone)]
pub struct Guest(pub(super) Arc<Linked>);

pub(super) struct Linked {
    pub(super) program: LinkedProgram,
    pub(super) flavour: Arc<Flavour>,
}

pub(super) enum LinkedProgram {
    Module {
        instance: InstancePre<ModuleState>,
        start: ModuleExport,
    },
    Component(CommandPre<ComponentState>),
}

impl Guest {
    /// What kind of guest it is.
    #[must_use]
    pub fn kind(&self) -> GuestKind {
        match self.0.program {
            LinkedProgram::Module { .. } => GuestKind::Module,
            LinkedProgram::Component(_) => GuestKind::Component,
        }
    }

    /// Links a program with what its engine offers.
    ///
    /// # Errors
    /// It imports something that is not offered, or is not a program that can be started.
    pub(super) fn link(program: Program, flavour: Arc<Flavour>) -> Result<Self, WasiError> {
        let program = match program {
            Program::Module(module) => link_module(&module, &flavour)?,
            Program::Component(component) => link_component(&component, &flavour)?,
        };
        Ok(Self(Arc::new(Linked { program, flavour })))
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Guest").field(&self.kind()).finish()
    }
}

const START: &str = "_start";

fn link_module(module: &Module, flavour: &Flavour) -> Result<LinkedProgram, WasiError> {
    let instance = flavour
        .modules()?
        .instantiate_pre(module)
        .map_err(|error| module_import(module, &error))?;
    let missing = |hint: &str| WasiError::Export {
        export: START,
        hint: hint.to_owned(),
    };
    match module.get_export(START) {
        Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => {}
        Some(_) => {
            return Err(missing(
                "`_start` has to be a function without parameters and results",
            ));
        }
        None if module.get_export("_initialize").is_some() => {
            return Err(missing(
                "this is a library (a reactor): build it as a program, with a `main` function",
            ));
        }
        None => {
            return Err(missing(
                "a program of WASI 0.1 starts there: build it for `wasm32-wasip1` with a `main`",
            ));
        }
    }
    let start = module
        .get_export_index(START)
        .ok_or_else(|| missing("build it for `wasm32-wasip1`"))?;
    Ok(LinkedProgram::Module { instance, start })
}

fn module_import(module: &Module, error: &wasmtime::Error) -> WasiError {
    if let Some(unknown) = error.downcast_ref::<UnknownImportError>() {
        let import = format!("{}::{}", unknown.module(), unknown.name());
        return WasiError::Import {
            import,
            hint: module_hint(unknown.module()).to_owned(),
        };
    }
    let names = module
        .imports()
        .map(|import| import.module().to_owned())
        .find(|name| name != PREVIEW1);
    let import = names.unwrap_or_else(|| PREVIEW1.to_owned());
    WasiError::Import {
        import,
        hint: format!("the import has another type than this host's: {error:#}"),
    }
}

const PREVIEW1: &str = "wasi_snapshot_preview1";

fn module_hint(module: &str) -> &'static str {
    match module {
        PREVIEW1 => "WASI 0.1 has no such function: build the guest with a released toolchain",
        "wasi_unstable" => "this is the WASI of 2019: build the guest again for `wasm32-wasip1`",
        "wasi" => "guests with threads are not run: build it for `wasm32-wasip1` without threads",
        "__wbindgen_placeholder__" | "wbg" => {
            "this guest is made for a browser: build it for `wasm32-wasip1`"
        }
        "env" => {
            "the function was not found when the guest was linked, or the guest is made for Emscripten: build it for \
             `wasm32-wasip1` with everything that it calls"
        }
        _ => "core modules get WASI 0.1 and nothing else: build the guest for `wasm32-wasip1`",
    }
}

const RUN: &str = "wasi:cli/run";

fn link_component(component: &Component, flavour: &Flavour) -> Result<LinkedProgram, WasiError> {
    let linker = flavour.components()?;
    let instance = linker
        .instantiate_pre(component)
        .map_err(|error| component_import(component, &error))?;
    let command = CommandPre::new(instance).map_err(|error| no_run(component, &error))?;
    Ok(LinkedProgram::Component(command))
}

fn no_run(component: &Component, error: &wasmtime::Error) -> WasiError {
    let engine = component.engine();
    let names: Vec<String> = component
        .component_type()
        .exports(engine)
        .map(|(name, _)| format!("`{name}`"))
        .take(8)
        .collect();
    let hint = if names.iter().any(|name| name.starts_with("`wasi:cli/run@")) {
        format!("it exports another version of it: {error:#}; build the guest for `wasm32-wasip2`")
    } else if names.is_empty() {
        "a program of WASI 0.2 starts there, and this component exports nothing: build it for `wasm32-wasip2` with a \
         `main` function"
            .to_owned()
    } else {
        format!(
            "a program of WASI 0.2 starts there, and this component exports {} instead: it is made for another host",
            names.join(", ")
        )
    };
    WasiError::Export { export: RUN, hint }
}

/// The packages of WASI 0.2 that every component gets.
const PACKAGES: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

fn component_import(component: &Component, error: &wasmtime::Error) -> WasiError {
    let engine = component.engine();
    let imports: Vec<String> = component
        .component_type()
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let foreign = imports
        .iter()
        .find(|name| !PACKAGES.iter().any(|package| name.starts_with(package)));
    if let Some(import) = foreign {
        let hint = if import.starts_with("wasi:http/") {
            "HTTP is not offered to tasks: open a connection through `wasi:sockets`, or run the task as a process"
        } else {
            "components get `wasi:cli`, `wasi:clocks`, `wasi:filesystem`, `wasi:io`, `wasi:random` and \
             `wasi:sockets` of WASI 0.2, and nothing else"
        };
        return WasiError::Import {
            import: import.clone(),
            hint: hint.to_owned(),
        };
    }
    let reason = format!("{error:#}");
    let import = imports.into_iter().find(|name| reason.contains(name.as_str()));
    WasiError::Import {
        import: import.unwrap_or_else(|| "wasi".to_owned()),
        hint: format!("this host has WASI 0.2: {reason}"),
    }
}
