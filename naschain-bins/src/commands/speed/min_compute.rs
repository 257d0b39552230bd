//! The file `min_compute.yml`, by which Bittensor's subnets say what a machine needs. This one says what
//! the measured machine had and used, and nothing that was not measured or is not needed.

use std::fmt::Write;
use std::fs::read_to_string;

use crate::commands::speed::report::SpeedReport;

const GIB: u64 = 1 << 30;

/// The content of the file.
pub(super) fn text(report: &SpeedReport) -> String {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let processor = read_to_string("/proc/cpuinfo").unwrap_or_default();
    with_machine(report, peak_gib(&status), gigahertz(&processor))
}

/// `peak_gib` and `gigahertz` are `None` where the system does not tell.
fn with_machine(report: &SpeedReport, peak_gib: Option<u64>, gigahertz: Option<f64>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let cores = report.threads * usize::from(report.at_once);
    let mut text = format!(
        "# Written by `miner speed --min-compute` of NASChain {version} from a measurement of one machine.\n\
         version: \"{version}\"\n\n\
         compute_spec:\n  \
           miner:\n    \
             # Not a field of Bittensor's template. The network was {}, of {} FLOPs for an image, with\n    \
             # mini-batches of {}. Slower machines may mine; they earn less.\n    \
             images_per_second: {}\n    \
             cpu:\n      \
               min_cores: {cores}\n",
        report.genome, report.flops, report.batch_size, report.images_per_second
    );
    if let Some(gigahertz) = gigahertz {
        let _ = writeln!(text, "      min_speed: {gigahertz:.1} # GHz");
    }
    let _ = write!(
        text,
        "      architecture: {}\n    gpu:\n      required: {}\n",
        std::env::consts::ARCH,
        report.device != "cpu"
    );
    if let Some(peak) = peak_gib {
        let _ = write!(
            text,
            "    memory:\n      # The peak of this process, without a data set.\n      min_ram: {peak} # GB\n"
        );
    }
    text += &format!(
        "    storage:\n      \
             # Programs, checkpoints and answers that are not delivered yet; the data set is not included.\n      \
             min_space: 1 # GB\n    \
           os:\n      name: {}\n  \
           validator:\n    \
             # Without --retrain it trains nothing; with it, it needs what a miner needs.\n    \
             cpu:\n      min_cores: 1\n    \
             gpu:\n      required: false\n\n\
         network_spec:\n  \
           # A training takes a few messages of less than 10 KB.\n  \
           bandwidth:\n    download: 1 # Mbps\n    upload: 1 # Mbps\n",
        std::env::consts::OS
    );
    text
}

/// The peak memory in /proc/self/status, in whole GiB.
fn peak_gib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some((kib * 1024).div_ceil(GIB))
}

/// The clock of the first processor in /proc/cpuinfo.
fn gigahertz(processor: &str) -> Option<f64> {
    let line = processor.lines().find(|line| line.starts_with("cpu MHz"))?;
    let megahertz: f64 = line.split_once(':')?.1.trim().parse().ok()?;
    Some(megahertz / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::Digest;

    #[test]
    fn the_file_says_what_was_measured() {
        let report = SpeedReport {
            device: "cpu".to_owned(),
            threads: 2,
            genome: "1110-1110".to_owned(),
            params: 7,
            flops: 1_234_567,
            batch_size: 64,
            at_once: 3,
            images_per_second: 812.5,
            digests_equal: true,
            digest: Digest([0; 32]),
        };
        let peak = peak_gib("VmPeak:\t 9999999 kB\nVmHWM:\t 1048577 kB\n");
        let clock = gigahertz("model name\t: X\ncpu MHz\t\t: 2449.998\n");
        let text = with_machine(&report, peak, clock);
        for line in [
            "    images_per_second: 812.5\n",
            "      min_cores: 6\n      min_speed: 2.4 # GHz\n      architecture: ",
            "    gpu:\n      required: false\n    memory:\n",
            "      min_ram: 2 # GB\n",
            "\nnetwork_spec:\n  # ",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        let unknown = with_machine(&report, None, None);
        assert!(!unknown.contains("min_ram") && !unknown.contains("min_speed"));
    }
}
