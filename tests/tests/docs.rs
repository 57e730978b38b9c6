//! The reference pages say what the program does: they are made from it, and this test holds them together.
//! `UPDATE_DOCS=1 cargo test -p wrun-tests --test docs` writes them.

#![expect(clippy::unwrap_used, reason = "a test says where it fails")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use wrun_tests::{binary, files};

/// Compares a page with what it should say, or writes it.
fn hold(name: &str, expected: &str) {
    let path = binary::repository().join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        files::write(&path, expected);
    }
    assert!(
        path.exists() && files::read(&path) == expected,
        "docs/{name} is not what the program says; run: UPDATE_DOCS=1 cargo test -p wrun-tests --test docs"
    );
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(binary::wrun())
        .args(arguments)
        .arg("--help")
        .env_clear()
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_task_file_page_is_made_from_the_schema() {
    let store = tempfile::tempdir().unwrap();
    let runner = wrun::Runner::builder().cache_dir(store.path()).build().unwrap();
    let schema = wrun::core::task::schema(&runner.manifests());
    hold("task-file.md", &wrun::core::task::reference(&schema));
}

#[test]
fn the_command_line_page_is_made_from_the_help_texts() {
    let commands: &[&[&str]] = &[
        &[],
        &["submit"],
        &["run"],
        &["exec"],
        &["plan"],
        &["schema"],
        &["doctor"],
        &["completions"],
        &["cache"],
        &["cache", "dir"],
        &["cache", "ls"],
        &["cache", "info"],
        &["cache", "rm"],
    ];
    let mut page = String::from("# Command line\n\nMade from the help texts of the program.\n");
    for command in commands {
        let name = std::iter::once("wrun")
            .chain(command.iter().copied())
            .collect::<Vec<_>>()
            .join(" ");
        write!(
            page,
            "\n## `{name}`\n\n```text\n{}\n```\n",
            help(command).trim_end()
        )
        .unwrap();
    }
    hold("command-line.md", &page);
}

#[test]
fn the_exit_code_page_is_made_from_the_table() {
    let mut page = String::from(
        "# Exit codes\n\nA task that ran to its end gives its own exit code; one that a signal ended gives 128 and the \
         signal's number. The others:\n\n| code | name | when |\n|---|---|---|\n",
    );
    for (code, name, when) in wrun::exit_code::TABLE {
        writeln!(page, "| {code} | {name} | {when} |").unwrap();
    }
    page.push_str(
        "\n`--format json` has the exact outcome. With several files, the code is the first that is not 0, in the order of \
         the files. A WASI 0.2 component commonly says no more than success or failure (0 or 1).\n",
    );
    hold("exit-codes.md", &page);
}

#[test]
fn the_variables_page_is_made_from_the_table() {
    let mut page =
        String::from("# Variables\n\nWhat steers wrun from outside.\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in wrun::variables::TABLE {
        let name = name
            .split(", ")
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        writeln!(page, "| {name} | {meaning} |").unwrap();
    }
    page.push_str("\nWhat a native task sees, beside what its `[vars]` and its environment say.\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in wrun::variables::OF_TASKS {
        writeln!(page, "| `{name}` | {meaning} |").unwrap();
    }
    page.push_str("\nWhat a WebAssembly task sees, beside the same; a program of `wrun exec` sees only what is listed.\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in wrun::variables::OF_GUESTS {
        writeln!(page, "| `{name}` | {meaning} |").unwrap();
    }
    hold("variables.md", &page);
}

#[test]
fn the_events_page_is_made_from_the_schema() {
    hold(
        "events.md",
        &wrun_tests::events_page(&wrun::core::event::schema()),
    );
}

#[test]
fn every_page_that_a_page_links_to_is_there() {
    let root = binary::repository();
    let pages = [
        "README.md",
        "examples/README.md",
        "docs/embed.md",
        "docs/architecture.md",
        "benches/README.md",
    ];
    for page in pages {
        let text = files::read(&root.join(page));
        let folder = Path::new(page).parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") && !link.starts_with('#') {
                let target = root.join(folder).join(link);
                assert!(target.exists(), "{page} links to {link}, which is not there");
            }
        }
    }
}
