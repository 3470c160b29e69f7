import EttinConversion
import EttinFiles
import EttinJSON
import EttinModel

extension FuzzReader {
    static let weights = [safetensors, sharded, torch, composer]

    // MARK: - safetensors

    private static let headers: [(text: String, data: Int)] = [
        (
            #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"#
                + #""BF16","shape":[4],"data_offsets":[16,24]},"c":{"dtype":"U8","shape":[0,9],"data_offsets":[24,24]}}"#,
            24
        ),
        (
            #"{"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"y":{"dtype":"BOOL","shape":[],"data_offsets":[2,3]}}"#,
            3
        ),
        (#"{"é\"\\":{"shape":[1,1,1,3],"data_offsets":[0,24],"dtype":"I64"}}     "#, 24), ("{}", 0),
        (
            "{"
                + (0..<20).map {
                    #""t\#($0)":{"dtype":"F16","shape":[\#($0),1],"data_offsets":[\#($0 * ($0 - 1)),\#($0 * ($0 + 1))]}"#
                }
                .joined(separator: ",") + "}", 380
        ),
    ]

    private static let headerMutation = JSONMutation(words: [
        "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E4M3", "F4", "dtype", "shape",
        "data_offsets", "__metadata__",
    ])

    private static func safetensorsFile(_ header: [UInt8], _ data: Int, _ dice: inout Dice) -> [UInt8] {
        let length = dice.chance(0.03) ? UInt64(bitPattern: Int64(dice.pick(Hostile.integers))) : UInt64(header.count)
        return littleEndian(length) + header + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
    }

    /// A header whose shapes and offsets go together even where they are unusual, so that what follows is reached.
    private static func consistentHeader(_ dice: inout Dice) -> (text: [UInt8], data: Int) {
        var place = 0
        var members: [(String, JSONValue)] = []
        for number in 0..<dice.below(6) {
            let (name, width) = dice.pick([("F32", 4), ("I64", 8), ("U8", 1), ("F16", 2), ("BOOL", 1), ("F8_E5M2", 1)])
            let shape = (0..<dice.below(5)).map { _ in dice.pick([0, 1, 1, 2, 3, 7]) }
            let bytes = shape.reduce(width, *)
            let text = dice.chance(0.1) ? dice.pick(Hostile.words) : "t\(number)"
            members.append(
                (
                    text,
                    [
                        "dtype": .string(name), "shape": .array(shape.map { JSONValue($0) }),
                        "data_offsets": [JSONValue(place), JSONValue(place + bytes)],
                    ]
                )
            )
            place += bytes
        }
        return (JSONMutation.written(.object(JSONObject(members))), place)
    }

    private static let safetensors = FuzzReader(
        name: "safetensors",
        make: { dice in
            if dice.chance(0.3) {
                let (header, data) = consistentHeader(&dice)
                return FuzzInput("a.safetensors", safetensorsFile(header, data, &dice))
            }
            let seed = dice.pick(headers)
            let header = headerMutation.mutated(Array(seed.text.utf8), &dice)
            let file = safetensorsFile(header, seed.data, &dice)
            return FuzzInput("a.safetensors", dice.chance(0.1) ? ByteMutation.mutated(file, &dice) : file)
        },
        read: { input, folder in try readTensors(folder + "/a.safetensors", folder: folder) }
    )

    private static func readTensors(_ path: String, folder: String) throws {
        let store = try TensorStore.open(file: path)
        var sum: UInt64 = 0
        for name in store.names {
            guard let tensor = store.descriptor(name) else { throw BrokenPromise("a listed tensor is missing") }
            try store.withBytes(name) { bytes in
                try BrokenPromise.unless(bytes.count == tensor.byteCount, "a tensor's size is not its descriptor's")
                for byte in bytes.prefix(4096) { sum &+= UInt64(byte) }
            }
        }
        let copy = folder + "/copy.safetensors"
        let safeNames = store.names.filter { $0 != "__metadata__" }
        guard store.names.count < 8 else { return }
        try SafetensorsWriter.write(safeNames.map { try TensorToWrite(copying: $0, from: store) }, to: copy)
        let again = try TensorStore.open(file: copy)
        try BrokenPromise.unless(Set(again.names) == Set(safeNames), "names changed when rewritten")
        for name in safeNames {
            let equal = try store.withBytes(name) { first in
                try again.withBytes(name) { second in first.elementsEqual(second) }
            }
            try BrokenPromise.unless(equal, "values changed when rewritten")
        }
    }

    // MARK: - Sharded

    private static let index = Array(
        #"{"metadata":{"total_size":40},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors","x":"m-2.safetensors"}}"#
            .utf8
    )

    private static let sharded = FuzzReader(
        name: "sharded",
        make: { dice in
            let mutation = JSONMutation(words: ["m-1.safetensors", "m-2.safetensors", "m-3.safetensors", "weight_map"])
            let changesIndex = dice.chance(0.8)
            let header =
                changesIndex ? Array(headers[0].text.utf8) : headerMutation.mutated(Array(headers[0].text.utf8), &dice)
            let other = Array(#"{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#.utf8)
            return FuzzInput([
                ("model.safetensors.index.json", changesIndex ? mutation.mutated(index, &dice) : index),
                ("m-1.safetensors", littleEndian(UInt64(header.count)) + header + [UInt8](repeating: 1, count: 24)),
                ("m-2.safetensors", littleEndian(UInt64(other.count)) + other + [UInt8](repeating: 2, count: 16)),
            ])
        },
        read: { _, folder in
            let store = try TensorStore.open(folder: folder)
            for name in store.names { _ = try store.bytes(name) }
        }
    )

    // MARK: - PyTorch

    private static func stateDictionary(_ dice: inout Dice) -> (Pickle, [(String, [UInt8])]) {
        var view = Pickle.Tensor("0", [4, 2])
        view.count = 12
        view.strides = [1, 4]
        view.offset = 1
        let tensors: [(String, Pickle)] = [
            ("w", .tensor(Pickle.Tensor("0", [3, 4]))), ("v", .tensor(view)), ("x.y", .tensor(Pickle.Tensor("1", [4]))),
        ]
        let storages = [("0", [UInt8](repeating: 1, count: 48)), ("1", [UInt8](repeating: 2, count: 16))]
        let root: Pickle =
            switch dice.below(4) {
            case 0: .named(tensors)
            case 1: .named([("state_dict", .named(tensors)), ("epoch", .integer(3))])
            case 2:
                .call(module: "collections", name: "OrderedDict", [.list(tensors.map { .tuple([.text($0.0), $0.1]) })])
            default:
                .named(
                    tensors + [
                        ("misc", .list([.none, .float(1.5), .set([.integer(1)]), .bytes([1]), .bool(true)])),
                        (
                            "time",
                            .call(module: "datetime", name: "timedelta", [.integer(0), .integer(1), .integer(2)])
                        ),
                    ]
                )
            }
        return (root, storages)
    }

    private static func archived(_ root: Pickle, _ storages: [(String, [UInt8])], _ dice: inout Dice) -> [UInt8] {
        var code = root.mutated(&dice).pickled(&dice)
        if dice.chance(0.2) { code = Pickle.withChangedOpcodes(code, &dice) }
        let bytes = Archive(pickle: code, storages: storages).mutated(&dice).bytes
        return dice.chance(0.08) ? ByteMutation.mutated(bytes, &dice) : bytes
    }

    private static func legacy(_ root: Pickle, _ dice: inout Dice) -> [UInt8] {
        let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
        let version = Pickle.integer(dice.chance(0.05) ? dice.pick(Hostile.integers) : 1001).pickled(&dice)
        let system = Pickle.named([("little_endian", .bool(true))]).pickled(&dice)
        var bytes = magic + version + system + root.mutated(&dice).pickled(&dice)
        bytes += Pickle.list([.text("0"), .text("1")]).pickled(&dice)
        for count in [12, 4] {
            let claimed = dice.chance(0.1) ? dice.pick(Hostile.integers) : count
            bytes += littleEndian(Int64(claimed)) + [UInt8](repeating: 3, count: 4 * count)
        }
        return dice.chance(0.1) ? ByteMutation.mutated(bytes, &dice) : bytes
    }

    private static let torch = FuzzReader(
        name: "torch",
        make: { dice in
            let (root, storages) = stateDictionary(&dice)
            return FuzzInput("a.bin", dice.chance(0.3) ? legacy(root, &dice) : archived(root, storages, &dice))
        },
        read: { _, folder in try readTensors(folder + "/a.bin", folder: folder) }
    )

    // MARK: - Composer

    private static let composer = FuzzReader(
        name: "composer",
        make: { dice in
            let seed = ComposerSeed(namesParameters: dice.chance(0.5), isEncoder: dice.chance(0.5))
            return FuzzInput("a.pt", archived(seed.root, seed.storages, &dice))
        },
        read: { _, folder in
            let checkpoint = try ComposerCheckpoint(path: folder + "/a.pt")
            _ = try checkpoint.configuration()
        }
    )
}

/// The training state of a small model, as Composer saves it.
private struct ComposerSeed {
    private(set) var storages: [(String, [UInt8])] = []
    private(set) var root = Pickle.none

    private mutating func tensor(_ shape: [Int], _ value: Float = 0.5) -> Pickle {
        let values = (0..<shape.reduce(1, *)).flatMap { _ in littleEndian(value.bitPattern) }
        storages.append(("\(storages.count)", values))
        return .tensor(Pickle.Tensor("\(storages.count - 1)", shape))
    }

    private static let config: Pickle = .named([
        ("vocab_size", .integer(11)), ("hidden_size", .integer(4)), ("intermediate_size", .integer(6)),
        ("num_hidden_layers", .integer(1)), ("num_attention_heads", .integer(2)), ("attn_out_bias", .bool(false)),
        ("attn_qkv_bias", .bool(false)), ("attention_layer", .text("rope")), ("bert_layer", .text("prenorm")),
        ("embedding_layer", .text("sans_pos")), ("mlp_layer", .text("glu")), ("normalization", .text("layernorm")),
        ("norm_kwargs", .named([("eps", .float(1e-5)), ("bias", .bool(false))])), ("hidden_act", .text("gelu")),
        ("head_pred_act", .text("gelu")), ("sliding_window", .integer(8)), ("global_attn_every_n_layers", .integer(3)),
        ("rotary_emb_base", .float(160000)), ("local_attn_rotary_emb_base", .integer(-1)), ("final_norm", .bool(true)),
        ("model_type", .text("flex_bert")), ("attn_out_dropout_prob", .float(0.1)),
    ])

    init(namesParameters: Bool, isEncoder: Bool) {
        let head = isEncoder ? "head" : "lm_head"
        let layer = "bert.encoder.layers.0"
        let names: [(String, [Int])] = [
            ("bert.embeddings.tok_embeddings.weight", [11, 4]), ("bert.embeddings.norm.weight", [4]),
            ("\(layer).attn.Wqkv.weight", [12, 4]), ("\(layer).attn.Wo.weight", [4, 4]),
            ("\(layer).mlp_norm.weight", [4]), ("\(layer).mlp.Wi.weight", [12, 4]), ("\(layer).mlp.Wo.weight", [4, 6]),
            ("bert.final_norm.weight", [4]), ("\(head).dense.weight", [4, 4]), ("\(head).norm.weight", [4]),
            ("decoder.bias", [11]),
        ]
        var model: [(String, Pickle)] = []
        for (name, shape) in names {
            model.append(("model.\(name)", tensor(shape)))
            if name.hasSuffix("\(head).norm.weight") { model.append(("model.decoder.weight", model[0].1)) }
        }
        let members = names.filter { $0.1.count == 1 } + names.filter { $0.1.count > 1 }
        var state: [(Pickle, Pickle)] = []
        for (number, (name, shape)) in members.enumerated() {
            let moments = Pickle.named([("exp_avg", tensor(shape)), ("exp_avg_sq", tensor(shape))])
            state.append((namesParameters ? .text("model.\(name)") : .integer(number), moments))
        }
        let step = tensor([], 7)
        let exempt = names.filter { $0.1.count == 1 }.count
        let groups = [0..<exempt, exempt..<members.count].map { range -> Pickle in
            .named([
                ("betas", .tuple([.float(0.9), .float(0.98)])), ("lr", .float(2e-3)), ("eps", .float(1e-6)),
                ("weight_decay", .float(0)), ("max_lr", .float(3e-3)), ("initial_lr", .float(3e-3)), ("step", step),
                ("params", .list(range.map { namesParameters ? .text("model.\(members[$0].0)") : .integer($0) })),
            ])
        }
        let optimizer = Pickle.named([("state", .dictionary(state)), ("param_groups", .list(groups))])
        let time: Pickle = .call(module: "datetime", name: "timedelta", [.integer(1), .integer(2), .integer(500_000)])
        let stamp: Pickle = .named([
            ("epoch", .integer(1)), ("batch", .integer(7)), ("sample", .integer(224)), ("token", .integer(5000)),
            ("batch_in_epoch", .integer(3)), ("sample_in_epoch", .integer(96)), ("token_in_epoch", .integer(2100)),
            ("total_wct", time),
        ])
        let train = Pickle.named([
            ("epoch", .integer(1)), ("sample_in_epoch", .integer(96)), ("num_canonical_nodes", .integer(8)),
            ("shuffle_seed", .integer(9176)), ("initial_physical_nodes", .integer(2)),
        ])
        let integration = Pickle.named([("model", .named([("config", .named([("content", Self.config)]))]))])
        root = .named([
            (
                "state",
                .named([
                    ("model", .named(model)), ("optimizers", .named([("StableAdamW", optimizer)])),
                    ("schedulers", .named([("LambdaLR", .named([("base_lrs", .list([.float(3e-3)]))]))])),
                    ("timestamp", .named([("Timestamp", stamp)])), ("rank_zero_seed", .integer(21)),
                    ("run_name", .text("tiny")), ("dataset_state", .named([("train", train)])),
                    ("callbacks", .list([.tuple([.text("A"), .call(module: "a.b", name: "C", [])])])),
                    ("integrations", .named([("huggingface", integration)])),
                ])
            ), ("rng", .list([])),
        ])
    }
}
