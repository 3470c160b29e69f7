import EttinFiles
import EttinJSON
import EttinModel

extension FuzzReader {
    static let models = [configuration, generation, embedding]

    private static let configurations: [String] = [
        #"{"model_type":"modernbert","vocab_size":400,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":4,"#
            + #""num_attention_heads":4,"pad_token_id":3,"global_rope_theta":160000.0,"local_rope_theta":null,"#
            + #""local_attention":128,"id2label":{"0":"a","1":"b"},"label2id":{"a":0,"b":1},"x":{"y":[1,2.5,null]}}"#,
        #"{"model_type":"modernbert-decoder","num_hidden_layers":3,"layer_types":["full_attention","sliding_attention","#
            + #""full_attention"],"rope_parameters":{"full_attention":{"rope_theta":7.0,"rope_type":"linear","factor":2},"#
            + #""sliding_attention":{"rope_theta":9.5}},"sliding_window":10,"eos_token_id":[1,2],"dtype":"bfloat16"}"#,
    ]
    private static let configurationWords = [
        "num_labels", "sliding_window", "global_attn_every_n_layers", "max_position_embeddings", "rope_scaling",
        "tie_word_embeddings", "norm_eps", "hidden_activation", "gelu", "sliding_attention", "linear",
        "quantization_config",
        "classifier_dropout", "initializer_range", "bos_token_id", "architectures", "transformers_version",
    ]

    private static let configuration = FuzzReader(
        name: "configuration",
        make: { dice in
            let mutation = JSONMutation(words: configurationWords)
            return FuzzInput("config.json", mutation.mutated(Array(dice.pick(configurations).utf8), &dice))
        },
        read: { input, _ in
            let configuration = try ModernBERTConfiguration(json: input.first)
            let again = try ModernBERTConfiguration(json: configuration.serialized(.version5))
            try BrokenPromise.unless(
                again.parameterCount == configuration.parameterCount && again.layerTypes == configuration.layerTypes,
                "a configuration changed when rewritten"
            )
            for layer in configuration.layerTypes.indices { _ = configuration.window(layer: layer) }
        },
        usesFiles: false
    )

    private static let generation = FuzzReader(
        name: "generation",
        make: { dice in
            let seed =
                #"{"_from_model_config":true,"eos_token_id":[1,2],"temperature":0.5,"top_k":3,"top_p":0.9,"#
                + #""do_sample":true,"max_new_tokens":20,"repetition_penalty":1.1,"bos_token_id":0,"z":null}"#
            return FuzzInput("generation_config.json", JSONMutation().mutated(Array(seed.utf8), &dice))
        },
        read: { input, _ in
            guard let object = try JSONValue(parsing: input.first).objectValue else { return }
            let first = try GenerationConfiguration(object)
            let second = try GenerationConfiguration(first.json)
            try BrokenPromise.unless(second.json == first.json, "a generation configuration changed when rewritten")
        },
        usesFiles: false
    )

    // MARK: - sentence-transformers

    /// Files of a tiny embedder.
    private static func embedder(_ dice: inout Dice) -> FuzzInput {
        let shapes: [(String, [Int])] = [
            ("embeddings.tok_embeddings.weight", [11, 4]), ("embeddings.norm.weight", [4]),
            ("layers.0.attn.Wqkv.weight", [12, 4]), ("layers.0.attn.Wo.weight", [4, 4]),
            ("layers.0.mlp_norm.weight", [4]),
            ("layers.0.mlp.Wi.weight", [12, 4]), ("layers.0.mlp.Wo.weight", [4, 6]), ("final_norm.weight", [4]),
        ]
        let dense: [(String, [Int])] = [("linear.weight", [3, 4]), ("linear.bias", [3])]
        let config =
            #"{"model_type":"modernbert","vocab_size":11,"hidden_size":4,"intermediate_size":6,"#
            + #""num_hidden_layers":1,"num_attention_heads":2,"pad_token_id":0,"local_attention":8}"#
        return FuzzInput([
            (
                "modules.json",
                Array(
                    (#"[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},"#
                        + #"{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},"#
                        + #"{"idx":2,"name":"2","path":"2_Dense","type":"sentence_transformers.models.Dense"},"#
                        + #"{"idx":3,"name":"3","path":"3_Normalize","type":"sentence_transformers.models.Normalize"}]"#)
                        .utf8
                )
            ),
            (
                "config_sentence_transformers.json",
                Array(#"{"prompts":{"query":"q: "},"default_prompt_name":"query","similarity_fn_name":"cosine"}"#.utf8)
            ), ("sentence_bert_config.json", Array(#"{"max_seq_length":512,"do_lower_case":false}"#.utf8)),
            (
                "1_Pooling/config.json",
                Array(#"{"word_embedding_dimension":4,"pooling_mode_mean_tokens":true,"include_prompt":true}"#.utf8)
            ),
            (
                "2_Dense/config.json",
                Array(
                    (#"{"in_features":4,"out_features":3,"bias":true,"activation_function":"torch.nn.modules.activation"#
                        + #".Tanh"}"#).utf8
                )
            ), ("2_Dense/model.safetensors", tensors(dense)), ("config.json", Array(config.utf8)),
            ("model.safetensors", tensors(shapes)),
        ])
    }

    static func tensors(_ shapes: [(String, [Int])]) -> [UInt8] {
        var place = 0
        let members = shapes.map { name, shape -> (String, JSONValue) in
            let bytes = 4 * shape.reduce(1, *)
            defer { place += bytes }
            let offsets: JSONValue = [JSONValue(place), JSONValue(place + bytes)]
            return (name, ["dtype": "F32", "shape": .array(shape.map { JSONValue($0) }), "data_offsets": offsets])
        }
        let header = JSONMutation.written(.object(JSONObject(members)))
        return littleEndian(UInt64(header.count)) + header + [UInt8](repeating: 0, count: place)
    }

    private static let embedding = FuzzReader(
        name: "embedding",
        make: { dice in
            var input = embedder(&dice)
            let words = ["Transformer", "sentence_transformers.models.Pooling", "mean", "cls", "1_Pooling", "2_Dense"]
            for _ in 0..<dice.pick([1, 1, 2]) {
                let names = ["modules.json", "1_Pooling/config.json", "2_Dense/config.json", "config.json"]
                let name = dice.pick(names + ["config_sentence_transformers.json", "sentence_bert_config.json"])
                input[name] = JSONMutation(words: words).mutated(input[name], &dice)
            }
            return input
        },
        read: { _, folder in
            let model = try EmbeddingModel(folder: folder)
            _ = (model.settings, model.trunk)
        },
        leavesFiles: false
    )
}
