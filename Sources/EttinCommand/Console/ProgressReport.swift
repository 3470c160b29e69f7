import EttinCorpus
import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The progress of a long job on standard error: a bar on a terminal, otherwise a line every few seconds.
final class ProgressReport {
    private let showsBar = isatty(2) == 1 && getenv("NO_COLOR") == nil
    private let begin = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant
    /// The first report, which the speed is measured from: what earlier runs and passing over their work did before it
    /// says nothing about it.
    private var first: (progress: JobProgress, time: ContinuousClock.Instant)?
    private var isLineOpen = false

    init() { lastShown = begin }

    /// Shows how far the job has come, unless it was shown just now.
    func update(_ progress: JobProgress) {
        let now = ContinuousClock.now
        guard let first else {
            first = (progress, now)
            return
        }
        show { Self.line(progress, since: first.progress, seconds: (now - first.time) / .seconds(1), bar: showsBar) }
    }

    /// Shows how many of a number of shards were read.
    func update(shards: Int, of total: Int) {
        show {
            let share = Double(shards) / Double(max(1, total))
            return Self.bar(share, isShown: showsBar) + "\(shards) of \(total) shards read"
        }
    }

    /// Shows how many of a number of things are done.
    ///
    /// - Parameters:
    ///   - what: What they are, and what is done with them, as it follows a number.
    ///   - done: How many are done.
    ///   - total: How many there are.
    func update(_ what: String, done: Int, of total: Int) {
        show {
            let share = Double(done) / Double(max(1, total))
            return Self.bar(share, isShown: showsBar) + "\(done) of \(total) \(what)"
        }
    }

    /// Shows how many of a number of documents were encoded.
    func update(documents: Int, of total: Int) {
        show {
            let share = Double(documents) / Double(max(1, total))
            return Self.bar(share, isShown: showsBar) + "\(documents) of \(total) documents encoded"
        }
    }

    private func show(_ text: () -> String) {
        let now = ContinuousClock.now
        guard now - lastShown >= (showsBar ? .milliseconds(100) : .seconds(5)) else { return }
        lastShown = now
        guard showsBar else { return Diagnostics.note(text()) }
        // Back to the front of the line, and the rest of what stood there erased.
        Diagnostics.piece("\r\(text())\u{1B}[K")
        isLineOpen = true
    }

    /// Ends the bar's line, so that what follows stands on its own.
    func finish() {
        if isLineOpen { Diagnostics.piece("\r\u{1B}[K") }
        isLineOpen = false
    }

    private static func line(_ progress: JobProgress, since first: JobProgress, seconds: Double, bar: Bool) -> String {
        var parts = ["\(progress.recordCount) records", "\(progress.tokenCount) tokens"]
        // A moment says nothing about the speed.
        let isMeasured = seconds >= 0.2
        if isMeasured {
            parts.append("\(Int(clamping: Double(progress.tokenCount - first.tokenCount) / seconds)) tokens/s")
        }
        guard let total = progress.workTotal, total > 0 else { return parts.joined(separator: ", ") }
        let share = min(1, Double(progress.workDone) / Double(total))
        let done = Double(progress.workDone - first.workDone)
        if isMeasured, done > 0 {
            parts.append("\(time(seconds * max(0, Double(total - progress.workDone)) / done)) left")
        }
        return Self.bar(share, isShown: bar) + parts.joined(separator: ", ")
    }

    /// How much of the whole is done, drawn where it is wanted.
    static func bar(_ share: Double, isShown: Bool) -> String {
        let filled = min(max(0, Int(clamping: share * 20)), 20)
        let shape = String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled)
        return (isShown ? "[\(shape)] " : "") + "\(Int(clamping: share * 100))%: "
    }

    /// Hours, minutes and seconds.
    static func time(_ seconds: Double) -> String {
        let total = Int(clamping: min(seconds, 1e9).rounded())
        func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let minutes = "\(twoDigits(total / 60 % 60)):\(twoDigits(total % 60))"
        return total < 3600 ? minutes : "\(total / 3600):\(minutes)"
    }
}
