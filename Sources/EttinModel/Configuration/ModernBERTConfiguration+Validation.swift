import EttinFiles

/// Bounds beyond which a configuration is taken for a mistake or an attack rather than a model.
enum ConfigurationLimits {
    static let layers = 4096
    static let width = 1 << 20
    static let vocabulary = 1 << 28
    static let positions = 1 << 31
    static let labels = 1_000_000
    /// A thousand times the suite's largest model.
    static let parameters = 1 << 40
}

extension ModernBERTConfiguration {
    /// Checks that the values make a model.
    ///
    /// - Parameter file: The file's name for messages.
    /// - Throws: `CheckpointError` with everything that is wrong.
    public func validate(file: String = "config.json") throws {
        let problems = problems(file: file)
        guard problems.isEmpty else { throw CheckpointError(problems) }
    }

    func problems(file: String) -> [CheckpointError.Problem] {
        var check = ConfigurationCheck(file: file)
        check.range("vocab_size", vocabularySize, 1...ConfigurationLimits.vocabulary)
        check.range("hidden_size", hiddenSize, 1...ConfigurationLimits.width)
        check.range("intermediate_size", intermediateSize, 1...ConfigurationLimits.width)
        check.range("num_attention_heads", attentionHeads, 1...ConfigurationLimits.width)
        check.range("num_hidden_layers", layerCount, 1...ConfigurationLimits.layers)
        check.range("max_position_embeddings", maxPositionEmbeddings, 1...ConfigurationLimits.positions)
        checkHeads(&check)
        checkWindow(&check)
        check.positive("norm_eps", normEpsilon)
        check.positive("initializer_cutoff_factor", initializerCutoffFactor)
        check.positive("rope_parameters.full_attention.rope_theta", globalRope.theta)
        check.positive("rope_parameters.sliding_attention.rope_theta", localRope.theta)
        check.positive("rope_parameters.full_attention.factor", globalRope.positionScale)
        check.positive("rope_parameters.sliding_attention.factor", localRope.positionScale)
        checkYaRN(&check, .fullAttention, globalRope)
        checkYaRN(&check, .slidingAttention, localRope)
        if !(initializerRange >= 0 && initializerRange.isFinite) {
            check.refuse("initializer_range", "is \(initializerRange)", "a finite number from 0 up")
        }
        check.dropout("attention_dropout", attentionDropout)
        check.dropout("embedding_dropout", embeddingDropout)
        check.dropout("mlp_dropout", mlpDropout)
        check.dropout("classifier_dropout", classifierDropout)
        checkTokens(&check)
        // Only now are the factors small enough to be multiplied without overflow.
        if check.problems.isEmpty, parameterCount > ConfigurationLimits.parameters {
            check.refuse("hidden_size", "and the other sizes make \(parameterCount) parameters", "at most 2^40")
        }
        return check.problems
    }

    private func checkYaRN(_ check: inout ConfigurationCheck, _ type: LayerType, _ rope: RotaryParameters) {
        guard let yarn = rope.yarn else { return }
        let key = "rope_parameters.\(type.rawValue)"
        check.range(key + ".original_max_position_embeddings", yarn.originalPositions, 1...ConfigurationLimits.positions)
        check.positive(key + ".factor", yarn.factor)
        check.positive(key + ".beta_fast", yarn.betaFast)
        check.positive(key + ".beta_slow", yarn.betaSlow)
        if let factor = yarn.attentionFactor { check.positive(key + ".attention_factor", factor) }
        if rope.theta <= 1 { check.refuse(key + ".rope_theta", "is \(rope.theta)", "above 1, as \"yarn\" needs") }
    }

    private func checkHeads(_ check: inout ConfigurationCheck) {
        guard hiddenSize > 0, attentionHeads > 0 else { return }
        guard hiddenSize.isMultiple(of: attentionHeads) else {
            let found = "is \(hiddenSize), which \(attentionHeads) heads do not divide"
            check.refuse("hidden_size", found, "a multiple of \(attentionHeads)")
            return
        }
        if !headDimensions.isMultiple(of: 2) {
            let found = "is \(hiddenSize), which gives \(attentionHeads) heads the odd width \(headDimensions)"
            check.refuse("hidden_size", found, "an even width, for the rotary embedding")
        }
    }

    private func checkWindow(_ check: inout ConfigurationCheck) {
        let limit = ConfigurationLimits.positions
        if let localAttention { check.range("local_attention", localAttention, 0...limit) }
        if let window = slidingWindowOverride { check.range("sliding_window", window, -1...limit) }
        if kind == .encoder, localAttention == nil {
            check.refuse("local_attention", "is null", "an integer")
        }
        if kind == .decoder, layerTypes.contains(.slidingAttention), slidingWindow < 1 {
            // transformers would then mask every key of a local layer.
            check.refuse(
                "sliding_window",
                "is \(slidingWindow), which hides every token from local layers",
                "1 or more"
            )
        }
    }

    private func checkTokens(_ check: inout ConfigurationCheck) {
        var tokens = [
            ("pad_token_id", padTokenID), ("bos_token_id", bosTokenID), ("cls_token_id", clsTokenID),
            ("sep_token_id", sepTokenID),
        ]
        tokens += eosTokenIDs.map { ("eos_token_id", $0) }
        for case (let key, let id?) in tokens {
            // Only the padding row is used by the model itself; the other ids tell tokenizers and generation what to do,
            // and small test models keep the defaults of the large vocabulary.
            let isUsed = key == "pad_token_id"
            if id < 0 || (isUsed && id >= vocabularySize) {
                check.refuse(
                    key,
                    "is \(id)",
                    isUsed ? "0 to \(max(1, vocabularySize) - 1), a row of the embedding" : "0 or more"
                )
            }
        }
    }
}

/// Collects what is wrong with a configuration's values.
private struct ConfigurationCheck {
    let file: String
    var problems: [CheckpointError.Problem] = []

    init(file: String) {
        self.file = file
    }

    mutating func refuse(_ key: String, _ found: String, _ expected: String) {
        problems.append(.init(.malformed, file: file, item: quoted(key), found: found, expected: expected))
    }

    mutating func range(_ key: String, _ value: Int, _ allowed: ClosedRange<Int>) {
        guard !allowed.contains(value) else { return }
        refuse(key, "is \(value)", "\(allowed.lowerBound) to \(allowed.upperBound)")
    }

    mutating func positive(_ key: String, _ value: Double) {
        guard !(value > 0 && value.isFinite) else { return }
        refuse(key, "is \(value)", "a finite number above 0")
    }

    mutating func dropout(_ key: String, _ value: Double) {
        guard !(value >= 0 && value <= 1) else { return }
        refuse(key, "is \(value)", "a probability, 0 to 1")
    }
}
