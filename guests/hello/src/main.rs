//! `hello [NAME] [FOLDER]`: greets NAME and lists FOLDER.
//!
//! An ordinary Rust program. Compiled for `wasm32-wasip1` it has no files, no network and no variables but
//! those that whoever runs it grants.

use std::{env, fs, io};

fn main() {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "world".to_owned());
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());

    println!("Hello, {name}!");

    // Without a grant this is an error like any other, not a crash: a guest can say so and carry on.
    match names_in(&folder) {
        Ok(names) if names.is_empty() => println!("I may look into `{folder}`, and it is empty."),
        Ok(names) => {
            println!("I may look into `{folder}`, and this is in it:");
            for name in names {
                println!("  {name}");
            }
        }
        Err(error) => println!("I may not look into `{folder}`: {error}"),
    }
}

/// The names in a folder, sorted; folders end in a slash.
fn names_in(folder: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}
