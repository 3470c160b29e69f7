import EttinPretraining
import Testing

/// A small recipe in the published schema, to be changed by overrides.
enum RecipeText {
    static let encoder = """
        data_local: data
        max_seq_len: 128
        tokenizer_name: tokenizer
        mlm_probability: 0.3
        run_name: small
        model:
          name: flex_bert
          tokenizer_name: ${tokenizer_name}
          model_config:
            vocab_size: 50368
            init_method: full_megatron
            num_hidden_layers: 4
            hidden_size: 64
            intermediate_size: 96
            num_attention_heads: 2
            attention_layer: rope
            attn_out_dropout_prob: 0.1
            rotary_emb_base: 10000.0
            sliding_window: 128
            global_attn_every_n_layers: 3
            norm_kwargs:
              eps: 1e-5
              bias: false
        train_loader:
          name: text
          dataset:
            local: ${data_local}
            split: train
            max_seq_len: ${max_seq_len}
            shuffle: true
            mlm_probability: ${mlm_probability}
            streaming: false
            shuffle_seed: 21
          drop_last: true
          batch_size_warmup_min_size: ${device_train_microbatch_size}
          batch_size_warmup_tokens: 1_000tok
        scheduler:
          name: warmup_stable_decay
          t_warmup: 10ba
          t_decay: 0.2dur
          alpha_f: 0.02
        optimizer:
          name: decoupled_stableadamw
          lr: 3e-3
          betas:
          - 0.9
          - 0.98
          eps: 1.0e-06
          weight_decay: 3e-4
          filter_bias_norm_wd: true
        max_duration: 100_000tok
        global_train_batch_size: 8
        device_train_microbatch_size: 4
        precision: fp32
        """

    /// What makes a decoder of it.
    static let decoder = ["model.name=flex_gpt", "mlm_probability=0.0", "train_loader.dataset.suppress_masking=true"]

    static func recipe(_ overrides: [String] = []) throws -> PretrainingRecipe {
        try PretrainingRecipe(yaml: encoder, name: "r.yaml", overrides: overrides)
    }

    /// The message of the error that reading gives.
    static func message(_ yaml: String = encoder, _ overrides: [String] = []) -> String {
        do {
            _ = try PretrainingRecipe(yaml: yaml, name: "r.yaml", overrides: overrides)
            return "no error"
        } catch {
            return "\(error)"
        }
    }
}
