import EttinFiles
import EttinInference
import EttinModel
import EttinTokenizer
import EttinTraining

/// What the last checkpoints of some runs say.
struct ReportSamples: Sendable {
    /// What one run says about one passage.
    enum Answer: Hashable, Sendable {
        /// For each gap, the most likely tokens.
        case fills([[FillMaskPipeline.Prediction]])
        /// How the text goes on.
        case continuation(String)
    }

    /// A passage with what is said about it, a run's number with its answer.
    struct Entry: Sendable {
        let passage: SamplePassage
        var answers: [(run: Int, answer: Answer)] = []
    }

    /// How decoders draw: with a fixed seed, so that a report can be made again.
    static let generation: GenerationOptions = {
        var options = GenerationOptions()
        (options.maxNewTokens, options.temperature, options.topP, options.seed) = (40, 0.8, 0.95, 1)
        return options
    }()

    private(set) var entries: [Entry] = []
    /// Why there are fewer samples than one would expect.
    private(set) var notes: [String] = []

    /// Lets the runs' last checkpoints fill and continue texts.
    ///
    /// - Parameters:
    ///   - runs: The runs.
    ///   - labels: What the page calls them.
    ///   - prompts: The texts; without any, texts of the held-out data are taken.
    ///   - options: Where and in which precision to compute.
    /// - Throws: What reading and running the models throws.
    init(_ runs: [RunRecord], labels: [String], prompts: [String], options: ComputeOptions) throws {
        var folders: [(run: Int, folder: String)] = []
        // What was fine-tuned for a task has no head that fills or continues texts.
        for (index, run) in runs.enumerated() where !run.isFineTuning {
            if let folder = usableFolder(run, label: labels[index]) { folders.append((index, folder)) }
        }
        let passages = try prompts.isEmpty ? heldOut(runs, folders) : prompts.map { SamplePassage(prompt: $0) }
        entries = passages.map { Entry(passage: $0) }
        guard !entries.isEmpty else { return }
        for (index, folder) in folders {
            switch runs[index].kind {
            case .encoder: try fill(folder, run: index, options)
            case .decoder: try continueTexts(folder, run: index, options)
            }
        }
    }

    private mutating func fill(_ folder: String, run: Int, _ options: ComputeOptions) throws {
        let fillMask = try Self.loaded(folder) { try FillMaskPipeline(folder: folder, options: options) }
        let results = try Self.numbered(Array(entries.indices), folder) { try fillMask(entries.map(\.passage.masked)) }
        for (index, result) in results.enumerated() { entries[index].answers.append((run, .fills(result.masks))) }
    }

    private mutating func continueTexts(_ folder: String, run: Int, _ options: ComputeOptions) throws {
        let generator = try Self.loaded(folder) { try TextGenerationPipeline(folder: folder, options: options) }
        let prompts = entries.enumerated().compactMap { index, entry in entry.passage.prompt.map { (index, $0) } }
        let results = try Self.numbered(prompts.map(\.0), folder) {
            try generator.generate(prompts.map(\.1), options: Self.generation)
        }
        for ((index, _), result) in zip(prompts, results) {
            entries[index].answers.append((run, .continuation(result.text)))
        }
    }

    /// What `load` makes of a checkpoint, whose folder its errors name.
    private static func loaded<Model>(_ folder: String, _ load: () throws -> Model) throws -> Model {
        do {
            return try load()
        } catch {
            // Errors of a model's files call them by their names in its folder, and a report reads several folders.
            if "\(error)".contains(folder) { throw error }
            throw TrainingError(.malformed, folder, found: "\(error)")
        }
    }

    /// Calls a model with the texts of some entries, which its errors count from 1.
    private static func numbered<Result>(_ entries: [Int], _ folder: String, _ body: () throws -> Result) throws
        -> Result
    {
        do {
            return try body()
        } catch InferenceError.overlongText(let number, let tokens, let limit) {
            throw TrainingError(
                .invalidOption,
                "prompt \(entries[number - 1] + 1)",
                found: "has \(tokens) tokens",
                expected: "at most \(limit) for \(folder)"
            )
        }
    }

    /// The last checkpoint, if texts can be given to it.
    private mutating func usableFolder(_ run: RunRecord, label: String) -> String? {
        guard let checkpoint = run.checkpoints.last else {
            notes.append("\(label) has no checkpoint yet that could fill or continue texts.")
            return nil
        }
        guard FilePath.kind(of: FilePath.joined(checkpoint.path, "tokenizer.json")) == .file else {
            notes.append("\(label) has no tokenizer in \(checkpoint.name), so it can read no text.")
            return nil
        }
        return checkpoint.path
    }

    private mutating func heldOut(
        _ runs: [RunRecord],
        _ folders: [(run: Int, folder: String)]
    ) throws -> [SamplePassage] {
        guard let first = folders.first else { return [] }
        guard let dataset = runs.lazy.compactMap({ $0.text("eval_data") }).first else {
            notes.append("The runs have no held-out data to take texts from; --prompt gives some.")
            return []
        }
        guard FilePath.kind(of: dataset) == .folder else {
            notes.append("The held-out data \(dataset) are not there to take texts from; --prompt gives some.")
            return []
        }
        let tokenizer = try Self.loaded(first.folder) { try Tokenizer(folder: first.folder) }
        let limits = try folders.map { _, folder in
            try Self.loaded(folder) { try ModernBERTConfiguration(folder: folder).maxPositionEmbeddings }
        }
        let limit = min(limits.min() ?? .max, tokenizer.modelMaxLength ?? .max)
        let passages = try SamplePassage.heldOut(
            dataset,
            count: 4,
            tokenizer: tokenizer,
            from: first.folder,
            tokenLimit: limit
        )
        if passages.isEmpty { notes.append("The held-out data \(dataset) have no text of a few words.") }
        return passages
    }
}
