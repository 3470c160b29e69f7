import ArgumentParser
import EttinInference
import EttinTokenizer

/// What becomes of texts that are too long for the model.
struct TruncationOptions: ParsableArguments {
    @Flag(help: "Truncate texts longer than the model's maximum length (default: error).")
    var truncate = false

    @Option(help: "Side to truncate from (default: the tokenizer's truncation_side, or right).")
    var truncationSide: Side?

    enum Side: String, ExpressibleByArgument, CaseIterable {
        case right
        case left
    }

    func validate() throws {
        if truncationSide != nil, !truncate { throw ValidationError("--truncation-side needs --truncate") }
    }

    /// What becomes of texts that are too long.
    ///
    /// - Parameter tokenizer: The model's, which may name a side.
    /// - Returns: The rule.
    func rule(for tokenizer: Tokenizer) -> OverlongTextRule { rule(truncatesLeft: tokenizer.truncatesLeft) }

    /// What becomes of texts that are too long.
    ///
    /// - Parameter truncatesLeft: Whether they lose their beginning by the model's files.
    /// - Returns: The rule.
    func rule(truncatesLeft: Bool) -> OverlongTextRule {
        guard truncate else { return .refuse }
        let side = truncationSide ?? (truncatesLeft ? .left : .right)
        return side == .right ? .keepStart : .keepEnd
    }

    /// Says how many texts were shortened; nothing is shortened silently.
    func report(_ isTruncated: [Bool]) {
        let count = isTruncated.count { $0 }
        if count > 0 { Diagnostics.note("truncated \(count) of \(isTruncated.count) texts") }
    }
}
