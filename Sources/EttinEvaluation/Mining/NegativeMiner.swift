import EttinInference
import EttinModel

/// Finds texts that a model takes for answers and that are none: hard negatives.
///
/// ```swift
/// let pairs = try MiningPairs(table)
/// let mined = try NegativeMiner().mine(pairs, with: TextEmbeddingPipeline(folder: "models/static-retrieval"))
/// ```
///
/// Anchors and corpus are embedded, each text once and L2-normalised; each anchor's nearest texts are searched exactly;
/// its positives and what the options say are left out. Candidates exist for one block of anchors at a time.
///
/// > Source: sentence-transformers 6.2, `mine_hard_negatives`.
public struct NegativeMiner {
    /// A step of mining.
    public enum Step: String, Sendable, Hashable, CaseIterable {
        /// The texts of the corpus become vectors.
        case corpus
        /// The anchors become vectors.
        case anchors
        /// The candidates of anchors are searched.
        case search
        /// A cross-encoder scores candidates and positives.
        case rescoring
    }

    /// How far a step has come, in texts of the corpus or in anchors.
    public struct Progress: Sendable, Hashable {
        /// The step.
        public let step: Step
        /// What is done.
        public let done: Int
        /// What there is to do.
        public let total: Int
    }

    /// What negatives are mined with.
    public var options: MiningOptions
    /// Where results are kept between runs; nil for nowhere.
    package var cache: MiningCache?
    /// Receives progress, on the calling thread.
    public var onProgress: (Progress) -> Void = { _ in }

    /// Entries that the search of a block may hold at a time.
    private static let searchEntries = 1 << 25

    /// Creates a miner.
    ///
    /// - Parameter options: What negatives are mined with.
    public init(_ options: MiningOptions = MiningOptions()) {
        self.options = options
    }

    /// Mines.
    ///
    /// - Parameters:
    ///   - pairs: The anchors with their positives, and the corpus.
    ///   - model: What gives vectors; texts that are too long are truncated.
    ///   - crossEncoder: Scores candidates and positives anew, before those outside of margins and bounds are discarded;
    ///     without margins and bounds it is not asked.
    /// - Returns: The negatives.
    /// - Throws: ``EvaluationError`` for options that contradict each other or the pairs, and when results cannot be
    ///   kept; `TorchError` and what the model throws; `CancellationError`.
    public func mine(
        _ pairs: MiningPairs,
        with model: any TextVectors,
        crossEncoder: (any PairScores)? = nil
    ) throws -> MinedNegatives {
        let rangeMax = try options.candidateRange(mostPositives: pairs.mostPositives, rescores: crossEncoder != nil)
        try options.requireColumns(pairs)
        let candidateCount = rangeMax + pairs.mostPositives
        let blockSize = max(1, min(options.searchBlock, Self.searchEntries / candidateCount))
        let vectors = MiningVectors(model: model, batchSize: options.batchSize, cache: cache)
        let corpus = try vectors.embed(pairs.corpus, as: .document, options.corpusPrompt) {
            onProgress(Progress(step: .corpus, done: $0, total: pairs.corpus.count))
        }
        let anchors = try vectors.embed(pairs.anchors, as: .query, options.queryPrompt) {
            onProgress(Progress(step: .anchors, done: $0, total: pairs.anchors.count))
        }
        guard corpus.embeddings.dimensions == anchors.embeddings.dimensions else {
            throw EvaluationError(
                .malformed,
                file: cache?.folder ?? model.modelName,
                item: "the embeddings of the corpus",
                found: "have \(corpus.embeddings.dimensions) dimensions, those of the anchors "
                    + "\(anchors.embeddings.dimensions)",
                expected: cache == nil ? "as many" : "as many; remove the .npy files to compute them again"
            )
        }
        let similarity = options.usesInnerProduct ? .dot : model.similarity
        let identity = [
            corpus.identity, anchors.identity, similarity.rawValue, "\(candidateCount)", "\(blockSize)",
        ]
        let search = MiningSearch(
            anchors: anchors.embeddings,
            corpus: corpus.embeddings,
            similarity: similarity,
            count: candidateCount,
            kept: try cache?.records(of: "candidates", identity)
        )
        var rescoring: MiningRescoring?
        if let crossEncoder, options.hasThresholds {
            rescoring = MiningRescoring(
                pairs: pairs,
                scorer: crossEncoder,
                keepsPositives: options.includePositives,
                // Which pairs are scored follows from the positives.
                kept: try cache?.records(
                    of: "cross_encoder_scores",
                    identity + [cache?.crossEncoder ?? "", "\(options.includePositives)"]
                        + pairs.positives.map { $0.map(String.init).joined(separator: ",") }
                )
            )
        }
        var mined = MinedNegatives(pairs, options, rangeMax: rangeMax)
        mined.truncatedCount = corpus.truncatedCount + anchors.truncatedCount
        var selection = NegativeSelection(options, rangeMax: rangeMax)
        for start in stride(from: 0, to: pairs.anchors.count, by: blockSize) {
            let block = start..<min(pairs.anchors.count, start + blockSize)
            var candidates = try search.candidates(block)
            onProgress(Progress(step: .search, done: block.upperBound, total: pairs.anchors.count))
            let places = block.flatMap { anchor in
                pairs.positives[anchor].map { (query: anchor, document: Int($0)) }
            }
            let positiveScores =
                try rescoring?.rescore(&candidates, of: block) { share in
                    let done = block.lowerBound + Int(share * Double(block.count))
                    onProgress(Progress(step: .rescoring, done: done, total: pairs.anchors.count))
                }
                ?? ExactSearch.scores(
                    ofPairs: places,
                    anchors.embeddings,
                    corpus.embeddings,
                    similarity: model.similarity
                )
            mined.add(block, candidates, positiveScores, by: &selection)
        }
        mined.discarded = selection.discarded
        return mined
    }
}

/// A text that may become a negative; where there is none, the place is -1 and the score minus infinity.
struct MiningCandidate: Hashable, Sendable {
    /// The place in the corpus.
    var place: Int32
    /// How near it is to the anchor.
    var score: Float
}

extension MinedNegatives {
    /// Adds the negatives of a block of anchors.
    fileprivate mutating func add(
        _ block: Range<Int>,
        _ candidates: [[MiningCandidate]],
        _ scores: [Float],
        by selection: inout NegativeSelection
    ) {
        positiveScores += scores
        var first = 0
        for (anchor, candidates) in zip(block, candidates) {
            let positives = pairs.positives[anchor]
            let found = selection.negatives(
                candidates,
                positives: positives,
                positiveScores: scores[first..<first + positives.count]
            )
            negatives += found.map(\.place)
            negativeScores += found.map(\.score)
            first += positives.count
        }
    }
}
