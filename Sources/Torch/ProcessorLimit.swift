#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How many processors this process may keep busy.
///
/// A container's share is a time quota, which neither the number of processors nor the affinity mask shows: threads
/// beyond it are stopped by the scheduler in the middle of a parallel region, while the others wait for them.
enum ProcessorLimit {
    /// The processors a control group allows.
    ///
    /// - Parameter root: Where control groups are mounted.
    /// - Returns: Whole ones, at least 1; nil where there is no quota.
    static func quota(root: String = "/sys/fs/cgroup") -> Int? {
        if let text = contents(root + "/cpu.max") { return processors(version2: text) }
        guard let quota = contents(root + "/cpu/cpu.cfs_quota_us"),
            let period = contents(root + "/cpu/cpu.cfs_period_us")
        else { return nil }
        return processors(version2: quota + " " + period)
    }

    /// Reads `quota period`, both in microseconds; a quota that is not a positive number means none.
    static func processors(version2 text: String) -> Int? {
        let parts = text.split(whereSeparator: \.isWhitespace)
        guard parts.count == 2, let quota = Int(parts[0]), let period = Int(parts[1]), quota > 0, period > 0 else {
            return nil
        }
        return max(1, quota / period)
    }

    private static func contents(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
