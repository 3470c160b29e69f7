import EttinConversion
import EttinCorpus
import EttinModel
import EttinReports
import EttinTraining
import Torch

extension PretrainingPlan {
    /// The plan for reading, in lines of at most 100 characters where the recipe's own names allow it.
    public var text: String {
        var lines = PlanLines()
        describeModel(&lines)
        describeData(&lines)
        describeRun(&lines)
        describeRates(&lines)
        describeCheckpoints(&lines)
        describeMemory(&lines)
        describeRules(&lines)
        if !recipe.notices.isEmpty {
            lines.heading("notices")
            for notice in recipe.notices { lines.add(wrapping: notice) }
        }
        return lines.text
    }

    private func describeModel(_ lines: inout PlanLines) {
        let model = recipe.model
        lines.heading(recipe.runName ?? "unnamed run")
        var objective =
            switch recipe.objective {
            case .masked(let probability): "encoder, masked language modeling of \(percent(probability))"
            case .causal: "decoder, causal language modeling"
            }
        if recipe.startKind != recipe.kind {
            objective += ", starts from \(recipe.startKind == .encoder ? "an encoder" : "a decoder")"
        }
        lines.add("trains", objective)
        let size = EttinSize(shapeOf: model).map { " (\($0.rawValue))" } ?? ""
        lines.add(
            "model",
            "\(model.layerCount) layers of \(model.hiddenSize)\(size), MLP \(model.intermediateSize), "
                + "\(model.attentionHeads) heads of \(model.headDimensions)"
        )
        let assumed = recipe.takesVocabularyFromTokenizer ? ", unless the tokenizer has another number" : ""
        lines.add("vocabulary", NumberText.grouped(model.vocabularySize) + assumed)
        lines.add(
            "parameters",
            "\(NumberText.grouped(model.parameterCount)), of which "
                + "\(NumberText.grouped(model.embeddingParameterCount)) in the embedding"
        )
        let isLocal = model.layerTypes.contains(.slidingAttention)
        let window = isLocal ? ", local layers see \(window)" : ""
        lines.add(
            "attention",
            "rotary base \(NumberText.shortest(model.globalRope.theta)) global, "
                + "\(NumberText.shortest(model.localRope.theta)) local\(window)"
        )
        lines.add("dropout", "\(NumberText.shortest(recipe.attentionOutputDropout)) after attention")
    }

    private var window: String {
        let rule = recipe.rules.decoderWindow
        guard let layer = recipe.model.layerTypes.firstIndex(of: .slidingAttention) else { return "" }
        let window = recipe.model.window(layer: layer, rule: rule)
        return "\((window.left ?? 0) + (window.right ?? 0) + 1) tokens"
    }

    private func describeData(_ lines: inout PlanLines) {
        lines.heading("data")
        let streams = recipe.data.streams.map { "\($0.name): \($0.localPath)" }
        let places = streams.isEmpty ? [recipe.data.localPath] : streams
        lines.add("train", places.joined(separator: ", ") + (recipe.data.split.map { ", \($0)" } ?? ""))
        lines.add("order", orderText)
        if let data = recipe.evalData {
            lines.add("evaluation", "\(data.localPath)\(data.split.map { ", \($0)" } ?? ""), \(evaluationText)")
        }
        let mean = NumberText.shortest(sequenceLength.mean)
        let text =
            switch sequenceLength.source {
            case .measured: "\(mean) tokens on average, in \(NumberText.grouped(sequenceLength.samplesRead)) samples"
            case .given: "\(mean) tokens on average, as given"
            case .assumed: "\(mean) tokens assumed, the maximum (\(sequenceLength.problem ?? "no data"))"
            }
        lines.add("sequence", "at most \(NumberText.grouped(recipe.data.maxSequenceLength)); \(text)")
    }

    private var evaluationText: String {
        guard let interval = recipe.evalInterval else { return "never" }
        let isBeyond =
            interval.unit == recipe.maxDuration.unit
            ? interval.value > recipe.maxDuration.value
            : interval.unit == .batch && interval.value > Double(steps ?? .max)
        return isBeyond ? "never, as the run ends before \(interval)" : "every \(intervalText(interval))"
    }

    private var orderText: String {
        switch recipe.data.order {
        case .permutation: "permutation of all samples, seed \(recipe.data.shuffleSeed)"
        case .streaming(let settings):
            recipe.data.shuffle
                ? "streaming's \(settings.algorithm.rawValue) over \(settings.canonicalNodes) nodes, "
                    + "seed \(recipe.data.shuffleSeed)"
                : "streaming's, unshuffled over \(settings.canonicalNodes) nodes"
        case .sequential: "in storage order"
        case .explicit(let path): "given by \(path)"
        }
    }

    private func describeRun(_ lines: inout PlanLines) {
        lines.heading("run")
        lines.add("length", intervalText(recipe.maxDuration))
        var batch =
            "\(NumberText.grouped(recipe.globalTrainBatchSize)) sequences, about \(compact(tokensPerStep)) tokens"
        if let tokens = recipe.maxTokensPerMicrobatch {
            batch += ", in microbatches of at most \(NumberText.grouped(tokens)) tokens"
        } else if let size = recipe.microbatchSize {
            batch += ", in microbatches of \(size)"
        }
        lines.add("batch", batch)
        if !batchSizes.isEmpty {
            let steps = batchSizes.map { "\($0.sequences) from \(compact(Double($0.tokens)))" }
            lines.add("batch growth", steps.joined(separator: ", "))
        }
        lines.add("steps", steps.map { "about \(NumberText.grouped($0))" } ?? "unknown without the data")
        if let tokens { lines.add("tokens", "about \(compact(tokens))") }
        if let batchesPerEpoch { lines.add("epoch", "\(NumberText.grouped(batchesPerEpoch)) steps") }
        let optimizer = recipe.optimizer
        lines.add(
            "optimizer",
            "\(optimizer.name.rawValue), betas \(NumberText.shortest(optimizer.beta1)) "
                + "\(NumberText.shortest(optimizer.beta2)), eps \(NumberText.shortest(optimizer.epsilon)), "
                + "weight decay \(NumberText.shortest(optimizer.weightDecay))"
                + (optimizer.filtersBiasAndNorm ? " except on biases and norms" : "")
        )
        if let norm = recipe.gradientClipping {
            lines.add("clipping", "gradient norm at most \(NumberText.shortest(norm))")
        }
        lines.add("precision", recipe.precision.rawValue)
        lines.add("seed", "\(recipe.seed)")
    }

    private func describeRates(_ lines: inout PlanLines) {
        lines.heading("learning rate")
        lines.add("schedule", scheduleText)
        for rate in rates {
            let time = intervalText(TrainingTime(rate.time, recipe.maxDuration.unit))
            lines.add(percent(rate.share), "\(NumberText.shortest(rate.value)) at \(time)")
        }
        let curve = curve(72)
        let labels = (top: NumberText.shortest(curve.max() ?? 0), bottom: "0")
        if isBaseUnknown {
            lines.add(
                wrapping:
                    "By decay_base_rate: literal the schedule multiplies the loaded run's peak, which this recipe does "
                    + "not say; the rates here are multiples of its own."
            )
        }
        for line in TextChart.lines(curve, rows: 8, labels: labels) { lines.add(line) }
    }

    /// Whether the schedule multiplies a rate that only the loaded run knows.
    private var isBaseUnknown: Bool {
        let settings = recipe.checkpoints
        guard recipe.rules.decayBaseRate == .literal, settings.restartOverride, settings.loadPath != nil else {
            return false
        }
        switch recipe.schedule {
        case .constantWithWarmup, .warmupStableDecay: return false
        default: return !settings.loadWeightsOnly
        }
    }

    private var scheduleText: String {
        let schedule = recipe.schedule
        let spans: [(name: String, time: TrainingTime)]
        let final: Double?
        switch schedule {
        case .constantWithWarmup(let warmup): (spans, final) = ([("warm-up", warmup)], nil)
        case .linearDecayWithWarmup(let warmup, let factor), .cosineWithWarmup(let warmup, let factor):
            (spans, final) = ([("warm-up", warmup)], factor)
        case .warmupStableDecay(let warmup, let decay, let factor):
            (spans, final) = ([("warm-up", warmup), ("decay", decay)], factor)
        case .oneMinusSqrt(let decay, let end, let factor):
            (spans, final) = ([("decay", decay), ("up to", end)], factor)
        case .cosineInverseSqrt(let shape):
            spans = [("warm-up", shape.warmup), ("cosine", shape.cosine), ("cool-down", shape.cooldown)]
            final = shape.finalFactor
        case .transformers: (spans, final) = ([], nil)
        }
        let times = spans.map { "\($0.name) \(intervalText($0.time.resolved(in: recipe.maxDuration)))" }
        let end = final.map {
            ", down to \(NumberText.shortest($0)) of \(NumberText.shortest(recipe.optimizer.learningRate))"
        }
        return "\(schedule.name), \(times.joined(separator: ", "))\(end ?? "")"
    }

    private func describeCheckpoints(_ lines: inout PlanLines) {
        lines.heading("checkpoints")
        let settings = recipe.checkpoints
        if let folder = settings.saveFolder { lines.add("folder", folder) }
        lines.add("every", intervalText(settings.saveInterval))
        if let checkpoints {
            let dots = checkpoints.tags.count < checkpoints.count ? " …" : ""
            let tags = checkpoints.tags.dropLast().joined(separator: " ") + dots + " " + (checkpoints.tags.last ?? "")
            lines.add("number", "about \(NumberText.grouped(checkpoints.count)): \(tags.drop { $0 == " " })")
            let kept = min(checkpoints.count, settings.keepLast ?? .max)
            let more = settings.keepEvery.map { " and those at multiples of \(intervalText($0))" } ?? ""
            lines.add(
                "size",
                "\(NumberText.bytes(checkpoints.bytes)) each; \(NumberText.bytes(Double(kept) * checkpoints.bytes)) for "
                    + "the \(NumberText.grouped(kept)) that are kept\(more)"
            )
        }
        if let path = settings.loadPath {
            let parts = [
                settings.loadWeightsOnly ? "weights only" : nil, settings.resetTime ? "clock reset" : nil,
                settings.restartOverride ? "with this recipe's rate" : nil,
            ].compactMap { $0 }
            lines.add("starts from", ([path] + parts).joined(separator: ", "))
        }
        if let smaller = recipe.initFromCheckpoint {
            lines.add("starts from", "\(smaller.path), \(smaller.mode.rawValue)")
        }
        if settings.autoresume { lines.add("resumes", "from the newest checkpoint of the folder") }
    }

    private func describeMemory(_ lines: inout PlanLines) {
        lines.heading("memory per device, estimated")
        lines.add("parameters", NumberText.bytes(memory.weights))
        lines.add("gradients", NumberText.bytes(memory.gradients))
        lines.add("optimizer", NumberText.bytes(memory.optimizer))
        let perToken = "\(NumberText.bytes(memory.activationsPerToken)) per token"
        lines.add("activations", memory.activations.map { "\(NumberText.bytes($0)), \(perToken)" } ?? perToken)
        lines.add(
            "total",
            NumberText.bytes(memory.total) + (memory.activations == nil ? " without activations" : "")
        )
    }

    private func describeRules(_ lines: inout PlanLines) {
        lines.heading("rules")
        for rule in recipe.rules.descriptions { lines.add(rule.key, "\(rule.value): \(rule.meaning)") }
    }

    // MARK: - Values

    private func compact(_ value: Double) -> String { NumberText.compact(value, digits: 4) }

    private func percent(_ share: Double) -> String { "\(NumberText.shortest(share * 100)) %" }

    private func intervalText(_ time: TrainingTime) -> String {
        let unit =
            switch time.unit {
            case .iteration, .batch: "steps"
            case .epoch: "epochs"
            case .sample: "sequences"
            case .token: "tokens"
            case .second: "seconds"
            case .duration: "of the run"
            }
        return "\(compact(time.value)) \(unit)"
    }
}
