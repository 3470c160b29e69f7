import ArgumentParser
import EttinInference

/// What becomes of texts that are too long for the model.
struct TruncationOptions: ParsableArguments {
    @Flag(help: "Truncate texts longer than the model's maximum length (default: error).")
    var truncate = false

    @Option(help: "Side to truncate from.")
    var truncationSide: Side = .right

    enum Side: String, ExpressibleByArgument, CaseIterable {
        case right
        case left
    }

    var rule: OverlongTextRule {
        guard truncate else { return .refuse }
        return truncationSide == .right ? .keepStart : .keepEnd
    }

    /// Says how many texts were shortened; nothing is shortened silently.
    func report(_ isTruncated: [Bool]) {
        let count = isTruncated.count { $0 }
        if count > 0 { Diagnostics.note("truncated \(count) of \(isTruncated.count) texts") }
    }
}
