import EttinModel
import TestSupport
import Torch

/// A value that a training program saved.
indirect enum Saved {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case text(String)
    case list([Saved])
    case tuple([Saved])
    case dictionary([(Saved, Saved)])
    /// float32 values; those of one storage share memory.
    case tensor([Int], storage: Int)
    case object(module: String, name: String, [Saved])

    static func named(_ entries: [(String, Saved)]) -> Saved { .dictionary(entries.map { (.text($0.0), $0.1) }) }

    /// The value of a path of keys in dictionaries.
    subscript(path: String...) -> Saved {
        get { value(path[...]) }
        set { set(newValue, at: path[...]) }
    }

    private func value(_ path: ArraySlice<String>) -> Saved {
        guard let key = path.first else { return self }
        guard case .dictionary(let entries) = self else { return .none }
        return entries.first { $0.0.isText(key) }.map { $0.1.value(path.dropFirst()) } ?? .none
    }

    private mutating func set(_ new: Saved?, at path: ArraySlice<String>) {
        guard case .dictionary(var entries) = self, let key = path.first else { return }
        let index = entries.firstIndex { $0.0.isText(key) }
        if path.count > 1, let index {
            entries[index].1.set(new, at: path.dropFirst())
        } else if let index, let new {
            entries[index].1 = new
        } else if let index {
            entries.remove(at: index)
        } else if let new {
            entries.append((.text(key), new))
        }
        self = .dictionary(entries)
    }

    /// Removes a key.
    mutating func remove(_ path: String...) { set(nil, at: path[...]) }

    private func isText(_ key: String) -> Bool {
        if case .text(key) = self { true } else { false }
    }
}

/// Makes archives as torch.save writes them.
struct SavedArchive {
    private(set) var storages: [[Float]] = []

    /// Adds a tensor's values.
    mutating func tensor(_ shape: [Int], _ values: [Float]) -> Saved {
        storages.append(values)
        return .tensor(shape, storage: storages.count - 1)
    }

    func bytes(_ root: Saved) -> [UInt8] {
        let pickle = write(root, PickleBuilder()).stopped
        let named = storages.enumerated().map { ("\($0)", floats($1)) }
        return torchFile(pickle, storages: Dictionary(uniqueKeysWithValues: named))
    }

    private func write(_ value: Saved, _ pickle: PickleBuilder) -> PickleBuilder {
        switch value {
        case .none: return pickle.op("N")
        case .bool(let flag): return pickle.raw([flag ? 0x88 : 0x89])
        case .integer(let number): return pickle.raw([0x8A, 8] + little(Int64(number)))
        case .float(let number): return pickle.op("G").raw(little(number.bitPattern).reversed())
        case .text(let text): return pickle.text(text)
        case .list(let items): return items.reduce(pickle.op("](")) { write($1, $0) }.op("e")
        case .tuple(let items): return items.reduce(pickle.op("(")) { write($1, $0) }.op("t")
        case .dictionary(let entries):
            return entries.reduce(pickle.op("}(")) { write($1.1, write($1.0, $0)) }.op("u")
        case .tensor(let shape, let storage):
            return pickle.tensor(
                shape,
                strides: Self.strides(shape),
                storage: "\(storage)",
                count: storages[storage].count
            )
        case .object(let module, let name, let arguments):
            return write(.tuple(arguments), pickle.global(module, name)).op("R")
        }
    }

    private static func strides(_ shape: [Int]) -> [Int] {
        shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    }
}

/// The training state of a small model, as Composer saves it.
struct ComposerFixture {
    private(set) var archive = SavedArchive()
    /// What is saved; change it before ``bytes``.
    var root: Saved = .none
    /// The values of the weights by our keys, in the order of the model.
    private(set) var weights: [(key: String, shape: [Int], values: [Float])] = []

    static let config: Saved = .named([
        ("vocab_size", .integer(11)), ("hidden_size", .integer(4)), ("intermediate_size", .integer(6)),
        ("num_hidden_layers", .integer(2)), ("num_attention_heads", .integer(2)), ("attn_out_bias", .bool(false)),
        ("attn_qkv_bias", .bool(false)), ("attention_layer", .text("rope")), ("bert_layer", .text("prenorm")),
        ("embedding_layer", .text("sans_pos")), ("mlp_layer", .text("glu")), ("normalization", .text("layernorm")),
        ("norm_kwargs", .named([("eps", .float(1e-5)), ("bias", .bool(false))])), ("hidden_act", .text("gelu")),
        ("head_pred_act", .text("gelu")), ("sliding_window", .integer(8)), ("global_attn_every_n_layers", .integer(3)),
        ("rotary_emb_base", .float(160000)), ("local_attn_rotary_emb_base", .integer(-1)),
        ("final_norm", .bool(true)), ("model_type", .text("flex_bert")), ("attn_out_dropout_prob", .float(0.1)),
    ])

    /// Makes a state; that of the optimizer is by name, as newer versions store it, or by number.
    init(_ kind: ModelKind, namesParameters: Bool = true) {
        let head = kind == .encoder ? "head" : "lm_head"
        let layer = { (index: Int) -> [(String, String, [Int])] in
            let (theirs, ours) = ("bert.encoder.layers.\(index)", "model.layers.\(index)")
            let parts: [(String, [Int])] = [
                ("attn_norm.weight", [4]), ("attn.Wqkv.weight", [12, 4]), ("attn.Wo.weight", [4, 4]),
                ("mlp_norm.weight", [4]), ("mlp.Wi.weight", [12, 4]), ("mlp.Wo.weight", [4, 6]),
            ]
            return parts.dropFirst(index == 0 ? 1 : 0).map { ("\(theirs).\($0.0)", "\(ours).\($0.0)", $0.1) }
        }
        let names: [(theirs: String, ours: String, shape: [Int])] =
            [
                ("bert.embeddings.tok_embeddings.weight", "model.embeddings.tok_embeddings.weight", [11, 4]),
                ("bert.embeddings.norm.weight", "model.embeddings.norm.weight", [4]),
            ] + layer(0) + layer(1) + [
                ("bert.final_norm.weight", "model.final_norm.weight", [4]),
                ("\(head).dense.weight", "head.dense.weight", [4, 4]),
                ("\(head).norm.weight", "head.norm.weight", [4]), ("decoder.bias", "decoder.bias", [11]),
            ]
        var model: [(String, Saved)] = []
        for (index, name) in names.enumerated() {
            let values = (0..<name.shape.reduce(1, *)).map { Float(index) + Float($0) / 64 }
            model.append(("model.\(name.theirs)", archive.tensor(name.shape, values)))
            weights.append((name.ours, name.shape, values))
            // The tied matrix is saved where the module has it, before its bias.
            if name.theirs.hasSuffix("\(head).norm.weight") { model.append(("model.decoder.weight", model[0].1)) }
        }
        let exempt = names.filter { $0.shape.count == 1 }
        let decayed = names.filter { $0.shape.count > 1 }
        var state: [(Saved, Saved)] = []
        for (number, name) in (exempt + decayed).enumerated() {
            let count = name.shape.reduce(1, *)
            let first = archive.tensor(name.shape, (0..<count).map { Float(number) - Float($0) / 32 })
            let second = archive.tensor(name.shape, (0..<count).map { Float(number) + Float($0) / 16 })
            let moments: Saved = .named([("exp_avg", first), ("exp_avg_sq", second), ("kahan_comp", .none)])
            state.append((namesParameters ? .text("model.\(name.theirs)") : .integer(number), moments))
        }
        let step = archive.tensor([], [7])
        func group(_ members: [(theirs: String, ours: String, shape: [Int])], from start: Int, decay: Double) -> Saved {
            let numbers = members.indices.map { Saved.integer(start + $0) }
            // torch-optimi keeps them apart, torch together.
            let betas: [(String, Saved)] =
                namesParameters
                ? [("beta1", .float(0.9)), ("beta2", .float(0.98))]
                : [("betas", .tuple([.float(0.9), .float(0.98)]))]
            let parameters = namesParameters ? members.map { Saved.text("model.\($0.theirs)") } : numbers
            return .named(
                betas + [
                    ("lr", .float(2e-3)), ("eps", .float(1e-6)), ("weight_decay", .float(decay)),
                    ("max_lr", .float(3e-3)), ("initial_lr", .float(3e-3)), ("step", step),
                    ("params", .list(parameters)),
                ]
            )
        }
        let groups = [group(exempt, from: 0, decay: 0), group(decayed, from: exempt.count, decay: 3e-4)]
        root = .named([
            (
                "state",
                .named([
                    ("model", .named(model)),
                    (
                        "optimizers",
                        .named([
                            ("StableAdamW", .named([("state", .dictionary(state)), ("param_groups", .list(groups))]))
                        ])
                    ),
                    (
                        "schedulers",
                        .named([("LambdaLR", .named([("base_lrs", .list([.float(3e-3), .float(3e-3)]))]))])
                    ),
                    ("timestamp", .named([("Timestamp", Self.timestamp)])),
                    ("rank_zero_seed", .integer(21)), ("run_name", .text("tiny")),
                    ("callbacks", .list([.tuple([.text("SpeedMonitor"), .object(module: "a.b", name: "C", [])])])),
                    (
                        "dataset_state",
                        .named([
                            (
                                "train",
                                .named([
                                    ("epoch", .integer(1)), ("sample_in_epoch", .integer(96)),
                                    ("num_canonical_nodes", .integer(8)), ("shuffle_seed", .integer(9176)),
                                    ("initial_physical_nodes", .integer(2)),
                                ])
                            )
                        ])
                    ),
                    (
                        "integrations",
                        .named([
                            (
                                "huggingface",
                                .named([("model", .named([("config", .named([("content", Self.config)]))]))])
                            )
                        ])
                    ),
                ])
            ),
            ("rng", .list([])),
        ])
    }

    private static let timestamp: Saved = .named([
        ("epoch", .integer(1)), ("batch", .integer(7)), ("sample", .integer(224)), ("token", .integer(5000)),
        ("batch_in_epoch", .integer(3)), ("sample_in_epoch", .integer(96)), ("token_in_epoch", .integer(2100)),
        ("total_wct", .object(module: "datetime", name: "timedelta", [.integer(1), .integer(2), .integer(500_000)])),
    ])

    var bytes: [UInt8] { archive.bytes(root) }

    /// Adds a tensor to the model's state.
    mutating func add(_ name: String, _ shape: [Int]) {
        root["state", "model", name] = archive.tensor(shape, [Float](repeating: 0, count: shape.reduce(1, *)))
    }
}
