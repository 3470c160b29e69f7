import CStartup
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
///
/// Most commands have nothing to finish: their output appears complete or not at all, and a signal ends them at once. Work
/// that can stop between two batches or steps with something to show for it drains: it asks ``isRequested`` there, and
/// the program exits with 130 when it has come to its end.
enum Interruption {
    private struct State {
        var isRequested = false
        /// Whether work that asks is running, and what it has the first signal say.
        var isDraining = false
        var notice: String?
    }

    private static let state = Mutex(State())

    /// Whether a signal has asked the program to stop.
    static var isRequested: Bool { state.withLock(\.isRequested) }

    /// Whether a signal has asked to stop, which is forgotten: for work whose interruption does not end the program.
    static func takeRequest() -> Bool {
        state.withLock { state in
            defer { state.isRequested = false }
            return state.isRequested
        }
    }

    /// Runs work that asks ``isRequested`` where it can stop.
    ///
    /// The first signal meanwhile is a request; the next ends the program at once, as does every signal afterwards, unless
    /// ``takeRequest()`` has forgotten the request.
    ///
    /// - Parameters:
    ///   - notice: What to tell who has asked.
    ///   - body: The work.
    /// - Returns: What `body` returns.
    static func draining<Result>(saying notice: String? = nil, _ body: () throws -> Result) rethrows -> Result {
        func set(_ isDraining: Bool) {
            state.withLock { ($0.isDraining, $0.notice) = (isDraining, isDraining ? notice : nil) }
        }
        set(true)
        defer { set(false) }
        return try body()
    }

    /// Makes SIGINT and SIGTERM remove unfinished files and exit with 128 and the signal's number, unless work drains.
    ///
    /// The signals are blocked, on Linux since before libraries were initialised: one that has come since then waits, and
    /// is handled now.
    ///
    /// - Returns: What must be kept for as long as the signals are to be handled.
    static func handle() -> [any DispatchSourceSignal] {
        // A closed pipe and a file that may not grow further are reported by `write` instead.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        ettin_block_signals()
        return [SIGINT, SIGTERM].map { number in
            #if canImport(Darwin)
                // There sources see signals that are ignored; on Linux ignoring one drops what is waiting.
                signal(number, SIG_IGN)
            #endif
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                let (drains, notice) = state.withLock { state in
                    defer { state.isRequested = true }
                    return (state.isDraining && !state.isRequested, state.notice)
                }
                if drains {
                    if let notice { Diagnostics.note(notice) }
                    return
                }
                UnfinishedFiles.removeAll()
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }
}
