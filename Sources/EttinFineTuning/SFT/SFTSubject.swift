import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTemplates
import EttinTokenizer
import EttinTraining
import Torch

extension FineTuningSession {
    /// Prepares the supervised fine-tuning of a decoder.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `TemplateError` for the model.
    public convenience init(_ recipe: SFTRecipe, _ options: Options = Options()) throws {
        var options = options
        options.dataset = OpenedTables(options.dataset).open
        // Whether there are conversations decides what the tokenizer needs, before data are read.
        let isConversational = try (recipe.trainData + recipe.evaluationData).contains { set in
            let table = try options.dataset(set)
            return SFTReading.isConversational(try set.columns.map(table.keeping(columns:)) ?? table, recipe)
        }
        try self.init(recipe.settings, options) { folder, isResumed in
            try SFTSubject(
                recipe,
                folder,
                isResumed: isResumed,
                needsTemplate: isConversational,
                tokenizerFolder: options.modelFolder
            )
        }
    }
}

/// A decoder that is fine-tuned on what it is to say.
final class SFTSubject: FineTuningSubject {
    let kind = "sft"
    let evaluatesInOrder = true
    let lossNames: LossNames
    let maxTokens: Int
    let notices: [String]
    private let recipe: SFTRecipe
    private let model: LanguageModel
    let tokenizer: Tokenizer
    /// The source of the chat template; nil for a tokenizer without.
    private let template: String?
    let reading: SFTReading
    private let generation: GenerationConfiguration
    /// The tokens of the run so far.
    private var tokenCount = 0
    private var components: [(key: String, value: Double)] = []

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - folder: The folder of the model, or a checkpoint of the run.
    ///   - isResumed: Whether it is a checkpoint, whose tokenizer has what the recipe asks for.
    ///   - needsTemplate: Whether there are conversations.
    ///   - tokenizerFolder: Finds the folder of a tokenizer by name.
    /// - Throws: `TrainingError` for a recipe that does not fit the model; what loading model and template throws.
    init(
        _ recipe: SFTRecipe,
        _ folder: String,
        isResumed: Bool,
        needsTemplate: Bool,
        tokenizerFolder: (String) throws -> String
    ) throws {
        self.recipe = recipe
        var notices = recipe.notices
        let model = try Self.loadedModel(folder, name: recipe.model)
        var tokenizer = try Tokenizer(folder: folder)
        notices += tokenizer.notices
        var generation = try GenerationConfiguration.read(folder: folder, model: model.trunk.configuration)
        var template = try ChatTemplate(folder: folder)?.source
        let seed = UInt64(recipe.arguments.seed)
        func clone(_ source: ChatTemplateSource, _ name: String) throws {
            let added = try source.clone(into: &tokenizer, model, seed: seed)
            template = source.template
            if let id = tokenizer.eosTokenID { generation.eosTokenIDs = [Int(id)] }
            let size = model.trunk.configuration.vocabularySize
            notices.append("the chat template of \(name) adds \(added) tokens; the model has \(size)")
        }
        if !isResumed {
            if template == nil, needsTemplate, recipe.templatePath == nil {
                try clone(.qwen3, "Qwen3")
            }
            if let end = recipe.endToken { try Self.setEnd(end, of: &tokenizer, &generation) }
            if let path = recipe.templatePath {
                if Self.isTemplateFile(path) {
                    template = try Self.templateText(path)
                } else {
                    try clone(try Self.source(path, tokenizerFolder), path)
                }
            }
            try Self.setPadding(recipe.padToken, of: &tokenizer, &generation)
        } else if let path = recipe.templatePath, Self.isTemplateFile(path), FilePath.kind(of: path) == .file,
            try Self.templateText(path) != template
        {
            throw TrainingError(
                .invalidOption,
                "chat_template_path",
                found: "is \(path), which has changed since the run began",
                expected: "the template as it was, or another output_dir"
            )
        }
        self.notices = notices
        self.model = model
        self.template = template
        self.generation = generation
        maxTokens = try recipe.maxTokens(model.trunk.configuration)
        lossNames = LossNames([[recipe.loss.rawValue]])
        let renderer = try template.map { source in
            try ConversationRenderer(
                ChatTemplate(needsTemplate ? Self.training(source, recipe) : source),
                tokenizer
            )
        }
        self.tokenizer = tokenizer.removingSetting("chat_template")
        reading = SFTReading(
            recipe: recipe,
            tokenizer: tokenizer,
            renderer: renderer,
            maxLength: maxTokens,
            vocabularySize: model.trunk.configuration.vocabularySize,
            formatting: try recipe.formatting.map { try ChatTemplate($0, name: "formatting_func") }
        )
    }

    private static func loadedModel(_ folder: String, name: String) throws -> LanguageModel {
        let kind = try ModernBERTConfiguration(folder: folder).kind
        guard kind == .decoder else {
            throw TrainingError(
                .unsupported,
                "model_name_or_path",
                found: "is \(name), an encoder",
                expected: "a decoder, such as jhu-clsp/ettin-decoder-17m"
            )
        }
        return try LanguageModel.loadForTraining(folder: folder)
    }

    /// Whether a `chat_template_path` names a template, rather than a tokenizer that has one.
    private static func isTemplateFile(_ path: String) -> Bool { path.hasSuffix(".jinja") || path.hasSuffix(".j2") }

    private static func templateText(_ path: String) throws -> String {
        guard FilePath.kind(of: path) == .file else {
            throw TrainingError(
                .missing,
                "chat_template_path",
                found: "is \(path), which is not there",
                expected: "a .jinja file, a tokenizer, chatml or qwen3"
            )
        }
        let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw TrainingError(.malformed, path, found: "is not UTF-8", expected: "the text of a chat template")
        }
        return text
    }

    private static func source(_ name: String, _ folder: (String) throws -> String) throws -> ChatTemplateSource {
        if FilePath.kind(of: name) == .absent {
            switch name.lowercased() {
            case "chatml": return .chatML
            case "qwen3", "qwen/qwen3-0.6b": return .qwen3
            default: break
            }
        }
        return try ChatTemplateSource(folder: folder(name), name: name)
    }

    /// The template that marks what the assistant says, where only that counts.
    private static func training(_ source: String, _ recipe: SFTRecipe) throws -> String {
        guard recipe.countsAssistantOnly, try !ChatTemplate(source).marksGeneration else { return source }
        guard let training = ConversationRenderer.trainingTemplate(for: source) else {
            throw TrainingError(
                .unsupported,
                "assistant_only_loss",
                found: "is true, but the chat template marks no answers",
                expected: "a template with {% generation %} and {% endgeneration %} around them"
            )
        }
        return training
    }

    private static func setEnd(
        _ token: String,
        of tokenizer: inout Tokenizer,
        _ generation: inout GenerationConfiguration
    ) throws {
        guard let id = tokenizer.tokenToID(token) else {
            throw TrainingError(
                .invalidOption,
                "eos_token",
                found: "is \(quoted(token)), which the tokenizer does not have",
                expected: "a token of its vocabulary, or chat_template_path, which brings its own"
            )
        }
        tokenizer = tokenizer.setting("eos_token", to: token)
        if !generation.eosTokenIDs.contains(Int(id)) { generation.eosTokenIDs.insert(Int(id), at: 0) }
    }

    private static func setPadding(
        _ token: String?,
        of tokenizer: inout Tokenizer,
        _ generation: inout GenerationConfiguration
    ) throws {
        let special = tokenizer.specialTokens
        let own = (special.first { $0.role == "pad_token" } ?? special.first { $0.role == "eos_token" })?.token
        guard let token = token ?? own else { return }
        guard let id = tokenizer.tokenToID(token) else {
            throw TrainingError(
                .invalidOption,
                "pad_token",
                found: "is \(quoted(token)), which the tokenizer does not have",
                expected: "a token of its vocabulary"
            )
        }
        tokenizer = tokenizer.setting("pad_token", to: token)
        generation.padTokenID = Int(id)
    }

    // MARK: What a session asks

    var module: Module { model }
    var configuration: ModernBERTConfiguration? { model.trunk.configuration }
    var library: String? { "transformers" }
    var logsPlainComponents: Bool { true }
    var identity: [String: String] {
        [
            "max_length": "\(maxTokens)", "loss_type": recipe.loss.rawValue,
            "packing": recipe.packing?.rawValue ?? "false",
            "eval_packing": recipe.evaluationPacking?.rawValue ?? "false",
            "truncation_mode": recipe.truncation.rawValue,
            "completion_only_loss": recipe.countsCompletionsOnly.map(String.init) ?? "auto",
            "assistant_only_loss": "\(recipe.countsAssistantOnly)", "shuffle_dataset": "\(recipe.shuffles)",
            "chat_template_path": recipe.templatePath ?? "auto", "formatting_func": recipe.formatting ?? "none",
            "eos_token": recipe.endToken ?? "auto", "pad_token": recipe.padToken ?? "auto",
            "vocab_size": "\(model.trunk.configuration.vocabularySize)",
        ]
    }
    var state: JSONObject {
        get { ["num_tokens": JSONValue(tokenCount)] }
        set { tokenCount = newValue["num_tokens"]?.intValue ?? 0 }
    }

    func cache(ofDataset name: String?) -> GradientCacheSettings? { nil }

    func rows(_ table: TableView, _ source: RowSource) throws -> any TrainingRows { try reading.rows(table, source) }

    func check(_ set: any TrainingRows) throws -> [String] { [] }

    func prepared(_ rows: [Int], of set: any TrainingRows, step: Int) throws -> PreparedLossBatch {
        guard let set = set as? SFTRows else {
            preconditionFailure("sft: a session hands back the data sets that a subject made")
        }
        let parts = rows.flatMap(set.parts(ofRow:))
        var batch = PreparedLossBatch(
            columns: [parts.map { PreparedText(Array($0.ids)) }],
            step: step,
            rowCount: rows.count
        )
        // The token to predict at each place is the next one; nothing is predicted from the last one of a part.
        batch.targets = parts.map { $0.labels.dropFirst() + [SFTTokens.ignored] }
        return batch
    }

    func weights(of microbatches: [PreparedLossBatch]) -> [Double]? {
        let counts = microbatches.map(\.targetCount)
        let total = max(1, counts.reduce(0, +))
        return counts.map { Double($0) / Double(total) }
    }

    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double {
        try withRecovery {
            let (loss, value) = try loss(batch, training: dropout, precision: precision)
            components = value.components
            tokenCount += batch.tokenCount
            let scaled = loss * (weight / Double(max(1, batch.targetCount)))
            let total = try scaled.scalar()
            if total.isFinite { scaled.backward() }
            return total
        }
    }

    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue {
        var value = try withRecovery {
            try withoutGradients { try loss(batch, training: nil, precision: precision).value }
        }
        value.components.append(("num_tokens", Double(tokenCount)))
        return value
    }

    /// The sum of the losses of tokens, and the means for the log.
    private func loss(
        _ batch: PreparedLossBatch,
        training: DropoutContext?,
        precision: Precision
    ) throws -> (sum: Tensor, value: LossValue) {
        let labels = batch.targets.joined()
        var (places, targets) = ([Int64](), [Int64]())
        for (place, label) in labels.enumerated() where label != SFTTokens.ignored {
            places.append(Int64(place))
            targets.append(Int64(label))
        }
        let (sum, entropies, hits) = model.summedLoss(
            PackedBatch(batch.columns[0].map(\.tokenIDs)),
            targets: targets,
            at: places,
            weighsByProbability: recipe.loss == .dynamic,
            training: training,
            precision: precision
        )
        let count = Double(max(1, places.count))
        return (
            sum,
            LossValue(
                try sum.detached().scalar() / count,
                components: [
                    ("entropy", try entropies.sum(along: 0).scalar() / count),
                    ("mean_token_accuracy", try hits.sum(along: 0).scalar() / count),
                ]
            )
        )
    }

    func takeComponents() -> [(key: String, value: Double)] {
        defer { components = [] }
        return components
    }

    var loggedTotals: [(key: String, value: Double)] { [("num_tokens", Double(tokenCount))] }

    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator {
        preconditionFailure("sft: recipes with an evaluator are refused")
    }

    // MARK: Files

    func write(toFolder folder: String) throws {
        let end = tokenizer.eosTokenID.map { [Int($0)] }
        try model.save(folder: folder) { written in
            if let end { written.eosTokenIDs = end }
            if let pad = generation.padTokenID { written.padTokenID = pad }
        }
        try tokenizer.save(to: folder)
        try generation.write(toFolder: folder)
        guard let template else { return }
        try TrainingError.translating {
            try AtomicFile.write(Array(template.utf8), to: FilePath.joined(folder, "chat_template.jinja"))
        }
    }

    func load(fromFolder folder: String) throws {
        try assign(LanguageModel.loadForTraining(folder: folder), fromFolder: folder)
    }

    func describe(_ card: inout ModelCard) {
        card.title = "\(FilePath.lastComponent(of: recipe.model)), supervised fine-tuning"
        card.summary =
            "A decoder that was fine-tuned on \(template == nil ? "texts" : "conversations") of at most \(maxTokens) tokens."
        card.pipelineTag = "text-generation"
        card.libraryName = "transformers"
        card.tags = ["trl", "sft"]
        let prompt =
            template == nil
            ? "\"The capital of France is\""
            : "[{\"role\": \"user\", \"content\": \"What is the capital of France?\"}]"
        card.usage = """
            from transformers import pipeline

            generator = pipeline("text-generation", model="path/to/this/folder")
            print(generator(\(prompt), max_new_tokens=64, return_full_text=False)[0]["generated_text"])
            """
    }
}

extension SFTRecipe {
    /// Maximum number of tokens of a row of a model.
    fileprivate func maxTokens(_ configuration: ModernBERTConfiguration) throws -> Int {
        let most = configuration.maxPositionEmbeddings
        switch length {
        case .standard: return min(1024, most)
        case .unlimited: return most
        case .tokens(let count):
            guard count <= most else {
                throw TrainingError(
                    .invalidOption,
                    "max_length",
                    found: "is \(count), but \(settings.model) reads \(most) tokens",
                    expected: "at most that many"
                )
            }
            return count
        }
    }
}

extension PreparedLossBatch {
    /// The number of tokens that are predicted.
    fileprivate var targetCount: Int { targets.reduce(0) { $1.reduce($0) { $0 + ($1 == SFTTokens.ignored ? 0 : 1) } } }
}
