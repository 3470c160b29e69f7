/// The figures that mining is judged by: scores of positives and of negatives, and how far they are apart.
///
/// > Source: sentence-transformers 6.2, what `mine_hard_negatives` prints.
public struct MiningStatistics: Sendable, Hashable {
    /// The distribution of scores.
    public struct Distribution: Sendable, Hashable {
        /// How many there are.
        public let count: Int
        /// NaN for none.
        public let mean: Double
        /// Of two in the middle the lower, as PyTorch has it; NaN for none.
        public let median: Double
        /// The root of the unbiased variance; NaN for fewer than two.
        public let standardDeviation: Double
        /// Infinity for none.
        public let minimum: Double
        /// Between the two nearest where it falls between them.
        public let quartiles: [Double]
        /// Minus infinity for none.
        public let maximum: Double

        init(_ scores: [Float]) {
            let sorted = scores.sorted()
            count = sorted.count
            let sum = sorted.reduce(0.0) { $0 + Double($1) }
            let mean = count > 0 ? sum / Double(count) : .nan
            self.mean = mean
            median = count > 0 ? Double(sorted[(count - 1) / 2]) : .nan
            let squares = sorted.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
            standardDeviation = count > 1 ? (squares / Double(count - 1)).squareRoot() : .nan
            minimum = sorted.first.map { Double($0) } ?? .infinity
            maximum = sorted.last.map { Double($0) } ?? -.infinity
            quartiles = [0.25, 0.5, 0.75].map { share in
                guard !sorted.isEmpty else { return .infinity }
                let place = share * Double(sorted.count - 1)
                let (low, high) = (Int(place), min(Int(place) + 1, sorted.count - 1))
                return Double(sorted[low]) + (Double(sorted[high]) - Double(sorted[low])) * (place - Double(low))
            }
        }
    }

    /// Candidates that were discarded for a bound.
    public struct Discard: Sendable, Hashable {
        /// The name of the bound.
        public let name: String
        /// The bound.
        public let value: Float
        /// How many were discarded.
        public let count: Int
        /// What part of the candidates this is.
        public let share: Double
    }

    /// Scores of positives, one for each pair.
    public let positive: Distribution
    /// Scores of negatives, once for each positive of their anchor.
    public let negative: Distribution
    /// Scores of positives minus those of their negatives.
    public let difference: Distribution
    /// What was discarded for bounds that discarded anything.
    public let discards: [Discard]
    /// The rows that there are.
    public let rowCount: Int
    /// The rows that there would be, had there been enough negatives.
    public let possibleRowCount: Int

    init(_ mined: MinedNegatives) {
        let options = mined.options
        var (negatives, differences) = ([Float](), [Float]())
        mined.forEachAnchor { _, positives, firstPositive, found in
            if options.effectiveFormat == .nTuple, found.count < options.numNegatives { return }
            for positive in positives.indices {
                let score = mined.positiveScores[firstPositive + positive]
                negatives += found.map { mined.negativeScores[$0] }
                differences += found.map { score - mined.negativeScores[$0] }
            }
        }
        positive = Distribution(mined.positiveScores)
        negative = Distribution(negatives)
        difference = Distribution(differences)
        rowCount = mined.rowCount
        let pairCount = mined.pairs.pairCount
        possibleRowCount =
            switch options.effectiveFormat {
            case .triplet: pairCount * options.numNegatives
            case .labeledPair: mined.pairs.anchors.count * options.numNegatives + mined.pairs.rowCount
            case .nTuple, .labeledList: pairCount
            }
        // What earlier checks discarded is no candidate of later ones; the last two see the same.
        let discarded = mined.discarded
        var candidates = mined.pairs.anchors.count * (mined.rangeMax + mined.pairs.mostPositives)
        var discards: [Discard] = []
        for (name, value, count, isTaken) in [
            ("absolute_margin", options.absoluteMargin, discarded.absoluteMargin, true),
            ("relative_margin", options.relativeMargin, discarded.relativeMargin, true),
            ("max_score", options.maxScore, discarded.maxScore, false),
            ("min_score", options.minScore, discarded.minScore, false),
        ] {
            guard let value, count > 0 else { continue }
            discards.append(
                Discard(name: name, value: value, count: count, share: Double(count) / Double(candidates))
            )
            if isTaken { candidates -= count }
        }
        self.discards = discards
    }
}

extension MinedNegatives {
    /// The figures that mining is judged by.
    public var statistics: MiningStatistics { MiningStatistics(self) }
}
