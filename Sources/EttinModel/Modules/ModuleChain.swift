import EttinFiles
import EttinJSON
package import Torch

/// The modules of a sentence-transformers folder, each of which reads named features that those before it have written.
///
/// Embedding models, rerankers, multi-vector and sparse models are combinations of the same modules; they differ in the
/// feature that comes last.
///
/// ```swift
/// let chain = try ModuleChain(folder: folder, endingIn: FeatureName.scores, expected: "a reranker")
/// let scores = chain(batch)[FeatureName.scores]
/// ```
package final class ModuleChain: Module {
    /// The modules in their order.
    package let modules: [any FeatureModule]
    /// The feature that is written last.
    package let outputName: String
    /// The width of that feature.
    package let width: Int
    /// What its rows are the vectors of.
    package let rows: FeatureRows
    /// Whether there is a module that leaves tokens out of late interaction.
    package let masksTokens: Bool
    @Child("") private var parts: [Module]

    /// Puts modules together.
    ///
    /// - Parameter modules: The modules, at least one.
    /// - Throws: `CheckpointError` when a module does not fit those before it.
    package init(_ modules: [any FeatureModule]) throws {
        self.modules = modules
        let end = try FeatureModules.connect(modules)
        guard let name = end.latest else {
            throw CheckpointError(.unsupported, file: FeatureModules.file, found: "has no module that writes anything")
        }
        outputName = name
        let shape = try end.shape(of: name)
        (width, rows, masksTokens) = (shape.width, shape.rows, end.isMasked)
        super.init()
        parts = modules
    }

    /// Loads the modules of a folder.
    ///
    /// Modules take the dtype of the transformer before them, as in sentence-transformers.
    ///
    /// - Parameters:
    ///   - folder: A folder with `modules.json`.
    ///   - poolings: How each Pooling puts vectors together; nil for what its settings say.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    /// - Throws: `CheckpointError` and `StateDictionaryError` for files that are missing or broken, modules that are not
    ///   known and modules that do not fit those before them; `TorchError` when memory runs out.
    package convenience init(
        folder: String,
        poolings: [Pooling]? = nil,
        dtype: DType? = nil,
        device: Device = .cpu
    ) throws {
        let modules = try FeatureModules.read(folder: folder, dtype: dtype, device: device)
        if let poolings {
            let pooling = Self.all(modules).compactMap { $0 as? PoolingModule }
            guard !pooling.isEmpty else {
                throw CheckpointError(
                    .unsupported,
                    file: FeatureModules.file,
                    found: "has no Pooling, which --pooling would change"
                )
            }
            for module in pooling { module.poolings = poolings }
        }
        try self.init(modules)
        try withRecovery { Self.convert(modules, to: dtype, on: device) }
    }

    private static func convert(_ modules: [any FeatureModule], to dtype: DType?, on device: Device) {
        var dtype = dtype
        for module in modules {
            switch module {
            case let transformer as TransformerModule: dtype = transformer.trunk.parameterDType
            case let router as RouterModule:
                for route in router.routes { convert(route.modules, to: dtype, on: device) }
                dtype = dtype ?? router.trunkDType
            default: module.convert(to: dtype, on: device)
            }
        }
    }

    /// All modules, those of routes in the place of their Router.
    package var allModules: [any FeatureModule] { Self.all(modules) }

    private static func all(_ modules: [any FeatureModule]) -> [any FeatureModule] {
        modules.flatMap { ($0 as? RouterModule)?.routes.flatMap { all($0.modules) } ?? [$0] }
    }

    /// The transformers, none of them twice.
    package var transformers: [TransformerModule] {
        var seen: Set<ObjectIdentifier> = []
        return allModules.compactMap { $0 as? TransformerModule }.filter { seen.insert(ObjectIdentifier($0)).inserted }
    }

    /// The Router, where the model has one.
    package var router: RouterModule? { modules.first as? RouterModule }

    /// The files of the tokenizer of a task's texts, and how it reads them.
    ///
    /// - Parameter task: What the texts are to the task, `query` or `document`; nil when the caller does not say.
    /// - Returns: The files and rules.
    /// - Throws: `CheckpointError` for a task that a Router has no route for, and for modules that read no tokens.
    package func input(for task: String? = nil) throws -> ModuleInput {
        guard let input = try modules.first?.input(for: task) else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                found: "has no module that reads tokens",
                expected: "a Transformer in first place"
            )
        }
        return input
    }

    /// Computes the features of a batch.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids, as the tokenizer of the task's ``input(for:)`` makes them.
    ///   - promptTokenCounts: How many tokens at the start of each sequence belong to a prompt.
    ///   - attendedTokens: How many tokens of each sequence, from its first, are attended to; nil for all.
    ///   - task: What the texts are to the task; one that ``input(for:)`` takes.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: Every feature that a module has written, ``outputName`` among them.
    package func callAsFunction(
        _ batch: PackedBatch,
        promptTokenCounts: [Int]? = nil,
        attendedTokens: [Int32]? = nil,
        task: String? = nil,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> ModuleFeatures {
        var features = ModuleFeatures(
            batch,
            promptTokenCounts: promptTokenCounts,
            attendedTokens: attendedTokens,
            task: task
        )
        for module in modules { module(&features, training: training, precision: precision) }
        return features
    }

    /// Refuses modules that write something else last than what is asked for.
    ///
    /// - Parameters:
    ///   - name: The feature.
    ///   - kind: What has it, such as `an embedding model`.
    /// - Throws: `CheckpointError` that names the feature that is written last.
    package func require(_ name: String, of kind: String) throws {
        guard outputName != name else { return }
        let last = modules.count - 1
        throw CheckpointError(
            .unsupported,
            file: FeatureModules.file,
            item: "module \(last), \(type(of: modules[last]).className),",
            found: "writes \(quoted(outputName)) last",
            expected: "\(kind), which writes \(quoted(name))"
        )
    }
}

extension RouterModule {
    /// The dtype of the first transformer of any route.
    fileprivate var trunkDType: DType? {
        routes.lazy.flatMap(\.modules).compactMap { ($0 as? TransformerModule)?.trunk.parameterDType }.first
    }
}
