import Dispatch
import EttinFiles
import EttinModel
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Signals that end the program cleanly.
enum Interruption {
    private static let isGraceful = Atomic(false)
    private static let stopCount = Atomic(0)

    /// Makes the first signal from now on a request, which ``isRequested`` tells; the second ends the program.
    static func becomeGraceful() { isGraceful.store(true, ordering: .relaxed) }

    /// Whether a signal has asked the program to stop.
    static var isRequested: Bool { stopCount.load(ordering: .relaxed) > 0 }

    /// Makes SIGINT and SIGTERM remove unfinished files and exit with 128 and the signal's number.
    ///
    /// - Returns: What must be kept for as long as the signals are to be handled.
    static func handle() -> [any DispatchSourceSignal] {
        // A closed pipe and a file that may not grow further are reported by `write` instead.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        return [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                let earlier = stopCount.add(1, ordering: .relaxed).oldValue
                if isGraceful.load(ordering: .relaxed), earlier == 0 {
                    return Diagnostics.note("stopping after this batch; once more to stop without saving")
                }
                UnfinishedFiles.removeAll()
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }
}
