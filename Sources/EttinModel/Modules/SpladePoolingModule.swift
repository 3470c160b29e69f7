import EttinJSON
package import Torch

/// Logits over the vocabulary at each token to one weight for each entry of the vocabulary.
///
/// > Source: sentence-transformers `sparse_encoder/modules/splade_pooling.py`.
package final class SpladePoolingModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.sparse_encoder.models.SpladePooling"
    package static let newClassPath: String? =
        "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling"

    /// How the weights of a sequence's tokens are put together.
    package enum Strategy: String, CaseIterable, Sendable {
        /// The largest.
        case max
        /// Their sum.
        case sum
    }

    /// What makes a weight of a logit.
    package enum Saturation: String, CaseIterable, Sendable {
        /// `log(1 + max(x, 0))`.
        case relu
        /// `log(1 + log(1 + max(x, 0)))`.
        case log1pRelu = "log1p_relu"

        package func callAsFunction(_ logits: Tensor) -> Tensor {
            let once = (logits.relu() + 1).log()
            return self == .relu ? once : (once + 1).log()
        }
    }

    /// How the weights of a sequence's tokens are put together.
    package var strategy: Strategy
    /// What makes a weight of a logit.
    package var saturation: Saturation
    private var statedSize: Int?
    private var size = 0

    package init(_ strategy: Strategy = .max, saturation: Saturation = .relu) {
        self.strategy = strategy
        self.saturation = saturation
        super.init()
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> SpladePoolingModule {
        var fields = try folder.settings(isRequired: true)
        var (strategy, saturation) = (Strategy.max, Saturation.relu)
        fields.read("pooling_strategy", into: &strategy, named: Strategy.init(rawValue:))
        fields.read("activation_function", into: &saturation, named: Saturation.init(rawValue:))
        var size: Int?
        for key in ["word_embedding_dimension", "embedding_dimension"] { fields.read(key, into: &size) }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        let module = SpladePoolingModule(strategy, saturation: saturation)
        module.statedSize = size
        return module
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        size = try shapes.width(of: FeatureName.tokenEmbeddings, with: .tokens)
        if let statedSize, statedSize != size {
            throw CheckpointError(
                .malformed,
                file: FeatureModules.file,
                item: "\"embedding_dimension\" of a SpladePooling module",
                found: "is \(statedSize)",
                expected: "\(size), the width before it"
            )
        }
        shapes.write(FeatureName.sentenceEmbedding, width: size, rows: .sequences)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        let batch = features.batch
        features[FeatureName.sentenceEmbedding] =
            if let logits = features.uncomputedLogits(FeatureName.tokenEmbeddings) {
                logits.model.spladePooled(logits.hidden, of: batch, training: training, rule: rule)
            } else {
                pooled(features[FeatureName.tokenEmbeddings].to(.float32), batch)
            }
    }

    private var rule: SpladePoolingRule {
        SpladePoolingRule(isSum: strategy == .sum, takesLogarithmTwice: saturation == .log1pRelu)
    }

    /// Pools what is no logits of a language model.
    private func pooled(_ logits: Tensor, _ batch: PackedBatch) -> Tensor {
        switch strategy {
        // The weight rises with the logit: the largest weight is that of the largest logit.
        case .max: saturation(logits.max(ofRows: (0..<batch.sequenceCount).map(batch.range(of:))))
        case .sum:
            saturation(logits).sum(
                byGroups: Tensor(batch.sequenceIndices).to(logits.device),
                count: batch.sequenceCount
            )
        }
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        try folder.write([
            "pooling_strategy": .string(strategy.rawValue), "activation_function": .string(saturation.rawValue),
            folder.layout == .version6 ? "embedding_dimension" : "word_embedding_dimension": JSONValue(size),
        ])
    }
}
