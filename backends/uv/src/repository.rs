//! Whether a document names something in a repository of another machine, which uv has fetched by git.

use toml::{Table, Value};
use wrun_backend_python::repository::{is_elsewhere, is_in_requirement};

/// Whether a document names a repository: a `pyproject.toml`, a `uv.toml`, the block of a script, or a lock of uv's or of
/// the standard (PEP 751).
pub(crate) fn is_in(document: &Table) -> bool {
    let of_uv = document.get("tool").and_then(|tool| tool.get("uv"));
    let sources = of_uv
        .and_then(|uv| uv.get("sources"))
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values)
        .flat_map(each);
    let listed = |key| document.get(key).into_iter().flat_map(each);
    let locked = listed("package").filter_map(|package| package.get("source"));
    sources
        .chain(locked)
        .filter_map(|source| source.get("git"))
        .chain(
            listed("packages")
                .filter_map(|package| package.get("vcs"))
                .filter_map(|repository| repository.get("url")),
        )
        .any(|address| address.as_str().is_none_or(is_elsewhere))
        || document.values().any(holds_requirement)
}

/// The items of a list; anything else is one by itself.
fn each(value: &Value) -> &[Value] {
    value
        .as_array()
        .map_or_else(|| std::slice::from_ref(value), Vec::as_slice)
}

fn holds_requirement(value: &Value) -> bool {
    match value {
        Value::String(text) => is_in_requirement(text),
        Value::Array(values) => values.iter().any(holds_requirement),
        Value::Table(table) => table.values().any(holds_requirement),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_found_wherever_they_are_named() {
        let names = |text: &str| is_in(&text.parse().unwrap());
        assert!(names(
            "dependencies = [\"six @ git+https://example.org/six@main\"]"
        ));
        assert!(names(
            "[tool.uv.sources]\nsix = { git = \"https://example.org/six\" }"
        ));
        assert!(names(
            "[tool.uv.sources]\nsix = [{ git = \"https://example.org/six\", marker = \"x\" }]"
        ));
        assert!(names(
            "[[package]]\nname = \"six\"\nsource = { git = \"https://example.org/six#1\" }"
        ));
        assert!(names(
            "[[packages]]\nname = \"six\"\nvcs = { type = \"git\", url = \"https://example.org/six\" }"
        ));
        assert!(!names(
            "dependencies = [\"gitpython\", \"six @ https://git.example.org/six.whl\"]"
        ));
        assert!(!names("[project.urls]\ngit = \"git+https://example.org/six\""));
    }
}
