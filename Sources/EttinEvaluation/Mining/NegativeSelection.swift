import EttinCorpus

/// Takes the negatives of one anchor from its candidates.
///
/// > Source: sentence-transformers 6.2, `mine_hard_negatives`; numbers are float32 there as here.
struct NegativeSelection {
    private let options: MiningOptions
    private let rangeMax: Int
    private var random: PythonGenerator
    /// What was discarded so far.
    private(set) var discarded = DiscardCounts()

    init(_ options: MiningOptions, rangeMax: Int) {
        self.options = options
        self.rangeMax = rangeMax
        random = PythonGenerator(seed: options.seed)
    }

    /// Takes negatives.
    ///
    /// - Parameters:
    ///   - candidates: The candidates, best first, as many for each anchor.
    ///   - positives: The places of the anchor's positives.
    ///   - positiveScores: Their scores.
    /// - Returns: As many as are wanted, best first; those that were not found have a score of minus infinity.
    mutating func negatives(
        _ candidates: [MiningCandidate],
        positives: [Int32],
        positiveScores: ArraySlice<Float>
    ) -> [MiningCandidate] {
        var candidates = candidates
        if !options.includePositives {
            for index in candidates.indices where positives.contains(candidates[index].place) {
                candidates[index].score = -.infinity
            }
        }
        discard(&candidates, lowestPositive: positiveScores.min() ?? .infinity)
        // Without those that were discarded, and those whose scores a cross-encoder made NaN.
        let kept = candidates.filter { $0.score > -.infinity }
        let none = repeatElement(
            MiningCandidate(place: -1, score: -.infinity),
            count: candidates.count - kept.count
        )
        let sorted = Self.sorted(kept) + none
        let survivors = Array(sorted.prefix(rangeMax).dropFirst(options.rangeMin))
        switch options.samplingStrategy {
        case .top: return Array(survivors.prefix(options.numNegatives))
        case .random:
            let found = survivors.prefix { $0.score > -.infinity }.count
            let places = random.sample(max(found, options.numNegatives), options.numNegatives)
            return Self.sorted(places.map { survivors[$0] })
        }
    }

    /// Candidates by descending score, those of equal scores in the order that they had.
    private static func sorted(_ candidates: [MiningCandidate]) -> [MiningCandidate] {
        // As a search leaves them, unless a cross-encoder has scored them anew.
        if zip(candidates, candidates.dropFirst()).allSatisfy({ $0.score >= $1.score }) { return candidates }
        return candidates.enumerated().sorted {
            $0.element.score != $1.element.score ? $0.element.score > $1.element.score : $0.offset < $1.offset
        }.map(\.element)
    }

    /// Discards candidates for their scores, in the order of the original's checks.
    private mutating func discard(_ candidates: inout [MiningCandidate], lowestPositive: Float) {
        func remove(where isUnsuitable: (Float) -> Bool) -> Int {
            var count = 0
            for index in candidates.indices where isUnsuitable(candidates[index].score) {
                candidates[index].score = -.infinity
                count += 1
            }
            return count
        }
        if let margin = options.absoluteMargin {
            discarded.absoluteMargin += remove { $0 + margin > lowestPositive }
        }
        if let margin = options.relativeMargin {
            let threshold = lowestPositive - abs(lowestPositive) * margin
            discarded.relativeMargin += remove { $0 > threshold }
        }
        if let bound = options.maxScore { discarded.maxScore += remove { $0 > bound } }
        // What was discarded before counts once more, as in the original.
        if let bound = options.minScore { discarded.minScore += remove { $0 < bound } }
    }
}
