//! The reference page of the task file, made of its schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::words::literal;

/// References that are followed one after another, and types that are named inside of others.
const MAXIMUM_DEPTH: usize = 4;

/// The reference page in Markdown: a section for each table, with a row for each key. The same schema gives the same
/// text.
#[must_use]
pub fn reference(schema: &Value) -> String {
    let mut page = Page {
        schema,
        text: String::new(),
        sections: Vec::new(),
        tables: vec![(schema, String::new())],
    };
    let title = schema
        .get("title")
        .and_then(Value::as_str)
        .unwrap_or("The task file");
    page.text = format!("# {title}\n");
    page.section(&Section {
        table: schema,
        path: Vec::new(),
        is_list: false,
        description: description(schema),
    });
    // Sections are found while others are written, and come depth first: a table before the tables in it.
    while let Some(section) = page.sections.pop() {
        page.section(&section);
    }
    page.text
}

struct Section<'s> {
    table: &'s Value,
    path: Vec<String>,
    /// Whether it is one of a list of tables, `[[path]]`.
    is_list: bool,
    description: String,
}

struct Page<'s> {
    schema: &'s Value,
    text: String,
    /// Sections to write; the next is the last.
    sections: Vec<Section<'s>>,
    /// The tables that have a section, with their paths. A table that is met again does not get another.
    tables: Vec<(&'s Value, String)>,
}

/// The tables that a key may hold.
struct Search<'s> {
    path: Vec<String>,
    found: Vec<Section<'s>>,
    /// Tables that have a section somewhere else.
    known: Vec<String>,
    /// Schemas that were looked at: a schema may lead back to itself.
    seen: Vec<&'s Value>,
}

impl<'s> Page<'s> {
    fn section(&mut self, section: &Section<'s>) {
        if !section.path.is_empty() {
            let (open, close) = if section.is_list { ("[[", "]]") } else { ("[", "]") };
            let _ = write!(
                self.text,
                "\n{} `{open}{}{close}`\n",
                "#".repeat(section.path.len().min(3) + 1),
                section.path.join(".")
            );
        }
        if !section.description.is_empty() {
            let _ = write!(self.text, "\n{}\n", section.description);
        }
        let mut rows = rows(section.table);
        if rows.is_empty() {
            return;
        }
        let required: BTreeSet<&str> = section
            .table
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        rows.sort_by_key(|(key, _)| (!required.contains(key.as_str()), key.clone()));
        self.text
            .push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
        let mut found = Vec::new();
        for (key, schema) in rows {
            let default = match schema.get("default").and_then(literal) {
                _ if required.contains(key.as_str()) => "required".to_owned(),
                Some(default) => format!("`{default}`"),
                None => String::new(),
            };
            let mut meaning = description(schema);
            if meaning.is_empty() {
                meaning = description(self.resolve(schema));
            }
            meaning.push_str(&examples(&key, schema));
            let kind = self.kind(schema, 0);
            let path: Vec<String> = section.path.iter().cloned().chain([key.clone()]).collect();
            let mut search = Search {
                path,
                found: Vec::new(),
                known: Vec::new(),
                seen: Vec::new(),
            };
            self.tables(schema, false, &mut search);
            for known in search.known {
                let _ = write!(meaning, " The keys of the table are those of {known}.");
            }
            found.extend(search.found);
            let _ = writeln!(
                self.text,
                "| `{key}` | {} | {} | {} |",
                cell(&kind),
                cell(&default),
                cell(&meaning)
            );
        }
        found.reverse();
        self.sections.append(&mut found);
    }

    /// The tables that a value may be or hold.
    fn tables(&mut self, schema: &'s Value, is_list: bool, search: &mut Search<'s>) {
        let resolved = self.resolve(schema);
        if search.seen.iter().any(|seen| std::ptr::eq(*seen, resolved)) {
            return;
        }
        search.seen.push(resolved);
        let branches = ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .filter_map(|keyword| resolved.get(keyword)?.as_array());
        for branch in branches.flatten() {
            self.tables(branch, is_list, search);
        }
        if let Some(items) = resolved.get("items") {
            self.tables(items, true, search);
        }
        if resolved.get("type").is_none_or(|name| name != "object") || rows(resolved).is_empty() {
            return;
        }
        if let Some((_, known)) = self
            .tables
            .iter()
            .find(|(table, _)| std::ptr::eq(*table, resolved))
        {
            search.known.push(if known.is_empty() {
                "the file".to_owned()
            } else {
                format!("`[{known}]`")
            });
            return;
        }
        self.tables.push((resolved, search.path.join(".")));
        let own = description(resolved);
        let description = if own.is_empty() { description(schema) } else { own };
        search.found.push(Section {
            table: resolved,
            path: search.path.clone(),
            is_list,
            description,
        });
    }

    /// The schema that a reference leads to; itself if it is none.
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let mut resolved = schema;
        for _ in 0..MAXIMUM_DEPTH {
            let target = resolved
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix('#'))
                .and_then(|pointer| self.schema.pointer(pointer));
            match target {
                Some(target) => resolved = target,
                None => break,
            }
        }
        resolved
    }

    /// The type of a value, in words.
    fn kind(&self, schema: &'s Value, depth: usize) -> String {
        let resolved = self.resolve(schema);
        let Some(members) = resolved.as_object().filter(|_| depth <= MAXIMUM_DEPTH) else {
            return "any".to_owned();
        };
        if let Some(only) = members.get("const").and_then(literal) {
            return format!("`{only}`");
        }
        if let Some(options) = members.get("enum").and_then(Value::as_array) {
            return options
                .iter()
                .filter_map(literal)
                .map(|option| format!("`{option}`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(branches) = members
                .get(keyword)
                .and_then(Value::as_array)
                .filter(|_| !members.contains_key("properties"))
            {
                return self.alternatives(branches, depth);
            }
        }
        match members.get("type") {
            Some(Value::String(name)) => self.named(name, members, depth),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                names
                    .map(|name| self.named(name, members, depth))
                    .collect::<Vec<_>>()
                    .join(" or ")
            }
            _ => "any".to_owned(),
        }
    }

    fn alternatives(&self, branches: &'s [Value], depth: usize) -> String {
        let mut words: Vec<String> = Vec::new();
        for branch in branches {
            let word = self.kind(branch, depth + 1);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let are_constants = words.iter().all(|word| word.starts_with('`'));
        words.join(if are_constants { ", " } else { " or " })
    }

    fn named(&self, name: &str, members: &'s Map<String, Value>, depth: usize) -> String {
        let name = match name {
            "object" => "table",
            "array" => {
                let items = members.get("items").map(|items| self.kind(items, depth + 1));
                return items.map_or_else(|| "list".to_owned(), |items| format!("list of {items}"));
            }
            "integer" => "whole number",
            other => other,
        };
        name.to_owned()
    }
}

/// The keys of a table with their schemas, in any order.
fn rows(table: &Value) -> Vec<(String, &Value)> {
    let properties = table.get("properties").and_then(Value::as_object);
    let mut rows: Vec<(String, &Value)> = properties
        .into_iter()
        .flatten()
        .map(|(key, schema)| (key.clone(), schema))
        .collect();
    if let Some(any) = table.get("additionalProperties").filter(|any| any.is_object()) {
        rows.push(("NAME".to_owned(), any));
    }
    rows
}

fn description(schema: &Value) -> String {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn examples(key: &str, schema: &Value) -> String {
    let examples = schema.get("examples").and_then(Value::as_array);
    let written: Vec<String> = examples
        .into_iter()
        .flatten()
        .filter_map(literal)
        .map(|example| format!("`{key} = {example}`"))
        .collect();
    if written.is_empty() {
        String::new()
    } else {
        format!(" Example: {}.", written.join(", "))
    }
}

/// Text that fits into a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_leads_to_itself_has_a_page() {
        let page = reference(&json!({
            "type": "object",
            "properties": {
                "a": { "$ref": "#/$defs/Loop" },
                "b": { "$ref": "#/$defs/List" },
                "c": { "$ref": "#" },
            },
            "$defs": { "Loop": { "$ref": "#/$defs/Loop" }, "List": { "anyOf": [{ "$ref": "#/$defs/List" }, { "items": { "$ref": "#/$defs/List" } }] } },
        }));
        assert!(page.starts_with("# The task file\n"), "{page}");
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        assert_eq!(cell("a | b\nc"), "a \\| b c");
    }
}
