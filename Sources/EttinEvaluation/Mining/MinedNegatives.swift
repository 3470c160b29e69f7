public import EttinTables

/// What mining found.
public struct MinedNegatives: Sendable {
    /// The pairs that negatives were mined for.
    public let pairs: MiningPairs
    /// What they were mined with.
    public let options: MiningOptions
    /// The number of candidates that negatives were taken from; `range_max`.
    public let rangeMax: Int
    /// The scores of the positives, anchor by anchor.
    var positiveScores: [Float] = []
    /// The places of the negatives in the corpus, `numNegatives` for each anchor.
    var negatives: [Int32] = []
    /// Their scores; minus infinity where there is none.
    var negativeScores: [Float] = []
    /// How many texts were truncated, as far as they were embedded in this run.
    public internal(set) var truncatedCount = 0
    /// How many candidates were discarded for what reason.
    var discarded = DiscardCounts()

    /// Starts with nothing.
    init(_ pairs: MiningPairs, _ options: MiningOptions, rangeMax: Int) {
        self.pairs = pairs
        self.options = options
        self.rangeMax = rangeMax
    }

    /// The names of the columns of ``forEachRow(_:)``.
    public var columnNames: [String] { options.columns(anchor: pairs.anchorName, positive: pairs.positiveName) }

    /// The number of rows.
    public var rowCount: Int {
        var count = 0
        forEachAnchor { _, positives, _, found in
            switch options.effectiveFormat {
            case .triplet: count += positives.count * found.count
            case .labeledPair: count += positives.count + found.count
            case .nTuple: count += found.count == options.numNegatives ? positives.count : 0
            case .labeledList: count += found.isEmpty ? 0 : positives.count
            }
        }
        return count
    }

    /// Hands over the rows, in the order of the anchors.
    ///
    /// - Parameter body: Receives the values of the columns; scores are the doubles that equal the float32 scores.
    /// - Throws: What `body` throws.
    public func forEachRow(_ body: ([TableValue]) throws -> Void) rethrows {
        let withScores = options.outputScores
        func text(_ place: Int32) -> TableValue { .text(pairs.corpus[Int(place)]) }
        func score(_ place: Int, of scores: [Float]) -> TableValue { .real(Double(scores[place])) }
        try forEachAnchor { anchor, positives, firstPositive, found in
            let query = TableValue.text(pairs.anchors[anchor])
            for (place, positive) in positives.enumerated() {
                let positiveScore = score(firstPositive + place, of: positiveScores)
                let documents = [text(positive)] + found.map { text(negatives[$0]) }
                let scores = [positiveScore] + found.map { score($0, of: negativeScores) }
                switch options.effectiveFormat {
                case .triplet:
                    for (negative, score) in zip(documents, scores).dropFirst() {
                        try body(
                            [query, documents[0], negative] + (withScores ? [.list([positiveScore, score])] : [])
                        )
                    }
                case .labeledPair:
                    try body([query, documents[0], withScores ? positiveScore : .integer(1)])
                case .nTuple:
                    guard found.count == options.numNegatives else { continue }
                    try body([query] + documents + (withScores ? [.list(scores)] : []))
                case .labeledList:
                    guard !found.isEmpty else { continue }
                    let labels = [TableValue.integer(1)] + found.map { _ in .integer(0) }
                    try body([query, .list(documents), .list(withScores ? scores : labels)])
                }
            }
            guard options.effectiveFormat == .labeledPair else { return }
            for place in found {
                let label = withScores ? score(place, of: negativeScores) : .integer(0)
                try body([query, text(negatives[place]), label])
            }
        }
    }

    /// Hands over each anchor, its positives, the place of their first score, and the places of the negatives it has.
    func forEachAnchor(_ body: (Int, [Int32], Int, [Int]) throws -> Void) rethrows {
        let count = options.numNegatives
        var firstPositive = 0
        for (anchor, positives) in pairs.positives.enumerated() {
            let found = (anchor * count..<(anchor + 1) * count).filter { negativeScores[$0] > -.infinity }
            try body(anchor, positives, firstPositive, found)
            firstPositive += positives.count
        }
    }
}

/// How many candidates were discarded for their score.
struct DiscardCounts: Sendable, Hashable {
    var absoluteMargin = 0
    var relativeMargin = 0
    var maxScore = 0
    var minScore = 0
}
