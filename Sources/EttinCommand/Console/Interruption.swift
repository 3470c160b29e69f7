import Dispatch
import EttinFiles
import EttinModel

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Signals that end the program cleanly.
enum Interruption {
    /// Makes SIGINT and SIGTERM remove unfinished files and exit with 128 and the signal's number.
    ///
    /// - Returns: What must be kept for as long as the signals are to be handled.
    static func handle() -> [any DispatchSourceSignal] {
        // A closed pipe is reported by `write` instead.
        signal(SIGPIPE, SIG_IGN)
        return [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                UnfinishedFiles.removeAll()
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }
}
