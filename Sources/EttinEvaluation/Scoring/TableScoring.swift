package import EttinInference
import EttinTokenizer
package import Torch

/// Scores the pairs of a table with a reranker, in the order of the rows.
///
/// Rows are read in blocks of a fixed number of rows, and pairs are computed in batches of similar lengths within a block, so
/// that memory does not grow with the table and a resumed run makes the batches of the run that it continues.
package struct TableScoring {
    /// What raw scores go through.
    package var activation = Activation.identity
    /// What to put before each query.
    package var prompt = RerankingPipeline.Prompt.default
    /// Maximum number of tokens per batch.
    package var maxBatchTokens = defaultMaxBatchTokens
    private let pipeline: RerankingPipeline
    private let preparer: RerankingPipeline.Preparer

    /// Pairs that are computed at a time and some more, for rows stay together.
    private static let blockPairs = 1024

    /// Takes the raw scores of a reranker.
    ///
    /// - Parameters:
    ///   - pipeline: The reranker; pairs that are too long are truncated on the side that its tokenizer says.
    ///   - maxTokens: Maximum number of tokens per pair; nil for what the model's files say.
    /// - Throws: `InferenceError` for a maximum that is more than those say.
    package init(_ pipeline: RerankingPipeline, maxTokens: Int? = nil) throws {
        let limit = pipeline.preparer.limit
        if let maxTokens, !(1...limit).contains(maxTokens) {
            throw InferenceError.invalidOption(
                name: "max-length",
                found: "\(maxTokens)",
                expected: "1 to \(limit), the most tokens that the model and its tokenizer take"
            )
        }
        self.pipeline = pipeline
        preparer = pipeline.preparer.limited(to: maxTokens ?? limit)
    }

    /// How far a run is.
    package struct Progress: Sendable, Hashable {
        /// The number of rows that are done, those of earlier runs included.
        package var rows = 0
        /// The number of pairs of those.
        package var pairs = 0
        /// The number of pairs that this run has scored.
        package var scoredPairs = 0
        /// The number of pairs that this run has truncated.
        package var truncatedPairs = 0

        /// Nothing is done.
        package init() {}
    }

    /// Scores rows.
    ///
    /// - Parameters:
    ///   - table: The rows.
    ///   - keptRows: How many rows are passed over, because an earlier run has written them.
    ///   - progress: Told how far the run is, after each block.
    ///   - write: Receives whole lines of JSON Lines.
    /// - Returns: How far the run came.
    /// - Throws: ``EvaluationError`` for a row that cannot be scored; what reading, the model and `write` throw;
    ///   `CancellationError`.
    package func callAsFunction(
        _ table: ScoringTable,
        keptRows: Int = 0,
        progress: (Progress) -> Void = { _ in },
        write: ([UInt8]) throws -> Void
    ) throws -> Progress {
        let firstNew = table.rows.lowerBound + keptRows
        var done = Progress()
        for start in stride(from: table.rows.lowerBound, to: table.rows.upperBound, by: ScoringTable.blockRows) {
            var row = start
            let end = min(table.rows.upperBound, start + ScoringTable.blockRows)
            while row < end {
                let first = row
                var rows: [ScoringTable.Row] = []
                var pairCount = 0
                while row < end, pairCount < Self.blockPairs {
                    rows.append(try table.row(row))
                    pairCount += rows[row - first].pairs.count
                    row += 1
                }
                done.rows = row - table.rows.lowerBound
                done.pairs += pairCount
                guard row > firstNew else { continue }
                let scores = try self.scores(of: rows, first, table)
                var lines: [UInt8] = []
                var next = 0
                for (place, content) in rows.enumerated() {
                    let end = next + content.pairs.count
                    if first + place >= firstNew {
                        lines += table.line(content, scores.values[next..<end])
                        done.scoredPairs += content.pairs.count
                        done.truncatedPairs += scores.isTruncated[next..<end].count { $0 }
                    }
                    next = end
                }
                try write(lines)
                progress(done)
            }
        }
        return done
    }

    private func scores(
        of rows: [ScoringTable.Row],
        _ first: Int,
        _ table: ScoringTable
    ) throws -> (values: [Double], isTruncated: [Bool]) {
        do {
            let prepared = try preparer.prepare(
                rows.flatMap(\.pairs),
                prompt: prompt,
                overlong: pipeline.tokenizer.truncatesLeft ? .keepEnd : .keepStart
            )
            let scores = try pipeline.scores(of: prepared, activation: activation, maxBatchTokens: maxBatchTokens)
            return (scores.map(\.value), scores.map(\.isTruncated))
        } catch let error as InferenceError {
            // Pairs are counted from 1.
            let owners = rows.enumerated().flatMap { place, row in row.pairs.map { _ in first + place } }
            func place(_ number: Int) -> String { table.place(ofRow: owners[number - 1]) }
            switch error {
            case .unsuitableText(let number, let found, let expected):
                throw EvaluationError(
                    .malformed,
                    file: place(number),
                    item: "the pair",
                    found: found,
                    expected: expected
                )
            case .nonFiniteResult(let folder, _, let number?, let cause):
                throw EvaluationError(
                    .malformed,
                    file: place(number),
                    found: "has a score that is NaN or infinite by \(folder): \(cause)",
                    expected: "a finite score"
                )
            default: throw error
            }
        }
    }
}
