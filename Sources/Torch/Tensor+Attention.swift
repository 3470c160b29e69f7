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

    /// Bounds as the kernels take them, −1 for none.
    ///
    /// No sequence is longer than an `Int32` counts, so that a greater bound
    /// means the same, and sums of positions and bounds do not overflow.
    var bounds: (left: Int64, right: Int64) {
        (left.map { Int64(min($0, Int(Int32.max))) } ?? -1, right.map { Int64(min($0, Int(Int32.max))) } ?? -1)
    }
}

/// The angles by which attention turns queries and keys, one row of `headDimensions / 2` for each key.
///
/// The halves (x₁, x₂) of a query or key become (x₁ cos − x₂ sin, x₂ cos + x₁ sin).
public struct Rotation {
    /// float32, `[keyTokens, headDimensions / 2]`.
    public let cosines: Tensor
    /// As ``cosines``.
    public let sines: Tensor

    /// Creates a rotation from its cosines and sines.
    public init(cosines: Tensor, sines: Tensor) {
        self.cosines = cosines
        self.sines = sines
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
    ///   - lengths: How many queries and keys each sequence has.
    ///   - window: Which keys a query sees.
    ///   - rotation: How queries and keys are turned before they meet, or nil.
    ///   - dropout: The probability that an attention weight is dropped.
    /// - Returns: As `queries`.
    /// - Complexity: O(tokens · window) time where both bounds of the window are set. Memory grows with tokens alone on
    ///   the CPU in float32 and bfloat16, and on CUDA in float16 and bfloat16, without dropout.
    public static func variableLengthAttention(
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        lengths: SequenceLengths,
        window: AttentionWindow,
        rotation: Rotation? = nil,
        dropout: Double = 0
    ) -> Tensor {
        withExtendedLifetime(lengths) {
            makeTensor("variableLengthAttention", [queries, keys, values]) {
                ct_attention_variable_length(
                    queries.handle,
                    keys.handle,
                    values.handle,
                    lengths.handle,
                    window.bounds.left,
                    window.bounds.right,
                    attentionScale(queries),
                    rotation?.cosines.handle,
                    rotation?.sines.handle,
                    dropout,
                    $0
                )
            }
        }
    }

    /// ``variableLengthAttention(queries:keys:values:lengths:window:rotation:dropout:)`` of queries, keys and values
    /// that one projection made, without taking them apart.
    ///
    /// - Parameters:
    ///   - projections: `[tokens, 3, heads, headDimensions]`: query, key and value of each token.
    ///   - lengths: The lengths of the sequences.
    ///   - window: Which keys a query sees.
    ///   - rotation: How queries and keys are turned before they meet, or nil.
    ///   - dropout: The probability that an attention weight is dropped.
    /// - Returns: `[tokens, heads, headDimensions]`.
    public static func variableLengthAttention(
        projections: Tensor,
        lengths: SequenceLengths,
        window: AttentionWindow,
        rotation: Rotation? = nil,
        dropout: Double = 0
    ) -> Tensor {
        withExtendedLifetime(lengths) {
            makeTensor("variableLengthAttention", [projections]) {
                ct_attention_packed(
                    projections.handle,
                    lengths.handle,
                    window.bounds.left,
                    window.bounds.right,
                    attentionScale(projections),
                    rotation?.cosines.handle,
                    rotation?.sines.handle,
                    dropout,
                    $0
                )
            }
        }
    }

    /// `softmax(q · kᵀ · d^-½) · v` of one new query for each sequence over its cached keys.
    ///
    /// - Parameters:
    ///   - queries: `[sequences, heads, headDimensions]`.
    ///   - keys: `[pages, pageSize, heads, headDimensions]`.
    ///   - values: As `keys`.
    ///   - places: Where the keys of each sequence lie.
    /// - Returns: As `queries`.
    package static func decodingAttention(
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        places: CachePlaces
    ) -> Tensor {
        withExtendedLifetime(places) {
            makeTensor("decodingAttention", [queries, keys, values]) {
                ct_attention_decode(
                    queries.handle,
                    keys.handle,
                    values.handle,
                    places.handle,
                    attentionScale(queries),
                    $0
                )
            }
        }
    }

    /// Caches the key and value of one new token for each sequence, and attends from its query to all that are cached.
    ///
    /// - Parameters:
    ///   - projections: `[sequences, 3, heads, headDimensions]`: query, key and value of each new token.
    ///   - rotation: How the new queries and keys are turned, one row for each sequence.
    ///   - keys: `[pages, pageSize, heads, headDimensions]`, turned; changed in place.
    ///   - values: As `keys`.
    ///   - places: Where the keys of each sequence lie, and where the new one goes.
    /// - Returns: `[sequences, heads, headDimensions]`.
    package static func decodingStep(
        projections: Tensor,
        rotation: Rotation,
        keys: Tensor,
        values: Tensor,
        places: CachePlaces
    ) -> Tensor {
        withExtendedLifetime(places) {
            makeTensor("decodingStep", [projections, keys, values]) {
                ct_attention_decode_step(
                    projections.handle,
                    rotation.cosines.handle,
                    rotation.sines.handle,
                    keys.handle,
                    values.handle,
                    places.handle,
                    attentionScale(projections),
                    $0
                )
            }
        }
    }
}

/// The scale of the scores of heads as wide as the last dimension.
private func attentionScale(_ x: Tensor) -> Double { 1 / Double(max(x.size(-1), 1)).squareRoot() }
