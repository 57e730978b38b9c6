//! Bounds of what a channel may send.

use serde_json::json;
use wrun_tests::conda::{Channel, Package, SUBDIR};
use wrun_tests::{World, files, network};

use crate::faults::Failing;
use crate::task;

#[test]
fn repodata_that_unpacks_to_far_more_is_refused_and_nothing_of_it_is_kept() {
    let failing = Failing::with([Package::saying("thing", "1.0", "thing")]);
    let repodata = files::read(&failing.channel.path().join(SUBDIR).join("repodata.json"));
    // Blanks are no matter to what it means.
    let bomb = format!("{{{}{}", " ".repeat(80 * 1024 * 1024), &repodata[1..]);
    let packed = zstd::encode_all(bomb.as_bytes(), 3).expect("it can be compressed");
    let path = format!("{SUBDIR}/repodata.json.zst");
    failing.server.replace(&path, packed);
    failing
        .submit()
        .ends_with(125)
        .says("conda.repodata.too-large")
        .says(&format!(
            "the repodata of the channel `{}` for `{SUBDIR}`",
            failing.server.url()
        ))
        .says("over 200 times as many");
    let kept = failing.world.store().join("pkgs/conda/repodata");
    let large: Vec<_> = files::walk(&kept)
        .into_iter()
        .filter(|path| path.is_file() && files::bytes(path).len() > 1024 * 1024)
        .collect();
    assert_eq!(large, [""; 0].map(std::path::PathBuf::from));
    // What is packed as usual is taken.
    let packed = zstd::encode_all(repodata.as_bytes(), 3).expect("it can be compressed");
    failing.server.heal();
    failing.server.replace(&path, packed);
    failing.submit().prints("thing\n");
}

#[test]
fn a_package_of_a_size_that_nobody_said_leaves_some_of_the_disk() {
    let Some(way) = network::with_own_mounts() else {
        return;
    };
    let world = World::new();
    let channel = Channel::new();
    let server = wrun_tests::conda::Server::of(channel.path());
    let address = format!("{}/{SUBDIR}/thing-1.0-0.conda", server.url());
    server.replace("thing-1.0-0.conda", vec![0; 62 * 1024 * 1024]);
    world.write("explicit.txt", format!("@EXPLICIT\n{address}\n"));
    world.write(
        "task.toml",
        task(&["thing"], json!({ "explicit": "explicit.txt" })),
    );
    files::folder(&world.store());
    let script = "mount -t tmpfs -o size=64m tmpfs \"$WRUN_CACHE_DIR\" || exit 99\n\"$0\" submit task.toml";
    let ran = world.wrun(&[]).through(&["sh", "-c", script]).through(way).run();
    ran.ends_with(125)
        .says("provision.disk.full")
        .says("`thing-1.0-0.conda`, which line 2 of `explicit.txt` lists, cannot be had")
        .says("nobody said how large it is")
        .says("help: ");
}
