import EttinJSON
import EttinPretraining
import EttinTraining
import Foundation
import TestSupport

/// A run's folder as training leaves it, without having trained.
struct SyntheticRun {
    var kind = "encoder"
    var name = "nano"
    var vocabularySize = 2000
    var batches = 60
    /// The batches after which the run was evaluated and wrote a checkpoint.
    var interval = 20
    /// What stands for the data of a step.
    var data: (Int) -> String = { "batch \($0)" }
    /// Batches whose loss is no number.
    var lostBatches: Set<Int> = []
    var speed = 10_000.0

    static let tokensPerBatch = 4096

    /// A loss that falls, with noise that is the same each time.
    func loss(_ batch: Int) -> Double {
        if lostBatches.contains(batch) { return .nan }
        return 2 + 6 / (1 + Double(batch) / 10) + (kind == "encoder" ? 0.5 : 0) + Double(batch * 7919 % 13) / 40
    }

    func write(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let facts: JSONValue = [
            "name": .string(name), "kind": .string(kind), "objective": kind == "encoder" ? "mlm" : "clm",
            "parameters": 531_200, "vocab_size": JSONValue(vocabularySize), "phase": "step", "recipe": [:],
            "data": "data/train", "eval_data": nil, "ettin": "0.1.0", "torch": "2.13.0",
        ]
        try Data(facts.serialized()).write(to: URL(filePath: "\(path)/run.json"))
        try writeMetrics("\(path)/metrics.jsonl")
        let ledger = try DataLedgerWriter(path: "\(path)/ledger.jsonl")
        for step in 0..<batches {
            let digest = SHA256Digest(of: Array(data(step).utf8))
            try ledger.append(BatchFingerprint(samples: 8, tokens: Self.tokensPerBatch, digest: digest))
        }
        for batch in stride(from: interval, through: batches, by: interval) {
            let folder = "\(path)/step\(batch)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data("{}".utf8).write(to: URL(filePath: "\(folder)/config.json"))
        }
    }

    private func writeMetrics(_ path: String) throws {
        let logger = try JSONLinesLogger(path: path, continuingAfterBatch: nil)
        var clock = TrainingClock()
        for batch in 1...batches {
            clock.advance(samples: 8, tokens: Self.tokensPerBatch, epoch: 0)
            clock.seconds = Double(batch) * Double(Self.tokensPerBatch) / speed
            let rate = 1e-3 * min(1, Double(batch) / 10)
            try logger.log(
                [
                    (MetricName.trainingLoss, loss(batch)), ("lr-StableAdamW/group0", rate),
                    ("lr-StableAdamW/group1", rate), (MetricName.tokensPerSecond, speed),
                    (MetricName.peakBytes, 4e8 + Double(batch)), (MetricName.dataWaitShare, 0.01),
                ],
                at: clock
            )
            guard batch % interval == 0 else { continue }
            let accuracy = kind == "encoder" ? MetricName.maskedAccuracy : MetricName.nextTokenAccuracy
            let loss = 8 - Double(batch) / 20
            try logger.log(
                [
                    (MetricName.evaluationLoss, loss), (accuracy, Double(batch) / 200),
                    (MetricName.perplexity, exp(loss)),
                ],
                at: clock
            )
        }
        try logger.finish()
    }

    /// Writes both halves of a pair into a folder, and gives their folders.
    @discardableResult
    static func writePair(_ folder: TemporaryFolder, _ change: (inout SyntheticRun) -> Void = { _ in }) throws
        -> [String]
    {
        try ["encoder", "decoder"].map { kind in
            var run = SyntheticRun(kind: kind)
            if kind == "decoder" { change(&run) }
            try run.write(folder.file(kind))
            return folder.file(kind)
        }
    }
}
