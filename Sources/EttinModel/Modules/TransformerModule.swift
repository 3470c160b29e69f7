import EttinFiles
import EttinJSON
package import Torch

/// The transformer: token ids to hidden states, to logits over the vocabulary, or to scores.
///
/// > Source: sentence-transformers `base/modules/transformer.py`.
package final class TransformerModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.Transformer"
    package static let newClassPath: String? = "sentence_transformers.base.modules.transformer.Transformer"
    package static let otherClassNames = [maskedLMClassName]
    package static let readsTokens = true

    /// The class of versions up to 5 whose task is to fill masks.
    static let maskedLMClassName = "MLMTransformer"

    /// The model, by what it gives.
    package enum Model {
        /// Hidden states.
        case trunk(ModernBERT)
        /// Logits over the vocabulary at each token.
        case languageModel(LanguageModel)
        /// Scores of each sequence.
        case classifier(SequenceClassificationModel)
    }

    /// The model.
    package let model: Model
    /// What its settings say.
    package var settings: TransformerSettings
    /// The folder it comes from; empty for a model that comes from no folder.
    package let folder: String
    @Child("") private var part: Module

    /// Makes a module of a model.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - settings: What to say about it; its task is the model's.
    ///   - folder: The folder that it comes from.
    package init(_ model: Model, settings: TransformerSettings = TransformerSettings(), folder: String = "") {
        self.model = model
        self.settings = settings
        self.folder = folder
        super.init()
        switch model {
        case .trunk(let trunk):
            part = trunk
            self.settings.task = .featureExtraction
        case .languageModel(let model):
            part = model
            self.settings.task = .fillMask
        case .classifier(let model):
            part = model
            self.settings.task = .sequenceClassification
        }
    }

    /// Makes a module of a transformer without a head.
    package convenience init(_ trunk: ModernBERT, folder: String = "") { self.init(.trunk(trunk), folder: folder) }

    /// The transformer without any head.
    package var trunk: ModernBERT {
        switch model {
        case .trunk(let trunk): trunk
        case .languageModel(let model): model.trunk
        case .classifier(let model): model.trunk
        }
    }

    /// The model, whatever it gives.
    package var pretrained: any PretrainedModel {
        switch model {
        case .trunk(let model): model
        case .languageModel(let model): model
        case .classifier(let model): model
        }
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> TransformerModule {
        let settings = try TransformerSettings(folder)
        let (path, dtype, device) = (folder.path, folder.dtype, folder.device)
        let model: Model =
            switch settings.task {
            case .featureExtraction: .trunk(try .load(folder: path, dtype: dtype, device: device))
            case .fillMask: .languageModel(try .load(folder: path, dtype: dtype, device: device))
            case .sequenceClassification: .classifier(try .load(folder: path, dtype: dtype, device: device))
            }
        return TransformerModule(model, settings: settings, folder: path)
    }

    package func input(for task: String?) -> ModuleInput? {
        ModuleInput(
            folder: folder,
            maxTokens: settings.maxSequenceLength,
            vocabularySize: trunk.configuration.vocabularySize,
            configuration: trunk.configuration
        )
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        guard shapes.latest == nil else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                item: shapes.place,
                found: "is not the first module",
                expected: "one Transformer, in first place"
            )
        }
        let configuration = trunk.configuration
        let (width, rows): (Int, FeatureRows) =
            switch model {
            case .trunk: (configuration.hiddenSize, .tokens)
            case .languageModel: (configuration.vocabularySize, .tokens)
            case .classifier: (configuration.labelCount, .sequences)
            }
        shapes.write(settings.outputName, width: width, rows: rows)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        func hidden(_ trunk: ModernBERT) -> Tensor {
            trunk(
                features.batch,
                attendedTokens: features.attendedTokens,
                training: training,
                precision: precision
            )
        }
        switch model {
        case .trunk(let trunk): features[settings.outputName] = hidden(trunk)
        case .languageModel(let model):
            features.write(settings.outputName, UncomputedLogits(model: model, hidden: hidden(model.trunk)))
        case .classifier(let model):
            features[settings.outputName] = model(features.batch, training: training, precision: precision)
        }
    }

    /// Prepacks the weights for inference on the CPU; see ``ModernBERT/prepackWeights(_:)``.
    package func prepackWeights(_ precision: ComputeDType) {
        switch model {
        case .trunk(let trunk): trunk.prepackWeights(precision)
        case .languageModel(let model): model.prepackWeights(precision)
        case .classifier(let model): model.prepackWeights(precision)
        }
    }

    package var classPath: String {
        switch settings.task {
        case .featureExtraction: Self.classPath
        case .fillMask: "sentence_transformers.sparse_encoder.models.\(Self.maskedLMClassName)"
        case .sequenceClassification: "sentence_transformers.base.modules.transformer.Transformer"
        }
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        let (path, shardSize, format) = (folder.path, folder.shardSize, folder.format)
        switch model {
        case .trunk(let model): try model.save(folder: path, shardSize: shardSize, format: format)
        case .languageModel(let model): try model.save(folder: path, shardSize: shardSize, format: format)
        case .classifier(let model):
            try model.save(folder: path, shardSize: shardSize, format: format) { configuration in
                guard let activation = folder.activation else { return }
                RerankerSettings.replace(activation: activation, in: &configuration.otherKeys)
            }
        }
        try settings.write(folder)
    }
}
