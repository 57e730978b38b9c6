//! Logging in to registries.

use std::os::unix::fs::PermissionsExt as _;

use data_encoding::BASE64;
use serde_json::json;
use wrun_tests::container::{Image, Registry, Trouble, of_image};
use wrun_tests::{Ran, World, files};

const PASSWORD: &str = "hunter2-and-more";

fn app() -> Image {
    Image::module(b"\0asm\x01\0\0\0".to_vec())
}

fn plan(world: &World, registry: &Registry, rest: &str) -> Ran {
    world.write("task.toml", of_image(&registry.name("app:1"), "", rest));
    world.wrun(&["--verbose", "plan", "task.toml"]).run()
}

/// The user `ada` in an authentication file of the home folder.
fn log_in(world: &World, registry: &Registry, password: &str) {
    let auth = BASE64.encode(format!("ada:{password}").as_bytes());
    let file = json!({"auths": {registry.host(): {"auth": auth}}});
    files::write(&world.home().join(".docker/config.json"), file.to_string());
}

/// No secret is in what was said or in the store.
#[track_caller]
fn keeps_secrets(world: &World, ran: &Ran) {
    for secret in [
        PASSWORD,
        &BASE64.encode(format!("ada:{PASSWORD}").as_bytes()),
        "token-1",
        "token-2",
    ] {
        assert!(
            !ran.stderr.contains(secret) && !ran.stdout.contains(secret),
            "{secret}: {ran:?}"
        );
        for path in files::walk(&world.store()) {
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
                let content = files::bytes(&path);
                let found = content
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {}", path.display());
            }
        }
    }
}

#[test]
fn a_token_is_fetched_for_whoever_needs_no_login() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_token();
    let ran = plan(&world, &registry, "");
    ran.ends_with(0);
    keeps_secrets(&world, &ran);
    assert_eq!(registry.asked("/token"), 1, "{:?}", registry.requests());
}

#[test]
fn the_login_of_docker_is_used_for_a_password_and_for_a_token() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_password("ada", PASSWORD);
    plan(&world, &registry, "")
        .ends_with(125)
        .says("container.registry.denied")
        .says("login");
    log_in(&world, &registry, PASSWORD);
    let ran = plan(&world, &registry, "");
    ran.ends_with(0);
    keeps_secrets(&world, &ran);

    let world = World::new();
    registry.require_token_of("ada", PASSWORD);
    plan(&world, &registry, "")
        .ends_with(125)
        .says("provision.registry.token")
        .says("without a login");
    log_in(&world, &registry, "wrong");
    plan(&world, &registry, "")
        .ends_with(125)
        .says("provision.registry.token")
        .says("with the login");
    log_in(&world, &registry, PASSWORD);
    let ran = plan(&world, &registry, "");
    ran.ends_with(0);
    keeps_secrets(&world, &ran);
}

/// Who is refused learns whose login it was and where it is kept, and not what the password is.
#[test]
fn a_login_that_is_refused_is_told_with_its_user_and_its_file() {
    type Require = fn(&Registry, &str, &str);
    let registries: [(Require, &str); 2] = [
        (Registry::require_password, "container.registry.denied"),
        (Registry::require_token_of, "provision.registry.token"),
    ];
    for (require, code) in registries {
        let (world, registry) = (World::new(), Registry::with("app:1", &app()));
        require(&registry, "ada", "another");
        log_in(&world, &registry, PASSWORD);
        let ran = plan(&world, &registry, "");
        ran.ends_with(125)
            .says(code)
            .says("with the login of `ada` in `")
            .says(".docker/config.json`")
            .says("log in again");
        keeps_secrets(&world, &ran);
    }
}

#[test]
fn an_authentication_file_that_is_named_and_not_there_is_told() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_token();
    world.write("task.toml", of_image(&registry.name("app:1"), "", ""));
    let missing = world.path().join("missing");
    for variable in ["REGISTRY_AUTH_FILE", "DOCKER_CONFIG"] {
        let plan = |value: &std::path::Path| world.wrun(&["plan", "task.toml"]).env(variable, value).run();
        plan(&missing)
            .ends_with(125)
            .says("provision.registry.auth-file")
            .says(&format!("`{variable}` names `{}`", missing.display()));
    }
    // Nobody has logged in where docker keeps its settings.
    let folder = files::folder(&world.path().join("settings"));
    let ran = world
        .wrun(&["plan", "task.toml"])
        .env("DOCKER_CONFIG", folder)
        .run();
    ran.ends_with(0);
}

#[test]
fn a_credential_is_used_by_name() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_token_of("ada", PASSWORD);
    world.write(
        "task.toml",
        of_image(&registry.name("app:1"), "", "credentials = \"corp\""),
    );
    world
        .wrun(&["plan", "task.toml"])
        .run()
        .ends_with(125)
        .says("WRUN_INDEX_CORP_PASSWORD");
    let ran = world
        .wrun(&["--verbose", "plan", "task.toml"])
        .env("WRUN_INDEX_CORP_USERNAME", "ada")
        .env("WRUN_INDEX_CORP_PASSWORD", PASSWORD)
        .run();
    ran.ends_with(0);
    keeps_secrets(&world, &ran);
}

#[test]
fn a_credential_that_is_not_taken_is_told_by_its_variables() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_password("ada", PASSWORD);
    world.write(
        "task.toml",
        of_image(&registry.name("app:1"), "", "credentials = \"corp\""),
    );
    world
        .wrun(&["plan", "task.toml"])
        .env("WRUN_INDEX_CORP_USERNAME", "ada")
        .env("WRUN_INDEX_CORP_PASSWORD", "wrong")
        .run()
        .ends_with(125)
        .says("container.registry.denied")
        .says("check `WRUN_INDEX_CORP_USERNAME`");
}

#[test]
fn a_credential_helper_is_asked() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_token_of("ada", PASSWORD);
    let host = registry.host();
    let file = json!({"credHelpers": {host.clone(): "test"}});
    files::write(&world.home().join(".docker/config.json"), file.to_string());
    plan(&world, &registry, "")
        .ends_with(125)
        .says("provision.registry.helper")
        .says("docker-credential-test");
    let program = world.home().join("bin/docker-credential-test");
    files::write(
        &program,
        format!(
            "#!/bin/sh\nread server\n[ \"$1 $server\" = \"get {host}\" ] || exit 1\necho '{{\"Username\": \"ada\", \"Secret\": \"{PASSWORD}\"}}'\n"
        ),
    );
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.write("task.toml", of_image(&registry.name("app:1"), "", ""));
    let path = format!("{}:/usr/bin:/bin", world.home().join("bin").display());
    let ran = world
        .wrun(&["--verbose", "plan", "task.toml"])
        .env("PATH", path)
        .run();
    ran.ends_with(0);
    keeps_secrets(&world, &ran);
}

#[test]
fn a_token_that_is_not_taken_any_more_is_renewed() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_token();
    let registry = std::sync::Arc::new(registry);
    // The token ends after the manifest.
    registry.fault_times("/blobs/", Trouble::Status(401), 1);
    let ran = world.submit(&of_image(&registry.name("app:1"), "", ""));
    ran.does_not_say("status 401");
    keeps_secrets(&world, &ran);
}

#[test]
fn a_redirection_does_not_take_the_token_along() {
    let (world, registry, other) = (
        World::new(),
        Registry::with("app:1", &app()),
        Registry::with("app:1", &app()),
    );
    registry.require_token();
    let blob = app().layer_blobs().remove(0);
    registry.fault(
        "/blobs/",
        Trouble::Redirect(format!("http://{}/v2/app/blobs/{}", other.host(), blob.digest())),
    );
    let ran = world.submit(&of_image(&registry.name("app:1"), "", ""));
    keeps_secrets(&world, &ran);
    let redirected = other.requests();
    assert!(!redirected.is_empty(), "{ran:?}");
    for request in redirected {
        assert!(!request.headers.contains_key("authorization"), "{request:?}");
    }
}

#[test]
fn a_broken_authentication_file_is_told() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.require_token();
    files::write(&world.home().join(".docker/config.json"), "{ hunter2");
    let ran = plan(&world, &registry, "");
    ran.ends_with(125)
        .says("provision.registry.auth-file")
        .does_not_say("hunter2");
}
