import EttinCorpus
import EttinFiles
import EttinModel
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinPretraining

@Suite("Pre-training sessions", .serialized)
struct PretrainingSessionTests {
    private static let state = ["model.safetensors", "optimizer.safetensors", "config.json"]

    private func training(_ body: (TinyTraining) throws -> Void) throws {
        try withTemporaryFolder { try body(TinyTraining($0)) }
    }

    @Test("a model learns, is measured and saved, and its checkpoints are models")
    func learning() throws {
        try training { tiny in
            let run = try #require(TinyTraining.train([tiny.recipe(.decoder, "run")]).first)
            #expect(run.clock.batch == 12)
            #expect(run.clock.sample == 84)
            let losses = try tiny.metrics("run", MetricName.trainingLoss)
            #expect(losses.count == 12)
            #expect(losses[11] < losses[0] - 0.3)
            #expect(try tiny.metrics("run", MetricName.evaluationLoss).count == 2)
            #expect(
                try CheckpointStore(folder: tiny.folder.file("run"), tag: "step").entries().map(\.batch) == [4, 8, 12]
            )
            let model = try LanguageModel.load(folder: tiny.folder.file("run/latest"))
            #expect(model.configuration.kind == .decoder)
            let rates = try tiny.metrics("run", "lr-StableAdamW/group0")
            let expected = [1e-12, 0.01 / 3, 0.02 / 3] + [Double](repeating: 0.01, count: 7) + [0.007, 0.004]
            for (rate, value) in zip(rates, expected) { #expect(abs(rate - value) < 1e-9) }
        }
    }

    @Test("bfloat16 beside float32 learns the same, and goes on to the bit", arguments: ModelKind.allCases)
    func mixedPrecision(kind: ModelKind) throws {
        try training { tiny in
            func recipe(_ name: String, _ precision: Precision) -> PretrainingRecipe {
                tiny.recipe(kind, name) { $0.precision = precision }
            }
            try TinyTraining.train([recipe("full", .full)])
            try TinyTraining.train([recipe("mixed", .mixedBFloat16)])
            try TinyTraining.train([recipe("parts", .mixedBFloat16)], batches: 5)
            try TinyTraining.train([recipe("parts", .mixedBFloat16)])
            let losses = try tiny.metrics("mixed", MetricName.trainingLoss)
            for (one, other) in zip(try tiny.metrics("full", MetricName.trainingLoss), losses) {
                #expect(abs(one - other) < 0.01 * one)
            }
            #expect(try tiny.metrics("mixed", MetricName.evaluationLoss).count == 2)
            for file in Self.state {
                #expect(try tiny.bytes("mixed/step12/\(file)") == tiny.bytes("parts/step12/\(file)"), "\(file)")
            }
        }
    }

    @Test("stopping and going on is as never having stopped, to the bit", arguments: [1, 4, 7, 11])
    func resuming(batches: Int) throws {
        try training { tiny in
            for kind in ModelKind.allCases {
                try TinyTraining.train([tiny.recipe(kind, "whole-\(kind.name)")])
                try TinyTraining.train([tiny.recipe(kind, "parts-\(kind.name)")], batches: batches)
                // As many workers as there are must not matter either.
                try TinyTraining.train([tiny.recipe(kind, "parts-\(kind.name)") { $0.data.workerCount = 0 }])
                for file in Self.state.map({ "step12/\($0)" }) + ["ledger.jsonl"] {
                    #expect(
                        try tiny.bytes("whole-\(kind.name)/\(file)") == tiny.bytes("parts-\(kind.name)/\(file)"),
                        "\(file)"
                    )
                }
                #expect(
                    try tiny.metrics("whole-\(kind.name)", MetricName.trainingLoss)
                        == tiny.metrics("parts-\(kind.name)", MetricName.trainingLoss)
                )
            }
        }
    }

    @Test("halves trained together are the halves trained alone, and a pair")
    func lockstep() throws {
        try training { tiny in
            try TinyTraining.train([tiny.recipe(.encoder, "pair"), tiny.recipe(.decoder, "pair")])
            for kind in ModelKind.allCases {
                try TinyTraining.train([tiny.recipe(kind, "alone-\(kind.name)")])
                for file in Self.state.map({ "step12/\($0)" }) + ["ledger.jsonl"] {
                    let together = try tiny.bytes("pair/\(kind.name)/\(file)")
                    #expect(try tiny.bytes("alone-\(kind.name)/\(file)") == together, "\(file)")
                }
            }
            let other = tiny.recipe(.decoder, "other") { $0.data.shuffleSeed = 6 }
            try TinyTraining.train([other])
            for (decoder, isPair) in [("alone-decoder", true), ("other", false)] {
                let verdict = try PairVerification(tiny.folder.file("alone-encoder"), tiny.folder.file(decoder))
                #expect(verdict.isPair == isPair)
                #expect(verdict.agreeingSteps == (isPair ? 12 : 0))
            }
        }
    }

    @Test("microbatches of any size give the loss of the whole, where tokens weigh the same")
    func accumulation() throws {
        try training { tiny in
            func losses(_ name: String, _ size: Int, _ choice: CompatibilityRules.Choice) throws -> [Double] {
                let recipe = tiny.recipe(.encoder, name) {
                    $0.microbatchSize = size
                    $0.rules.lossWeighting = choice
                    $0.evalData = nil
                }
                try TinyTraining.train([recipe])
                return try tiny.metrics(name, MetricName.trainingLoss)
            }
            let whole = try losses("whole", 7, .intended)
            let parts = try losses("parts", 2, .intended)
            for (one, other) in zip(whole, parts) { #expect(abs(one - other) < 2e-3 * one) }
            // The training code weighs microbatches by their sequences, which is something else.
            let literal = try losses("literal", 2, .literal)
            #expect(abs(literal[0] - parts[0]) > 1e-5)
            // Layers that are computed again change nothing.
            let recomputed = tiny.recipe(.encoder, "recomputed") {
                $0.microbatchSize = 2
                $0.rules.lossWeighting = .intended
                $0.gradientCheckpointing = true
                $0.evalData = nil
            }
            try TinyTraining.train([recomputed])
            #expect(try tiny.metrics("recomputed", MetricName.trainingLoss) == parts)
        }
    }

    @Test("a phase goes on from another: weights and moments, its own rate and time")
    func phases() throws {
        try training { tiny in
            try TinyTraining.train([tiny.recipe(.encoder, "step")])
            func phase(_ name: String, _ change: (inout PretrainingRecipe) -> Void = { _ in }) -> PretrainingRecipe {
                tiny.recipe(.encoder, name) {
                    $0.checkpoints.phase = .ext
                    $0.checkpoints.loadPath = tiny.folder.file("step")
                    $0.optimizer.learningRate = 5e-3
                    $0.schedule = .constantWithWarmup(warmup: TrainingTime(0, .batch))
                    $0.maxDuration = TrainingTime(2, .batch)
                    change(&$0)
                }
            }
            let run = try #require(TinyTraining.train([phase("ext")]).first)
            #expect(run.clock.batch == 2)
            #expect(FilePath.exists(tiny.folder.file("ext/ext2/model.safetensors")))
            #expect(try tiny.metrics("ext", "lr-StableAdamW/group0") == [5e-3, 5e-3])
            // The moments go on, so the optimizer has made all steps.
            let state = try TrainerState(folder: tiny.folder.file("ext/ext2"))
            #expect(state.optimizerSteps == 14)
            #expect(state.referenceRate == 1e-2)
            // As the training code ran, the base stays that of the first phase unless restart_override scales it.
            try TinyTraining.train([phase("literal") { $0.rules.decayBaseRate = .literal }])
            #expect(try tiny.metrics("literal", "lr-StableAdamW/group0") == [1e-2, 1e-2])
            let weights = phase("weights") { $0.checkpoints.loadWeightsOnly = true }
            try TinyTraining.train([weights])
            #expect(try TrainerState(folder: tiny.folder.file("weights/ext2")).optimizerSteps == 2)
            // A decoder starts from the encoder's weights.
            let cross = tiny.recipe(.decoder, "cross") {
                $0.startKind = .encoder
                $0.checkpoints.loadPath = tiny.folder.file("step")
                $0.checkpoints.loadWeightsOnly = true
                $0.maxDuration = TrainingTime(1, .batch)
                $0.optimizer.learningRate = 1e-12
                $0.optimizer.weightDecay = 0
                $0.schedule = .constantWithWarmup(warmup: TrainingTime(0, .batch))
            }
            try TinyTraining.train([cross])
            let (old, new) = (
                try LanguageModel.load(folder: tiny.folder.file("step/latest")),
                try LanguageModel.load(folder: tiny.folder.file("cross/latest"))
            )
            for ((key, one), (_, other)) in zip(old.parameters, new.parameters) {
                let values: (old: [Float], new: [Float]) = (try one.array(), try other.array())
                #expect(zip(values.old, values.new).allSatisfy { abs($0 - $1) < 1e-6 }, "\(key)")
            }
        }
    }

    @Test("averages are written at the end, and a stopped one goes on")
    func averages() throws {
        try training { tiny in
            func recipe(_ name: String) -> PretrainingRecipe {
                tiny.recipe(.decoder, name) { $0.averaging = .ema(ExponentialAveraging(smoothing: 0.5)) }
            }
            try TinyTraining.train([recipe("whole")])
            try TinyTraining.train([recipe("parts")], batches: 5)
            try TinyTraining.train([recipe("parts")])
            let average = try tiny.bytes("whole/ema/model.safetensors")
            #expect(try tiny.bytes("parts/ema/model.safetensors") == average)
            #expect(try tiny.bytes("whole/step12/model.safetensors") != average)
            try TinyTraining.train([tiny.recipe(.decoder, "last") { $0.averaging = .lastCheckpoints(2) }])
            #expect(FilePath.exists(tiny.folder.file("last/average/model.safetensors")))
        }
    }

    @Test("a loss that is no number stops the run with the state before it saved")
    func divergence() throws {
        try training { tiny in
            let recipe = tiny.recipe(.encoder, "run") {
                $0.optimizer.learningRate = 1e30
                $0.gradientClipping = nil
                $0.schedule = .constantWithWarmup(warmup: TrainingTime(0, .batch))
            }
            let error = #expect(throws: TrainingError.self) { try TinyTraining.train([recipe]) }
            #expect(error?.kind == .diverged)
            #expect(error?.description.contains("saved in") == true)
            let entry = try #require(try CheckpointStore(folder: tiny.folder.file("run"), tag: "step").newest())
            #expect(error?.description.contains(entry.path) == true)
        }
    }

    @Test("old checkpoints go, but for those at round numbers")
    func retention() throws {
        try training { tiny in
            let recipe = tiny.recipe(.decoder, "run") {
                $0.checkpoints.saveInterval = TrainingTime(1, .batch)
                $0.checkpoints.keepLast = 2
                $0.checkpoints.keepEvery = TrainingTime(5, .batch)
            }
            try TinyTraining.train([recipe])
            let kept = try CheckpointStore(folder: tiny.folder.file("run"), tag: "step").entries().map(\.batch)
            #expect(kept == [5, 10, 11, 12])
        }
    }

    @Test("a run does not go on as another, nor overwrite one without being told")
    func refusals() throws {
        try training { tiny in
            try TinyTraining.train([tiny.recipe(.encoder, "run")], batches: 5)
            for (change, words) in [
                ({ $0.seed = 4 }, "seed: is 4"),
                ({ $0.globalTrainBatchSize = 8 }, "global_train_batch_size: is 8"),
                ({ $0.optimizer.name = .adamW }, "optimizer.name: is adamw"),
                ({ $0.checkpoints.autoresume = false }, "save_folder: is "),
                ({ $0.checkpoints.saveFolder = nil }, "save_folder: is not given"),
                ({ $0.data.localPath += "-absent" }, "-absent"),
                ({ $0.model.vocabularySize = 50286 }, "vocab_size"),
                (
                    {
                        $0.checkpoints.saveFolder = tiny.folder.file("new"); $0.checkpoints.loadPath = "nowhere"
                    }, "load_path"
                ),
                (
                    {
                        $0.gradientCheckpointing = true; $0.model.attentionDropout = 0.1
                    }, "gradient_checkpointing"
                ),
            ] as [((inout PretrainingRecipe) -> Void, String)] {
                let error = #expect(throws: (any Error).self) {
                    try TinyTraining.train([tiny.recipe(.encoder, "run", change)])
                }
                #expect("\(error.map { "\($0)" } ?? "")".contains(words), "\(words)")
            }
            // All of that has changed nothing.
            #expect(try TrainerState(folder: tiny.folder.file("run/latest")).clock.batch == 5)
            let pair = [tiny.recipe(.encoder, "pair"), tiny.recipe(.decoder, "pair") { $0.data.shuffleSeed = 1 }]
            #expect(throws: TrainingError.self) { try TinyTraining.train(pair) }
            #expect(throws: TrainingError.self) {
                try TinyTraining.train([tiny.recipe(.encoder, "pair"), tiny.recipe(.encoder, "pair")])
            }
        }
    }
}
