import EttinFiles
import EttinJSON
import Torch

/// The low-rank adapters of a model in training.
///
/// ```swift
/// var configuration = LoRAConfiguration(targets: .names(["q_proj", "v_proj"]))
/// configuration.baseModel = "jhu-clsp/ettin-decoder-17m"
/// let adapters = try AttachedLoRA(configuration, to: model, seed: 42)
/// adapters.freeze(model)
/// // … steps of an optimizer on model.trainedParameters …
/// try model.save(folder: folder)  // adapter_config.json and adapter_model.safetensors, as PEFT writes them
/// ```
/// A model that adapters are attached to is saved as its adapters alone, without the weights that they change.
public final class AttachedLoRA {
    /// The name of the file of tensors.
    package static let weightsFile = "adapter_model.safetensors"
    /// What PEFT puts before the names of modules.
    static let prefix = "base_model.model."
    static let embeddingKey = "embeddings.tok_embeddings.weight"

    /// What was attached.
    public let configuration: LoRAConfiguration
    private let adapters: [(module: NamedModules.Entry, adapter: LowRankAdapter)]
    private let savedKeys: Set<String>
    /// Whether the vocabulary is not that of the base, so that files hold the embeddings.
    package var storesEmbeddings: Bool

    /// Attaches new adapters to a model.
    ///
    /// - Parameters:
    ///   - configuration: Which layers get adapters of which rank.
    ///   - model: A model without adapters, with its parameters in place.
    ///   - seed: The random seed of the adapters.
    /// - Throws: `CheckpointError` for targets that the model does not have; the model is as it was then.
    public convenience init(_ configuration: LoRAConfiguration, to model: some PretrainedModel, seed: UInt64) throws {
        try self.init(configuration, to: model, seed: seed, place: LoRAConfiguration.file)
    }

    /// Attaches new adapters to a model.
    ///
    /// - Parameters:
    ///   - configuration: Which layers get adapters of which rank.
    ///   - model: A model without adapters.
    ///   - seed: The random seed of the adapters.
    ///   - place: What messages call the configuration.
    /// - Throws: `CheckpointError` for targets that the model does not have.
    package init(
        _ configuration: LoRAConfiguration,
        to model: some PretrainedModel,
        seed: UInt64,
        place: String
    ) throws {
        precondition(model.adapterKeys.isEmpty, "AttachedLoRA: the model has adapters")
        var configuration = configuration
        // Without it, PEFT finds no layers by number where nothing is in front of their list, as in a trunk alone.
        if configuration.layers != nil, configuration.layersPattern.isEmpty { configuration.layersPattern = ["layers"] }
        let found = try LoRATargets(configuration, of: model, place: place)
        self.configuration = configuration
        savedKeys = found.savedKeys
        storesEmbeddings = model.trunk.hasNewVocabulary
        adapters = found.targets.enumerated().compactMap { index, target in
            guard let layer = target.module.layer else { return nil }
            let rows = target.module.rows ?? 0..<layer.outputSize
            let adapter = LowRankAdapter(
                layer.inputSize,
                rows.count,
                rank: target.rank,
                scale: target.scale,
                dropout: configuration.dropout,
                dropoutPlace: Self.dropoutPlace(index),
                generator: Philox(seed: seed, stream: WeightStream.of(target.module.name + ".lora_A"))
            )
            configuration.initialization.draw(adapter, seed: seed, name: target.module.name)
            if layer.weight.device != .cpu { adapter.convert(on: layer.weight.device) }
            if configuration.usesDecomposition {
                let weight = layer.weight.detached()
                adapter.decompose(weight.narrowed(along: 0, from: rows.lowerBound, count: rows.count).to(.float32))
            }
            layer.attach(adapter, as: target.module.attachment, rows: rows)
            return (target.module, adapter)
        }
        model.trunk.lora = self
    }

    /// Modules with dropout have the first of these places.
    private static func dropoutPlace(_ index: Int) -> Int {
        let places = LowRankAdapter.dropoutPlaces.dropFirst(4096)
        return places.lowerBound + index % places.count
    }

    /// Records gradients of the adapters and of modules that are trained whole, and of no other parameter of the model.
    ///
    /// - Parameter model: The model that the adapters are attached to.
    public func freeze(_ model: some PretrainedModel) {
        let adapterKeys = model.adapterKeys
        model.setRequiresGradient(false)
        model.setRequiresGradient(true) { adapterKeys.contains($0) || savedKeys.contains($0) }
    }

    // MARK: Files

    /// Writes `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// - Parameters:
    ///   - model: The model that the adapters are attached to.
    ///   - folder: An existing folder.
    /// - Throws: `CheckpointError` when a file cannot be written; `TorchError` when reading a device fails.
    public func save(_ model: some PretrainedModel, toFolder folder: String) throws {
        let tensors = state(of: model).map { TensorToWrite(name: $0.key, tensor: $0.tensor) }
        try SafetensorsWriter.write(
            tensors,
            to: FilePath.joined(folder, Self.weightsFile),
            metadata: SafetensorsWriter.defaultMetadata
        )
        try JSONFile.write(.object(configuration.json), toFolder: folder, name: LoRAConfiguration.file)
    }

    /// The tensors of the adapter under PEFT's names.
    func state(of model: some PretrainedModel) -> StateDictionary {
        let state =
            adapters.flatMap { Self.parameters(of: $0.adapter, $0.module.name) } + storedParameters(of: model)
        return state.map { (Self.prefix + $0.key, $0.tensor.detached().contiguous()) }
    }

    private static func parameters(of adapter: LowRankAdapter, _ module: String) -> StateDictionary {
        let matrices = [(module + ".lora_A.weight", adapter.down), (module + ".lora_B.weight", adapter.up)]
        return matrices + (adapter.magnitude.map { [(module + ".lora_magnitude_vector", $0)] } ?? [])
    }

    /// The parameters that are stored whole, under the names of checkpoint files.
    private func storedParameters(of model: some PretrainedModel) -> StateDictionary {
        let (kind, naming) = (model.configuration.kind, type(of: model).headNaming)
        let isStored = { (key: String) in
            guard !self.savedKeys.contains(key) else { return true }
            return self.storesEmbeddings && (key.hasSuffix(Self.embeddingKey) || key.hasPrefix("decoder."))
        }
        let parameters = model.baseParameters.filter { isStored($0.key) }
        var state = CheckpointKeyMap.exported(parameters, for: kind, head: naming)
        let embedding = state.first { $0.key.hasSuffix(Self.embeddingKey) }?.tensor
        if let embedding, naming == .languageModel, model.configuration.tiesWordEmbeddings {
            state.append(("decoder.weight", embedding))
        }
        return state
    }

    /// Takes the tensors of a folder that an adapter of the same shape was saved in.
    ///
    /// - Parameters:
    ///   - folder: The folder of an adapter.
    ///   - model: The model that the adapters are attached to.
    /// - Throws: `CheckpointError` naming a tensor that is missing, unknown or of another shape.
    public func load(folder: String, into model: some PretrainedModel) throws {
        let file = FilePath.joined(folder, Self.weightsFile)
        let store = try TensorStore.open(file: file)
        // An embedding that is trained whole is stored in any case, and an untied output matrix need not be.
        let savesEmbedding = savedKeys.contains { $0.hasSuffix(Self.embeddingKey) }
        let ending = savesEmbedding ? "decoder.weight" : Self.embeddingKey
        storesEmbeddings = storesEmbeddings || store.names.contains { $0.hasSuffix(ending) }
        let own = state(of: model)
        let given = [String: Tensor](try store.stateDictionary().map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        let unknown = Set(given.keys).subtracting(own.map(\.key)).sorted()
        let problems =
            own.compactMap { key, tensor -> CheckpointError.Problem? in
                guard given[key]?.shape != tensor.shape else { return nil }
                let found = given[key].map { "has the shape \(spelled($0.shape))" } ?? "is missing"
                return .init(.malformed, file: file, item: key, found: found, expected: spelled(tensor.shape))
            } + unknown.map { .init(.malformed, file: file, item: $0, found: "belongs to no adapter of this model") }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        withoutGradients {
            for (key, tensor) in own { given[key].map { tensor.assign($0) } }
            assignSaved(given, of: model)
        }
    }

    /// Takes parameters whose tensors under PEFT's names are copies.
    private func assignSaved(_ given: [String: Tensor], of model: some PretrainedModel) {
        guard model.configuration.kind == .decoder else { return }
        let stored = given.map { (key: String($0.key.dropFirst(Self.prefix.count)), tensor: $0.value) }
        let fused = CheckpointKeyMap.imported(stored, for: type(of: model).headNaming)
        for (key, tensor) in model.baseParameters where savedKeys.contains(key) && key.contains(".Wqkv.") {
            fused.first { $0.key == key }.map { tensor.assign($0.tensor) }
        }
    }
}

extension LoRAConfiguration.Initialization {
    /// Draws the matrices of an adapter that begins otherwise than ``standard``.
    fileprivate func draw(_ adapter: LowRankAdapter, seed: UInt64, name: String) {
        let (down, up) = (adapter.down.shape, adapter.up.shape)
        switch self {
        case .standard: return
        case .gaussian:
            let generator = Philox(seed: seed, stream: WeightStream.of(name + ".lora_A"))
            adapter.down = Tensor(generator.normals(count: down[0] * down[1]), shape: down) / Double(down[0])
        case .random:
            let generator = Philox(seed: seed, stream: WeightStream.of(name + ".lora_B"))
            let bound = 1 / Double(up[1]).squareRoot()
            adapter.up = (Tensor(generator.uniforms(count: up[0] * up[1]), shape: up) * 2 - 1) * bound
        }
    }
}
