use crate::Device;

/// The class of machine that decides a training's bits: what the kernels of this build choose
/// their order of summation by.
///
/// On the CPU that is the processor's architecture, the widest vectors that burn's flex backend
/// adds up rows with (`V4` is AVX-512, `V3` AVX2), and how many products of a long sum its matrix
/// multiplication adds up at a time, which follows from the first-level cache. Two machines of
/// one class, with the same build, are expected to give the same digests. On a GPU nothing has
/// been measured yet, so the class is only `cuda`.
pub fn machine_class(device: Device) -> String {
    match device {
        Device::Cpu => format!(
            "{}-{:?}-{}",
            std::env::consts::ARCH,
            macerator::Arch::new(),
            terms_at_a_time()
        ),
        Device::Cuda(_) => "cuda".to_owned(),
    }
}

/// How the kernels of f32 on x86-64 divide a sum of a million products; their tiles are 16 × 6.
fn terms_at_a_time() -> usize {
    let [rows, columns, terms] = [256, 256, 1 << 20];
    gemm_common::cache::kernel_params(rows, columns, terms, 16, 6, size_of::<f32>()).kc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_names_what_decides() {
        let class = machine_class(Device::Cpu);
        let parts: Vec<&str> = class.split('-').collect();
        assert_eq!(parts.len(), 3, "{class}");
        assert_eq!(parts[0], std::env::consts::ARCH);
        assert!(parts[2].parse::<usize>().unwrap() >= 512, "{class}");
        assert_eq!(machine_class(Device::Cuda(1)), "cuda");
    }
}
