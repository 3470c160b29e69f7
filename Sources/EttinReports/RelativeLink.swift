#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Links from a page to files that lie around it.
package enum RelativeLink {
    /// The absolute path of what is at a path, without links and detours; the path itself where there is nothing.
    package static func resolved(_ path: String) -> String {
        guard !path.utf8.contains(0), let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The reference to a file, relative to a folder, with everything but plain characters in per cent form.
    package static func reference(to path: String, from folder: String) -> String {
        let target = resolved(path).split(separator: "/")
        let start = resolved(folder.isEmpty ? "." : folder).split(separator: "/")
        let shared = zip(target, start).prefix { $0 == $1 }.count
        let up = repeatElement("..", count: start.count - shared)
        let parts = up + target.dropFirst(shared).map { encoded(String($0)) }
        return parts.isEmpty ? "." : parts.joined(separator: "/")
    }

    private static func encoded(_ component: String) -> String {
        var result = ""
        for byte in component.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}
