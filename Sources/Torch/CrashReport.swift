import CTorch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a process prints when it crashes.
package enum CrashReport {
    /// Makes a crash print what went wrong and one sentence, in place of Swift's backtrace; meant to be called once, at start.
    ///
    /// A developer who sets `SWIFT_BACKTRACE` gets the backtrace that it asks for.
    ///
    /// - Parameters:
    ///   - program: The program's name and version.
    ///   - command: How it was called.
    package static func install(program: String, command: [String]) {
        guard getenv("SWIFT_BACKTRACE") == nil else { return }
        let call = ([program] + words(of: command)).joined(separator: " ")
        ct_crash_report(
            """
            This is a bug in ettin. Please report it in the issue tracker of ettin-swift, with the lines above and:
              \(call)
            Set SWIFT_BACKTRACE=enable=yes to get a backtrace.

            """
        )
    }

    /// The names of a command and of its options: texts and paths are the user's own.
    private static func words(of command: [String]) -> [String] {
        let path = command.prefix { !$0.hasPrefix("-") }.prefix(2).filter { word in
            word.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2D }
        }
        let options = command.filter { $0.hasPrefix("--") }.compactMap {
            $0.split(separator: "=").first.map(String.init)
        }
        return path
            + options.prefix(20).filter { $0.utf8.count <= 30 && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
    }
}
