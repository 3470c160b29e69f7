public import EttinJSON
import EttinModel
import EttinReports
import EttinTables
package import EttinTraining
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
    /// What a few steps took; nil where none were taken, and for a run that is finished.
    package internal(set) var measurement: StepMeasurement?
    private let recipe: FineTuningSettings
    private let layout: ModuleLayout
    private let lossNames: LossNames
    private let library: String?
    private let notes: [(key: String, value: String)]

    /// Rows whose tokens are counted.
    private static let sampleRows = 256

    init(
        _ recipe: FineTuningSettings,
        _ length: TrainingLength,
        _ batches: FineTuningBatches,
        _ subject: any FineTuningSubject
    ) throws {
        let arguments = recipe.arguments
        self.recipe = recipe
        layout = subject.layout ?? recipe.layout
        self.length = length
        maxTokens = subject.maxTokens
        rows = batches.rowCount
        batch = (arguments.trainBatchSize, arguments.accumulationSteps)
        lossNames = subject.lossNames
        library = subject.library
        notes = subject.planNotes
        parameters = subject.module.parameterCount
        let (tokens, texts) = try batches.sampledTokens(rows: Self.sampleRows, batchSize: arguments.trainBatchSize)
        tokensPerRow = tokens
        // Weights, gradients and two moments, all in float32.
        stateBytes = 16 * Double(parameters)
        let size = min(batch.rows, rows)
        let tokensPerText = tokens / max(1, texts)
        var held = 0.0
        for set in batches.sets {
            guard let cache = subject.cache(ofDataset: set.dataset) else {
                held = max(held, Double(size) * tokens)
                continue
            }
            let slice = min(Double(cache.rows), Double(size) * texts) * tokensPerText
            held = max(held, cache.tokens.map(Double.init) ?? slice)
        }
        let tokenBytes = subject.configuration?.activationBytesPerToken(
            precision: arguments.usesBFloat16 ? .mixedBFloat16 : .full,
            recomputes: arguments.recomputesLayers
        )
        activationBytes = held * (tokenBytes ?? 0) + Double(size) * texts * subject.rowBytes
    }

    /// Seconds of training of the whole run, without evaluations and checkpoints; nil where no steps were taken.
    public var seconds: Double? { measurement.map { $0.secondsPerStep * Double(length.totalSteps) } }

    /// The tokens of the run.
    public var totalTokens: Double { length.sampleCount * tokensPerRow }
}

extension FineTuningBatches {
    /// The mean number of tokens of a row, by rows that are spread evenly over the data sets.
    ///
    /// - Parameters:
    ///   - count: How many rows of each data set to read.
    ///   - batchSize: The rows of a batch, among which a loss may draw texts for each.
    /// - Returns: The number, and the largest number of texts of a row.
    /// - Throws: As ``prepared(_:step:)``.
    fileprivate func sampledTokens(rows count: Int, batchSize: Int) throws -> (tokens: Double, texts: Double) {
        var (tokens, weight, texts) = (0.0, 0.0, 1.0)
        for (place, set) in sets.enumerated() {
            let sampled = min(count, set.rowCount)
            guard sampled > 0 else { continue }
            let rows = (0..<sampled).map { $0 * set.rowCount / sampled }
            var (tokenCount, textCount) = (0, 0)
            for start in stride(from: 0, to: sampled, by: batchSize) {
                let part = Array(rows[start..<min(start + batchSize, sampled)])
                let batch = try prepared(EpochBatch(dataset: place, rows: part), step: 0)
                tokenCount += batch.tokenCount
                textCount += batch.textCount
            }
            tokens += Double(tokenCount) / Double(sampled) * Double(set.rowCount)
            weight += Double(set.rowCount)
            texts = max(texts, Double(textCount) / Double(sampled))
        }
        return (tokens / max(1, weight), texts)
    }
}

extension ModernBERTConfiguration {
    /// Bytes that a token of a pass holds for its gradient, roughly: what each layer saves.
    fileprivate func activationBytesPerToken(precision: Precision, recomputes: Bool) -> Double {
        let product: Double = precision == .mixedBFloat16 ? 2 : 4
        let (hidden, inner) = (Double(hiddenSize), Double(intermediateSize))
        let layers = Double(layerCount)
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
        for note in notes { lines.add(note.key, note.value) }
        lines.add("loss", lossNames.text)
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
        let precision = arguments.usesBFloat16 ? "bf16" : "fp32"
        lines.add("precision", precision + (arguments.asksForFloat16 ? ", in place of fp16" : ""))
        lines.heading("memory")
        lines.add("weights, gradients, moments", NumberText.bytes(stateBytes))
        lines.add("activations", "about \(NumberText.bytes(activationBytes))")
        if let measurement {
            lines.add("peak", "\(NumberText.bytes(Double(measurement.peakBytes))), measured")
            lines.heading("time")
            lines.add(
                "step",
                "\(NumberText.shortest(measurement.secondsPerStep)) s, "
                    + "\(NumberText.compact(measurement.tokensPerSecond)) tokens/s, by \(measurement.steps) steps"
            )
            lines.add("run", "about \(NumberText.duration(seconds ?? 0)), without evaluations")
        }
        lines.heading("output")
        lines.add("folder", arguments.outputFolder)
        lines.add("layout", library ?? "sentence-transformers \(layout == .version6 ? "6" : "5 and later")")
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
        var object: JSONObject = [
            "model": .string(recipe.model),
            "parameters": JSONValue(parameters),
            "max_seq_length": JSONValue(maxTokens),
            "loss": .array(lossNames.all.map { .string($0) }),
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
            "seconds_per_step": measurement.map { JSONValue($0.secondsPerStep) } ?? .null,
            "tokens_per_second": measurement.map { JSONValue($0.tokensPerSecond) } ?? .null,
            "seconds": seconds.map { JSONValue($0) } ?? .null,
            "peak_bytes": measurement.map { JSONValue($0.peakBytes) } ?? .null,
            "output_dir": .string(recipe.arguments.outputFolder),
        ]
        for note in notes { object[note.key.replacing(" ", with: "_")] = .string(note.value) }
        return .object(object)
    }
}
