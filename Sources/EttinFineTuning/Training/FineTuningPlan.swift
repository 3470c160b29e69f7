public import EttinJSON
import EttinModel
import EttinReports
import EttinTables
import EttinTraining
import Torch

/// What a run of fine-tuning will be: its length, its data, and what it needs.
public struct FineTuningPlan: Sendable {
    /// How long the run is.
    public let length: TrainingLength
    /// The rows of a pass.
    public let rows: Int
    /// The rows of a microbatch, and how many microbatches make an update.
    public let batch: (rows: Int, accumulation: Int)
    /// The mean number of tokens of a row with all its columns, by a sample of the data.
    public let tokensPerRow: Double
    /// The weights of the model.
    public let parameters: Int
    /// Maximum number of tokens of a text.
    public let maxTokens: Int
    /// Bytes that weights, gradients and moments take.
    public let stateBytes: Double
    /// Bytes that the passes of a microbatch hold for its gradients, roughly.
    public let activationBytes: Double
    private let recipe: EmbeddingRecipe
    private let lossNames: [String]

    /// Rows whose tokens are counted.
    private static let sampleRows = 256

    init(
        _ recipe: EmbeddingRecipe,
        _ length: TrainingLength,
        _ batches: EmbeddingBatches,
        model: EmbeddingModel,
        objectives: EmbeddingObjectives,
        maxTokens: Int
    ) throws {
        let arguments = recipe.arguments
        self.recipe = recipe
        self.length = length
        self.maxTokens = maxTokens
        rows = batches.rowCount
        batch = (arguments.trainBatchSize, arguments.accumulationSteps)
        lossNames = objectives.names
        parameters = model.parameterCount
        let (tokens, columns) = try batches.sampledTokens(rows: Self.sampleRows)
        tokensPerRow = tokens
        // Weights, gradients and two moments, all in float32.
        stateBytes = 16 * Double(parameters)
        let size = min(batch.rows, rows)
        let tokensPerText = tokens / Double(max(1, columns))
        var held = 0.0
        for set in batches.sets {
            guard let cache = objectives(set.dataset).loss.cache else {
                held = max(held, Double(size) * tokens)
                continue
            }
            let slice = Double(min(cache.rows, size * columns)) * tokensPerText
            held = max(held, cache.tokens.map(Double.init) ?? slice)
        }
        activationBytes =
            held
            * model.activationBytesPerToken(
                precision: arguments.usesBFloat16 ? .mixedBFloat16 : .full,
                recomputes: arguments.recomputesLayers
            )
    }

    /// The tokens of the run.
    public var totalTokens: Double { length.sampleCount * tokensPerRow }
}

extension EmbeddingBatches {
    /// The mean number of tokens of a row, by rows that are spread evenly over the data sets.
    ///
    /// - Parameter count: How many rows of each data set to read.
    /// - Returns: The number, and the largest number of columns.
    /// - Throws: As ``prepared(_:step:)``.
    fileprivate func sampledTokens(rows count: Int) throws -> (tokens: Double, columns: Int) {
        var (tokens, weight, columns) = (0.0, 0.0, 1)
        for (place, set) in sets.enumerated() {
            let sampled = min(count, set.rowCount)
            guard sampled > 0 else { continue }
            let rows = (0..<sampled).map { $0 * set.rowCount / sampled }
            let batch = try prepared(EpochBatch(dataset: place, rows: rows), step: 0)
            tokens += Double(batch.tokenCount) / Double(sampled) * Double(set.rowCount)
            weight += Double(set.rowCount)
            columns = max(columns, batch.columns.count)
        }
        return (tokens / max(1, weight), columns)
    }
}

extension EmbeddingModel {
    /// Bytes that a token of a pass holds for its gradient, roughly: what each layer saves.
    fileprivate func activationBytesPerToken(precision: Precision, recomputes: Bool) -> Double {
        guard let configuration = trunk?.configuration else { return 8 * Double(dimensions) }
        let product: Double = precision == .mixedBFloat16 ? 2 : 4
        let (hidden, inner) = (Double(configuration.hiddenSize), Double(configuration.intermediateSize))
        let layers = Double(configuration.layerCount)
        let layer = 8 * hidden + product * (6 * hidden + 3 * inner)
        return 4 * hidden + (recomputes ? layers * 4 * hidden + layer : layers * layer)
    }
}

extension FineTuningPlan {
    /// The plan for reading.
    public var text: String {
        let arguments = recipe.arguments
        var lines = PlanLines()
        lines.heading(arguments.runName ?? arguments.outputFolder)
        lines.add("model", "\(recipe.model), \(NumberText.grouped(parameters)) parameters")
        lines.add("texts", "at most \(NumberText.grouped(maxTokens)) tokens")
        lines.add("loss", lossNames.joined(separator: " of "))
        lines.heading("data")
        for set in recipe.trainData {
            lines.add(set.name ?? "train", set.references.joined(separator: ", "))
        }
        lines.add("rows", "\(NumberText.grouped(rows)), about \(NumberText.shortest(tokensPerRow)) tokens each")
        lines.add("batches", recipe.batchSampler.rawValue)
        lines.heading("run")
        let accumulated = batch.accumulation > 1 ? " × \(batch.accumulation) accumulated" : ""
        lines.add("batch", "\(NumberText.grouped(batch.rows)) rows\(accumulated)")
        lines.add(
            "steps",
            "\(NumberText.grouped(length.totalSteps)), \(NumberText.grouped(length.stepsPerEpoch)) a pass"
        )
        lines.add(
            "passes",
            NumberText.shortest(
                arguments.maxSteps == nil ? arguments.epochs : Double(length.totalSteps) / Double(length.stepsPerEpoch)
            )
        )
        lines.add("tokens", NumberText.compact(totalTokens))
        lines.add("learning rate", rateText)
        lines.add("precision", arguments.usesBFloat16 ? "bf16" : "fp32")
        lines.heading("memory")
        lines.add("weights, gradients, moments", NumberText.bytes(stateBytes))
        lines.add("activations", "about \(NumberText.bytes(activationBytes))")
        lines.heading("output")
        lines.add("folder", arguments.outputFolder)
        lines.add("layout", "sentence-transformers \(recipe.layout == .version6 ? "6" : "5 and later")")
        return lines.text
    }

    private var rateText: String {
        let schedule = TransformersSchedule(
            recipe.arguments.schedule,
            warmupSteps: length.warmupSteps,
            totalSteps: length.totalSteps
        )
        let warmup = schedule.hasWarmup ? ", \(NumberText.grouped(length.warmupSteps)) steps of warm-up" : ""
        return "\(NumberText.shortest(recipe.arguments.learningRate)), \(schedule.name)\(warmup)"
    }

    /// The plan for programs.
    public var json: JSONValue {
        [
            "model": .string(recipe.model),
            "parameters": JSONValue(parameters),
            "max_seq_length": JSONValue(maxTokens),
            "loss": .array(lossNames.map { .string($0) }),
            "rows": JSONValue(rows),
            "tokens_per_row": JSONValue(tokensPerRow),
            "batch_size": JSONValue(batch.rows),
            "gradient_accumulation_steps": JSONValue(batch.accumulation),
            "batches_per_epoch": JSONValue(length.microbatchesPerEpoch),
            "steps_per_epoch": JSONValue(length.stepsPerEpoch),
            "max_steps": JSONValue(length.totalSteps),
            "warmup_steps": JSONValue(length.warmupSteps),
            "tokens": JSONValue(totalTokens),
            "state_bytes": JSONValue(stateBytes),
            "activation_bytes": JSONValue(activationBytes),
            "output_dir": .string(recipe.arguments.outputFolder),
        ]
    }
}
