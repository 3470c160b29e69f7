import EttinFiles
import EttinHub
import Foundation
import Synchronization

/// Shows transfers on standard error: a progress bar on a terminal, otherwise a line every few seconds.
final class TransferProgress: Sendable {
    private struct State {
        /// For each file what had arrived when it was first told of, what has now, and what will have.
        var files: [String: (first: Int, completed: Int, total: Int)] = [:]
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
        case .waiting(let path): note("waiting for another process to download \(path)")
        case .retrying(let action, let reason, let delay):
            let seconds = Double(delay.components.seconds) + Double(delay.components.attoseconds) * 1e-18
            note("\(action): \(reason); retrying in \(seconds.rounded(toPlaces: 1)) s")
        case .usingCache(let what, let reason): note("using \(what) from the cache: \(reason)")
        case .warning(let text): note(text)
        }
    }

    /// Ends the moving line.
    func finish() {
        state.withLock { state in
            guard state.hasLine else { return }
            Diagnostics.piece("\r\(line(state))\u{1B}[K\n")
            state.hasLine = false
        }
    }

    private func note(_ text: String) {
        state.withLock { state in
            if state.hasLine { Diagnostics.piece("\n") }
            state.hasLine = false
            Diagnostics.note(text)
        }
    }

    private func report(_ path: String, _ completed: Int, _ total: Int) {
        guard isShown else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            state.files[path] = (state.files[path]?.first ?? completed, completed, total)
            let start = state.start ?? now
            state.start = start
            // What is done within a second or so is not worth a line.
            let wait: Duration = isTerminal ? .milliseconds(100) : .seconds(5)
            guard now - (state.shown ?? start) >= wait else { return }
            state.shown = now
            if isTerminal {
                state.hasLine = true
                Diagnostics.piece("\r\(line(state))\u{1B}[K")
            } else {
                Diagnostics.note(line(state))
            }
        }
    }

    private func line(_ state: State) -> String {
        let completed = state.files.values.map(\.completed).clampedSum()
        let total = state.files.values.map(\.total).clampedSum()
        let seconds = state.start.map { $0.duration(to: .now) / .seconds(1) } ?? 0
        // What an earlier process had got says nothing about the speed.
        let arrived = completed - state.files.values.map(\.first).clampedSum()
        let speed = seconds > 0 ? Double(arrived) / seconds : 0
        var parts = ["\(byteText(total)) in \(countText(state.files.count, "file"))"]
        parts.append("\((speed / 1e6).rounded(toPlaces: 1)) MB/s")
        if completed < total, speed > 0 {
            parts.append("\(ProgressReport.time(Double(total - completed) / speed)) left")
        }
        let share = total > 0 ? min(1, Double(completed) / Double(total)) : 1
        return ProgressReport.bar(share, isShown: isTerminal) + parts.joined(separator: ", ")
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
