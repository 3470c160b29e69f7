import EttinInference
import Torch

/// The scores of late interaction as PyLate's evaluators compute them: documents of one call are padded to the longest of
/// them by vectors of zeros, which take part.
///
/// > Source: PyLate 1.6, `pylate/evaluation`; the padding by `torch.nn.utils.rnn.pad_sequence`.
enum LateInteractionScores {
    /// Scores of queries with documents.
    ///
    /// - Parameters:
    ///   - queries: Vectors of queries.
    ///   - documents: Vectors of documents.
    ///   - pairs: Which of them meet.
    ///   - paddedLength: The number of vectors that documents are padded to; those with fewer score at least 0 for each
    ///     vector of a query. Nil for documents as they are.
    /// - Returns: The scores, row by row.
    /// - Throws: When memory or the device fails.
    static func scores(
        _ queries: MultiVectorEmbeddings,
        _ documents: MultiVectorEmbeddings,
        _ pairs: MaxSimPairs,
        paddedLength: Int?
    ) throws -> [Float] {
        func rows(_ vectors: MultiVectorEmbeddings) -> Tensor {
            Tensor(vectors.values, shape: [vectors.values.count / vectors.dimensions, vectors.dimensions])
        }
        return try withRecovery {
            try withoutGradients {
                try maxSim(
                    queries: rows(queries),
                    cuQueries: starts(queries),
                    documents: rows(documents),
                    cuDocuments: starts(documents),
                    pairs: pairs,
                    competesWithZero: paddedLength.map { length in documents.lengths.map { $0 < length } }
                ).array()
            }
        }
    }

    private static func starts(_ vectors: MultiVectorEmbeddings) -> [Int32] {
        vectors.lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) }
    }
}
