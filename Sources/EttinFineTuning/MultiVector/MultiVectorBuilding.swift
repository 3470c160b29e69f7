import EttinFiles
import EttinModel
import EttinTokenizer
import EttinTraining
import Torch

/// Makes a multi-vector model of a folder: of a plain transformer, or of a model of PyLate, sentence-transformers or
/// Stanford that is trained further.
///
/// What comes out has the settings of PyLate whatever the folder is, and is written in its layout.
///
/// > Source: PyLate 1.6, `ColBERT.__init__`.
struct MultiVectorBuilding {
    let recipe: MultiVectorRecipe
    let folder: String

    private static let usualWidth = 128
    private static let usualQueryLength = 32
    private static let usualDocumentLength = 180

    private var seed: UInt64 { UInt64(recipe.arguments.seed) }

    /// Makes the model.
    ///
    /// - Returns: The model with every parameter in float32 and memory of its own, and its tokenizer.
    /// - Throws: `TrainingError` for a recipe that does not fit the folder; `CheckpointError` and `TokenizerError` for its
    ///   files; `TorchError` when memory runs out.
    func model() throws -> (model: MultiVectorModel, tokenizer: Tokenizer) {
        try UnsupportedFolder.check(folder)
        let (loaded, found, hasPrompts) = try parts()
        guard case .trunk(let trunk)? = loaded.first.flatMap({ $0 as? TransformerModule })?.model,
            let transformer = loaded.first as? TransformerModule
        else {
            throw unsuitable("has no Transformer that gives hidden states", "one in first place")
        }
        let kept: [any FeatureModule.Type] = [
            TransformerModule.self, DenseModule.self, PoolingModule.self, NormalizeModule.self,
            MultiVectorMaskModule.self,
        ]
        if let other = loaded.first(where: { module in !kept.contains { $0 == type(of: module) } }) {
            throw unsuitable(
                "has a module of \(type(of: other))",
                "a Transformer and projections (Dense), which are all that PyLate has"
            )
        }
        let settings = try settings(found, positions: trunk.configuration.maxPositionEmbeddings)
        let tokenizer = try Tokenizer(folder: transformer.folder)
        let extended = try self.tokenizer(tokenizer, settings, hasPrompts: hasPrompts)
        try checkLengths(settings, extended)
        return try withRecovery {
            // Without prefixes the original leaves the embeddings as they are, rows that no token has included.
            let isPlain = settings.queryPrefix.isEmpty && settings.documentPrefix.isEmpty
            let size = max(tokenizer.vocabularySize, isPlain ? trunk.configuration.vocabularySize : 0)
            let resized = trunk.withVocabulary(of: size, seed: seed)
                .withVocabulary(of: isPlain ? size : extended.vocabularySize, seed: seed)
            var files = TransformerSettings()
            files.maxSequenceLength = min(
                tokenizer.modelMaxLength ?? .max,
                trunk.configuration.maxPositionEmbeddings
            )
            let model = try MultiVectorModel(
                [TransformerModule(.trunk(resized), settings: files, folder: transformer.folder)]
                    + projections(loaded, from: trunk.configuration.hiddenSize),
                settings: settings
            )
            model.copyBorrowedParameters()
            return (model, extended)
        }
    }

    // MARK: Modules

    /// The modules of the folder, what it says about queries and documents, and whether their prefixes were prompts.
    private func parts() throws -> (modules: [any FeatureModule], settings: MultiVectorSettings, hasPrompts: Bool) {
        let expected = "a transformer, or a multi-vector model"
        switch try FolderEvidence(folder: folder)?.kind {
        case .multiVector:
            let model = try MultiVectorModel(folder: folder, dtype: .float32)
            let hasPrompts = model.settings.layout == .sentenceTransformers
            return (model.chain.modules, try pyLateSettings(of: model), hasPrompts)
        case .embedding:
            // What makes one vector of all is left out, as PyLate does.
            let model = try EmbeddingModel(folder: folder, dtype: .float32)
            var settings = MultiVectorSettings()
            settings.prompts = model.settings.prompts
            settings.defaultPromptName = model.settings.defaultPromptName
            return (model.chain.modules, settings, false)
        case .maskedLM, .causalLM, .backbone, nil:
            let trunk = try ModernBERT.load(folder: folder, dtype: .float32)
            return ([TransformerModule(trunk, folder: folder)], MultiVectorSettings(), false)
        case let kind?:
            throw try FolderEvidence(folder: folder)?.error(folder: folder, expected: expected)
                ?? unsuitable("is \(kind.phrase)", expected)
        }
    }

    /// The projections of the folder, and a new one where there is none, or where the last gives another width.
    private func projections(_ modules: [any FeatureModule], from width: Int) -> [DenseModule] {
        var projections = modules.compactMap { ($0 as? DenseModule)?.ofTokens() }
        let last = projections.last?.sizes.output
        let wanted = recipe.embeddingSize ?? last ?? Self.usualWidth
        if wanted != last {
            projections.append(
                DenseModule(
                    newFrom: last ?? width,
                    to: wanted,
                    hasBias: recipe.hasBias,
                    Philox(seed: seed, stream: Self.projectionStream &+ UInt64(projections.count))
                )
            )
        }
        return projections
    }

    /// Which numbers a new projection is drawn from.
    private static var projectionStream: UInt64 { 0x5072_6F6A_0000_0000 }

    // MARK: Tokens

    /// The tokenizer with the prefixes as tokens, padding with the token that expands queries.
    ///
    /// A prompt of sentence-transformers must be a token before, because it was read as that.
    private func tokenizer(
        _ tokenizer: Tokenizer,
        _ settings: MultiVectorSettings,
        hasPrompts: Bool
    ) throws -> Tokenizer {
        let padID = tokenizer.maskTokenID ?? tokenizer.eosTokenID ?? tokenizer.padTokenID
        guard let pad = padID.flatMap(tokenizer.idToToken) else {
            throw unsuitable(
                "has a tokenizer without mask_token, eos_token and pad_token",
                "a token to fill up queries with"
            )
        }
        let prefixes = [
            ("query_prefix", settings.queryPrefix, recipe.queryPrefix),
            ("document_prefix", settings.documentPrefix, recipe.documentPrefix),
        ].filter { !$0.1.isEmpty }
        let extended = try tokenizer.adding(prefixes.map { AddedToken($0.1) }, padToken: pad)
        for (key, prefix, given) in prefixes {
            let reader = hasPrompts && given == nil ? tokenizer : extended
            let ids = reader.encodeIDs(prefix, addSpecialTokens: false)
            guard ids.count != 1 || ids[0] != reader.tokenToID(prefix) else { continue }
            let tokens = ids.map { quoted(reader.idToToken($0) ?? "", limit: 40) }
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(quoted(prefix, limit: 60)), which the tokenizer of \(recipe.model) splits into "
                    + tokens.joined(separator: ", "),
                expected: "a prefix that stays one token"
            )
        }
        return extended
    }

    // MARK: Settings

    /// What the folder says, with what the recipe says in its place.
    private func settings(_ found: MultiVectorSettings, positions: Int) throws -> MultiVectorSettings {
        var settings = MultiVectorSettings()
        settings.layout = .pylate
        let prompts = SavedPrompts(
            prompts: recipe.modelPrompts,
            defaultName: recipe.defaultPromptName,
            model: recipe.model
        )
        (settings.prompts, settings.defaultPromptName) = try prompts.added(
            to: found.prompts,
            default: found.defaultPromptName
        )
        let isModel = found.layout == .pylate
        settings.queryPrefix = recipe.queryPrefix ?? (isModel ? found.queryPrefix : "[Q] ")
        settings.documentPrefix = recipe.documentPrefix ?? (isModel ? found.documentPrefix : "[D] ")
        let length = recipe.queryLength ?? found.queryLength ?? Self.usualQueryLength
        settings.queryLength = length
        settings.documentLength = recipe.documentLength ?? found.documentLength ?? Self.usualDocumentLength
        for (key, value) in [("query_length", length), ("document_length", settings.documentLength ?? 0)]
        where value > positions {
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(value)",
                expected: "at most the \(positions) tokens that \(recipe.model) has positions for"
            )
        }
        settings.skippedWords = recipe.skippedWords ?? found.skippedWords ?? MultiVectorSettings.punctuation
        if recipe.expandsQueries ?? (isModel ? found.expansion != nil : true) {
            let isAttendedTo = recipe.attendsToExpansion ?? found.expansion?.isAttendedTo ?? false
            settings.expansion = QueryExpansion(length: length, isAttendedTo: isAttendedTo)
        }
        return settings
    }

    /// Refuses lengths of the recipe that have no room for what every text has.
    private func checkLengths(_ settings: MultiVectorSettings, _ tokenizer: Tokenizer) throws {
        let special = tokenizer.encodeIDs("").count
        for (key, length, prefix) in [
            ("query_length", recipe.queryLength, settings.queryPrefix),
            ("document_length", recipe.documentLength, settings.documentPrefix),
        ] {
            let least = special + (prefix.isEmpty ? 0 : 1)
            guard let length, length < least else { continue }
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(length)",
                expected: "at least \(least), the special tokens and the prefix"
            )
        }
    }

    /// The settings of a multi-vector model as PyLate has them.
    private func pyLateSettings(of model: MultiVectorModel) throws -> MultiVectorSettings {
        var settings = model.settings
        settings.layout = .pylate
        switch model.settings.layout {
        case .pylate: break
        case .stanford:
            // The blank behind them is that of texts.
            settings.queryPrefix = String(settings.queryPrefix.dropLast())
            settings.documentPrefix = String(settings.documentPrefix.dropLast())
            settings.queryLength = settings.expansion?.length
        case .sentenceTransformers:
            func refused(_ found: String, _ expected: String) -> TrainingError {
                unsuitable("is a model of sentence-transformers 6 \(found)", "\(expected), as PyLate has it")
            }
            if settings.averagesScores { throw refused("whose scores are averaged (meanmaxsim)", "MaxSim") }
            if settings.expansion?.strategy == .min {
                throw refused("whose queries are expanded to a least length", "expansion to a fixed length")
            }
            if let token = settings.expansion?.token {
                throw refused("with the expansion token \(quoted(token))", "none")
            }
            let words = model.mask?.skippedWords ?? []
            if !words.isEmpty, model.mask?.skippedTasks != ["document"] {
                throw refused("that skips words of queries", "skiplist_tasks: document")
            }
            if model.mask?.keptTokens?.isEmpty == false { throw refused("with keep_only_token_ids", "a list of words") }
            settings.skippedWords = words
            settings.queryPrefix = settings.prompts.removeValue(forKey: "query") ?? ""
            settings.documentPrefix = settings.prompts.removeValue(forKey: "document") ?? ""
            settings.queryLength = settings.expansion?.length ?? settings.queryLength
            settings.documentLength = settings.documentLength ?? model.transformer.settings.maxSequenceLength
        }
        return settings
    }

    private func unsuitable(_ found: String, _ expected: String) -> TrainingError {
        TrainingError(.unsupported, folder, found: found, expected: expected)
    }
}
