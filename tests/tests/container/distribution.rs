//! Debian's `docker-registry`, a registry of others: pushed to by its protocol, pulled from by `wrun`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use wrun_tests::container::{Document, Image, of_image, shell_image};
use wrun_tests::{World, files, skipped};

/// A running `docker-registry` with a folder of its own. It ends with this.
struct Distribution {
    process: Child,
    host: String,
}

impl Distribution {
    /// Starts one; `None` where it is not installed, after saying so.
    fn start(world: &World) -> Option<Self> {
        let config = world.path().join("registry.yml");
        let data = world.path().join("registry");
        files::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n",
                data.display()
            ),
        );
        let started = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                skipped(&format!("docker-registry: {error}"));
                return None;
            }
        };
        let mut said = BufReader::new(process.stderr.take().expect("standard error is a pipe"));
        let mut all = String::new();
        let host = loop {
            let mut line = String::new();
            let length = said.read_line(&mut line).expect("what it says can be read");
            assert!(length > 0, "docker-registry does not start: {all}");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split('"').next().expect("an address").to_owned();
            }
            all += &line;
        };
        // Whoever writes to a pipe that nobody reads is ended.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Some(Self { process, host })
    }

    /// Pushes an image as `repository:tag`.
    fn push(&self, repository: &str, tag: &str, image: &Image) {
        for blob in image.blobs() {
            let uploads = format!("/v2/{repository}/blobs/uploads/");
            let head = self.send("POST", &uploads, "text/plain", &[]);
            let place = head
                .lines()
                .find_map(|line| line.strip_prefix("Location: http://")?.split_once('/'))
                .expect("a place for the blob")
                .1
                .to_owned();
            let digest = blob.digest();
            let place = format!("/{place}&digest={digest}");
            self.send("PUT", &place, "application/octet-stream", &blob.bytes);
        }
        let Document { bytes, media_type } = image.manifest();
        let place = format!("/v2/{repository}/manifests/{tag}");
        self.send("PUT", &place, &media_type, &bytes);
    }

    /// Sends a request that has to succeed, and gives the head of its answer.
    fn send(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.host).expect("the registry listens");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.host,
            body.len()
        );
        let mut answer = String::new();
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body))
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("the registry answers");
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        answer
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_image_is_pulled_by_its_tag_and_by_its_digest() {
    let world = World::new();
    let Some(image) = shell_image() else { return };
    let image = image
        .layer(&[("etc/", b""), ("etc/name", b"pushed\n")])
        .config(json!({
            "Cmd": ["/bin/cat", "/etc/name"],
        }));
    let digest = image.manifest().digest();
    let Some(registry) = Distribution::start(&world) else {
        return;
    };
    registry.push("team/app", "1", &image);
    let task = |which: &str| of_image(&format!("{}/team/app{which}", registry.host), "", "");
    let tag = task(":1");
    world.submit(&tag).prints("pushed\n");
    let by_digest = world.submit(&task(&format!("@{digest}")));
    by_digest.prints("pushed\n").does_not_say("fetch");
    assert_eq!(world.environments().len(), 1);
    drop(registry);
    world.write("task.toml", tag);
    let offline = world.wrun(&["--offline", "submit", "task.toml"]).run();
    offline.prints("pushed\n");
}

#[test]
fn what_the_registry_does_not_have_is_told() {
    let world = World::new();
    let Some(registry) = Distribution::start(&world) else {
        return;
    };
    let missing = of_image(&format!("{}/team/app:1", registry.host), "", "");
    world
        .submit(&missing)
        .ends_with(125)
        .says("container.image.not-found")
        .says("help: ");
}
