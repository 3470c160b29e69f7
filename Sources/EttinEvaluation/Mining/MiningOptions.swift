import EttinFiles
public import EttinInference

/// What hard negatives are mined with; names and defaults are those of sentence-transformers.
///
/// > Source: sentence-transformers 6.2, `mine_hard_negatives`.
public struct MiningOptions: Sendable, Hashable {
    /// How negatives are taken from the candidates.
    public enum Strategy: String, Sendable, Hashable, CaseIterable {
        /// Those with the highest scores.
        case top
        /// Any, at random.
        case random
    }

    /// The rows that come out.
    public enum Format: String, Sendable, Hashable, CaseIterable {
        /// Anchor, positive and one negative.
        case triplet
        /// Anchor, positive and all negatives, a column each.
        case nTuple = "n-tuple"
        /// Anchor, a text and its label.
        case labeledPair = "labeled-pair"
        /// Anchor, a list of texts and the list of their labels.
        case labeledList = "labeled-list"
    }

    /// The candidates with the highest scores that are passed over.
    public var rangeMin = 0
    /// The number of candidates that negatives are taken from; nil for what the other options ask for.
    public var rangeMax: Int?
    /// The highest score of a negative.
    public var maxScore: Float?
    /// The lowest score of a negative.
    public var minScore: Float?
    /// How far the score of a negative must be below that of the anchor's lowest positive.
    public var absoluteMargin: Float?
    /// The same as a share of the positive's score.
    public var relativeMargin: Float?
    /// Negatives for each anchor.
    public var numNegatives = 3
    /// How negatives are taken from the candidates.
    public var samplingStrategy = Strategy.top
    /// What goes before anchors; by default what the model has for queries.
    public var queryPrompt = TextEmbeddingPipeline.Prompt.default
    /// What goes before the texts of the corpus; by default what the model has for documents.
    public var corpusPrompt = TextEmbeddingPipeline.Prompt.default
    /// Whether positives stay among the candidates; rows are then n-tuples, so that they show the ranking.
    public var includePositives = false
    /// The rows that come out.
    public var outputFormat = Format.triplet
    /// Whether rows have scores: instead of labels, or as a list beside the texts.
    public var outputScores = false
    /// Texts computed at a time; nil for as many as fill a batch of tokens.
    public var batchSize: Int?
    /// Anchors whose candidates are searched at a time.
    public var searchBlock = 16384
    /// Whether candidates are ranked by the inner product, as a flat index of FAISS does, not by the model's similarity.
    ///
    /// The search is exact either way.
    public var usesInnerProduct = false
    /// The seed of random sampling: Python's `random.seed` before mining.
    public var seed: UInt64 = 42

    /// Creates the defaults.
    public init() {}

    /// Whether candidates may be discarded for their score.
    package var hasThresholds: Bool {
        absoluteMargin != nil || relativeMargin != nil || maxScore != nil || minScore != nil
    }

    /// The format of the rows that come out.
    package var effectiveFormat: Format { includePositives ? .nTuple : outputFormat }

    /// The columns of the rows that come out.
    ///
    /// - Parameters:
    ///   - anchor: The name of the anchors' column.
    ///   - positive: The name of the positives' column.
    /// - Returns: The names, in order.
    package func columns(anchor: String, positive: String) -> [String] {
        switch effectiveFormat {
        case .triplet: [anchor, positive, "negative"] + (outputScores ? ["scores"] : [])
        case .nTuple:
            [anchor, positive] + (0..<max(0, numNegatives)).map { "negative_\($0 + 1)" }
                + (outputScores ? ["scores"] : [])
        case .labeledPair: [anchor, positive, outputScores ? "score" : "label"]
        case .labeledList: [anchor, positive, outputScores ? "scores" : "labels"]
        }
    }

    /// Checks that the columns which come out have different names.
    ///
    /// - Parameter pairs: The data.
    /// - Throws: ``EvaluationError`` for two of the same name.
    package func requireColumns(_ pairs: MiningPairs) throws {
        let names = columns(anchor: pairs.anchorName, positive: pairs.positiveName)
        guard let twice = names.enumerated().first(where: { names[..<$0.offset].contains($0.element) }) else { return }
        throw EvaluationError(
            .invalidOption,
            file: "--output-format",
            found: "\(effectiveFormat.rawValue) makes a column \(quoted(twice.element)), which the data have too",
            expected: "another name for the column of anchors or positives"
        )
    }

    /// The number of candidates that negatives are taken from.
    ///
    /// - Parameters:
    ///   - mostPositives: The largest number of rows with the same anchor.
    ///   - rescores: Whether a cross-encoder is at hand.
    /// - Returns: `range_max`.
    /// - Throws: ``EvaluationError`` for options that contradict each other.
    package func candidateRange(mostPositives: Int, rescores: Bool) throws -> Int {
        func refuse(_ name: String, _ found: String, _ expected: String) -> EvaluationError {
            EvaluationError(.invalidOption, file: "--\(name)", found: found, expected: expected)
        }
        // Rows hold as many columns, and scores are kept for as many candidates.
        let limit = 1 << 20
        for (name, value, lowest) in [
            ("num-negatives", numNegatives, 1), ("range-min", rangeMin, 0), ("range-max", rangeMax ?? 1, 1),
            ("batch-size", batchSize ?? 1, 1), ("faiss-batch-size", searchBlock, 1),
        ] where !(lowest...limit).contains(value) {
            throw refuse(name, "is \(value)", "\(lowest) to \(limit)")
        }
        for (name, value) in [
            ("max-score", maxScore), ("min-score", minScore), ("absolute-margin", absoluteMargin),
            ("relative-margin", relativeMargin),
        ] {
            if let value, !value.isFinite { throw refuse(name, "is \(value)", "a finite number") }
        }
        if let minScore, let maxScore, minScore > maxScore {
            throw refuse("min-score", "is \(minScore) above --max-score \(maxScore)", "no more than it")
        }
        let discards =
            absoluteMargin != nil || relativeMargin != nil || maxScore != nil || (rescores && minScore != nil)
        let rangeMax = rangeMax ?? rangeMin + numNegatives * (discards ? 10 : 1) + mostPositives
        guard rangeMin < rangeMax else {
            throw refuse("range-min", "is \(rangeMin)", "less than --range-max, which is \(rangeMax)")
        }
        guard numNegatives <= rangeMax - rangeMin else {
            let remaining = rangeMax - rangeMin
            throw refuse(
                "num-negatives",
                "is \(numNegatives), but \(remaining) candidate\(remaining == 1 ? " remains" : "s remain") of --range-max \(rangeMax) after "
                    + "--range-min \(rangeMin)",
                "fewer negatives, a smaller --range-min or a larger --range-max"
            )
        }
        return rangeMax
    }
}
