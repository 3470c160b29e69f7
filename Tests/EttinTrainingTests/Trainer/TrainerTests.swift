import EttinFiles
import EttinModel
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinTraining

@Suite("The trainer, with a task that pre-training does not know")
struct TrainerTests {
    private func bytes(_ folder: TemporaryFolder, _ path: String) throws -> Data {
        try Data(contentsOf: URL(filePath: folder.file(path)))
    }

    @Test("A task of a model and a loss is trained, measured, saved and logged")
    func training() throws {
        try withTemporaryFolder { folder in
            let trainer = try LineTask.train(LineTask.settings(folder.file("run")))
            #expect(trainer.clock.batch == 12 && trainer.clock.sample == 96 && trainer.clock.epoch == 1)
            #expect(try trainer.store.entries().map(\.batch) == [5, 10, 12])
            let lines = try MetricsFile.read(folder.file("run/metrics.jsonl"))
            let losses = lines.compactMap { $0.values[MetricName.trainingLoss] }
            // The second pass over ten batches begins with the first batch again.
            #expect(losses.count == 12 && losses[10] < losses[0] * 0.9, "\(losses)")
            #expect(lines.compactMap { $0.values["eval/slope"] }.count == 6)
            #expect(lines.compactMap { $0.values["lr-AdamW/group1"] }.last == 0.1)
            #expect(FilePath.exists(folder.file("run/ema/model.safetensors")))
            let frozen = try SafetensorsFile(path: folder.file("run/latest/model.safetensors")).tensor("frozen.weight")
            #expect(try frozen.array(of: Float.self) == [0.5, 0.5])
            // What is not trained has no moments.
            let moments = try SafetensorsFile(path: folder.file("run/latest/optimizer.safetensors")).names
            #expect(moments.contains("exp_avg.line.weight") && !moments.contains("exp_avg.frozen.weight"))
        }
    }

    @Test("Steps are measured without writing anything, and no more than the run has")
    func measuring() throws {
        try withTemporaryFolder { folder in
            let settings = try LineTask.settings(folder.file("run"))
            let trainer = try LineTask.trainer(settings)
            let measured = try #require(try trainer.measure(steps: 5))
            #expect(measured.steps == 5 && trainer.clock.batch == 5)
            #expect(measured.secondsPerStep > 0 && measured.tokensPerSecond > 0 && measured.peakBytes > 1 << 20)
            #expect(try trainer.measure(steps: 9, withinSeconds: 0)?.steps == 2)
            #expect(try trainer.measure(steps: 9)?.steps == 5)
            #expect(try trainer.measure() == nil)
            #expect(try folder.names == [])
        }
    }

    @Test("A run that stops anywhere is resumed to the same bits", arguments: [1, 4, 5, 11])
    func resuming(batches: Int) throws {
        try withTemporaryFolder { folder in
            try LineTask.train(LineTask.settings(folder.file("whole")))
            try stop(LineTask.settings(folder.file("parts")), after: batches)
            let resumed = try LineTask.train(LineTask.settings(folder.file("parts")))
            #expect(resumed.origin?.hasSuffix("step\(batches)") == true && resumed.task.seen == 12)
            for file in ["step12/model.safetensors", "step12/optimizer.safetensors", "ema/model.safetensors"] {
                #expect(try bytes(folder, "whole/\(file)") == bytes(folder, "parts/\(file)"), "\(file)")
            }
        }
    }

    /// Stops a run, which frees its folder.
    private func stop(_ settings: TrainerSettings, after batches: Int) throws {
        let stopped = try LineTask.train(settings, batches: batches)
        #expect(stopped.clock.batch == batches && !stopped.isFinished)
        #expect(try stopped.store.newest()?.batch == batches)
    }

    @Test("A run is not resumed as another, nor by a second process")
    func refusals() throws {
        try withTemporaryFolder { folder in
            let settings = try LineTask.settings(folder.file("run"))
            let first = try LineTask.train(settings, batches: 3)
            let locked = #expect(throws: TrainingError.self) { try LineTask.train(settings) }
            withExtendedLifetime(first) { #expect(locked?.found == "is being written by another process") }
            let other = #expect(throws: TrainingError.self) { try LineTask.trainer(settings, points: 9) }
            #expect(other?.description.hasPrefix("points: is 9, but the run") == true)
            var optimizer = settings
            optimizer.optimizer.name = .stableAdamW
            let changed = #expect(throws: TrainingError.self) { try LineTask.trainer(optimizer) }
            #expect(changed?.description.hasPrefix("optimizer.name: is stableadamw, but the run") == true)
        }
    }

    @Test("The best evaluation is saved, linked, and kept however few are")
    func best() throws {
        try withTemporaryFolder { folder in
            let settings = try LineTask.settings(folder.file("run")) {
                // The slope starts at 0.5 and rises, so the first evaluation is the one nearest to it.
                $0.best = BestModelSettings(metric: "eval/slope", greaterIsBetter: false)
                $0.keepLast = 1
            }
            let trainer = try LineTask.train(settings, batches: 7)
            #expect(trainer.best?.batch == 2)
            #expect(try trainer.store.entries().map(\.batch) == [2, 7])
            let resumed = try LineTask.trainer(settings)
            #expect(resumed.best == trainer.best)
            let target = try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("run/best"))
            #expect(target == "step2")
            // Another metric, or its other direction, begins anew.
            var other = settings
            other.best = BestModelSettings(metric: "eval/slope", greaterIsBetter: true)
            #expect(try LineTask.trainer(other).best == nil)
            let unknown = try LineTask.settings(folder.file("unknown")) {
                $0.best = BestModelSettings(metric: "eval/none", greaterIsBetter: true)
            }
            let error = #expect(throws: TrainingError.self) { try LineTask.train(unknown) }
            #expect(error?.description.contains("expected one of eval/slope") == true)
            // What was trained before the evaluation that failed is saved.
            let store = CheckpointStore(folder: folder.file("unknown"), tag: "step")
            #expect(try store.entries().map(\.batch) == [2])
        }
    }

    @Test("A better evaluation takes the place of the best, also in a run that is resumed")
    func better() throws {
        try withTemporaryFolder { folder in
            let settings = try LineTask.settings(folder.file("run")) {
                $0.best = BestModelSettings(metric: "eval/slope", greaterIsBetter: true)
                $0.keepLast = 1
            }
            func target() throws -> String {
                try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("run/best"))
            }
            try stop(settings, after: 7)
            #expect(try target() == "step6")
            // A run that was killed between a checkpoint and its link has none.
            try FileManager.default.removeItem(atPath: folder.file("run/best"))
            let resumed = try LineTask.train(settings)
            #expect(try target() == "step12")
            #expect(resumed.best?.batch == 12)
            #expect(try resumed.store.entries().map(\.batch) == [12])
        }
    }

    @Test("A loss that is not a number stops the run with the state before it saved")
    func divergence() throws {
        try withTemporaryFolder { folder in
            let trainer = try LineTask.trainer(LineTask.settings(folder.file("run")))
            trainer.task.factor = { $0 == 3 ? .infinity : 1 }
            let error = #expect(throws: TrainingError.self) { try trainer.run() }
            #expect(error?.kind == .diverged && error?.place == "line, batch 4: loss")
            #expect(error?.found.hasSuffix("is saved in \(folder.file("run/step3"))") == true)
            #expect(try trainer.store.entries().map(\.batch) == [3])
        }
    }

    @Test("When one of two runs diverges, its state before the step is saved")
    func divergenceTogether() throws {
        try withTemporaryFolder { folder in
            let trainers = try ["first", "second"].map { try LineTask.trainer(LineTask.settings(folder.file($0))) }
            trainers[1].task.factor = { $0 == 3 ? .nan : 1 }
            let error = #expect(throws: TrainingError.self) { try Trainer.runTogether(trainers) { true } }
            #expect(error?.kind == .diverged)
            // The other has taken the step, so that its state is not one that both have.
            #expect(try trainers.map { try $0.store.entries().map(\.batch) } == [[], [3]])
        }
    }

    @Test("Runs together are the runs alone")
    func together() throws {
        try withTemporaryFolder { folder in
            try LineTask.train(LineTask.settings(folder.file("alone")))
            let trainers = try ["first", "second"].map { try LineTask.trainer(LineTask.settings(folder.file($0))) }
            _ = try Trainer.runTogether(trainers) { true }
            for name in ["first", "second"] {
                let file = "step12/model.safetensors"
                #expect(try bytes(folder, "\(name)/\(file)") == bytes(folder, "alone/\(file)"))
            }
        }
    }

    @Test("A model without a parameter that is trained is refused, and nothing is written")
    func nothingToTrain() throws {
        try withTemporaryFolder { folder in
            let settings = try LineTask.settings(folder.file("run"))
            let task = try LineTask()
            task.model.setRequiresGradient(false)
            let error = #expect(throws: TrainingError.self) {
                try Trainer(task, settings, from: InitialTrainerState(settings.optimizer))
            }
            #expect(error?.description.hasPrefix("line: has no parameter that is trained") == true)
            #expect(!FilePath.exists(folder.file("run")))
        }
    }
}
