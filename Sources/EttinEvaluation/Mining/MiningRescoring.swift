import EttinInference
import EttinTokenizer

/// Scores of a cross-encoder in the place of similarities.
final class MiningRescoring {
    private let pairs: MiningPairs
    private let scorer: any PairScores
    private let keepsPositives: Bool
    private let kept: RecordFile?

    /// Pairs scored at a time, which a killed run has to score again.
    private static let pairsAtOnce = 2048

    /// - Parameters:
    ///   - pairs: The texts.
    ///   - scorer: The cross-encoder.
    ///   - keepsPositives: Whether positives stay among the candidates; otherwise they are not scored as such.
    ///   - kept: Where scores are kept between runs; nil for nowhere.
    init(pairs: MiningPairs, scorer: any PairScores, keepsPositives: Bool, kept: RecordFile?) {
        (self.pairs, self.scorer, self.keepsPositives, self.kept) = (pairs, scorer, keepsPositives, kept)
    }

    /// Scores the candidates and the positives of anchors.
    ///
    /// - Parameters:
    ///   - candidates: Those of each anchor of the block, whose scores are replaced.
    ///   - block: Which anchors; blocks come in order, and are the same in every run.
    ///   - progress: Receives what share of the block is done.
    /// - Returns: The scores of the positives, anchor by anchor.
    /// - Throws: What the cross-encoder throws; ``EvaluationError`` for scores that cannot be kept or read.
    func rescore(
        _ candidates: inout [[MiningCandidate]],
        of block: Range<Int>,
        progress: (Double) -> Void
    ) throws -> [Float] {
        var wanted: [(anchor: Int, document: Int32)] = []
        for (anchor, row) in zip(block, candidates) {
            wanted += row.filter { isScored($0, anchor) }.map { (anchor, $0.place) }
        }
        let candidateCount = wanted.count
        for anchor in block { wanted += pairs.positives[anchor].map { (anchor, $0) } }
        var scores: [Float] = []
        scores.reserveCapacity(wanted.count)
        while scores.count < wanted.count {
            let part = wanted[scores.count..<min(wanted.count, scores.count + Self.pairsAtOnce)]
            scores += try self.scores(of: part)
            progress(Double(scores.count) / Double(wanted.count))
        }
        var next = 0
        for (row, anchor) in block.enumerated() {
            for index in candidates[row].indices where isScored(candidates[row][index], anchor) {
                candidates[row][index].score = scores[next]
                next += 1
            }
        }
        return Array(scores[candidateCount...])
    }

    private func isScored(_ candidate: MiningCandidate, _ anchor: Int) -> Bool {
        candidate.place >= 0 && (keepsPositives || !pairs.positives[anchor].contains(candidate.place))
    }

    private func scores(of part: ArraySlice<(anchor: Int, document: Int32)>) throws -> [Float] {
        if let record = try kept?.next(byteCount: part.count * MemoryLayout<Float>.stride) {
            return record.withUnsafeBytes { bytes in
                (0..<part.count).map {
                    bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Float>.stride, as: Float.self)
                }
            }
        }
        try Task.checkCancellation()
        let scores = try scorer.pairScores(
            of: part.map { TextPair(pairs.anchors[$0.anchor], pairs.corpus[Int($0.document)]) },
            prompt: .default
        ).map { Float($0) }
        precondition(scores.count == part.count, "\(scores.count) scores of \(part.count) pairs")
        try kept?.append(scores.withUnsafeBytes { Array($0) })
        return scores
    }
}
