//! The network where it was granted, and only there.

use wrun_tests::{files, machine, skipped};

use crate::network::{kinds, outer_address};
use crate::rows::{FILTERED, GONE, NO_EFFECT, NO_SOCKET, Row, UNREACHABLE, row};
use crate::scene::{Scene, Tier, User};

/// All of the network is that of the machine, without what looks into it.
fn all(user: User, tier: Tier) {
    let Some(scene) = Scene::new(user) else { return };
    let rows = {
        let neighbour = scene.neighbour.borrow();
        let (tcp, udp, name, marker) = (neighbour.tcp, neighbour.udp, &neighbour.name, &scene.marker);
        let mut rows = kinds();
        rows.extend([
            row(62, &format!("tcp 127.0.0.1:{tcp}")).open(),
            row(63, &format!("udp 127.0.0.1:{udp}")).open(),
            row(70, &format!("bind-taken 127.0.0.1:{tcp}")).open(),
            row(70, "loopback").open(),
            row(69, "socket 16 3 0").open(),
            // The network is not the processes that are on it.
            row(59, &format!("abstract {name} {marker}")).both(&[UNREACHABLE]),
            row(60, &format!("unix {}/socket {marker}", scene.path("secret")))
                .full(&[GONE, NO_SOCKET])
                .unpromised_in_restricted(
                    "Landlock knows no right to a socket of a path before its version 9",
                ),
            row(61, &format!("message-queue {name}"))
                .full(&[GONE, FILTERED])
                .restricted(&[FILTERED]),
        ]);
        if let Some(address) = outer_address() {
            rows.push(row(65, &format!("tcp {address}:{tcp}")).open());
        }
        rows
    };
    if let Some(answers) = scene.attempt(tier, "[allow]\nnet = true\n", &rows) {
        answers.hold(tier, &rows);
        scene.is_undisturbed();
    }
}

#[test]
fn all_of_it_in_full_as_root() {
    all(User::Root, Tier::Full);
}

#[test]
fn all_of_it_in_full_as_a_user() {
    all(User::Other, Tier::Full);
}

#[test]
fn all_of_it_in_restricted_as_root() {
    all(User::Root, Tier::Restricted);
}

#[test]
fn all_of_it_in_restricted_as_a_user() {
    all(User::Other, Tier::Restricted);
}

/// What goes through the proxy: the granted address and no other, whatever it is called.
fn through_the_proxy(scene: &Scene) -> Vec<Row> {
    let neighbour = scene.neighbour.borrow();
    let (tcp, udp) = (neighbour.tcp, neighbour.udp);
    let blocked: &[&[&'static str]] = &[NO_EFFECT, UNREACHABLE, &["ECONNRESET", "EPIPE"]];
    let mut rows = vec![
        row(71, &format!("proxy-connect 127.0.0.1:{tcp}")).open(),
        row(71, &format!("proxy-socks 127.0.0.1:{tcp}")).open(),
        // As well without it, for the machine's own loopback; no other port or address there, and not a datagram.
        row(62, &format!("tcp 127.0.0.1:{tcp}")).open(),
        row(62, &format!("tcp 127.0.0.1:{}", tcp - 1)).both(&[UNREACHABLE]),
        row(62, &format!("tcp 127.0.0.2:{tcp}")).both(&[UNREACHABLE]),
        row(62, &format!("tcp [::1]:{tcp}")).both(&[UNREACHABLE]),
        row(63, &format!("udp 127.0.0.1:{udp}")).both(&[UNREACHABLE]),
        row(66, "socket 2 3 1").both(&[NO_SOCKET]),
        row(70, &format!("bind-taken 127.0.0.1:{tcp}"))
            .unpromised("what the port leads to is the granted program"),
        row(70, &format!("bind-taken 127.0.0.1:{}", tcp - 1)).both(blocked),
    ];
    for spelling in ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]"] {
        rows.push(
            row(71, &format!("proxy-connect {spelling}:{tcp}"))
                .unpromised("it is the granted address in another spelling"),
        );
    }
    // Another port, another name of the same address, other addresses of the machine, and those of a cloud's own.
    for target in [
        format!("127.0.0.1:{}", tcp - 1),
        "127.0.0.1:1".to_owned(),
        format!("localhost:{tcp}"),
        format!("127.0.0.2:{tcp}"),
        format!("127.1:{tcp}"),
        format!("2130706433:{tcp}"),
        format!("0x7f000001:{tcp}"),
        format!("0.0.0.0:{tcp}"),
        format!("[::1]:{tcp}"),
        format!("[::ffff:127.0.0.1]:{}", tcp - 1),
        format!("[::ffff:7f00:1]:{}", tcp - 1),
        format!("[::ffff:127.0.0.2]:{tcp}"),
        "169.254.169.254:80".to_owned(),
        "192.0.2.1:443".to_owned(),
        format!("127.0.0.1%00.example.org:{tcp}"),
    ] {
        for way in ["proxy-connect", "proxy-socks", "proxy-get"] {
            rows.push(row(71, &format!("{way} {target}")).both(blocked));
        }
    }
    rows
}

fn some(user: User) {
    let Some(scene) = Scene::new(user) else { return };
    let rows = through_the_proxy(&scene);
    let port = scene.neighbour.borrow().tcp;
    let rest = format!("[allow]\nnet = [\"127.0.0.1:{port}\"]\n");
    if let Some(answers) = scene.attempt(Tier::Full, &rest, &rows) {
        answers.hold(Tier::Full, &rows);
        scene.is_undisturbed();
    }
}

#[test]
fn one_address_as_root() {
    some(User::Root);
}

#[test]
fn one_address_as_a_user() {
    some(User::Other);
}

/// Where there is no network of its own, a task that asks for one address either gets that or is not run.
#[test]
fn one_address_in_restricted_is_held_or_refused() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        let rows = through_the_proxy(&scene);
        let port = scene.neighbour.borrow().tcp;
        scene.write_task(&format!("[allow]\nnet = [\"127.0.0.1:{port}\"]\n"), &rows, false);
        let ran = scene.submit("restricted");
        if ran.code == 126 {
            assert!(ran.stdout.contains("\"code\""), "{ran:?}");
            continue;
        }
        ran.ends_with(0);
        let answers = crate::rows::Answers::read(&crate::scene::output_of(&ran), &ran);
        assert_eq!(answers.breaches(Tier::Restricted, &rows), Vec::<String>::new());
    }
}

/// A public name that is given an inner address does not open the way to it.
#[test]
fn a_name_that_leads_inside_does_not_open_it() {
    if !machine::is_root() {
        return skipped("only root can give names in mounts of its own");
    }
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(Tier::Full) {
            continue;
        }
        let port = scene.neighbour.borrow().tcp;
        let hosts = scene.world.path().join("hosts");
        files::write(
            &hosts,
            "127.0.0.1 localhost rebind.example.org\n169.254.169.254 cloud.example.org\n",
        );
        let rows = vec![
            row(71, &format!("proxy-connect rebind.example.org:{port}")).both(&[NO_EFFECT]),
            row(71, &format!("proxy-socks rebind.example.org:{port}")).both(&[NO_EFFECT]),
            row(71, "proxy-connect cloud.example.org:80").both(&[NO_EFFECT]),
        ];
        let rest = format!("[allow]\nnet = [\"rebind.example.org:{port}\", \"cloud.example.org:80\"]\n");
        scene.write_task(&rest, &rows, false);
        let script = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
        let mut words: Vec<String> = [
            "unshare",
            "-m",
            "--propagation",
            "private",
            "--",
            "sh",
            "-c",
            script,
        ]
        .map(str::to_owned)
        .to_vec();
        words.push(hosts.display().to_string());
        let submit = scene.wrun(&["--format", "json", "submit", "--sandbox", "full", "task.toml"]);
        let ran = submit.through(&words).run();
        ran.ends_with(0);
        crate::rows::Answers::read(&crate::scene::output_of(&ran), &ran).hold(Tier::Full, &rows);
    }
}

/// A program that knows nothing of proxies reaches what is listed on the machine's own loopback, by name and address, and
/// is refused at once what nobody answers at.
#[test]
fn a_program_of_the_machine_is_reached_without_the_proxy() {
    use std::io::{Read as _, Write as _};
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(Tier::Full) {
            continue;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let free = {
            let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            other.local_addr().unwrap().port()
        };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut asked = [0; 4];
                client.read_exact(&mut asked).unwrap();
                assert_eq!(&asked, b"ping");
                client.write_all(b"pong").unwrap();
            }
        });
        let code = format!(
            "import os, socket\n\
             for name in list(os.environ):\n    if name.upper() in ('HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'): del os.environ[name]\n\
             for host in ('localhost', '127.0.0.1'):\n    \
                 s = socket.create_connection((host, {port})); s.sendall(b'ping'); print(s.recv(4).decode())\n\
             try:\n    s = socket.create_connection(('127.0.0.1', {free})); s.sendall(b'ping'); print(s.recv(4))\n\
             except OSError as error: print(type(error).__name__)\n\
             try: socket.create_connection(('127.0.0.1', {port} - 1 or 1), timeout=5); print('open')\n\
             except OSError as error: print(type(error).__name__)\n\
             print('local' if 'localhost' in os.environ.get('NO_PROXY', '') else 'all through the proxy')\n"
        );
        let python = machine::python().display().to_string();
        let rest = format!("[allow]\nnet = [\"localhost:{port}\", \"localhost:{free}\"]\n");
        scene.world.write(
            "task.toml",
            wrun_tests::tasks::command(&[&python, "-I", "-c", &code], &rest),
        );
        scene.give_project();
        let ran = scene.wrun(&["submit", "--sandbox", "full", "task.toml"]).run();
        if ran.code == 126 && ran.stderr.contains("may read") {
            skipped("the interpreter is not one of the system");
            continue;
        }
        ran.ends_with(0);
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(lines[..2], ["pong", "pong"], "{ran:?}");
        assert!(lines[2].contains("Connection"), "{ran:?}");
        assert_eq!(lines[3], "ConnectionRefusedError", "{ran:?}");
        assert_eq!(lines[4], "local", "{ran:?}");
    }
}
