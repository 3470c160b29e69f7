package import EttinCorpus
import EttinFiles
package import EttinJSON
public import EttinModel
public import EttinTraining
public import Torch

/// A raw training checkpoint of Composer, such as the suite's `ep0-ba599525-rank0.pt`, read without executing anything.
///
/// ```swift
/// let checkpoint = try ComposerCheckpoint(path: "latest-rank0.pt")
/// let model = LanguageModel(try checkpoint.configuration())
/// try model.load(checkpoint.weights)
/// ```
///
/// > Source: Composer 0.24 `composer/core/state.py`; torch-optimi 0.2 `StableAdamW`.
public struct ComposerCheckpoint {
    /// The file.
    public let path: String
    /// Encoder or decoder, by the name of the head.
    public let kind: ModelKind
    /// The weights under the keys of ``/EttinModel/LanguageModel``; they must not be trained in place.
    public let weights: StateDictionary
    /// How far the run had come; nil when the file does not say.
    public let clock: TrainingClock?
    /// What the optimizer remembers; nil when the file holds none.
    package let optimizer: ComposerOptimizerState?
    /// The learning rates that the schedule multiplies, one for each group.
    package let baseLearningRates: [Double]
    /// Where a run on streaming data stood; nil on other data.
    package let dataset: StreamingState?
    /// The seed of the first process.
    package let seed: Int?
    /// The name of the run.
    public let runName: String?
    /// The training code's configuration of the model; nil when the file holds none.
    package let modelConfig: JSONObject?
    /// The content of the tokenizer's files by their names; empty when the file holds none.
    package let tokenizerFiles: JSONObject
    /// What was found and passed over, a sentence each.
    public let notices: [String]
    /// Whether the output matrix is the embedding, as the file stores them.
    let isTied: Bool

    /// Reads a checkpoint; the weights' values are read when they are first used.
    ///
    /// - Parameter path: A file from `torch.save`.
    /// - Throws: `CheckpointError` when it is no training state of a language model, is broken, or holds an object where
    ///   a value is needed.
    public init(path: String) throws {
        let values = try ComposerValues(path: path)
        let weights = try ComposerWeights(values)
        self.path = path
        kind = weights.kind
        isTied = weights.isTied
        self.weights = try weights.tensors.map { ($0.key, try values.archive.tensor($0.tensor)) }
        clock = try Self.clock(values)
        optimizer = try ComposerOptimizerState(values, weights)
        baseLearningRates = try Self.baseLearningRates(values)
        dataset = try Self.dataset(values)
        seed = values.state["rank_zero_seed"]?.integer
        runName = values.state["run_name"]?.string
        let integration = (values.state["integrations"] ?? values.archive.root["integrations"])?["huggingface"]
        modelConfig = try Self.modelConfig(values, integration)
        tokenizerFiles = try Self.tokenizerFiles(values, integration)
        notices = Self.notices(weights)
    }

    // MARK: - Parts of the state

    private static func clock(_ values: ComposerValues) throws -> TrainingClock? {
        guard let stored = values.state["timestamp"] else { return nil }
        let stamp = stored["Timestamp"] ?? stored
        func count(_ key: String) throws -> Int {
            let count = try values.integer(values.required(key, of: stamp, "state.timestamp"), "state.timestamp.\(key)")
            guard (0...Int.largestCount).contains(count) else {
                throw values.problem("state.timestamp.\(key)", "is \(count)", "0 to \(Int.largestCount)")
            }
            return count
        }
        var clock = TrainingClock()
        clock.epoch = try count("epoch")
        clock.batch = try count("batch")
        clock.sample = try count("sample")
        clock.token = try count("token")
        clock.batchInEpoch = try count("batch_in_epoch")
        clock.sampleInEpoch = try count("sample_in_epoch")
        clock.tokenInEpoch = try count("token_in_epoch")
        if let time = stamp["total_wct"] { clock.seconds = try values.seconds(time, "state.timestamp.total_wct") }
        return clock
    }

    private static func baseLearningRates(_ values: ComposerValues) throws -> [Double] {
        guard let rates = values.state["schedulers"]?.entries?.first?.value["base_lrs"] else { return [] }
        return try (rates.elements ?? []).map { try values.number($0, "state.schedulers: base_lrs") }
    }

    private static func dataset(_ values: ComposerValues) throws -> StreamingState? {
        guard let train = values.state["dataset_state"]?["train"], train.entries != nil else { return nil }
        let place = "state.dataset_state.train"
        func count(_ key: String) throws -> Int {
            let count = try values.integer(values.required(key, of: train, place), "\(place).\(key)")
            guard count >= 0 else { throw values.problem("\(place).\(key)", "is \(count)", "0 or more") }
            return count
        }
        let hasNodes = train["initial_physical_nodes"].map { $0 != .none } ?? false
        return StreamingState(
            epoch: try count("epoch"),
            sampleInEpoch: try count("sample_in_epoch"),
            canonicalNodes: try count("num_canonical_nodes"),
            shuffleSeed: UInt64(try count("shuffle_seed")),
            initialPhysicalNodes: hasNodes ? try count("initial_physical_nodes") : nil
        )
    }

    private static func modelConfig(_ values: ComposerValues, _ integration: PickledValue?) throws -> JSONObject? {
        guard let content = integration?["model"]?["config"]?["content"] else { return nil }
        let place = "integrations.huggingface.model.config"
        guard let object = try values.json(content, place).objectValue else {
            throw values.problem(place, "is \(content.kind)", "a dictionary")
        }
        return object
    }

    private static func tokenizerFiles(_ values: ComposerValues, _ integration: PickledValue?) throws -> JSONObject {
        var files = JSONObject()
        for entry in integration?["tokenizer"]?.entries ?? [] {
            guard let name = entry.key.string, name.hasSuffix(".json"), let content = entry.value["content"] else {
                continue
            }
            files[name] = try values.json(content, "integrations.huggingface.tokenizer \(quoted(name))")
        }
        return files
    }

    private static func notices(_ weights: ComposerWeights) -> [String] {
        guard !weights.ignored.isEmpty else { return [] }
        let count = weights.ignored.count
        let shown = weights.ignored.prefix(3).map { quoted($0) }.joined(separator: ", ") + (count > 3 ? ", …" : "")
        return ["ignored \(count) value\(count == 1 ? "" : "s") of the model's state that are no weights: \(shown)"]
    }
}
