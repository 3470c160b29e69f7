import EttinModel
import EttinTraining
import Torch

/// Whether stored weights are those of the model that a recipe describes.
enum ModelAgreement {
    /// How much must agree.
    enum Extent {
        /// The shapes of the weights: what another phase may compute with them is its own affair.
        case shape
        /// All that decides what the model computes, as for a run that goes on.
        case all
    }

    /// Compares two configurations.
    ///
    /// - Throws: `TrainingError` naming the first key of the recipe in which they differ.
    static func check(
        _ own: ModernBERTConfiguration,
        stored: ModernBERTConfiguration,
        in folder: String,
        _ extent: Extent
    ) throws {
        let values = zip(facts(own, extent), facts(stored, extent))
        guard let (first, second) = values.first(where: { $0.value != $1.value }) else { return }
        throw TrainingError(
            .invalidOption,
            "model.model_config.\(first.key)",
            found: "is \(first.value), but \(folder) has \(second.value)",
            expected: "the same"
        )
    }

    private static func facts(_ model: ModernBERTConfiguration, _ extent: Extent) -> [(key: String, value: String)] {
        let shape = [
            ("vocab_size", "\(model.vocabularySize)"), ("num_hidden_layers", "\(model.layerTypes.count)"),
            ("hidden_size", "\(model.hiddenSize)"), ("intermediate_size", "\(model.intermediateSize)"),
            ("num_attention_heads", "\(model.attentionHeads)"), ("attn_out_bias", "\(model.attentionBias)"),
            ("mlp_out_bias", "\(model.mlpBias)"), ("decoder_bias", "\(model.decoderBias)"),
            ("head_pred_bias", "\(model.classifierBias)"), ("norm_kwargs.bias", "\(model.normBias)"),
            ("tie_word_embeddings", "\(model.tiesWordEmbeddings)"),
        ]
        guard extent == .all else { return shape }
        let global = model.layerTypes.indices.filter { model.layerTypes[$0] == .fullAttention }
        return shape + [
            ("global_attn_every_n_layers", "such that the layers \(global) are global"),
            ("sliding_window", "\(model.slidingWindow) to a side"),
            ("rotary_emb_base", "\(model.globalRope.theta)"),
            ("local_attn_rotary_emb_base", "\(model.localRope.theta)"),
            ("hidden_act", model.hiddenActivation.rawValue), ("head_pred_act", model.classifierActivation.rawValue),
            ("norm_kwargs.eps", "\(model.normEpsilon)"),
        ]
    }
}
