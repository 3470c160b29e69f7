import EttinHub
import Foundation
import Synchronization

/// Tells of transfers on standard error: one moving line on a terminal, else a line every few seconds.
final class TransferProgress: Sendable {
    private struct State {
        var files: [String: (completed: Int, total: Int)] = [:]
        var start: ContinuousClock.Instant?
        var shown: ContinuousClock.Instant?
        var hasLine = false
    }

    private let isShown: Bool
    private let isTerminal: Bool
    private let state = Mutex(State())

    init(isShown: Bool) {
        self.isShown = isShown
        isTerminal = isatty(2) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    }

    /// Takes what a client tells.
    func take(_ event: HubEvent) {
        switch event {
        case .progress(let path, let completed, let total): report(path, completed, total ?? completed)
        case .finished: break
        case .waiting(let path): note("waiting for another process that downloads \(path)")
        case .retrying(let action, let reason, let delay):
            let seconds = Double(delay.components.seconds) + Double(delay.components.attoseconds) * 1e-18
            note("\(action): \(reason); trying again in \(seconds.rounded(toPlaces: 1)) s")
        case .usingCache(let what, let reason): note("using \(what) from the cache: \(reason)")
        case .warning(let text): note(text)
        }
    }

    /// Ends the moving line.
    func finish() {
        state.withLock { state in
            guard state.hasLine else { return }
            FileHandle.standardError.write(Data("\r\(line(state))\n".utf8))
            state.hasLine = false
        }
    }

    private func note(_ text: String) {
        state.withLock { state in
            if state.hasLine { FileHandle.standardError.write(Data("\n".utf8)) }
            state.hasLine = false
            Diagnostics.note(text)
        }
    }

    private func report(_ path: String, _ completed: Int, _ total: Int) {
        guard isShown else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            state.files[path] = (completed, total)
            let start = state.start ?? now
            state.start = start
            // What is done within a second or so is not worth a line.
            let wait: Duration = isTerminal ? .milliseconds(100) : .seconds(5)
            guard now - (state.shown ?? start) >= wait else { return }
            state.shown = now
            if isTerminal {
                state.hasLine = true
                FileHandle.standardError.write(Data("\r\(line(state))".utf8))
            } else {
                Diagnostics.note(line(state))
            }
        }
    }

    private func line(_ state: State) -> String {
        let completed = state.files.values.reduce(0) { $0 + $1.completed }
        let total = state.files.values.reduce(0) { $0 + $1.total }
        let seconds = state.start.map { Double(($0.duration(to: .now)) / .milliseconds(1)) / 1000 } ?? 0
        let speed = seconds > 0 ? Double(completed) / seconds / 1e6 : 0
        let percent = total > 0 ? completed * 100 / total : 100
        let files = countText(state.files.count, "file")
        return "\(percent)% of \(byteText(total)) in \(files), \(speed.rounded(toPlaces: 1)) MB/s"
    }
}

/// A number of things for people.
func countText(_ count: Int, _ thing: String) -> String {
    "\(count) \(thing)\(count == 1 ? "" : "s")"
}

/// A number of bytes for people.
func byteText(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000 { return unit == "B" ? "\(count) B" : "\(value.rounded(toPlaces: 1)) \(unit)" }
        value /= 1000
    }
    return "\(value.rounded(toPlaces: 1)) TB"
}
