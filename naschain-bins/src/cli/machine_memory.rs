//! The memory that this process may use: the machine's, or less in a container.

use std::fs::read_to_string;
use std::path::Path;

/// Share of the memory that trainings may use; the rest is for data sets and other programs.
const SHARE_PERCENT: u64 = 80;

/// Default limit of each of `trainings` concurrent trainings on the CPU, in bytes; `None` where the
/// memory is unknown, which is everywhere but on Linux.
pub(crate) fn default_limit_bytes(trainings: u32) -> Option<u64> {
    let memory = memory_bytes(Path::new("/"))?;
    Some(memory / 100 * SHARE_PERCENT / u64::from(trainings.max(1)))
}

/// The least of the machine's memory and the limits of the process's control groups, below `root`.
fn memory_bytes(root: &Path) -> Option<u64> {
    let machine = read_to_string(root.join("proc/meminfo")).ok()?;
    let machine = machine.lines().find_map(|line| {
        let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?;
        kib.trim().parse::<u64>().ok()?.checked_mul(1024)
    })?;
    let groups = read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| group_limits(root, line));
    Some(limits.min().map_or(machine, |limit| limit.min(machine)))
}

/// Limits of one line of /proc/self/cgroup, such as `0::/user.slice` (version 2) or
/// `4:memory:/docker/1f` (version 1), and of the groups that contain it.
fn group_limits(root: &Path, line: &str) -> Vec<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (folder, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let (folder, path) = (root.join(folder), path.trim_start_matches('/'));
    // In a container the path may be the host's, which does not exist here; the container's own
    // limit is then at the top.
    Path::new(path)
        .ancestors()
        .filter_map(|group| read_to_string(folder.join(group).join(file)).ok())
        .filter_map(|limit| limit.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn the_smallest_limit_counts() {
        let root = test_folder("cgroup");
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(memory_bytes(&root), None);
        write("proc/meminfo", "MemFree: 1 kB\nMemTotal:       4096 kB\n");
        assert_eq!(memory_bytes(&root), Some(4096 << 10));
        write("proc/self/cgroup", "4:memory:/a/b\n0::/x/y\n");
        write("sys/fs/cgroup/x/y/memory.max", "max\n");
        assert_eq!(memory_bytes(&root), Some(4096 << 10));
        write("sys/fs/cgroup/x/memory.max", "3000000\n");
        assert_eq!(memory_bytes(&root), Some(3_000_000));
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n");
        assert_eq!(memory_bytes(&root), Some(2_000_000));
        write(
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(memory_bytes(&root), Some(2_000_000));
        std::fs::remove_dir_all(root).unwrap();
    }
}
