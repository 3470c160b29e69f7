import Torch

/// What each row of a model's output belongs to.
enum OutputRows {
    /// A row for each sequence.
    case sequences
    /// A row for each token.
    case tokens
}

extension [PreparedText] {
    /// The outputs of a model for each text, computed in batches by length.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - rows: What the rows of the output belong to.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - body: Gives `[rows, width]` for a batch.
    /// - Returns: For each text its rows end to end.
    /// - Throws: `TorchError` when memory or device fails; `CancellationError`; what `body` throws.
    func outputs(
        _ rows: OutputRows,
        maxBatchTokens: Int,
        _ body: (PackedBatch) throws -> Tensor
    ) throws -> [[Float]] {
        var outputs = [[Float]](repeating: [], count: count)
        for indices in batches(maxTokens: maxBatchTokens) {
            try Task.checkCancellation()
            let batch = PackedBatch(indices.map { self[$0].tokenIDs })
            let values: [Float] = try withRecovery {
                try withoutGradients { try body(batch).to(.float32).array() }
            }
            let rowCount = rows == .sequences ? batch.sequenceCount : batch.tokenCount
            let width = values.count / Swift.max(1, rowCount)
            for (place, index) in indices.enumerated() {
                let range = rows == .sequences ? place..<place + 1 : batch.range(of: place)
                outputs[index] = Array<Float>(values[range.lowerBound * width..<range.upperBound * width])
            }
        }
        return outputs
    }

    /// Refuses texts without a token, which have nothing to classify.
    func requireTokens() throws {
        guard let index = firstIndex(where: \.tokenIDs.isEmpty) else { return }
        throw InferenceError.unsuitableText(number: index + 1, found: "has no token", expected: "at least one")
    }
}

/// The number of the text, from 1, that each of its sequences belongs to.
///
/// - Parameter counts: The number of sequences of each text.
/// - Returns: One number for each sequence.
func owners(of counts: [Int]) -> [Int] {
    counts.enumerated().flatMap { [Int](repeating: $0 + 1, count: $1) }
}
