//! Turns what compilers make into what the tests run. Runs on the host, while the guests are built.
//!
//! `componentize assemble TEXT MODULE` writes a module in the text format as bytes; `componentize encode MODULE
//! COMPONENT` wraps a WASI 0.1 command into a WASI 0.2 component.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (bytes, output) = match *words {
        ["assemble", input, output] => (assemble(Path::new(input)), output),
        ["encode", input, output] => (encode(Path::new(input)), output),
        _ => {
            eprintln!("usage: componentize assemble TEXT MODULE | encode MODULE COMPONENT");
            return ExitCode::from(2);
        }
    };
    match bytes.and_then(|bytes| Ok(fs::write(output, bytes)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("componentize: {output}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn assemble(text: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(wat::parse_file(text)?)
}

/// A module may import WASI 0.2 beside 0.1: the bindings it was compiled with have left their types inside it.
fn encode(module: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let component = ComponentEncoder::default()
        .module(&fs::read(module)?)?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        )?
        .validate(true)
        .encode()?;
    Ok(component)
}
