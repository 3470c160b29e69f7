import EttinFiles
package import EttinModel
package import EttinRecipes
import Torch

/// Reads the training code's description of a model, which is `model.model_config` of a recipe and part of a raw
/// checkpoint.
package struct ModelConfigReader {
    /// The keys of the description, and of the mappings in it.
    package static let keys = [
        "vocab_size", "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
        "max_position_embeddings", "tie_word_embeddings", "init_method", "init_std", "initializer_range",
        "init_cutoff_factor", "init_small_embedding", "attention_layer", "attention_probs_dropout_prob",
        "attn_out_bias", "attn_out_dropout_prob", "attn_qkv_bias", "bert_layer", "embed_dropout_prob", "embed_norm",
        "embedding_layer", "final_norm", "skip_first_prenorm", "loss_function", "loss_kwargs", "mlp_dropout_prob",
        "mlp_in_bias", "mlp_layer", "mlp_out_bias", "normalization", "norm_kwargs", "hidden_act", "head_pred_act",
        "head_pred_bias", "activation_function", "decoder_bias", "padding", "unpad_embeddings", "pad_logits",
        "rotary_emb_dim", "rotary_emb_base", "local_attn_rotary_emb_base", "rotary_emb_scale_base",
        "rotary_emb_interleaved", "allow_embedding_resizing", "sliding_window", "global_attn_every_n_layers",
        "compile_model", "masked_prediction", "causal_mask", "use_fa2", "deterministic_fa2",
    ]
    package static let lossArguments = ["reduction", "lse_square_scale", "inplace_backward", "return_z_loss"]
    package static let normArguments = ["eps", "bias"]

    package let config: RecipeSection

    package init(config: RecipeSection) { self.config = config }

    /// Refuses architectures that ModernBERT is not.
    ///
    /// - Returns: The keys that say what is always so here.
    package func checkArchitecture() throws -> [String] {
        var implied: [String] = []
        for (key, value) in [
            ("attention_layer", "rope"), ("bert_layer", "prenorm"), ("embedding_layer", "sans_pos"),
            ("mlp_layer", "glu"), ("normalization", "layernorm"),
        ] {
            guard let found = try config.string(key) else { continue }
            guard found == value else {
                throw config.problem(key, "is \(quoted(found))", "\(value), the architecture there is")
            }
            implied.append(key)
        }
        for (key, value) in [
            ("embed_norm", true), ("final_norm", true), ("skip_first_prenorm", true), ("rotary_emb_interleaved", false),
        ] {
            if try isAlways(value, key) { implied.append(key) }
        }
        for key in ["rotary_emb_dim", "rotary_emb_scale_base"] where config.has(key) {
            throw config.problem(key, "is not supported", "null: heads rotate over their whole width, unscaled")
        }
        return implied
    }

    /// Whether a key is there, which can have but one value.
    package func isAlways(_ value: Bool, _ key: String) throws -> Bool {
        guard let found = try config.bool(key) else { return false }
        guard found == value else { throw config.problem(key, "is \(found)", "\(value), the architecture there is") }
        return true
    }

    /// Reads sizes, layers and all that weights depend on, but not the vocabulary.
    package func read(into model: inout ModernBERTConfiguration) throws {
        try readShape(into: &model)
        try readLayers(into: &model)
        try readRotation(into: &model)
    }

    private func readShape(into model: inout ModernBERTConfiguration) throws {
        func size(_ key: String, upTo limit: Int = 1 << 20) throws -> Int {
            try config.require(key, try config.int(key, in: 1...limit), "a whole number")
        }
        model.hiddenSize = try size("hidden_size")
        model.intermediateSize = try size("intermediate_size")
        model.attentionHeads = try size("num_attention_heads")
        let layers = try size("num_hidden_layers", upTo: 4096)
        let window = try config.int("sliding_window", in: -1...1 << 31) ?? -1
        let interval = try config.int("global_attn_every_n_layers", in: -1...4096) ?? -1
        for (key, value) in [("sliding_window", window), ("global_attn_every_n_layers", interval)] where value == 0 {
            throw config.problem(key, "is 0", "1 or more, or -1 for layers that are all global")
        }
        guard (window > 0) == (interval > 0) || interval == 1 else {
            throw config.problem(
                "sliding_window",
                "is \(window), but global_attn_every_n_layers is \(interval)",
                "both for local layers, or both -1 for none"
            )
        }
        let isLocal = window > 0 && interval > 0
        model.layerTypes = LayerType.pattern(layers: layers, globalEvery: isLocal ? interval : 1)
        model.localAttention = isLocal ? window : 128
    }

    private func readLayers(into model: inout ModernBERTConfiguration) throws {
        model.attentionBias = try same("attn_qkv_bias", "attn_out_bias")
        model.mlpBias = try same("mlp_in_bias", "mlp_out_bias")
        model.attentionDropout = try probability("attention_probs_dropout_prob")
        model.embeddingDropout = try probability("embed_dropout_prob")
        model.mlpDropout = try probability("mlp_dropout_prob")
        model.hiddenActivation = try activation("hidden_act") ?? .gelu
        model.classifierActivation = try activation("head_pred_act") ?? .gelu
        model.classifierBias = try config.bool("head_pred_bias") ?? false
        model.decoderBias = try config.bool("decoder_bias") ?? true
        model.tiesWordEmbeddings = try config.bool("tie_word_embeddings") ?? true
        let norm = try config.section("norm_kwargs", Self.normArguments)
        model.normEpsilon = try norm.double("eps", "a number above 0") { $0 > 0 } ?? 1e-5
        model.normBias = try norm.bool("bias") ?? false
    }

    private func readRotation(into model: inout ModernBERTConfiguration) throws {
        func base(_ key: String) throws -> Double? {
            try config.double(key, "a number above 0, or -1 for none") { $0 > 0 || $0 == -1 }
        }
        let global = try base("rotary_emb_base") ?? 10_000
        guard global > 0 else { throw config.problem("rotary_emb_base", "is -1", "a number above 0") }
        let local = try base("local_attn_rotary_emb_base") ?? -1
        model.globalRope = RotaryParameters(theta: global)
        model.localRope = RotaryParameters(theta: local > 0 ? local : global)
    }

    // MARK: - Values

    /// A dropout, none where nothing is said.
    package func probability(_ key: String) throws -> Double {
        try config.double(key, "a probability, 0 to below 1") { 0 <= $0 && $0 < 1 } ?? 0
    }

    private func activation(_ key: String) throws -> Activation? {
        guard let name = try config.string(key) else { return nil }
        guard let activation = Activation(named: name) else {
            throw config.problem(key, "is \(quoted(name))", Activation.gates.map(\.rawValue).joined(separator: ", "))
        }
        return activation
    }

    /// Two biases of which the model has one.
    private func same(_ first: String, _ second: String) throws -> Bool {
        let (left, right) = (try config.bool(first) ?? false, try config.bool(second) ?? false)
        guard left == right else {
            throw config.problem(first, "is \(left), but \(second) is \(right)", "the two to agree")
        }
        return left
    }
}
