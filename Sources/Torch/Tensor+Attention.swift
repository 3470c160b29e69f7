import CTorch

/// How far a query sees to each side of itself, in tokens; nil is without bound.
public struct AttentionWindow: Sendable, Hashable {
    /// Earlier tokens seen.
    public let left: Int?
    /// Later tokens seen; 0 is causal.
    public let right: Int?

    /// Creates a window.
    ///
    /// - Parameters:
    ///   - left: Earlier tokens seen, or nil for all.
    ///   - right: Later tokens seen, or nil for all.
    public init(left: Int?, right: Int?) {
        self.left = left
        self.right = right
    }
}

extension Tensor {
    /// `softmax(q · kᵀ · d^-½) · v`, each sequence of a packed batch alone.
    ///
    /// The last query of a sequence stands at its last key, so that new queries may follow cached keys.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDimensions]`.
    ///   - keys: `[keyTokens, heads, headDimensions]`.
    ///   - values: As `keys`.
    ///   - cuSeqlensQuery: Cumulative lengths of the queries.
    ///   - cuSeqlensKey: Cumulative lengths of the keys.
    ///   - window: Which keys a query sees.
    ///   - dropout: The probability that an attention weight is dropped.
    /// - Returns: As `queries`.
    /// - Complexity: O(tokens · window) time and memory where both bounds of the window are set.
    public static func variableLengthAttention(
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        cuSeqlensQuery: [Int32],
        cuSeqlensKey: [Int32],
        window: AttentionWindow,
        dropout: Double = 0
    ) -> Tensor {
        precondition(cuSeqlensQuery.count == cuSeqlensKey.count && !cuSeqlensQuery.isEmpty)
        let scale = 1 / Double(Swift.max(queries.size(-1), 1)).squareRoot()
        return makeTensor("variableLengthAttention", [queries, keys, values]) {
            ct_attention_variable_length(
                queries.handle,
                keys.handle,
                values.handle,
                cuSeqlensQuery,
                cuSeqlensKey,
                Int32(cuSeqlensQuery.count - 1),
                Int64(window.left ?? -1),
                Int64(window.right ?? -1),
                scale,
                dropout,
                $0
            )
        }
    }

    /// `softmax(q · kᵀ · d^-½) · v` of one new query for each sequence over its cached keys.
    ///
    /// - Parameters:
    ///   - queries: `[sequences, heads, headDimensions]`.
    ///   - keys: `[sequences, capacity, heads, headDimensions]`.
    ///   - values: As `keys`.
    ///   - counts: How many places, from the first, each sequence has filled, in any order; at least 1.
    /// - Returns: As `queries`.
    public static func decodingAttention(queries: Tensor, keys: Tensor, values: Tensor, counts: [Int32]) -> Tensor {
        let scale = 1 / Double(Swift.max(queries.size(-1), 1)).squareRoot()
        return makeTensor("decodingAttention", [queries, keys, values]) {
            ct_attention_decode(
                queries.handle,
                keys.handle,
                values.handle,
                counts,
                Int32(counts.count),
                scale,
                $0
            )
        }
    }

    /// As ``decodingAttention(queries:keys:values:counts:)`` for new tokens that first enter the cache.
    ///
    /// - Parameters:
    ///   - projections: The new tokens' queries, keys and values, not yet rotated, `[sequences, 3, heads, headDimensions]`.
    ///   - cosines: Of the new tokens' positions, `[sequences, headDimensions / 2]`, float32.
    ///   - sines: As `cosines`.
    ///   - keys: `[sequences, capacity, heads, headDimensions]`, of which one place a sequence is overwritten.
    ///   - values: As `keys`.
    ///   - places: Where each sequence's new key and value go, below its count.
    ///   - counts: How many places each sequence has filled afterwards.
    /// - Returns: `[sequences, heads, headDimensions]`.
    public static func decodingStep(
        projections: Tensor,
        cosines: Tensor,
        sines: Tensor,
        keys: Tensor,
        values: Tensor,
        places: [Int32],
        counts: [Int32]
    ) -> Tensor {
        precondition(places.count == counts.count, "one place for each sequence")
        let scale = 1 / Double(Swift.max(projections.size(-1), 1)).squareRoot()
        return makeTensor("decodingStep", [projections, cosines, sines, keys, values]) {
            ct_attention_decode_step(
                projections.handle,
                cosines.handle,
                sines.handle,
                keys.handle,
                values.handle,
                places,
                counts,
                Int32(counts.count),
                scale,
                $0
            )
        }
    }
}
