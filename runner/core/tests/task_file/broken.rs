//! Broken files, each with everything that is said about it.

use miette::NarratableReportHandler;
use wrun_core::diagnostic::{Finding, Severity};
use wrun_core::task::{TaskErrors, parse, place_findings};

use crate::support::{backends, origin, parse_with_backends, rendered};

/// The errors of a broken file, as text; also rendered by miette, which fails if a place is outside of the text.
fn complaints(text: &str) -> String {
    let errors = parse_with_backends(text).expect_err("the file is broken");
    narrated(&errors);
    rendered(text, errors.errors())
}

fn narrated(errors: &TaskErrors) -> String {
    let mut out = String::new();
    NarratableReportHandler::new()
        .render_report(&mut out, errors)
        .expect("every place is in the text");
    out
}

macro_rules! broken {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(stringify!($name), complaints($text));
            }
        )*
    };
}

broken! {
    empty_file: "";
    only_a_comment: "# nothing\n";
    syntax_errors_on_several_lines: "[run\ncommand = [\"a\"]\nname = \n[allow]\nread = [\"a\" \"b\"]\n";
    not_toml_at_all: "{\"run\": {\"command\": [\"true\"]}}\n";
    duplicate_keys: "name = \"a\"\nname = \"b\"\n[run]\ncommand = [\"a\"]\nmodul = \"x\"\n[run]\ndir = \".\"\n";
    unknown_keys: "nmae = \"a\"\nzzz = 1\n[run]\ncomand = [\"a\"]\n[limits]\ntimeout = \"1s\"\n[allow]\nnetwork = true\n";
    keys_in_other_tables: "command = [\"a\"]\npackages = [\"b\"]\n[run]\nmemory = \"1GiB\"\nread = [\"c\"]\nname = \"d\"\n[env]\npython = \"3.12\"\n";
    net_rules: "[run]\ncommand = [\"a\"]\n[allow]\nnet = [\"::1:80\", \"::1\", \"true\", \"https://example.org\"]\n";
    unknown_table: "[run]\ncommand = [\"a\"]\n[limit]\ntime = \"1s\"\n";
    misspelt_run: "[rnu]\ncommand = [\"a\"]\n";
    wrong_types: "name = 5\nrun = \"python main.py\"\nvars = []\nallow = true\nlimits = 3\nretry = 2\n";
    wrong_types_inside: r#"
[run]
command = "python main.py"
dir = ["."]
[vars]
A = 5
B = true
C = { form = "X" }
D = { from = 3 }
E = 2024-01-01
[allow]
read = "data"
net = "example.org:443"
[limits]
time = 30
memory = 1024
processes = "64"
[retry]
attempts = "3"
on = "exit"
"#;
    wrong_items: "[run]\ncommand = [\"\", 5, true]\n[allow]\nnet = [5, \"example.org\"]\nread = [\"\", {}]\n";
    run_without_anything: "[run]\ndir = \"x\"\n";
    run_with_both: "[run]\ncommand = [\"a\"]\nmodule = \"a.wasm\"\nargs = [\"b\"]\n";
    empty_command: "[run]\ncommand = []\nargs = [\"a\"]\n";
    empty_module: "[run]\nmodule = \"\"\n";
    folder_is_absolute: "[run]\ncommand = [\"a\"]\ndir = \"/etc\"\n";
    folder_is_outside: "[run]\ncommand = [\"a\"]\ndir = \"sub/../../x\"\n";
    unknown_backends: "[run]\ncommand = [\"a\"]\n[env.vu]\npackages = []\n[env.npm]\n";
    two_backends: "[run]\ncommand = [\"a\"]\n[env]\nuv = [\"emoji\"]\n[env.conda]\nfile = \"environment.yml\"\n";
    backend_without_short_form: "[run]\ncommand = [\"a\"]\n[env]\nconda = [\"numpy\"]\n";
    backend_is_text: "[run]\ncommand = [\"a\"]\n[env]\nuv = \"emoji\"\n";
    short_form_with_wrong_items: "[run]\ncommand = []\n[env]\nuv = [\"emoji\", 5, \"\"]\n";
    spec_against_its_schema: r#"
[run]
command = []
[env.uv]
pakages = ["emoji"]
python = 3.11
resolution = "hihgest"
[[env.uv.index]]
name = "inner"
[[env.uv.index]]
url = 5
"#;
    names_of_variables: "[run]\ncommand = [\"a\"]\n[vars]\n\"1A\" = \"x\"\n\"A-B\" = \"x\"\n\"\" = \"x\"\n\"Ä\" = \"x\"\nB = { from = \"A B\" }\nC = { from = \"\" }\n";
    nul_characters: "name = \"a\\u0000b\"\n[run]\ncommand = [\"a\", \"b\\u0000\"]\n[vars]\n\"A\\u0000\" = \"x\"\n[env.uv]\npython = \"\\u0000\"\n";
    rules_of_the_net: "[run]\ncommand = [\"a\"]\n[allow]\nnet = [\n  \"https://example.org\",\n  \"example.org\",\n  \"example.org:0\",\n  \"exa mple:1\",\n  \"example.org:443\",\n]\n";
    durations_and_sizes: "[run]\ncommand = [\"a\"]\n[limits]\ntime = \"30\"\nmemory = \"1 GiX\"\noutput = \"99999999999EiB\"\n[retry]\nattempts = 2\non = [\"exit\"]\ndelay = \"soon\"\n";
    nothing_is_allowed: "name = \"\"\n[run]\ncommand = [\" \"]\n[limits]\ntime = \"0s\"\nmemory = \"0\"\nprocesses = 0\noutput = \"0B\"\n[retry]\nattempts = 0\n";
    numbers_out_of_range: "[run]\ncommand = [\"a\"]\n[limits]\nprocesses = -1\n[retry]\nattempts = 5000000000\non = [\"exit\"]\n[env.uv]\nx = 99999999999999999999\ny = nan\nz = -inf\n";
    outcomes_of_retry: "[run]\ncommand = [\"a\"]\n[retry]\nattempts = 3\non = [\"exitt\", \"zzz\", \"timeout\"]\n";
    retry_without_outcomes: "[run]\ncommand = [\"a\"]\n[retry]\nattempts = 3\n";
    retry_without_attempts: "[run]\ncommand = [\"a\"]\n[retry]\non = [\"exit\"]\n";
    control_character_in_the_name: "name = \"a\\u001b[31m\"\n[run]\ncommand = [\"a\"]\n";
    dates_have_no_place: "name = 2024-01-01\n[run]\ncommand = [\"a\"]\n";
}

#[test]
fn the_whole_list_is_one_line_for_each_error() {
    let errors = parse_with_backends("[run]\ncomand = []\n[limits]\ntime = 3\n").unwrap_err();
    insta::assert_snapshot!(errors, @"
    task.toml:2:1: the key `comand` is not known in `[run]`
    task.toml:4:8: `limits.time` must be a string, not a whole number
    ");
}

#[test]
fn the_report_for_a_terminal_shows_the_lines() {
    let errors = parse_with_backends("[run]\ncomand = []\n").unwrap_err();
    insta::assert_snapshot!("narrated", narrated(&errors));
}

#[test]
fn errors_as_json_have_code_and_place() {
    let errors = parse_with_backends("[run]\ncomand = []\n").unwrap_err();
    let json = serde_json::to_value(&errors).unwrap();
    assert_eq!(json[0]["code"], "task.key.unknown");
    assert_eq!(json[0]["line"], 2);
    assert_eq!(json[0]["span"], serde_json::json!({ "start": 6, "end": 12 }));
}

#[test]
fn findings_of_a_backend_get_their_places() {
    let text = "[run]\ncommand = [\"a\"]\n[env.uv]\npackages = [\"emoji\", \"=\"]\nindex = [{ url = 'x' }]\n";
    let findings = [
        Finding::error("uv.requirement.syntax", "/packages/1", "`=` is not a requirement")
            .with_help("write a name"),
        Finding::warning("uv.index.plain", "/index/0/url", "no encryption"),
        Finding::error("uv.python.missing", "/python", "no Python"),
        Finding::error("uv.spec", "", "the whole"),
    ];
    let errors = place_findings(text, &origin(), &backends()[0], &findings);
    assert!(
        errors
            .errors()
            .iter()
            .any(|error| error.severity == Severity::Warning)
    );
    narrated(&errors);
    insta::assert_snapshot!("findings", rendered(text, errors.errors()));
}

#[test]
fn findings_about_the_short_form_get_their_places() {
    let text = "[run]\ncommand = [\"a\"]\n[env]\nuv = [\"emoji\", \"=\"]\n";
    let findings = [Finding::error(
        "uv.requirement.syntax",
        "/packages/1",
        "`=` is not a requirement",
    )];
    let errors = place_findings(text, &origin(), &backends()[0], &findings);
    assert_eq!(&text[errors.errors()[0].span.clone()], "\"=\"");
    let nothing = place_findings("", &origin(), &backends()[0], &[]);
    assert_eq!(nothing.errors().len(), 1);
}

#[test]
fn deep_nesting_and_large_files_are_refused() {
    let dotted = vec!["a"; 79].join(".");
    let nested = (0..79).fold("1".to_owned(), |inner, _| format!("{{ {dotted} = {inner} }}"));
    let cases = [
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}{}", "[".repeat(200_000), "]".repeat(200_000)),
        format!("a = {}", "{ a = ".repeat(100_000)),
        format!("[{}]", vec!["a"; 200_000].join(".")),
        format!("[env.uv]\nx = {}1{}", "[".repeat(60), "]".repeat(60)),
        format!("[env.uv]\nx = {nested}"),
        "x = 1\n".repeat(2_000_000),
        (0..60_000).fold(String::new(), |text, number| text + &format!("k{number} = 1\n")),
        "[[a]]\n".repeat(100_000),
        "\u{0}".repeat(1_000_000),
        "=\n".repeat(500_000),
    ];
    for text in cases {
        let errors = parse_with_backends(&text).unwrap_err();
        assert!(!errors.errors().is_empty() && errors.errors().len() <= 200);
    }
}

#[test]
fn a_backend_with_a_schema_that_is_none_does_not_hide_the_other_errors() {
    let mut backends = backends();
    backends[0].schema =
        serde_json::json!({ "type": "no type", "properties": { "a": { "$ref": "https://example.org/" } } })
            .into();
    backends[1].schema = serde_json::json!(5).into();
    let text = "nmae = 1\n[run]\ncommand = []\n[env.uv]\na = 1\n";
    let errors = parse(text, &origin(), &backends).unwrap_err();
    let codes: Vec<&str> = errors.errors().iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["task.key.unknown", "task.run.command.empty"]);
}

#[test]
fn a_schema_that_leads_to_itself_ends() {
    let mut backends = backends();
    for schema in [
        serde_json::json!({ "$ref": "#" }),
        serde_json::json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } }),
        serde_json::json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] }),
    ] {
        backends[1].schema = schema.into();
        let text = "[run]\ncommand = []\n[env.conda]\na = 1\n";
        assert!(parse(text, &origin(), &backends).is_err());
    }
}
