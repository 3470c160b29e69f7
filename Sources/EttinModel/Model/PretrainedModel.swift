import EttinFiles
public import Torch

/// A model that checkpoint folders hold: the trunk alone, or with a head.
public protocol PretrainedModel: Module {
    /// What the model was built from.
    var configuration: ModernBERTConfiguration { get }

    /// The transformer without the model's head.
    var trunk: ModernBERT { get }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated configuration of a kind the model has an architecture for.
    ///   - windowRule: How wide a decoder's local window is.
    init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule)

    /// The Python class that reads the model's checkpoints; nil when transformers has none for the kind.
    static func architecture(of kind: ModelKind) -> String?

    /// The part of the model a checkpoint holds besides the trunk.
    static var headNaming: HeadNaming { get }
}

/// The keys of what a model has besides its trunk.
public enum HeadNaming: Sendable, Hashable {
    /// No head; the trunk's keys have no prefix.
    case none
    /// A language-model head, which decoders' files call `lm_head`.
    case languageModel
    /// A prediction head and a classifier, whose names do not depend on the kind.
    case classifier
}

extension PretrainedModel {
    /// What the model was built from.
    public var configuration: ModernBERTConfiguration { trunk.configuration }

    /// What checkpoint files of models with a head put before the keys of the trunk, where this model has none.
    var trunkPrefix: String { Self.headNaming == .none ? "model." : "" }

    /// Loads a checkpoint folder as `save_pretrained` of transformers writes it.
    ///
    /// Weights are mapped, not copied, where the file has them in our layout; what would change them in place, as an
    /// optimizer step does, traps. ``loadForTraining(folder:device:allowingUnknown:newHeadSeed:)`` copies them.
    /// A trunk loads from any model's folder and passes over its head; files of a trunk alone fit every model.
    ///
    /// - Parameters:
    ///   - folder: Holds `config.json` and weights in any form that ``TensorStore`` reads.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    ///   - allowingUnknown: Whether tensors that the model does not have are passed over.
    ///   - newHeadSeed: When given, parameters of the head that the folder lacks are drawn with this seed, and those
    ///     of another head are passed over: how fine-tuning starts from a pre-trained model. Nil makes them an error.
    /// - Returns: The model, every parameter loaded or drawn.
    /// - Throws: `CheckpointError` for files that are missing, broken or of a kind the model cannot be;
    ///   `StateDictionaryError` that lists every tensor that is missing, unknown or of another shape; `TorchError`
    ///   when memory runs out.
    public static func load(
        folder: String,
        dtype: DType? = nil,
        device: Device = .cpu,
        allowingUnknown: Bool = false,
        newHeadSeed: UInt64? = nil
    ) throws -> Self {
        try load(
            folder: folder,
            dtype: dtype,
            device: device,
            allowingUnknown: allowingUnknown,
            newHeadSeed: newHeadSeed
        ) { _ in }
    }

    /// Loads a checkpoint folder into a model of another configuration, such as one with other labels.
    ///
    /// - Parameters:
    ///   - folder: Holds `config.json` and weights in any form that ``TensorStore`` reads.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    ///   - allowingUnknown: Whether tensors that the model does not have are passed over.
    ///   - newHeadSeed: When given, parameters of the head that the folder lacks are drawn with this seed.
    ///   - renews: Whether a parameter of the head, by its key, is drawn although the folder has it.
    ///   - adjust: Changes the configuration of the folder.
    /// - Returns: The model, every parameter loaded or drawn.
    /// - Throws: As ``load(folder:dtype:device:allowingUnknown:newHeadSeed:)``.
    package static func load(
        folder: String,
        dtype: DType? = nil,
        device: Device = .cpu,
        allowingUnknown: Bool = false,
        newHeadSeed: UInt64? = nil,
        renewing renews: (_ key: String) -> Bool = { _ in false },
        adjusting adjust: (inout ModernBERTConfiguration) -> Void
    ) throws -> Self {
        var configuration = try ModernBERTConfiguration(folder: folder)
        adjust(&configuration)
        guard architecture(of: configuration.kind) != nil else {
            throw CheckpointError(
                .unsupported,
                file: "config.json",
                item: "model_type",
                found: quoted(configuration.kind.rawValue) + " has no \(Self.self) in transformers",
                expected: ModelKind.allCases.filter { architecture(of: $0) != nil }.map { quoted($0.rawValue) }
                    .joined(separator: " or ")
            )
        }
        var adapter = try StoredAdapter(openedFolder: folder)
        adapter?.dtype = dtype
        // A configuration may ask for more memory than there is.
        return try withRecovery {
            let store = try TensorStore.open(folder: folder)
            try UnsupportedFolder.requireUnquantized(store)
            var state = try store.state(
                for: headNaming,
                of: &configuration,
                needsHead: newHeadSeed == nil,
                adapter: adapter
            )
            let model = Self(configuration, windowRule: .transformers)
            if headNaming != .none, let newHeadSeed {
                state.removeAll { renews($0.key) }
                let given = Set(state.map(\.key))
                model.initialize(.transformers, seed: newHeadSeed) { !$0.hasPrefix("model.") && !given.contains($0) }
                let known = Set(model.parameters.map(\.key))
                state.removeAll { !$0.key.hasPrefix("model.") && !known.contains($0.key) }
                state += model.parameters.filter { !$0.key.hasPrefix("model.") && !given.contains($0.key) }
            }
            do {
                try model.load(state, allowingUnknown: allowingUnknown)
            } catch var error as StateDictionaryError {
                error.source = FilePath.joined(folder, store.form?.rawValue ?? "")
                throw error
            }
            model.convert(to: dtype, on: device)
            return model
        }
    }

    /// Loads a checkpoint folder with every parameter in float32 and in memory of its own, for an optimizer to change.
    ///
    /// - Parameters:
    ///   - folder: Holds `config.json` and weights in any form that ``TensorStore`` reads; nothing is written to it.
    ///   - device: Where the parameters go.
    ///   - allowingUnknown: Whether tensors that the model does not have are passed over.
    ///   - newHeadSeed: When given, parameters of the head that the folder lacks are drawn with this seed.
    /// - Returns: The model; no gradients are recorded yet.
    /// - Throws: As ``load(folder:dtype:device:allowingUnknown:newHeadSeed:)``.
    public static func loadForTraining(
        folder: String,
        device: Device = .cpu,
        allowingUnknown: Bool = false,
        newHeadSeed: UInt64? = nil
    ) throws -> Self {
        let model = try load(
            folder: folder,
            dtype: .float32,
            device: device,
            allowingUnknown: allowingUnknown,
            newHeadSeed: newHeadSeed
        )
        try withRecovery { model.copyBorrowedParameters() }
        return model
    }

    /// Writes `config.json` and safetensors that transformers loads without a missing or unexpected key.
    ///
    /// A checkpoint holds no adapters: those of the model must be merged, and are then part of the weights that are
    /// written. Those of an ``AttachedLoRA`` that are not are written in place of the weights.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - shardSize: The largest file, as transformers' `max_shard_size`.
    ///   - format: The generation of transformers whose `config.json` is written; both are read by the newest.
    /// - Throws: `CheckpointError` when a file cannot be written, an adapter is attached that is not merged, or the model
    ///   is prepacked for inference, as those of `EttinInference` are; `TorchError` when reading a device fails.
    public func save(
        folder: String,
        shardSize: ShardSize = .default,
        format: ModernBERTConfiguration.Format = .version4
    ) throws {
        try save(folder: folder, shardSize: shardSize, format: format) { _ in }
    }

    /// Writes a checkpoint folder whose `config.json` says more than the model's configuration.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - shardSize: The largest file.
    ///   - format: The generation of transformers whose `config.json` is written.
    ///   - adjust: Changes the configuration that is written.
    /// - Throws: As ``save(folder:shardSize:format:)``.
    package func save(
        folder: String,
        shardSize: ShardSize = .default,
        format: ModernBERTConfiguration.Format = .version4,
        adjusting adjust: (inout ModernBERTConfiguration) -> Void
    ) throws {
        try requireOwnWeights(of: trunk, toSave: folder)
        if let lora = trunk.lora, hasUnmergedAdapters {
            try AdapterFolder.requireNoWeights(folder)
            try lora.save(self, toFolder: folder)
        } else {
            let tensors = checkpointState.map { TensorToWrite(name: $0.key, tensor: $0.tensor) }
            _ = try ShardedSafetensorsWriter.write(tensors, toFolder: folder, shardSize: shardSize)
        }
        var written = configuration
        written.architectures = Self.architecture(of: configuration.kind).map { [$0] } ?? []
        written.dtype = baseParameters.first?.tensor.dtype.rawValue
        adjust(&written)
        guard trunk.lora == nil || !hasUnmergedAdapters else {
            return try AdapterFolder.write(written, toFolder: folder, format: format)
        }
        try written.write(toFolder: folder, format: format)
    }

    /// The parameters, without those of adapters, under the names of checkpoint files.
    package var checkpointState: StateDictionary {
        CheckpointKeyMap.exported(baseParameters, for: configuration.kind, head: Self.headNaming)
    }
}

extension Module {
    /// Refuses to save a model that has given its weights up, or whose weights are not all there is to it.
    ///
    /// - Parameters:
    ///   - trunk: The model's transformer.
    ///   - folder: Where the model was to be saved.
    /// - Throws: `CheckpointError` when the model is prepacked for inference, or an adapter is attached that is not merged.
    func requireOwnWeights(of trunk: ModernBERT, toSave folder: String) throws {
        guard trunk.fused == nil else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "would lack the weights, which the model has prepacked for inference and given up",
                expected: "a model loaded for training"
            )
        }
        guard hasUnmergedAdapters, trunk.lora == nil else { return }
        throw CheckpointError(
            .unsupported,
            file: folder,
            found: "would lack the adapters that are attached to the model",
            expected: "adapters that are merged first, or saved on their own"
        )
    }
}
