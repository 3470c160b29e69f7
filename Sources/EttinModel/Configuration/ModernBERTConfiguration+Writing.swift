import EttinFiles
package import EttinJSON
import Torch

extension ModernBERTConfiguration {
    /// The two formats of `config.json`.
    public enum Format: Hashable, Sendable, CaseIterable {
        /// That of transformers 4.48 to 4.57, in which Ettin was published.
        case version4
        /// That of transformers 5.
        case version5
    }

    /// Writes `config.json` into a folder.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - format: The format; what version 4 can say, version 5 also reads.
    /// - Throws: `CheckpointError` when the format cannot express the configuration or the file cannot be written.
    public func write(toFolder folder: String, format: Format) throws {
        try CheckpointError.translating {
            try AtomicFile.write(serialized(format), to: FilePath.joined(folder, "config.json"))
        }
    }

    /// The text of `config.json`: two spaces, sorted keys, a line feed at the end.
    ///
    /// - Parameter format: The format.
    /// - Returns: UTF-8 text, as transformers writes it.
    /// - Throws: `CheckpointError` when the values make no model or the format cannot express them.
    package func serialized(_ format: Format) throws -> [UInt8] {
        JSONFile.serialized(.object(try json(format)))
    }

    /// The content of `config.json`, in no particular order.
    ///
    /// - Parameter format: The format.
    /// - Returns: All keys.
    /// - Throws: `CheckpointError` when the values make no model or the format cannot express them.
    package func json(_ format: Format) throws -> JSONObject {
        try validate()
        var object = otherKeys
        writeShared(&object)
        switch format {
        case .version4: try writeVersion4(&object)
        case .version5: writeVersion5(&object)
        }
        object["transformers_version"] = .string(version(format))
        return object
    }

    private func writeShared(_ object: inout JSONObject) {
        object["model_type"] = .string(kind.rawValue)
        object["vocab_size"] = JSONValue(vocabularySize)
        object["hidden_size"] = JSONValue(hiddenSize)
        object["intermediate_size"] = JSONValue(intermediateSize)
        object["num_hidden_layers"] = JSONValue(layerCount)
        object["num_attention_heads"] = JSONValue(attentionHeads)
        object["hidden_activation"] = .string(hiddenActivation.rawValue)
        object["max_position_embeddings"] = JSONValue(maxPositionEmbeddings)
        object["initializer_range"] = JSONValue(initializerRange)
        object["initializer_cutoff_factor"] = JSONValue(initializerCutoffFactor)
        object["norm_eps"] = JSONValue(normEpsilon)
        object["norm_bias"] = JSONValue(normBias)
        object["attention_bias"] = JSONValue(attentionBias)
        object["mlp_bias"] = JSONValue(mlpBias)
        object["decoder_bias"] = JSONValue(decoderBias)
        object["attention_dropout"] = JSONValue(attentionDropout)
        object["embedding_dropout"] = JSONValue(embeddingDropout)
        object["mlp_dropout"] = JSONValue(mlpDropout)
        object["classifier_dropout"] = JSONValue(classifierDropout)
        object["classifier_bias"] = JSONValue(classifierBias)
        object["classifier_activation"] = .string(classifierActivation.rawValue)
        object["tie_word_embeddings"] = JSONValue(tiesWordEmbeddings)
        object["local_attention"] = localAttention.map { JSONValue($0) } ?? .null
        object["pad_token_id"] = padTokenID.map { JSONValue($0) } ?? .null
        object["bos_token_id"] = bosTokenID.map { JSONValue($0) } ?? .null
        object["cls_token_id"] = clsTokenID.map { JSONValue($0) } ?? .null
        object["sep_token_id"] = sepTokenID.map { JSONValue($0) } ?? .null
        object["eos_token_id"] = JSONValue.tokenList(eosTokenIDs)
        switch kind {
        case .encoder:
            object["classifier_pooling"] = .string(classifierPooling.rawValue)
            object["sparse_prediction"] = JSONValue(sparsePrediction)
            object["sparse_pred_ignore_index"] = JSONValue(sparsePredictionIgnoreIndex)
            object["deterministic_flash_attn"] = JSONValue(deterministicFlashAttention)
        case .decoder:
            object["use_cache"] = JSONValue(usesCache)
            object["sliding_window"] = JSONValue(slidingWindow)
        }
        if !architectures.isEmpty { object["architectures"] = .array(architectures.map { .string($0) }) }
        if let problemType { object["problem_type"] = .string(problemType.rawValue) }
        writeLabels(&object)
    }

    /// Writes the label maps, unless they are the two that transformers assumes and never writes.
    private func writeLabels(_ object: inout JSONObject) {
        guard let labels, labels != ["LABEL_0", "LABEL_1"] else { return }
        object["id2label"] = .object(JSONObject(labels.enumerated().map { ("\($0)", .string($1)) }))
        if object["label2id"] == nil { object["label2id"] = .object(Self.labelIDs(labels)) }
    }

    private func writeVersion5(_ object: inout JSONObject) {
        object["layer_types"] = .array(layerTypes.map { .string($0.rawValue) })
        object["rope_parameters"] = [
            "full_attention": Self.ropeValue(globalRope),
            "sliding_attention": Self.ropeValue(localRope),
        ]
        if let dtype { object["dtype"] = .string(dtype) }
        if kind == .encoder { object["reference_compile"] = nil }
    }

    private func writeVersion4(_ object: inout JSONObject) throws {
        guard let interval = LayerType.interval(of: layerTypes) else {
            throw inexpressible("layer_types", "are not global at a fixed interval")
        }
        guard [globalRope, localRope].allSatisfy({ $0.positionScale == 1 && $0.yarn == nil }) else {
            throw inexpressible("rope_parameters", "scale positions")
        }
        // With fewer layers than the interval every larger one means the same; 3 is the default.
        let stated = object["global_attn_every_n_layers"]?.intValue
        let isStatedRight = stated.map {
            $0 > 0 && LayerType.pattern(layers: layerCount, globalEvery: $0) == layerTypes
        }
        if isStatedRight != true {
            let usual = LayerType.pattern(layers: layerCount, globalEvery: 3) == layerTypes ? 3 : interval
            object["global_attn_every_n_layers"] = JSONValue(usual)
        }
        object["global_rope_theta"] = JSONValue(globalRope.theta)
        object["local_rope_theta"] = JSONValue(localRope.theta)
        object["layer_norm_eps"] = JSONValue(normEpsilon)
        if let dtype { object["torch_dtype"] = .string(dtype) }
        // Version 4 leaves out what every model has unless it says otherwise.
        if tiesWordEmbeddings { object["tie_word_embeddings"] = nil }
    }

    private func inexpressible(_ key: String, _ found: String) -> CheckpointError {
        CheckpointError(
            .unsupported,
            file: "config.json",
            item: quoted(key),
            found: "\(found), which the format of transformers 4 cannot say",
            expected: "the format of version 5"
        )
    }

    /// The version to name: the file's own when it is of the format written, else the format's reference version.
    private func version(_ format: Format) -> String {
        let own = otherKeys["transformers_version"]?.stringValue
        let major = own.flatMap { $0.split(separator: ".").first }.flatMap { Int($0) }
        switch format {
        case .version4: return major == 4 ? own ?? "" : (kind == .encoder ? "4.48.0" : "4.54.0")
        case .version5: return (major ?? 0) >= 5 ? own ?? "" : "5.23.0"
        }
    }
}

extension JSONValue {
    /// Null, one id, or a list of ids.
    static func tokenList(_ ids: [Int]) -> JSONValue {
        if ids.isEmpty { return .null }
        return ids.count == 1 ? JSONValue(ids[0]) : .array(ids.map { JSONValue($0) })
    }
}
