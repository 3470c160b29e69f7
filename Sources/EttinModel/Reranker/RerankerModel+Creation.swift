import EttinFiles
import EttinJSON
import Torch

extension RerankerModel {
    /// Makes a reranker of an encoder that has none of a reranker's head.
    ///
    /// A classification head takes over the dense layer and the norm of a masked-LM head, as transformers does; what the
    /// checkpoint lacks is drawn as transformers draws it. A modular head is all new, drawn as torch's layers are.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of an encoder.
    ///   - head: What computes scores from hidden states.
    ///   - labelCount: The number of scores of a pair.
    ///   - pooling: How hidden states become one vector; nil for what the configuration says, and `cls` of a modular head.
    ///   - seed: Random seed of what is new.
    /// - Returns: The model in float32, and what of the checkpoint is new or left out, a sentence each.
    /// - Throws: `CheckpointError` for a folder of another kind; `CheckpointError` and `StateDictionaryError` for files that
    ///   are missing or broken; `TorchError` when memory runs out.
    package static func made(
        ofEncoder folder: String,
        head: Head,
        labelCount: Int,
        pooling: ClassifierPooling?,
        seed: UInt64
    ) throws -> (model: RerankerModel, notices: [String]) {
        let configuration = try ModernBERTConfiguration(folder: folder)
        guard configuration.kind == .encoder else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "is a decoder, of which sentence-transformers makes a scorer by the logits of yes and no",
                expected: "an encoder; scorers of that kind are not supported"
            )
        }
        switch head {
        case .classification:
            let (model, notices) = try classifier(folder, labelCount, pooling, seed)
            try withRecovery { model.copyBorrowedParameters() }
            return (model, notices)
        case .modular:
            let trunk = try ModernBERT.load(folder: folder, dtype: .float32)
            let model = try RerankerModel(
                modules(of: trunk, folder: folder, pooling: pooling ?? .cls, labelCount: labelCount),
                activation: .identity
            )
            try withRecovery { model.copyBorrowedParameters() }
            model.initializeHead(seed: seed)
            return (model, [])
        }
    }

    private static func classifier(
        _ folder: String,
        _ labelCount: Int,
        _ pooling: ClassifierPooling?,
        _ seed: UInt64
    ) throws -> (RerankerModel, [String]) {
        let model = try SequenceClassificationModel.load(folder: folder, dtype: .float32, newHeadSeed: seed) {
            $0.labels = (0..<labelCount).map { "LABEL_\($0)" }
            $0.otherKeys["label2id"] = nil
            $0.problemType = nil
            if let pooling { $0.classifierPooling = pooling }
        }
        let hasHead = try TensorStore.open(folder: folder).names.contains { $0.hasSuffix("head.dense.weight") }
        let notices =
            hasHead ? [] : ["\(folder) has no head, so that head.dense and head.norm are new beside the classifier"]
        let module = TransformerModule(.classifier(model), settings: .classification, folder: folder)
        return (try RerankerModel([module]), notices)
    }

    /// The modules of a modular head on a transformer, those of the head with uninitialised parameters.
    private static func modules(
        of trunk: ModernBERT,
        folder: String,
        pooling: ClassifierPooling,
        labelCount: Int
    ) throws -> [any FeatureModule] {
        let size = trunk.configuration.hiddenSize
        return try withRecovery {
            [
                TransformerModule(trunk, folder: folder), PoolingModule([pooling == .cls ? .cls : .mean]),
                DenseModule(size, size, hasBias: false, activation: .gelu), LayerNormModule(size),
                DenseModule(size, labelCount, activation: .identity, output: FeatureName.scores),
            ]
        }
    }

    /// Draws the parameters of a modular head as new layers of torch have them: ±1/√inputs, uniform; norms 1 and 0.
    ///
    /// > Source: torch.nn `Linear.reset_parameters`, `LayerNorm.reset_parameters`.
    private func initializeHead(seed: UInt64) {
        withoutGradients {
            for (index, module) in chain.modules.enumerated() {
                if let norm = (module as? LayerNormModule)?.norm {
                    norm.weight.assign(.ones(norm.weight.shape))
                    norm.bias.map { $0.assign(.zeros($0.shape)) }
                }
                guard let linear = (module as? DenseModule)?.linear else { continue }
                let bound = 1 / Double(linear.inputSize).squareRoot()
                for (part, tensor) in [linear.weight, linear.bias].enumerated() {
                    guard let tensor else { continue }
                    let generator = Philox(seed: seed, stream: UInt64(2 * index + part))
                    let values = generator.uniforms(count: tensor.shape.reduce(1, *))
                    tensor.assign((Tensor(values, shape: tensor.shape) * 2 - 1) * bound)
                }
            }
        }
    }
}
