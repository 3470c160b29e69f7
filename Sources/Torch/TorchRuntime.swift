import CTorch

/// Facts about the libtorch this process runs on, and its process-wide settings.
public enum TorchRuntime {
    /// The version of libtorch.
    public static var version: String { String(cString: ct_device_torch_version()) }

    /// libtorch's own description of how it was built, several lines.
    public static var buildSummary: String { String(cString: ct_device_build_summary()) }

    /// The instruction set libtorch's CPU kernels chose, such as `AVX512`.
    public static var cpuCapability: String { String(cString: ct_device_cpu_capability()) }

    /// The instruction-set extensions of the processor by libtorch's names, such as `avx2`, sorted.
    public static var cpuFeatures: [String] {
        String(cString: ct_device_cpu_features()).split(separator: " ").map(String.init)
    }

    /// The folder libtorch was loaded from.
    public static var libraryFolder: String { String(cString: ct_device_library_folder()) }

    /// The number of CUDA devices, after loading the CUDA libraries when there are any.
    public static var cudaDeviceCount: Int {
        ct_device_is_available(CT_CUDA) ? Int(ct_device_count(CT_CUDA)) : 0
    }

    /// The number of threads CPU operators use.
    public static var threadCount: Int { Int(ct_device_thread_count()) }

    /// Sets ``threadCount`` for the process; meant to be called once, at start, by an application.
    public static func setThreadCount(_ count: Int) {
        precondition(count > 0 && count <= Int32.max, "thread count \(count) is not positive")
        ct_device_set_thread_count(Int32(count))
    }

    /// Seeds libtorch's own random generators, which only the reference of attention draws from.
    package static func seed(_ seed: UInt64) { ct_device_seed(seed) }

    /// Lowers ``threadCount`` to the processor time a control group allows this process, if that is less.
    public static func respectProcessorQuota() {
        if let quota = ProcessorLimit.quota(), quota < threadCount { setThreadCount(quota) }
    }
}
