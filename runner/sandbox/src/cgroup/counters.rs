//! Files of lines with a name and a number, as `memory.events` ("flat keyed" in the kernel's `cgroup-v2.rst`).

/// The number of a name; `None` if the file does not have it.
pub(super) fn value(text: &[u8], name: &str) -> Option<u64> {
    std::str::from_utf8(text).ok()?.lines().find_map(|line| {
        let (key, number) = line.split_once(' ')?;
        if key == name {
            number.trim().parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counters_of_known_files() {
        let memory = b"low 0\nhigh 0\nmax 31\noom 1\noom_kill 3\noom_group_kill 1\n";
        let legacy = b"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        let cases: [(&[u8], &str, Option<u64>); 9] = [
            (memory, "oom_kill", Some(3)),
            (memory, "oom", Some(1)),
            (memory, "oom_", None),
            (legacy, "oom_kill", Some(2)),
            (legacy, "oom_kill_disable", Some(0)),
            (b"max 7\n", "max", Some(7)),
            (b"nr_periods 9\nnr_throttled 4\n", "nr_throttled", Some(4)),
            (b"populated 1\nfrozen 0", "frozen", Some(0)),
            (b"max 18446744073709551616\n", "max", None),
        ];
        for (text, name, expected) in cases {
            assert_eq!(value(text, name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in proptest::collection::vec(any::<u8>(), 0..100), name in ".{0,5}") {
            let _number = value(&text, &name);
        }

        #[test]
        fn what_is_written_is_read(entries in proptest::collection::btree_map("[a-z_]{1,9}", any::<u64>(), 0..8)) {
            let lines: Vec<_> = entries.iter().map(|(name, number)| format!("{name} {number}")).collect();
            let text = lines.join("\n");
            for (name, number) in &entries {
                prop_assert_eq!(value(text.as_bytes(), name), Some(*number));
            }
            prop_assert_eq!(value(text.as_bytes(), "UPPER"), None);
        }
    }
}
