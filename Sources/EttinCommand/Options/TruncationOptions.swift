import ArgumentParser
import EttinInference
import EttinTokenizer

/// What becomes of texts that are too long for the model.
struct TruncationOptions: ParsableArguments {
    @Flag(help: "Truncate texts longer than the context (default: error).")
    var truncate = false

    @Option(help: "Side that --truncate cuts off (default: the tokenizer's truncation_side, else right).")
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
    func rule(for tokenizer: Tokenizer) -> OverlongTextRule {
        guard truncate else { return .refuse }
        let side = truncationSide ?? (tokenizer.truncatesLeft ? .left : .right)
        return side == .right ? .keepStart : .keepEnd
    }

    /// Says how many texts were shortened; nothing is shortened silently.
    func report(_ isTruncated: [Bool]) {
        let count = isTruncated.count { $0 }
        if count > 0 { Diagnostics.note("shortened \(count) of \(isTruncated.count) texts") }
    }
}
