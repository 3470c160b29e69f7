#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The most memory this process had resident at once.
package enum PeakMemory {
    /// Forgets earlier peaks where the system can do that, which is Linux.
    package static func reset() {
        #if os(Linux)
            // Where this is forbidden the peak stays that since the process began.
            guard let file = fopen("/proc/self/clear_refs", "w") else { return }
            defer { fclose(file) }
            fputs("5", file)
        #endif
    }

    /// The peak since the last reset, in bytes; since the process began where there is no reset.
    package static var bytes: Int {
        #if os(Linux)
            if let bytes = highWaterMark() { return bytes }
        #endif
        var usage = rusage()
        #if canImport(Darwin)
            _ = getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss
        #elseif canImport(Glibc)
            _ = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            return usage.ru_maxrss * 1024
        #else
            _ = getrusage(RUSAGE_SELF, &usage)
            return Int(usage.ru_maxrss) * 1024
        #endif
    }

    #if os(Linux)
        /// `VmHWM` of /proc, which follows resets; that of `getrusage` does not.
        private static func highWaterMark() -> Int? {
            guard let file = fopen("/proc/self/status", "r") else { return nil }
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 1 << 14)
            let count = fread(&bytes, 1, bytes.count, file)
            for line in bytes[..<count].split(separator: UInt8(ascii: "\n")) where line.starts(with: "VmHWM:".utf8) {
                let digits = line.filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                return Int(String(decoding: digits, as: UTF8.self)).map { $0 * 1024 }
            }
            return nil
        }
    #endif
}
