import EttinFiles
import EttinJSON
import Torch

extension RerankerModel {
    /// The same scorer with the other head, whose scores are the same.
    ///
    /// A classification head is pooling, a dense layer, a norm and a classifier; so are the modules of Ettin's rerankers,
    /// whose norm has a bias besides, which becomes part of the classifier's. The weights of the transformer are shared
    /// with this model.
    ///
    /// - Parameter head: What computes scores from hidden states.
    /// - Returns: The model, and what differs in training, a sentence each; this one where it has that head.
    /// - Throws: `CheckpointError` naming the module or the tensor for which there is no place in the other head.
    package func converted(to head: Head) throws -> (model: RerankerModel, notices: [String]) {
        guard head != self.head else { return (self, []) }
        let modules: [any FeatureModule]
        var notices: [String] = []
        switch transformer.model {
        case .classifier(let model):
            modules = try modular(model)
            let dropout = model.configuration.classifierDropout
            if dropout > 0 { notices.append("classifier_dropout \(dropout) has no place in a modular head") }
            let unnamed = (0..<labelCount).map { "LABEL_\($0)" }
            if let names = model.configuration.labels, names != unnamed {
                notices.append("the names of the classes (\(listing(names))) have no place in a modular head")
            }
        case .trunk, .languageModel: modules = [try classification(&notices)]
        }
        let converted = try RerankerModel(modules, settings: settings, activation: activation)
        return (converted, notices)
    }

    private func refused(_ item: String, _ found: String, _ expected: String) -> CheckpointError {
        CheckpointError(.unsupported, file: transformer.folder, item: item, found: found, expected: expected)
    }

    private func modular(_ model: SequenceClassificationModel) throws -> [any FeatureModule] {
        let configuration = model.configuration
        let (dense, norm, classifier) = (model.head.prediction.dense, model.head.prediction.norm, model.head.classifier)
        guard configuration.kind == .encoder else {
            throw refused("config.json: \"model_type\"", "is of a decoder", "an encoder, for a modular head")
        }
        guard norm.epsilon == LayerNormModule.epsilon else {
            throw refused(
                "config.json: \"norm_eps\"",
                "is \(norm.epsilon)",
                "\(LayerNormModule.epsilon), which the LayerNorm of a modular head has"
            )
        }
        guard Activation.classNames.contains(where: { $0.0 == configuration.classifierActivation }) else {
            throw refused(
                "config.json: \"classifier_activation\"",
                "is \(configuration.classifierActivation.rawValue)",
                "one of \(Activation.classNames.map(\.0.rawValue).joined(separator: ", ")), which a Dense can have"
            )
        }
        let size = configuration.hiddenSize
        return try withRecovery {
            let first = DenseModule(
                size,
                size,
                hasBias: dense.bias != nil,
                activation: configuration.classifierActivation
            )
            let middle = LayerNormModule(size)
            let last = DenseModule(
                size,
                labelCount,
                hasBias: classifier.bias != nil,
                activation: .identity,
                output: FeatureName.scores
            )
            first.linear.weight = dense.weight.copy()
            first.linear.bias = dense.bias?.copy()
            middle.norm.weight = norm.weight.copy()
            middle.norm.bias = norm.bias?.copy() ?? .zeros([size], on: norm.weight.device)
            last.linear.weight = classifier.weight.copy()
            last.linear.bias = classifier.bias?.copy()
            // What the configuration says of the head is now said by modules.
            var bare = configuration
            (bare.labels, bare.problemType) = (nil, nil)
            for key in ["label2id", "sentence_transformers", RerankerSettings.legacyKey] { bare.otherKeys[key] = nil }
            let trunk = ModernBERT(bare)
            try trunk.load(model.trunk.parameters)
            return [
                TransformerModule(trunk, folder: transformer.folder),
                PoolingModule([configuration.classifierPooling == .cls ? .cls : .mean]), first, middle, last,
            ]
        }
    }

    private func classification(_ notices: inout [String]) throws -> TransformerModule {
        let names = chain.modules.map { type(of: $0).className }
        guard names.dropFirst() == ["Pooling", "Dense", "LayerNorm", "Dense"],
            let pooling = chain.modules[1] as? PoolingModule, let first = chain.modules[2] as? DenseModule,
            let norm = (chain.modules[3] as? LayerNormModule)?.norm, let last = chain.modules[4] as? DenseModule
        else {
            throw refused(
                FeatureModules.file,
                "has \(names.joined(separator: ", "))",
                "Transformer, Pooling, Dense, LayerNorm, Dense, which a classification checkpoint has places for"
            )
        }
        let trunk = transformer.trunk
        var configuration = trunk.configuration
        guard configuration.kind == .encoder, [[.cls], [.mean]].contains(pooling.poolings), pooling.includesPrompt
        else {
            throw refused(
                "module 1, Pooling,",
                "is \(pooling.poolings.map(\.rawValue).joined(separator: ", "))",
                "cls or mean of an encoder, the prompt included"
            )
        }
        let size = configuration.hiddenSize
        guard first.isPlain, first.linear.weight.shape == [size, size], last.isPlain, last.activation == .identity
        else {
            throw refused(
                "the Dense modules",
                "have a residual, another width or another activation function",
                "one from \(size) to \(size), and one without an activation function to the scores"
            )
        }
        guard configuration.normEpsilon == norm.epsilon else {
            throw refused(
                "config.json: \"norm_eps\"",
                "is \(configuration.normEpsilon)",
                "\(norm.epsilon), which the LayerNorm has"
            )
        }
        // W(gx + b) + c is W(gx) + (Wb + c): the classifier takes over a bias that the head's norm has no place for.
        var shift: Tensor?
        if !configuration.normBias, let bias = norm.bias?.detached() {
            let largest = try withRecovery { try bias.absolute().reshaped(1, -1).max(along: 1).scalar() }
            if largest != 0 {
                shift = try withRecovery { (last.linear.weight.detached() * bias).sum(along: 1) }
                notices.append("the bias of the norm becomes part of the classifier's bias")
            }
        }
        configuration.classifierPooling = pooling.poolings == [.cls] ? .cls : .mean
        configuration.classifierActivation = first.activation
        configuration.classifierBias = first.linear.bias != nil
        configuration.labels = (0..<labelCount).map { "LABEL_\($0)" }
        configuration.otherKeys["label2id"] = nil
        return try withRecovery {
            let model = SequenceClassificationModel(configuration)
            let ownBias = last.linear.bias?.detached()
            let classifierBias = shift.map { shift in ownBias.map { $0 + shift } ?? shift } ?? ownBias
            var state: StateDictionary = trunk.parameters.map { ("model." + $0.key, $0.tensor) }
            for (key, tensor) in model.parameters where !key.hasPrefix("model.") {
                let own: Tensor? =
                    switch key {
                    case "head.dense.weight": first.linear.weight
                    case "head.dense.bias": first.linear.bias
                    case "head.norm.weight": norm.weight
                    case "head.norm.bias": norm.bias
                    case "classifier.weight": last.linear.weight
                    case "classifier.bias": classifierBias
                    default: nil
                    }
                // A bias that the modules lack is one of 0.
                state.append((key, own?.copy() ?? .zeros(tensor.shape, on: trunk.device)))
            }
            try model.load(state)
            return TransformerModule(.classifier(model), settings: .classification, folder: transformer.folder)
        }
    }
}
