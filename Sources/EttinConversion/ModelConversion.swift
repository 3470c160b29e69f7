import EttinFiles
import EttinJSON
public import EttinModel
import EttinTokenizer
import EttinTraining
import Torch

/// Makes a decoder's folder of an encoder's and back, without changing a value: where cross-objective training starts.
///
/// | | encoder | decoder |
/// |---|---|---|
/// | attention | `Wqkv` | its thirds `q_proj`, `k_proj`, `v_proj` |
/// | head | `head.*` | `lm_head.*` |
/// | configuration | `modernbert` | `modernbert-decoder`, `sliding_window`, `use_cache`, `is_causal` |
/// | tokenizer | `[CLS] A [SEP]` | `[CLS] A`, begin and end of sequence named |
/// | | | `generation_config.json` |
///
/// Converting twice gives the same tensors bit for bit.
///
/// ```swift
/// try ModelConversion(folder: "encoder", to: .decoder).write(toFolder: "decoder-from-encoder")
/// ```
public struct ModelConversion {
    /// What the model is.
    package let source: ModelKind
    /// The configuration of what it becomes.
    public let configuration: ModernBERTConfiguration
    private let folder: String
    private let format: ModernBERTConfiguration.Format

    /// Reads the configuration of a model.
    ///
    /// - Parameters:
    ///   - folder: The model's folder.
    ///   - kind: What it is to become.
    /// - Throws: `CheckpointError` when the configuration is broken; `TrainingError` when the model is of that kind
    ///   already.
    public init(folder: String, to kind: ModelKind) throws {
        try FolderEvidence.requireNoModules(folder: folder)
        let original = try ModernBERTConfiguration(folder: folder)
        guard original.kind != kind else {
            throw TrainingError(
                .invalidOption,
                folder,
                found: "is already \(kind == .encoder ? "an encoder" : "a decoder")",
                expected: kind == .encoder ? "a decoder" : "an encoder"
            )
        }
        self.folder = folder
        source = original.kind
        format = original.originalFormat
        configuration = try Self.converted(original, to: kind)
    }

    /// Writes the converted model with tokenizer and card into a folder, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - output: A folder that is empty or does not exist yet.
    ///   - origin: The model's name on the Hub, for the card.
    /// - Returns: The number of parameters.
    /// - Throws: `CheckpointError` for broken files, models with another head than a language model's, and failures of
    ///   the file system; `StateDictionaryError` for weights that do not fit the configuration; `TokenizerError` for a
    ///   tokenizer that names no begin or end; `TorchError` when memory runs out.
    @discardableResult
    public func write(toFolder output: String, origin: String? = nil) throws -> Int {
        let target = try CheckpointError.translating { try AtomicFolder(path: output) }
        var tokenizer: Tokenizer?
        if FilePath.exists(FilePath.joined(folder, "tokenizer.json")) {
            let original = try Tokenizer(folder: folder)
            tokenizer = configuration.kind == .decoder ? try original.forDecoder() : try original.forEncoder()
        }
        var configuration = configuration
        if let tokenizer, configuration.kind == .decoder { configuration.adoptSequenceTokens(of: tokenizer) }
        try configuration.completeTokens(place: folder)
        let parameters = try withRecovery { try writeWeights(configuration, toFolder: target.temporaryPath) }
        if configuration.kind == .decoder {
            try GenerationConfiguration(model: configuration).write(toFolder: target.temporaryPath)
        }
        try tokenizer?.save(to: target.temporaryPath)
        try ModelFolderFiles.copy(["chat_template.jinja"], from: folder, to: target.temporaryPath)
        try card(named: FilePath.lastComponent(of: target.path), parameters: parameters, origin: origin)
            .write(toFolder: target.temporaryPath)
        try CheckpointError.translating { try target.commit() }
        return parameters
    }

    // MARK: - Weights

    private func writeWeights(_ configuration: ModernBERTConfiguration, toFolder output: String) throws -> Int {
        let stored = try TensorStore.open(folder: folder)
        if stored.names.contains(where: { $0.hasPrefix("classifier.") }) {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "has a classifier, which was trained for the original kind",
                expected: "a language model or a bare trunk"
            )
        }
        let isTrunkAlone = !stored.names.contains { $0.hasPrefix("model.") }
        return isTrunkAlone
            ? try write(ModernBERT.self, configuration, stored, toFolder: output)
            : try write(LanguageModel.self, configuration, stored, toFolder: output)
    }

    private func write<Model: PretrainedModel>(
        _ type: Model.Type,
        _ configuration: ModernBERTConfiguration,
        _ stored: TensorStore,
        toFolder output: String
    ) throws -> Int {
        try stored.requireFiniteValues(folder: folder)
        var configuration = configuration
        let state = try stored.state(for: Model.headNaming, of: &configuration)
        let model = Model(configuration, windowRule: .transformers)
        try model.load(state)
        try model.save(folder: output, format: format)
        return model.parameterCount
    }

    // MARK: - Configuration

    /// The configuration of the other kind; a decoder's carries along what only an encoder's file gives a meaning.
    static func converted(_ original: ModernBERTConfiguration, to kind: ModelKind) throws -> ModernBERTConfiguration {
        var object = try original.json(original.originalFormat)
        object["model_type"] = .string(kind.rawValue)
        object["architectures"] = nil
        object["transformers_version"] = nil
        switch kind {
        case .encoder:
            object["use_cache"] = nil
            object["sliding_window"] = nil
            object["is_causal"] = nil
            // An odd width stays as it is where it means the same window.
            if original.slidingWindow > 0, original.localAttention.map({ $0 / 2 }) != original.slidingWindow {
                object["local_attention"] = JSONValue(2 * original.slidingWindow)
            }
        case .decoder:
            object["is_causal"] = true
        }
        // The training code's words, which nothing reads, would contradict the kind.
        for (key, value) in [("causal_mask", kind == .decoder), ("masked_prediction", kind == .encoder)]
        where object[key] != nil {
            object[key] = JSONValue(value)
        }
        return try ModernBERTConfiguration(object)
    }

    // MARK: - Card

    private func card(named name: String, parameters: Int, origin: String?) -> ModelCard {
        var card = ModelCard(title: name)
        card.baseModel = origin
        card.relation = nil
        if let origin, EttinSuite.models.contains(where: { $0.repository == origin }) {
            // The weights are the suite's, and so is their licence.
            (card.license, card.languages) = ("mit", ["en"])
        }
        let (old, new) = source == .encoder ? ("encoder", "decoder") : ("decoder", "encoder")
        card.summary =
            "A ModernBERT \(new) of \(parameters) parameters with the weights of \(source == .encoder ? "an" : "a") "
            + "\(old), unchanged: the starting point of training with the other objective, not a finished \(new)."
        card.pipelineTag = configuration.kind == .encoder ? "fill-mask" : "text-generation"
        card.usage = "ettin pretrain recipe.yaml load_path=\(name) load_weights_only=true"
        return card
    }
}

extension ModernBERTConfiguration {
    /// Takes the ids of begin and end of sequence from a decoder's tokenizer, as far as it names them.
    mutating func adoptSequenceTokens(of tokenizer: Tokenizer) {
        bosTokenID = tokenizer.bosTokenID.map(Int.init) ?? bosTokenID
        if let end = tokenizer.eosTokenID, !eosTokenIDs.contains(Int(end)) { eosTokenIDs = [Int(end)] }
    }

    /// Completes the ids of a decoder's special tokens, all of which transformers insists on; an encoder may lack them.
    mutating func completeTokens(place: String) throws {
        guard kind == .decoder else { return }
        bosTokenID = bosTokenID ?? clsTokenID
        if eosTokenIDs.isEmpty { eosTokenIDs = [sepTokenID].compactMap(\.self) }
        clsTokenID = clsTokenID ?? bosTokenID
        sepTokenID = sepTokenID ?? eosTokenIDs.first
        let ids = [("bos_token_id", bosTokenID), ("eos_token_id", eosTokenIDs.first), ("pad_token_id", padTokenID)]
        guard let missing = ids.first(where: { $0.1 == nil }) else { return }
        throw TrainingError(
            .missing,
            place,
            found: "defines no \(missing.0), which decoders need",
            expected: "a tokenizer that defines it"
        )
    }

    /// The format in which to write a model on: that of the file it was read from, where it can say everything.
    var originalFormat: Format {
        let version = otherKeys["transformers_version"]?.stringValue ?? ""
        let major = version.split(separator: ".").first.flatMap { Int($0) } ?? 4
        return major < 5 && (try? json(.version4)) != nil ? .version4 : .version5
    }
}
