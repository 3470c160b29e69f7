import EttinFiles
import EttinJSON
import Foundation
import TestSupport
import Testing

@testable import EttinTraining

@Suite("Checkpoints of a run")
struct CheckpointStoreTests {
    @Test("A checkpoint appears whole, is found, and a link leads to the newest")
    func saves() throws {
        try withTemporaryFolder { folder in
            let store = CheckpointStore(folder: folder.path, tag: "step")
            #expect(try store.newest() == nil)
            for batch in [5, 10] { try store.save(batch: batch, state: .made(batch: batch)) }
            #expect(try store.entries().map(\.batch) == [5, 10])
            #expect(try store.newest()?.path == store.path(batch: 10))
            #expect(try folder.target(of: "latest") == "step10")
            #expect(try folder.names == ["latest", "step10", "step5"])
        }
    }

    @Test("Other folders are no checkpoints", arguments: ["step", "step07", "step+7", "steps7", "ext7", "step-7"])
    func passesOver(name: String) throws {
        try withTemporaryFolder { folder in
            let store = CheckpointStore(folder: folder.path, tag: "step")
            try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: false)
            try TrainerState.made(batch: 7).write(toFolder: folder.file(name))
            // Nor is a folder with such a name that has no state.
            try FileManager.default.createDirectory(atPath: folder.file("step8"), withIntermediateDirectories: false)
            #expect(try store.entries().isEmpty)
        }
    }

    @Test("A failure leaves what was there, and a state that is there stays as it is")
    func failures() throws {
        try withTemporaryFolder { folder in
            let store = CheckpointStore(folder: folder.path, tag: "step")
            try store.save(batch: 5, state: .made(batch: 5))
            #expect(throws: CocoaError.self) {
                try store.save(batch: 10) { path in
                    try AtomicFile.write([1], to: FilePath.joined(path, "weights"))
                    throw CocoaError(.fileWriteOutOfSpace)
                }
            }
            try store.save(batch: 5) { _ in Issue.record("it is there") }
            #expect(try folder.names == ["latest", "step5"])
        }
    }

    @Test(
        "The newest stay, and those that are kept",
        arguments: [
            (1, 0, [60]), (2, 0, [50, 60]), (1, 20, [20, 40, 60]), (2, 30, [30, 50, 60]), (0, 0, [60]),
            (9, 0, [10, 20, 30, 40, 50, 60]),
        ]
    )
    func prunes(last: Int, every: Int, expected: [Int]) throws {
        try withTemporaryFolder { folder in
            let store = CheckpointStore(folder: folder.path, tag: "step")
            for batch in stride(from: 10, through: 60, by: 10) {
                try store.save(batch: batch, state: .made(batch: batch))
            }
            try store.prune(keepingLast: last) {
                $0.clock.crosses(TrainingTime(Double(every), .batch), since: $0.previousClock)
            }
            #expect(try store.entries().map(\.batch) == expected)
            #expect(try folder.names == ["latest"] + expected.map { "step\($0)" })
        }
    }

    @Test("Taking back removes what a kill left and later checkpoints", arguments: [nil, 5, 10])
    func takesBack(batch: Int?) throws {
        try withTemporaryFolder { folder in
            let store = CheckpointStore(folder: folder.path, tag: "step")
            for batch in [5, 10] { try store.save(batch: batch, state: .made(batch: batch)) }
            for name in [".step15.abc.tmp", ".step3.removed.tmp"] {
                try FileManager.default.createDirectory(
                    atPath: folder.file("\(name)/below"),
                    withIntermediateDirectories: true
                )
                try folder.write("half", "\(name)/below/weights")
            }
            try folder.write("{", ".run.json.abc.tmp")
            try FileManager.default.createSymbolicLink(atPath: folder.file("latest.tmp"), withDestinationPath: "step10")
            try folder.write("kept", "ledger.jsonl")
            try store.rollBack(toBatch: batch)
            let left = [5, 10].filter { $0 <= batch ?? 0 }.map { "step\($0)" }
            #expect(try Set(folder.names) == Set(left + (left.isEmpty ? [] : ["latest"]) + ["ledger.jsonl"]))
            if let newest = left.last { #expect(try folder.target(of: "latest") == newest) }
        }
    }

    @Test("All but one can go")
    func keepsOne() throws {
        try withTemporaryFolder { folder in
            let store = CheckpointStore(folder: folder.path, tag: "ext")
            for batch in [0, 5, 10] { try store.save(batch: batch, state: .made(batch: batch)) }
            try store.keepOnly(try #require(try store.entries().first))
            #expect(try store.entries().map(\.batch) == [0])
        }
    }

    @Test("One holder at a time has a folder")
    func locks() throws {
        try withTemporaryFolder { folder in
            let first = try RunLock(folder: folder.path)
            let error = #expect(throws: TrainingError.self) { try RunLock(folder: folder.path) }
            withExtendedLifetime(first) { #expect(error?.found == "is being written by another process") }
            #expect(throws: TrainingError.self) { try RunLock(folder: folder.file("absent")) }
        }
        try withTemporaryFolder { folder in
            _ = try RunLock(folder: folder.path)
            _ = try RunLock(folder: folder.path)
        }
    }
}

@Suite("The state of a run")
struct TrainerStateTests {
    @Test("A state reads as it was written")
    func roundTrip() throws {
        try withTemporaryFolder { folder in
            var state = TrainerState.made(batch: 7)
            state.nextRate = 0.1 + 0.2
            state.clock.seconds = 1 / 3
            state.best = BestEvaluation(
                BestModelSettings(metric: "b", greaterIsBetter: true),
                value: 2.5,
                batch: 6
            )
            state.evaluation = [.init(key: "b", value: 2.5), .init(key: "a", value: 1e-300)]
            try state.write(toFolder: folder.path)
            #expect(try TrainerState(folder: folder.path) == state)
        }
    }

    @Test(
        "What is missing or malformed is named",
        arguments: [
            (#""batch": 7"#, #""batch": -7"#, #""clock.batch" is -7"#),
            (#""lr": 0.5"#, #""lr": null"#, #""optimizer.lr""#),
            (#""decoupled_stableadamw""#, #""sgd""#, #""optimizer.name" is "sgd""#),
            (#""steps": 7"#, #""stops": 7"#, "steps"),
            ("{", "", "is not JSON"),
        ]
    )
    func malformed(original: String, replacement: String, message: String) throws {
        try withTemporaryFolder { folder in
            try TrainerState.made(batch: 7).write(toFolder: folder.path)
            let text = String(decoding: try folder.read(TrainerState.fileName), as: UTF8.self)
            #expect(text.contains(original))
            try folder.write(text.replacing(original, with: replacement, maxReplacements: 1), TrainerState.fileName)
            let error = #expect(throws: TrainingError.self) { try TrainerState(folder: folder.path) }
            #expect(error?.description.contains(message) == true, "\(error?.description ?? "no error")")
        }
    }
}

extension TrainerState {
    fileprivate static func made(batch: Int) -> TrainerState {
        var (clock, previous) = (TrainingClock(), TrainingClock())
        (clock.batch, clock.sample, clock.token) = (batch, 4 * batch, 100 * batch)
        (previous.batch, previous.sample, previous.token) = (max(0, batch - 1), 4 * batch - 4, 100 * batch - 100)
        return TrainerState(
            clock: clock,
            previousClock: previous,
            task: ["data": ["position": JSONValue(4 * batch)], "note": "its own"],
            optimizer: .decoupledStableAdamW,
            optimizerSteps: batch,
            learningRate: 0.5,
            nextRate: nil,
            baseRate: 1,
            referenceRate: 1,
            runIdentity: ["seed": "5"]
        )
    }
}

extension CheckpointStore {
    fileprivate func save(batch: Int, state: TrainerState) throws {
        try save(batch: batch) { folder in
            try AtomicFile.write([1, 2, 3], to: FilePath.joined(folder, "weights"))
            try state.write(toFolder: folder)
        }
    }
}

extension TemporaryFolder {
    fileprivate func target(of name: String) throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: file(name))
    }
}
