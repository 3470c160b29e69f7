import EttinFiles
import EttinJSON
package import Torch

/// Pooling: the vectors of a sequence's tokens to one vector.
///
/// > Source: sentence-transformers `sentence_transformer/modules/pooling.py`.
package final class PoolingModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.Pooling"
    package static let newClassPath: String? = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"

    /// How vectors are put together; several results are put end to end.
    package var poolings: [Pooling]
    /// Whether the tokens of a prompt take part.
    package let includesPrompt: Bool
    /// Whose rules hold: up to version 5, the first token is a sequence's first even where that belongs to a prompt which
    /// does not take part.
    ///
    /// In version 5.3, max beside cls overwrites the prompt's hidden states in place, the first of them included; that is
    /// not copied.
    package var generation = SentenceTransformersGeneration.version6
    /// The width that the settings name, where they do.
    private var statedSize: Int?
    private var inputSize = 0

    package init(_ poolings: [Pooling], includesPrompt: Bool = true) {
        self.poolings = poolings
        self.includesPrompt = includesPrompt
        super.init()
    }

    /// The flags of versions up to 5, in the order in which their vectors are put together.
    static let flags: [(key: String, pooling: Pooling)] = [
        ("pooling_mode_cls_token", .cls), ("pooling_mode_max_tokens", .max), ("pooling_mode_mean_tokens", .mean),
        ("pooling_mode_mean_sqrt_len_tokens", .meanSqrtLen), ("pooling_mode_weightedmean_tokens", .weightedMean),
        ("pooling_mode_lasttoken", .lastToken),
    ]

    package static func read(_ folder: FeatureModuleFolder) throws -> PoolingModule {
        var fields = try folder.settings(isRequired: true)
        var poolings: [Pooling] = []
        var includesPrompt = true
        fields.read("include_prompt", into: &includesPrompt)
        if let mode = fields.value("pooling_mode") {
            let names = mode.arrayValue ?? [mode]
            poolings = names.compactMap { $0.stringValue.flatMap(Pooling.init(rawValue:)) }
            if poolings.count != names.count || names.isEmpty {
                fields.refuse(
                    "pooling_mode",
                    "is \(mode.text())",
                    expected: Pooling.allCases.map(\.rawValue).joined(separator: ", "),
                    kind: .unsupported
                )
            }
        } else {
            for (key, pooling) in flags {
                var isOn = false
                fields.read(key, into: &isOn)
                if isOn { poolings.append(pooling) }
            }
            let known = Set(flags.map(\.key))
            for member in fields.object
            where member.key.hasPrefix("pooling_mode_") && member.value == true && !known.contains(member.key) {
                fields.refuse(
                    member.key,
                    "is true",
                    expected: "one of \(listing(known.sorted(), limit: 6))",
                    kind: .unsupported
                )
            }
            if poolings.isEmpty { poolings = [.mean] }
        }
        var size: Int?
        for key in ["word_embedding_dimension", "embedding_dimension"] { fields.read(key, into: &size) }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        let module = PoolingModule(poolings, includesPrompt: includesPrompt)
        module.statedSize = size
        return module
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        inputSize = try shapes.width(of: FeatureName.tokenEmbeddings, with: .tokens)
        if shapes.isMasked {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                item: shapes.place,
                found: "comes after a MultiVectorMask",
                expected: "a multi-vector model without Pooling"
            )
        }
        if let statedSize, statedSize != inputSize {
            throw CheckpointError(
                .malformed,
                file: FeatureModules.file,
                item: "\"embedding_dimension\" of a Pooling module",
                found: "is \(statedSize)",
                expected: "\(inputSize), the width before it"
            )
        }
        shapes.write(FeatureName.sentenceEmbedding, width: poolings.count * inputSize, rows: .sequences)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        let tokens = features[FeatureName.tokenEmbeddings]
        let skipped = includesPrompt ? nil : features.promptTokenCounts
        let parts = poolings.map {
            tokens.pooled(features.batch, by: $0, skipping: $0 == .cls && generation == .version5 ? nil : skipped)
        }
        features[FeatureName.sentenceEmbedding] = parts.count == 1 ? parts[0] : Tensor.concatenate(parts, along: 1)
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        var settings: JSONObject = ["include_prompt": JSONValue(includesPrompt)]
        let names = poolings.map { JSONValue.string($0.rawValue) }
        if folder.layout == .version6 {
            settings["embedding_dimension"] = JSONValue(inputSize)
            settings["pooling_mode"] = names.count == 1 ? names[0] : .array(names)
            return try folder.write(settings)
        }
        let inFlagOrder = Self.flags.map(\.pooling).filter(poolings.contains)
        if poolings == inFlagOrder {
            settings["word_embedding_dimension"] = JSONValue(inputSize)
            for (key, pooling) in Self.flags { settings[key] = JSONValue(poolings.contains(pooling)) }
        } else {
            // Flags have no order; what says so, only versions from 6 read.
            settings["embedding_dimension"] = JSONValue(inputSize)
            settings["pooling_mode"] = .array(names)
        }
        try folder.write(settings)
    }
}
