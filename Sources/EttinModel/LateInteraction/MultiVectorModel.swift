import EttinFiles
import EttinJSON
public import Torch

/// A transformer and the projections after it: sequences of token ids in, a vector for each token out.
///
/// Reads the folders of PyLate, of sentence-transformers' `MultiVectorEncoder` and of Stanford's ColBERT. A transformer
/// without a trained projection is refused.
public final class MultiVectorModel: Module {
    /// The modules, each of which reads what those before it have written.
    @Child("") package var chain: ModuleChain
    /// What the folder says about queries, documents and their scores.
    public let settings: MultiVectorSettings
    /// The width of a vector.
    public let dimensions: Int
    /// The transformer's module.
    package let transformer: TransformerModule
    /// Which tokens count.
    package let mask: MultiVectorMaskModule?

    /// Loads a folder.
    ///
    /// - Parameters:
    ///   - folder: A multi-vector model.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    /// - Throws: `CheckpointError` and `StateDictionaryError` for files that are missing or broken, for models of another
    ///   kind and for modules that do not fit each other; `TorchError` when memory runs out.
    public convenience init(folder: String, dtype: DType? = nil, device: Device = .cpu) throws {
        try Self.require(folder)
        let modules: [any FeatureModule]
        let settings: MultiVectorSettings
        if FilePath.exists(FilePath.joined(folder, FeatureModules.file)) {
            let chain = try ModuleChain(folder: folder, dtype: dtype, device: device)
            guard let first = chain.modules.first as? TransformerModule else {
                throw CheckpointError(
                    .unsupported,
                    file: FeatureModules.file,
                    item: "module 0",
                    found: "is \(type(of: chain.modules[0]).className)",
                    expected: "a Transformer in first place of a multi-vector model"
                )
            }
            modules = chain.modules
            settings = try MultiVectorSettings(folder: folder, transformer: first.settings)
        } else {
            modules = try Self.stanford(folder, dtype, device)
            settings = try MultiVectorSettings(stanford: folder)
        }
        try self.init(modules, settings: settings)
    }

    /// Puts modules together.
    ///
    /// - Parameters:
    ///   - modules: A transformer, and what turns its hidden states into a vector for each token.
    ///   - settings: What to say about the model; its words that are left out, and the length of vectors, get a module
    ///     where there is none.
    /// - Throws: `CheckpointError` when a module does not fit those before it.
    package init(_ modules: [any FeatureModule], settings: MultiVectorSettings) throws {
        var modules = modules
        if let words = settings.skippedWords {
            if !modules.contains(where: { $0 is MultiVectorMaskModule }) {
                modules.append(MultiVectorMaskModule(skippedWords: words))
            }
            if !(modules.last is NormalizeModule) {
                modules.append(NormalizeModule(feature: FeatureName.tokenEmbeddings))
            }
        }
        let chain = try ModuleChain(modules)
        try chain.require(FeatureName.tokenEmbeddings, of: "a multi-vector model")
        guard let transformer = modules.first as? TransformerModule, modules.contains(where: { $0 is DenseModule })
        else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                found: "has no Dense, which projects the vectors of tokens",
                expected: "one: a fresh projection would give random scores"
            )
        }
        self.settings = settings
        self.transformer = transformer
        mask = modules.lazy.compactMap { $0 as? MultiVectorMaskModule }.last
        dimensions = chain.width
        super.init()
        self.chain = chain
    }

    private static func require(_ folder: String) throws {
        let expected = "a multi-vector model; a fresh projection would give random scores"
        guard let evidence = try FolderEvidence(folder: folder) else {
            throw CheckpointError(.unsupported, file: folder, found: "does not say what kind it is", expected: expected)
        }
        guard evidence.kind != .multiVector else { return }
        throw evidence.error(folder: folder, expected: expected)
    }

    /// Stanford's layout: the projection lies among the weights of the transformer.
    private static func stanford(_ folder: String, _ dtype: DType?, _ device: Device) throws -> [any FeatureModule] {
        let trunk = try ModernBERT.load(folder: folder, dtype: dtype, device: device, allowingUnknown: true)
        let key = "linear.weight"
        let store = try TensorStore.open(folder: folder)
        guard store.names.contains(key) else {
            throw CheckpointError(
                .malformed,
                file: store.form?.rawValue ?? folder,
                item: "tensor \(quoted(key))",
                found: "is not there",
                expected: "the projection of a HF_ColBERT model"
            )
        }
        let known = Set(trunk.parameters.map(\.key))
        let given = try withRecovery { CheckpointKeyMap.imported(try store.stateDictionary(), for: .none).map(\.key) }
        let others = given.filter { $0 != key && !known.contains($0) }.sorted()
        guard others.isEmpty else {
            throw CheckpointError(
                .unsupported,
                file: store.form?.rawValue ?? folder,
                found: "has the tensors \(listing(others)) besides the transformer",
                expected: "only \(quoted(key)), the projection of a HF_ColBERT model"
            )
        }
        let weight = try withRecovery { try store.tensor(key) }
        let hidden = trunk.configuration.hiddenSize
        guard weight.shape.count == 2, weight.size(1) == hidden else {
            throw CheckpointError(
                .malformed,
                file: store.form?.rawValue ?? folder,
                item: "tensor \(quoted(key))",
                found: "has the shape \(weight.shape)",
                expected: "[dimensions, \(hidden)]"
            )
        }
        let projection = try withRecovery {
            DenseModule(projecting: weight.to(trunk.parameterDType, device), feature: FeatureName.tokenEmbeddings)
        }
        return [TransformerModule(trunk, folder: folder), projection]
    }

    /// The vectors of a batch.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - attendedTokens: How many tokens of each sequence, from its first, are attended to; nil for all.
    ///   - task: `query` or `document`; nil where the caller knows which tokens count.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: The features, with vectors `[tokens, dimensions]` and which tokens count.
    package func callAsFunction(
        _ batch: PackedBatch,
        attendedTokens: [Int32]?,
        task: String?,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> ModuleFeatures {
        chain(batch, attendedTokens: attendedTokens, task: task, training: training, precision: precision)
    }
}
