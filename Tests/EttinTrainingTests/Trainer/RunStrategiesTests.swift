import EttinFiles
import EttinJSON
import Foundation
import TestSupport
import Testing

@testable import EttinTraining

@Suite("Strategies of transformers")
struct RunStrategiesTests {
    /// Three updates of two microbatches make a pass of five; the run is two passes.
    private var strategies: RunStrategies {
        RunStrategies(microbatchesPerEpoch: 5, accumulation: 2, epochCount: 2, microbatchSize: 4, sampleCount: 40)
    }

    private func clocks(_ count: Int) -> [TrainingClock] {
        var clock = TrainingClock()
        return [clock]
            + (1...count).map { step in
                clock.advance(samples: 8, tokens: 8, epoch: step / 3)
                return clock
            }
    }

    private func steps(_ isDue: (_ now: TrainingClock, _ before: TrainingClock, _ isLast: Bool) -> Bool) -> [Int] {
        let clocks = clocks(6)
        return (1...6).filter { isDue(clocks[$0], clocks[$0 - 1], $0 == 6) }
    }

    @Test("The part of a pass counts microbatches, of which the last update has fewer")
    func epochs() {
        #expect(clocks(6).map(strategies.epoch) == [0, 0.4, 0.8, 1, 1.4, 1.8, 2])
    }

    @Test("Evaluating and saving every so many steps, and after the last one too")
    func everySteps() {
        var strategies = strategies
        (strategies.logging, strategies.evaluation, strategies.saving) = (.steps(4), .steps(4), .steps(4))
        #expect(steps { strategies.logs(at: $0, since: $1, isFinished: $2) } == [4])
        #expect(steps { strategies.evaluates(at: $0, since: $1, isFinished: $2) } == [4, 6])
        #expect(steps { strategies.saves(at: $0, since: $1, isFinished: $2) } == [4, 6])
        strategies.logsFirstStep = true
        strategies.evaluationDelay = 5
        #expect(steps { strategies.logs(at: $0, since: $1, isFinished: $2) } == [1, 4])
        #expect(steps { strategies.evaluates(at: $0, since: $1, isFinished: $2) } == [6])
    }

    @Test("Evaluating and saving after passes, or never")
    func everyEpoch() {
        var strategies = strategies
        (strategies.logging, strategies.evaluation, strategies.saving) = (.epochs, .epochs, .epochs)
        #expect(steps { strategies.logs(at: $0, since: $1, isFinished: $2) } == [3, 6])
        strategies.evaluationDelay = 1.5
        #expect(steps { strategies.evaluates(at: $0, since: $1, isFinished: $2) } == [6])
        #expect(steps { strategies.saves(at: $0, since: $1, isFinished: $2) } == [3, 6])
        (strategies.logging, strategies.evaluation, strategies.saving) = (.never, .never, .best)
        #expect(steps { strategies.logs(at: $0, since: $1, isFinished: $2) } == [])
        #expect(steps { strategies.saves(at: $0, since: $1, isFinished: $2) } == [])
    }

    /// A run of 12 steps with strategies.
    private func settings(
        _ folder: String,
        _ change: (inout RunStrategies) -> Void = { _ in }
    ) throws -> TrainerSettings {
        try LineTask.settings(folder) { settings in
            settings.averaging = nil
            settings.checkpointTag = "checkpoint-"
            settings.best = BestModelSettings(metric: "eval/slope", greaterIsBetter: true)
            var strategies = RunStrategies(
                microbatchesPerEpoch: 20,
                accumulation: 2,
                epochCount: 2,
                microbatchSize: 4,
                sampleCount: 96
            )
            (strategies.logging, strategies.evaluation, strategies.saving) = (.steps(5), .steps(4), .steps(4))
            change(&strategies)
            settings.strategies = strategies
        }
    }

    /// Opens the run of a folder: a new one, or the one that is there.
    private func train(_ settings: TrainerSettings, batches: Int = .max) throws -> Trainer<LineTask> {
        let newest = try settings.store.newest()
        let start =
            try newest.map {
                try InitialTrainerState(
                    resuming: $0,
                    runIdentity: [:],
                    stateFile: TrainerState.strategiesFileName,
                    keys: RunKeys(length: "max_steps", folder: "output_dir")
                )
            } ?? InitialTrainerState(settings.optimizer)
        let trainer = try Trainer(LineTask(resuming: newest?.path, state: start.task), settings, from: start)
        var count = 0
        _ = try trainer.run {
            count += 1
            return count <= batches
        }
        return trainer
    }

    private func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: path))))
    }

    @Test("The history has the entries of transformers, and its file no other keys")
    func history() throws {
        try withTemporaryFolder { folder in
            let trainer = try train(settings(folder.file("run")))
            let entries = trainer.progress.history
            #expect(entries.compactMap { $0["step"]?.intValue } == [4, 5, 8, 10, 12, 12])
            #expect(Array(entries[1].keys) == ["loss", "grad_norm", "learning_rate", "epoch", "step"])
            #expect(Array(entries[0].keys) == ["eval/slope", "epoch", "step"])
            #expect(
                Array(entries[5].keys) == [
                    "train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss",
                    "epoch", "step",
                ]
            )
            let lines = try MetricsFile.read(folder.file("run/metrics.jsonl"))
            let losses = lines.compactMap { $0.values[MetricName.trainingLoss] }
            let mean = losses[5..<10].reduce(0, +) / 5
            #expect(abs(try #require(entries[3]["loss"]?.doubleValue) - mean) < 1e-12)
            let all = losses.reduce(0, +) / 12
            #expect(abs(try #require(entries[5]["train_loss"]?.doubleValue) - all) < 1e-12)
            #expect(try #require(entries[3]["epoch"]?.doubleValue) == 1)
            let state = try json(folder.file("run/checkpoint-12/trainer_state.json"))
            #expect(
                Set(state.objectValue.map { Array($0.keys) } ?? []) == [
                    "best_global_step", "best_metric", "best_model_checkpoint", "epoch", "eval_steps", "global_step",
                    "is_hyper_param_search", "is_local_process_zero", "is_world_process_zero", "log_history",
                    "logging_steps", "max_steps", "num_input_tokens_seen", "num_train_epochs", "save_steps",
                    "stateful_callbacks", "total_flos", "train_batch_size", "trial_name", "trial_params",
                ]
            )
            #expect(
                state["global_step"] == 12 && state["max_steps"] == 12 && state["log_history"]?.arrayValue?.count == 5
            )
            #expect(try json(folder.file("run/trainer_state.json"))["log_history"]?.arrayValue?.count == 6)
        }
    }

    @Test("A run with strategies that stops anywhere is resumed to the same bits and history", arguments: [1, 4, 7])
    func resuming(batches: Int) throws {
        try withTemporaryFolder { folder in
            let whole = try train(settings(folder.file("whole")))
            _ = try train(settings(folder.file("parts")), batches: batches)
            let resumed = try train(settings(folder.file("parts")))
            for file in ["model.safetensors", "optimizer.safetensors"] {
                let paths = ["whole", "parts"].map { folder.file("\($0)/checkpoint-12/\(file)") }
                #expect(try Data(contentsOf: URL(filePath: paths[0])) == Data(contentsOf: URL(filePath: paths[1])))
            }
            #expect(resumed.progress.history.dropLast() == whole.progress.history.dropLast())
            #expect(resumed.progress.history.last?["train_loss"] == whole.progress.history.last?["train_loss"])
        }
    }

    @Test("A history with a metric that is NaN is read again")
    func notANumber() throws {
        try withTemporaryFolder { folder in
            var history = RunHistory()
            history.log(evaluation: [("eval_loss", 1.5), ("eval_pearson", .nan)], epoch: 1, step: 2)
            try history.write(
                toFolder: folder.path,
                at: TrainingClock(),
                maximum: 2,
                strategies,
                best: nil,
                bestPath: nil
            )
            let read = try RunHistory(history.state, folder: folder.path)
            #expect(read.entries[0]["eval_loss"] == 1.5)
            #expect(read.entries[0]["eval_pearson"]?.doubleValue?.isNaN == true)
        }
    }

    @Test("The limit keeps the newest and the best checkpoint; with 1 the best stays alone")
    func limits() throws {
        try withTemporaryFolder { folder in
            // The slope falls from step to step, so the first evaluation is the best.
            func worse(_ settings: TrainerSettings) -> TrainerSettings {
                var settings = settings
                settings.best = BestModelSettings(metric: "eval/slope", greaterIsBetter: false)
                return settings
            }
            let all = try train(worse(settings(folder.file("all")) { $0.saving = .steps(2) }))
            #expect(try all.store.entries().map(\.batch) == [2, 4, 6, 8, 10, 12])
            let two = try train(
                worse(
                    settings(folder.file("two")) {
                        ($0.saving, $0.totalLimit) = (.steps(2), 2)
                    }
                )
            )
            let best = try #require(two.best?.batch)
            #expect(try two.store.entries().map(\.batch) == (best == 12 ? [10, 12] : [best, 12]))
            let one = try train(
                worse(
                    settings(folder.file("one")) {
                        ($0.saving, $0.totalLimit) = (.best, 1)
                    }
                )
            )
            #expect(try one.store.entries().map(\.batch) == [best])
            let state = try json(folder.file("one/trainer_state.json"))
            #expect(state["best_global_step"]?.intValue == best)
            #expect(state["best_model_checkpoint"]?.stringValue == folder.file("one/checkpoint-\(best)"))
        }
    }

    @Test("Without strategies, a checkpoint of pretraining has one state, and no history")
    func pretraining() throws {
        try withTemporaryFolder { folder in
            try LineTask.train(LineTask.settings(folder.file("run")))
            let state = try json(folder.file("run/step12/trainer_state.json"))
            #expect(state["history"] == nil && state["plateau"] == nil && state["clock"] != nil)
            #expect(!FilePath.exists(folder.file("run/step12/run_state.json")))
        }
    }
}
