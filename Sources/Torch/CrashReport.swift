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
        let call = ([program] + command).joined(separator: " ")
        ct_crash_report(
            """
            This is a bug in ettin. Please report it in the issue tracker of ettin-swift, with the lines above and:
              \(call.prefix(800))
            Set SWIFT_BACKTRACE=enable=yes to get a backtrace.

            """
        )
    }
}
