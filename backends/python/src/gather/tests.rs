use wrun_core::id::Digest;

use super::*;

fn inputs(files: &[(&str, &str)], folders: &[&str]) -> Inputs {
    let texts = files.iter().map(|(path, text)| {
        let request = InputRequest {
            path: (*path).to_owned(),
            kind: InputKind::Text,
        };
        (
            request,
            Input::Text {
                text: (*text).to_owned(),
                digest: Digest::of(text.as_bytes()),
            },
        )
    });
    let digests = folders
        .iter()
        .map(|path| (source::request(path), Input::Digest(Digest::of(path.as_bytes()))));
    texts.chain(digests).collect()
}

fn gathered(packages: &[&str], requirements: Option<&str>, known: &Inputs) -> Gathered {
    let packages: Vec<String> = packages.iter().map(|text| (*text).to_owned()).collect();
    let files = requirements.map(|file| Files::One(file.to_owned()));
    let variables = BTreeMap::new();
    let ask = Ask {
        packages: &packages,
        requirements: files.as_ref(),
        constraints: None,
        overrides: None,
        indexes: &[],
        find_links: &[],
        no_build: None,
        require_hashes: false,
        variables: &variables,
    };
    gather(&ask, known)
}

#[test]
fn includes_are_asked_for_as_they_are_found() {
    let first = gathered(&[], Some("deps/all.txt"), &Inputs::new());
    assert_eq!(
        first
            .needs
            .iter()
            .map(|need| need.path.as_str())
            .collect::<Vec<_>>(),
        ["deps/all.txt"]
    );
    let known = inputs(
        &[("deps/all.txt", "-r more.txt\n-c ../pins.txt\n./pkg[x]\n")],
        &[],
    );
    let second = gathered(&[], Some("deps/all.txt"), &known);
    let needs: Vec<_> = second
        .needs
        .iter()
        .map(|need| (need.path.as_str(), need.kind))
        .collect();
    assert_eq!(
        needs,
        [
            ("deps/all.txt", InputKind::Text),
            ("deps/more.txt", InputKind::Text),
            ("pins.txt", InputKind::Text),
            ("pkg", InputKind::Digest),
        ]
    );
}

#[test]
fn a_file_that_includes_itself_ends() {
    let known = inputs(&[("a.txt", "-r a.txt\nemoji\n")], &[]);
    assert_eq!(gathered(&[], Some("a.txt"), &known).requirements.len(), 1);
}

#[test]
fn a_file_and_a_list_mean_the_same() {
    let known = inputs(&[("a.txt", "# note\nSix\nEmoji >=2\n")], &[]);
    let file = gathered(&[], Some("a.txt"), &known).canon(&known, false).unwrap();
    let list = gathered(&["emoji>=2", "six", "six"], None, &known)
        .canon(&known, false)
        .unwrap();
    assert_eq!(file, list);
}

#[test]
fn lines_of_files_have_their_place_in_messages() {
    let known = inputs(
        &[(
            "a.txt",
            "emoji\n\nemoji>>2\n--trusted-host x\n--index-url https://u:hunter2@x.org/\n",
        )],
        &[],
    );
    let findings = gathered(&["a b"], Some("a.txt"), &known).findings;
    let told: Vec<_> = findings
        .iter()
        .map(|finding| (finding.at.as_str(), finding.code.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("/packages/0", "python.requirement.syntax"),
            ("/requirements", "python.requirement.syntax"),
            ("/requirements", "python.requirement.option"),
            ("/requirements", "python.index.password"),
        ]
    );
    assert!(
        findings[1].message.starts_with("a.txt:3: "),
        "{}",
        findings[1].message
    );
    assert!(
        findings[3].message.starts_with("a.txt:5: "),
        "{}",
        findings[3].message
    );
    assert!(!format!("{findings:?}").contains("hunter2"));
}

#[test]
fn options_of_files_count() {
    let text = "--index-url https://a.org/simple\n--extra-index-url https://b.org/simple\n--find-links wheels\n\
                --pre\n--only-binary :all:\nemoji==2.16.0 --hash=sha256:00\n--require-hashes\nsix\n";
    let known = inputs(&[("a.txt", text)], &["wheels"]);
    let gathered = gathered(&[], Some("a.txt"), &known);
    let indexes: Vec<_> = gathered
        .indexes
        .iter()
        .map(|index| (index.url.as_str(), index.default))
        .collect();
    assert_eq!(
        indexes,
        [("https://a.org/simple", true), ("https://b.org/simple", false)]
    );
    assert_eq!(gathered.link_folders, ["wheels"]);
    assert!(gathered.pre);
    assert_eq!(gathered.build, BuildPolicy::Nothing);
    assert_eq!(gathered.findings.len(), 1, "{:?}", gathered.findings);
    assert_eq!(
        gathered.file(&gathered.requirements),
        "emoji==2.16.0 --hash=sha256:00\nsix\n"
    );
}

#[test]
fn local_sources_are_told_apart_by_content() {
    let known = inputs(&[], &["pkg", "dist/a-1.0-py3-none-any.whl"]);
    let gathered = gathered(&["./pkg[extra]", "./dist/a-1.0-py3-none-any.whl"], None, &known);
    let sources = gathered.sources(&known).unwrap();
    let places: Vec<_> = sources
        .iter()
        .map(|one| (one.path.as_str(), one.place.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("dist/a-1.0-py3-none-any.whl", "sources/0/a-1.0-py3-none-any.whl"),
            ("pkg", "sources/1")
        ]
    );
    assert_eq!(
        gathered.file(&gathered.requirements),
        "./sources/0/a-1.0-py3-none-any.whl\n./sources/1[extra]\n"
    );
    assert!(gathered.canon(&Inputs::new(), false).is_err());
}
