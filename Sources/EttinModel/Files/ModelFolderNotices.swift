import EttinFiles
import EttinJSON
import Torch

/// What a model's folder says that has no effect, or another one than its reader may expect.
package enum ModelFolderNotices {
    /// Keys of `config.json` that change nothing in a forward pass of either kind, here and in transformers.
    private static let inertKeys: Set<String> = [
        "_attn_implementation", "_attn_implementation_autoset", "_name_or_path", "add_cross_attention",
        "attn_implementation",
        "bos_token", "causal_mask", "chunk_size_feed_forward", "classifier_pooling", "classifiers_size", "cls_token",
        "deterministic_flash_attn", "eos_token", "finetuning_task", "global_attn_every_n_layers",
        "gradient_checkpointing",
        "head_dim", "is_causal", "is_decoder", "is_encoder_decoder", "label2id", "layer_norm_eps", "mask_token",
        "mask_token_id", "masked_prediction", "name_or_path", "output_attentions", "output_hidden_states", "pad_token",
        "position_embedding_type", "prefix", "pruned_heads", "reference_compile", "repad_logits_with_grad",
        "return_dict",
        "sentence_transformers", "sep_token", "sparse_pred_ignore_index", "sparse_prediction", "task_specific_params",
        "tasks", "tf_legacy_loss", "tie_encoder_decoder", "tokenizer_class", "torchscript", "transformers_version",
        "unk_token", "use_bfloat16", "use_cache",
    ]

    /// Looks through configuration and weights.
    ///
    /// - Parameters:
    ///   - folder: The folder of a model.
    ///   - obeyedKeys: Further keys of `config.json` that the caller obeys.
    /// - Returns: A sentence each.
    /// - Throws: `CheckpointError` for files that are missing or broken.
    package static func all(folder: String, obeyedKeys: Set<String> = []) throws -> [String] {
        let configuration = try ModernBERTConfiguration(folder: folder)
        let keys = configuration.otherKeys
        var notices: [String] = []
        if keys["auto_map"].map({ !$0.isNull }) == true {
            notices.append("config.json: \"auto_map\" names Python code, which is not run")
        }
        if let isCausal = keys["is_causal"]?.boolValue, isCausal != (configuration.kind == .decoder) {
            let kind = configuration.kind.name
            notices.append(
                "config.json: \"is_causal\" is \(isCausal), which has no effect: the model is run as \(kind)"
            )
        }
        let others = keys.filter {
            !inertKeys.contains($0.key) && !obeyedKeys.contains($0.key) && $0.key != "auto_map" && !$0.value.isNull
        }
        if !others.isEmpty { notices.append("config.json: no effect of \(listing(others.map(\.key), limit: 10))") }
        guard TensorStore.Form.allCases.contains(where: { FilePath.exists(FilePath.joined(folder, $0.rawValue)) })
        else { return notices }
        let store = try TensorStore.open(folder: folder)
        notices += store.notices
        notices += try weightNotices(store, configuration)
        if store.form == .safetensors {
            let index = TensorStore.Form.shardedSafetensors.rawValue
            if FilePath.exists(FilePath.joined(folder, index)) {
                notices.append("model.safetensors is read; \(index) and its shards beside it are not")
            }
        }
        return notices
    }

    private static func weightNotices(
        _ store: TensorStore,
        _ configuration: ModernBERTConfiguration
    ) throws -> [String] {
        var notices: [String] = []
        if configuration.tiesWordEmbeddings, try store.ownsOutputMatrix() {
            notices.append(
                "\(store.form?.rawValue ?? ""): \"decoder.weight\" differs from the embedding that config.json ties it to; "
                    + "it is used, as in transformers 5"
            )
        }
        var counts: [StoredDType: Int] = [:]
        for descriptor in store.names.compactMap(store.descriptor) {
            counts[descriptor.dtype, default: 0] += descriptor.elementCount
        }
        if let stated = configuration.dtype, let most = counts.max(by: { $0.value < $1.value })?.key,
            let name = most.torch?.rawValue, name != stated, ["float32", "bfloat16", "float16"].contains(stated)
        {
            // What becomes of float16 depends on the device; whoever loads the weights says that.
            let use = most == .float16 ? "" : "; they are computed with as they are (--dtype converts)"
            notices.append("config.json: the dtype is \(stated), but the weights are \(name)\(use)")
        }
        return notices
    }
}
