#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The function `strftime_now`.
enum CurrentTime {
    /// The local time in a format of `strftime`.
    static func formatted(_ format: String) -> String {
        var now = time(nil)
        var parts = tm()
        guard !format.isEmpty, localtime_r(&now, &parts) != nil else { return "" }
        // A character in front tells an empty result from one that does not fit.
        var buffer = [CChar](repeating: 0, count: 64 + 32 * min(format.utf8.count, 1 << 12))
        let count = strftime(&buffer, buffer.count, " " + format, &parts)
        return String(decoding: buffer.prefix(count).dropFirst().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
