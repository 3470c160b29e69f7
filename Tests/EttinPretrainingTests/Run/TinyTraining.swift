import EttinCorpus
import EttinFiles
import EttinJSON
import EttinModel
import EttinPretraining
import EttinTraining
import Foundation
import TestSupport
import Torch

/// A data set of random samples and recipes of models that train on it in a blink.
struct TinyTraining {
    static let specials: [Int32] = [50280, 50281, 50282, 50283, 50284]
    let folder: TemporaryFolder

    /// Writes 60 training samples and 10 held-out ones of 3 to 24 tokens.
    init(_ folder: TemporaryFolder) throws {
        self.folder = folder
        for (split, count) in [("train", 60), ("validation", 10)] {
            let writer = try MDSWriter(
                folder: folder.file("data/\(split)"),
                columns: [("input_ids", .array(element: .uint16, shape: nil))],
                options: MDSWriter.Options(sizeLimit: 1000)
            )
            for sample in 0..<count {
                let random = Philox(seed: split == "train" ? 1 : 2, stream: UInt64(sample))
                let length = 3 + Int(random.words(atBlock: 0).x % 22)
                // Repetition, which a model can learn.
                let first = Int32(random.words(atBlock: 1).x % 200)
                let ids = [50281] + (1..<Int32(length)).map { (first + $0 % 3) % 250 }
                try writer.append(["input_ids": .array(try MDSArray(tokenIDs: ids, element: .uint16))])
            }
            try writer.finish()
        }
    }

    /// A recipe of 12 batches, with what else is to be set.
    func recipe(
        _ kind: ModelKind,
        _ name: String,
        _ change: (inout PretrainingRecipe) -> Void = { _ in }
    ) -> PretrainingRecipe {
        var model = ModernBERTConfiguration(kind: kind)
        model.vocabularySize = 50288
        model.hiddenSize = 16
        model.intermediateSize = 24
        model.attentionHeads = 2
        model.layerTypes = LayerType.pattern(layers: 2, globalEvery: 2)
        var data = DataSettings(
            localPath: folder.file("data"),
            split: "train",
            maxSequenceLength: 20,
            shuffleSeed: 5,
            workerCount: 1
        )
        var recipe = PretrainingRecipe(
            kind: kind,
            data: data,
            maxDuration: TrainingTime(12, .batch),
            model: model,
            seed: 3,
            attentionOutputDropout: 0.1,
            globalTrainBatchSize: 7,
            globalEvalBatchSize: 4,
            microbatchSize: 3,
            optimizer: OptimizerSettings(learningRate: 1e-2),
            schedule: .warmupStableDecay(
                warmup: TrainingTime(3, .batch),
                decay: TrainingTime(0.25, .duration),
                finalFactor: 0.1
            ),
            gradientClipping: 0.5,
            checkpoints: CheckpointSettings(
                saveFolder: folder.file(name),
                saveInterval: TrainingTime(4, .batch),
                autoresume: true
            ),
            logging: LoggingSettings(tensorboard: false)
        )
        data.split = "validation"
        data.shuffle = false
        data.order = .sequential
        data.dropLast = false
        recipe.evalData = data
        recipe.evalInterval = TrainingTime(6, .batch)
        change(&recipe)
        return recipe
    }

    /// Trains, perhaps only some batches.
    ///
    /// - Returns: The runs.
    @discardableResult
    static func train(_ recipes: [PretrainingRecipe], batches: Int = .max) throws -> [Trainer<PretrainingRun>] {
        var count = 0
        var options = PretrainingSession.Options()
        options.shouldStop = {
            count += 1
            return count > batches
        }
        let session = try PretrainingSession(recipes, options)
        _ = try session.run()
        return session.trainers
    }

    /// The bytes of a file of a run.
    func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: folder.file(path))) }

    /// A value of every line of a run's metrics that has it.
    func metrics(_ name: String, _ key: String) throws -> [Double] {
        let text = String(decoding: try bytes("\(name)/metrics.jsonl"), as: UTF8.self)
        return try text.split(separator: "\n").compactMap { try JSONValue(parsing: String($0))[key]?.doubleValue }
    }
}
