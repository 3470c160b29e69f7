import CTorch

/// How SPLADE pools the vocabulary projection of a sequence's tokens.
package struct SpladePoolingRule: Sendable, Hashable {
    /// Whether the activations of a sequence's tokens are added up; their maximum is taken otherwise.
    package let isSum: Bool
    /// Whether the logarithm is taken twice, as OpenSearch's models do; `log1p_relu`.
    package let takesLogarithmTwice: Bool

    /// Creates a rule.
    ///
    /// - Parameters:
    ///   - isSum: Whether activations are added up.
    ///   - takesLogarithmTwice: Whether the logarithm is taken twice.
    package init(isSum: Bool = false, takesLogarithmTwice: Bool = false) {
        self.isSum = isSum
        self.takesLogarithmTwice = takesLogarithmTwice
    }
}

extension Tensor {
    /// Tokens whose logits exist at a time where SPLADE's pooling is composed of libtorch's operators, unless gradients are
    /// recorded.
    package static let spladeChunkRows = 512

    /// Pools `log(1 + relu(self · weightᵀ + bias))` over the tokens of each sequence, without keeping any logits.
    ///
    /// - Parameters:
    ///   - weight: The packed vocabulary projection.
    ///   - cuSeqlens: 0, then the end of each sequence.
    ///   - rule: Maximum or sum, and the activation.
    /// - Returns: float32, `[sequences, vocabulary]`; NaN where a logit is NaN or infinite, unless it is −∞.
    /// - Complexity: O(tokens · vocabulary · width) time, O(sequences · vocabulary) memory.
    ///
    /// > Source: SPLADE v2, arXiv 2109.10086; sentence-transformers `sparse_encoder/modules/splade_pooling.py`.
    package func spladePooled(_ weight: PrepackedWeight, cuSeqlens: [Int32], rule: SpladePoolingRule) -> Tensor {
        withExtendedLifetime(weight) {
            pooled(cuSeqlens, rule, "spladePooled", [self]) {
                ct_splade_pooling_packed(handle, weight.handle, $0, $1)
            }
        }
    }

    /// As ``spladePooled(_:cuSeqlens:rule:)`` for a weight that is not packed, on any device, differentiable.
    ///
    /// On the CPU no logits are kept for the backward pass: it reads the token that each maximum belongs to, and computes
    /// those of a sum again. Of tokens with equal logits the first gets the gradient; a weight of 0 gets none. The gradient
    /// of a weight that has one already is added to it. Products are in the type of this tensor, of bfloat16 with float32
    /// sums.
    ///
    /// - Parameters:
    ///   - weight: `[vocabulary, width]`.
    ///   - bias: `[vocabulary]`, or nil.
    ///   - cuSeqlens: 0, then the end of each sequence.
    ///   - rule: Maximum or sum, and the activation.
    /// - Returns: float32, `[sequences, vocabulary]`; zeros for a sequence without tokens.
    /// - Complexity: O(tokens · vocabulary · width) time, O(sequences · vocabulary) memory on the CPU.
    package func spladePooled(weight: Tensor, bias: Tensor?, cuSeqlens: [Int32], rule: SpladePoolingRule) -> Tensor {
        spladePooled(weight: weight, bias: bias, cuSeqlens: cuSeqlens, rule: rule, isComposed: false)
    }

    /// As ``spladePooled(weight:bias:cuSeqlens:rule:)``, perhaps of libtorch's operators alone, which keep all logits where
    /// gradients are recorded.
    package func spladePooled(
        weight: Tensor,
        bias: Tensor?,
        cuSeqlens: [Int32],
        rule: SpladePoolingRule,
        chunkRows: Int = spladeChunkRows,
        isComposed: Bool
    ) -> Tensor {
        pooled(cuSeqlens, rule, "spladePooled", [self, weight]) {
            ct_splade_pooling(handle, weight.handle, bias?.handle, $0, Int64(chunkRows), isComposed, $1)
        }
    }

    private func pooled(
        _ cuSeqlens: [Int32],
        _ rule: SpladePoolingRule,
        _ name: StaticString,
        _ operands: [Tensor],
        _ body: (CTSpladePooling, UnsafeMutablePointer<OpaquePointer?>) -> CTStatus
    ) -> Tensor {
        requireUsage(!cuSeqlens.isEmpty, "no cumulative lengths of sequences")
        return cuSeqlens.withUnsafeBufferPointer { lengths in
            let pooling = CTSpladePooling(
                cuSeqlens: lengths.baseAddress,
                sequenceCount: Int32(lengths.count - 1),
                isSum: rule.isSum,
                logarithms: rule.takesLogarithmTwice ? 2 : 1
            )
            return makeTensor(name, operands) { body(pooling, $0) }
        }
    }
}

/// Scores queries against documents by late interaction, `Σᵢ maxⱼ qᵢ · dⱼ`, on rows in memory that are neither copied nor
/// padded.
///
/// - Parameters:
///   - queries: Rows of all queries, `width` elements each.
///   - cuQueries: 0, then the end of each query, in rows.
///   - documents: Rows of all documents.
///   - cuDocuments: 0, then the end of each document, in rows.
///   - width: Elements of a row.
///   - isPairwise: Whether query i is scored against document i only.
/// - Returns: `[queries, documents]` row by row, or one score for each document. A document without rows scores −10⁹.
/// - Complexity: O(queryRows · documentRows · width) time, O(queryRows · width) memory besides the scores.
///
/// > Source: ColBERT, section 3.1; sentence-transformers `util/similarity.py`.
package func maxSimScores(
    queries: [Float],
    _ cuQueries: [Int32],
    documents: [Float],
    _ cuDocuments: [Int32],
    width: Int,
    isPairwise: Bool = false
) -> [Float] {
    requireUsage(
        cuQueries.last.map { Int($0) * width == queries.count } == true
            && cuDocuments.last.map { Int($0) * width == documents.count } == true,
        "\(queries.count) and \(documents.count) elements are not \(cuQueries.last ?? 0) and \(cuDocuments.last ?? 0) "
            + "rows of \(width)"
    )
    let count = (isPairwise ? 1 : cuQueries.count - 1) * (cuDocuments.count - 1)
    var scores = [Float](repeating: 0, count: count)
    let status = withRowCounts(cuQueries, cuDocuments) { queryCounts, documentCounts in
        queries.withUnsafeBufferPointer { queries in
            documents.withUnsafeBufferPointer { documents in
                scores.withUnsafeMutableBufferPointer { scores in
                    ct_maxsim_rows(
                        queries.baseAddress,
                        queryCounts,
                        documents.baseAddress,
                        documentCounts,
                        Int64(width),
                        isPairwise,
                        scores.baseAddress
                    )
                }
            }
        }
    }
    return succeeded(status, "maxSim", []) ? scores : []
}

/// Which queries late interaction scores against which documents.
package enum MaxSimPairs: Sendable, Hashable {
    /// Every query against every document: `[queries, documents]`.
    case all
    /// Query i against document i: `[queries]`.
    case pairwise
    /// Query i against documents i · perQuery ..< (i + 1) · perQuery: `[queries, perQuery]`.
    case grouped(perQuery: Int)
}

/// Scores queries against documents by late interaction, `Σᵢ maxⱼ qᵢ · dⱼ`, differentiably and without padding.
///
/// For the backward pass the place of each maximum is kept, four bytes for each row of a query and document that it meets.
/// The gradient of a maximum goes to the first row of the document that has it, as that of `torch.max` does. Results have
/// the same bits at any number of threads.
///
/// - Parameters:
///   - queries: Rows of all queries, `[rows, width]`, float32 or, composed of libtorch's operators, float64. Rows that do
///     not count are left out.
///   - cuQueries: 0, then the end of each query, in rows.
///   - documents: Rows of all documents, `[rows, width]`, as the queries.
///   - cuDocuments: 0, then the end of each document, in rows.
///   - pairs: Which are scored against which.
///   - competesWithZero: For each document, whether its maximum is at least 0 for every row of a query, as PyLate has it
///     where tokens are padded or masked; no gradient flows where 0 is larger. Nil: for none.
/// - Returns: Scores, in the shape that `pairs` says. A document without rows scores 0 where it competes with zero, and
///   −10⁹ otherwise.
/// - Complexity: O(queryRows · documentRows · width) time, O(queryRows · documents) memory, less for pairs.
///
/// > Source: ColBERT, section 3.1; PyLate 1.6 `pylate/scores/colbert.py`.
package func maxSim(
    queries: Tensor,
    cuQueries: [Int32],
    documents: Tensor,
    cuDocuments: [Int32],
    pairs: MaxSimPairs,
    competesWithZero: [Bool]? = nil
) -> Tensor {
    maxSim(
        queries: queries,
        cuQueries: cuQueries,
        documents: documents,
        cuDocuments: cuDocuments,
        pairs: pairs,
        competesWithZero: competesWithZero,
        isComposed: false
    )
}

/// As ``maxSim(queries:cuQueries:documents:cuDocuments:pairs:competesWithZero:)``, perhaps of libtorch's operators alone.
package func maxSim(
    queries: Tensor,
    cuQueries: [Int32],
    documents: Tensor,
    cuDocuments: [Int32],
    pairs: MaxSimPairs,
    competesWithZero: [Bool]?,
    isComposed: Bool
) -> Tensor {
    requireUsage(
        competesWithZero.map { $0.count == cuDocuments.count - 1 } ?? true,
        "\(competesWithZero?.count ?? 0) documents that may compete with zero; there are \(cuDocuments.count - 1)"
    )
    let documentsPerQuery: Int
    switch pairs {
    case .all: documentsPerQuery = 0
    case .pairwise: documentsPerQuery = 1
    case .grouped(let perQuery):
        requireUsage(perQuery > 0, "\(perQuery) documents for each query")
        documentsPerQuery = perQuery
    }
    let scores = withRowCounts(cuQueries, cuDocuments) { queryCounts, documentCounts in
        makeTensor("maxSim", [queries, documents]) {
            ct_maxsim(
                queries.handle,
                queryCounts,
                documents.handle,
                documentCounts,
                Int32(clamping: documentsPerQuery),
                competesWithZero,
                isComposed,
                $0
            )
        }
    }
    return pairs == .pairwise ? scores.reshaped(-1) : scores
}

private func withRowCounts<Result>(
    _ cuQueries: [Int32],
    _ cuDocuments: [Int32],
    _ body: (CTRowCounts, CTRowCounts) -> Result
) -> Result {
    requireUsage(!cuQueries.isEmpty && !cuDocuments.isEmpty, "no cumulative lengths of queries or documents")
    return cuQueries.withUnsafeBufferPointer { queries in
        cuDocuments.withUnsafeBufferPointer { documents in
            body(
                CTRowCounts(cumulative: queries.baseAddress, count: Int32(queries.count - 1)),
                CTRowCounts(cumulative: documents.baseAddress, count: Int32(documents.count - 1))
            )
        }
    }
}
