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

    /// Lowers ``threadCount`` to what the system lets this process start, if that is less; meant to be called once, at
    /// start.
    ///
    /// OpenMP ends the process when a thread is refused, as where a limit on processes is nearly reached.
    ///
    /// - Returns: The lowered count; nil where nothing changed.
    package static func respectThreadLimit() -> Int? {
        let startable = startableThreads(upTo: threadCount)
        guard startable < threadCount else { return nil }
        setThreadCount(startable)
        return startable
    }

    /// How many threads can run at one time, the calling one among them, up to a count.
    ///
    /// - Parameters:
    ///   - count: As many are wanted.
    ///   - start: What starts one, as `pthread_create`; nil for that.
    /// - Returns: From 1 to `count`.
    static func startableThreads(upTo count: Int, start: CTThreadStart? = nil) -> Int {
        Int(ct_threads_startable(Int32(clamping: count), start))
    }

    /// Sets how much host memory that no tensor uses is kept for the next ones; 1 GiB at first.
    ///
    /// Meant to be called once, at start, by an application. Large blocks that come from the operating system cost a page
    /// fault for every page, and the steps of a model ask for the same blocks over and over. Training, whose steps use
    /// gigabytes, wants no limit (`Int.max`). Kept and used blocks together never exceed by more than half what was in
    /// use at one time lately, and a block that thousands of requests did not want is given back.
    ///
    /// - Parameter bytes: At most so much is kept; 0 keeps nothing.
    public static func setKeptMemoryLimit(bytes: Int) {
        precondition(bytes >= 0, "a limit of \(bytes) bytes is negative")
        ct_memory_set_kept_limit(UInt64(bytes))
    }

    /// The bytes kept now.
    package static var keptMemoryBytes: Int { Int(ct_memory_kept_bytes()) }

    /// Gives the kept memory back to the operating system, after work that will not come again, such as loading a model.
    package static func releaseKeptMemory() { ct_memory_release_kept() }

    /// Seeds libtorch's own random generators, which only the reference of attention draws from.
    package static func seed(_ seed: UInt64) { ct_device_seed(seed) }

    /// Lowers ``threadCount`` to the processor time a control group allows this process, if that is less.
    public static func respectProcessorQuota() {
        if let quota = ProcessorLimit.quota(), quota < threadCount { setThreadCount(quota) }
    }
}
