import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining

/// The training code's configuration of a model, and what it means in ours.
///
/// Read from a recipe's `model.model_config` or from a raw checkpoint. Architectures that ModernBERT is not are refused
/// by key. Dropout after attention's output, `attn_out_dropout_prob`, is of training alone.
struct FlexBERTConfiguration {
    /// The longest sequence of the suite's models, which the training code's configuration does not say.
    static let suitePositions = 7999

    let object: JSONObject
    /// Where it stands, for messages.
    let place: String

    /// The configuration that transformers would read.
    ///
    /// - Parameter kind: Encoder or decoder.
    /// - Returns: A validated configuration.
    /// - Throws: `TrainingError` for architectures that are not ModernBERT; `CheckpointError` for impossible values.
    func modernBERT(_ kind: ModelKind) throws -> ModernBERTConfiguration {
        try check()
        var result: JSONObject = [
            "model_type": .string(kind.rawValue), "classifier_pooling": "mean",
            "max_position_embeddings": JSONValue(Self.suitePositions),
        ]
        for (key, source) in Self.names {
            if let value = object[source], !value.isNull { result[key] = value }
        }
        for key in ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
        where result[key] == nil {
            throw TrainingError(.missing, place, found: "has no \"\(key)\"", expected: "the shape of the model")
        }
        if let norm = object["norm_kwargs"] {
            result["norm_eps"] = norm["eps"]
            result["norm_bias"] = norm["bias"]
        }
        let base = object["rotary_emb_base"] ?? 10000
        let local = object["local_attn_rotary_emb_base"].flatMap { $0.isNull || $0.doubleValue == -1 ? nil : $0 }
        result["global_rope_theta"] = base
        result["local_rope_theta"] = local ?? base
        try addLayers(to: &result)
        // The suite's ids, where the vocabulary has them; others are the tokenizer's to name.
        if (result["vocab_size"]?.intValue ?? 0) < 50285 {
            for key in ["pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"] {
                result[key] = object[key] ?? .null
            }
        }
        return try ModernBERTConfiguration(result, file: place)
    }

    /// Our keys, and the training code's that mean the same.
    private static let names = [
        ("vocab_size", "vocab_size"), ("hidden_size", "hidden_size"), ("intermediate_size", "intermediate_size"),
        ("num_hidden_layers", "num_hidden_layers"), ("num_attention_heads", "num_attention_heads"),
        ("attention_bias", "attn_out_bias"), ("attention_dropout", "attention_probs_dropout_prob"),
        ("classifier_activation", "head_pred_act"), ("classifier_bias", "head_pred_bias"),
        ("classifier_dropout", "head_class_dropout"), ("decoder_bias", "decoder_bias"),
        ("deterministic_flash_attn", "deterministic_fa2"), ("embedding_dropout", "embed_dropout_prob"),
        ("hidden_activation", "hidden_act"), ("initializer_range", "initializer_range"),
        ("initializer_cutoff_factor", "init_cutoff_factor"), ("mlp_bias", "mlp_in_bias"),
        ("mlp_dropout", "mlp_dropout_prob"), ("tie_word_embeddings", "tie_word_embeddings"),
    ]

    private func addLayers(to result: inout JSONObject) throws {
        let window = try count("sliding_window")
        let interval = try count("global_attn_every_n_layers")
        guard window > 0 else {
            result["global_attn_every_n_layers"] = 1
            return
        }
        guard interval > 0 else {
            throw refused("global_attn_every_n_layers", "\(interval) beside a window", "a number from 1 up")
        }
        result["local_attention"] = JSONValue(window)
        result["global_attn_every_n_layers"] = JSONValue(interval)
    }

    /// A whole number; −1, the training code's word for "none", where there is none.
    private func count(_ key: String) throws -> Int {
        guard let value = object[key], !value.isNull else { return -1 }
        guard let count = value.intValue else { throw refused(key, "\(value)", "a whole number") }
        return count
    }

    private func check() throws {
        for (key, expected) in [
            ("attention_layer", "rope"), ("bert_layer", "prenorm"), ("embedding_layer", "sans_pos"),
            ("mlp_layer", "glu"), ("normalization", "layernorm"),
        ] {
            guard let value = object[key], value != .string(expected) else { continue }
            throw refused(key, "\(value)", "\"\(expected)\", as ModernBERT is built")
        }
        for (key, expected) in [
            ("embed_norm", true), ("final_norm", true), ("skip_first_prenorm", true), ("rotary_emb_interleaved", false),
        ] {
            guard let value = object[key], value != .bool(expected) else { continue }
            throw refused(key, "\(value)", "\(expected), as ModernBERT is built")
        }
        for (key, other) in [("attn_qkv_bias", "attn_out_bias"), ("mlp_out_bias", "mlp_in_bias")] {
            guard let value = object[key], let partner = object[other], value != partner else { continue }
            throw refused(key, "\(value)", "\(partner) as \"\(other)\": ModernBERT has both or none")
        }
        for key in ["rotary_emb_dim", "rotary_emb_scale_base", "local_attn_rotary_emb_dim"] {
            guard let value = object[key], !value.isNull, value.doubleValue.map({ $0 > 0 }) ?? true else { continue }
            throw refused(key, "\(value)", "null")
        }
    }

    private func refused(_ key: String, _ found: String, _ expected: String) -> TrainingError {
        TrainingError(.unsupported, place, found: "has \"\(key)\" \(found)", expected: expected)
    }
}
