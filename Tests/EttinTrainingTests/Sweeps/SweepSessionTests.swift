import EttinJSON
import TestSupport
import Testing

@testable import EttinTraining

/// A sweep whose runs are written by the test.
private final class FakeRuns {
    struct Failure: Error, CustomStringConvertible {
        var description: String { "it burst" }
    }

    let folder: TemporaryFolder
    var states: [String: RunState] = [:]
    var trained: [String] = []
    var failing: Set<String> = []
    var values: [String: Double] = [:]

    init(_ folder: TemporaryFolder) throws {
        self.folder = folder
        try folder.write("steps: 3\noptimizer: {lr: 1}\nsave_folder: x\nseed: 1\n", "a.yaml")
        try folder.write(
            """
            command: train
            recipe: a.yaml
            output: \(folder.file("out"))
            metric: {name: loss, goal: minimize}
            parameters: {optimizer.lr: {values: [1, 2, 3]}}
            seeds: [1, 2]
            """,
            "sweep.yaml"
        )
    }

    func session(_ overrides: [String] = [], acceptsChanges: Bool = false) throws -> SweepSession {
        let command = SweepCommand(name: "train", outputKey: "save_folder", modelFolder: "latest", overrides: [])
        let sweep = try SweepFile(path: folder.file("sweep.yaml"), overrides: overrides, commands: [command])
        return try SweepSession(sweep, acceptsChanges: acceptsChanges) { self.states[$0.outputFolder] ?? .new }
    }

    func train(_ run: SweepRun) throws -> TrainingOutcome {
        trained.append(run.name)
        if failing.contains(run.name) { throw Failure() }
        let value = values[run.name].map { "\($0)" } ?? "null"
        let lines = [5.0, nil].map { first in
            #"{"time/batch":1,"time/token":4,"time/seconds":2.5,"loss":\#(first.map { "\($0)" } ?? value)}"#
        }
        try folder.write(lines.joined(separator: "\n") + "\n", "out/\(run.name)/metrics.jsonl")
        states[run.outputFolder] = .finished(batch: 3)
        return .finished
    }

    @discardableResult
    func run(
        _ session: SweepSession,
        keepsGoing: Bool = true,
        until stop: Int = .max
    ) throws -> RunQueue<SweepRun>.Report {
        var lines: [String] = []
        return try session.run(
            keepsGoing: keepsGoing,
            shouldStop: { self.trained.count >= stop },
            say: { lines.append($0) },
            train: train
        )
    }
}

@Suite("Sweeps")
struct SweepSessionTests {
    private static let values = [
        "optimizer.lr=1,seed=1": 2.0, "optimizer.lr=1,seed=2": 4.0, "optimizer.lr=2,seed=1": 1.0,
        "optimizer.lr=2,seed=2": 1.5, "optimizer.lr=3,seed=1": 0.5, "optimizer.lr=3,seed=2": .nan,
    ]

    private func fake<Result>(_ body: (FakeRuns) throws -> Result) throws -> Result {
        try withTemporaryFolder { folder in
            let runs = try FakeRuns(folder)
            for (name, value) in Self.values where value.isFinite { runs.values[name] = value }
            return try body(runs)
        }
    }

    @Test("settings are compared by their mean over all seeds, runs by themselves")
    func results() throws {
        try fake { runs in
            let session = try runs.session()
            try runs.run(session)
            let results = try session.results
            #expect(results.settings.map(\.results) == [[2, 4], [1, 1.5], [0.5]])
            #expect(results.settings.map(\.mean) == [3, 1.25, 0.5])
            #expect(results.settings[0].deviation.map { abs($0 - 2.0.squareRoot()) < 1e-12 } == true)
            #expect(results.settings[2].deviation == nil)
            // A setting of which a run has no number is not the best of those that have all.
            #expect(results.bestSetting?.values.map(\.text) == ["2"])
            #expect(results.bestRun?.run.name == "optimizer.lr=3,seed=1")
            #expect(results.rows[5].value == nil)
            let text = String(decoding: try runs.folder.read("out/sweep.txt"), as: UTF8.self)
            #expect(text == results.text + "\n")
            #expect(text.contains("optimizer.lr  seed  state     batches   time     loss\n"))
            #expect(text.contains("\n           1     2  finished        3  00:03   4.0000\n"))
            #expect(text.contains("\n           1    2 of 2   3.0000 ± 1.4\n"))
            #expect(text.contains("Best setting: optimizer.lr=2, loss 1.2500 ± 0.35"))
            let json = try JSONValue(parsing: try runs.folder.read("out/sweep.json"))
            #expect(json == results.json)
            #expect(json["best_run"]?["metric"] == 0.5)
            #expect(json["settings"]?.arrayValue?[1]["std"]?.doubleValue.map { abs($0 - 0.3535534) < 1e-6 } == true)
            // The best value of each run, instead of its last.
            let best = try runs.session(["metric.summary=best", "metric.goal=maximize"]).results
            #expect(best.rows.map(\.value) == [5, 5, 5, 5, 5, 5])
        }
    }

    @Test("finished runs are not run again, and an interrupted sweep goes on")
    func resuming() throws {
        try fake { runs in
            let report = try runs.run(try runs.session(), until: 2)
            #expect(report.isInterrupted)
            #expect(runs.trained == ["optimizer.lr=1,seed=1", "optimizer.lr=1,seed=2"])
            runs.trained = []
            let second = try runs.run(try runs.session())
            #expect(!second.isInterrupted)
            #expect(runs.trained.count == 4)
            runs.trained = []
            try runs.run(try runs.session())
            #expect(runs.trained == [])
            // More values leave those that were run as they are.
            runs.values["optimizer.lr=9,seed=1"] = 1
            try runs.run(try runs.session(["parameters={optimizer.lr: {values: [3, 9]}}", "seeds=[1]"]))
            #expect(runs.trained == ["optimizer.lr=9,seed=1"])
        }
    }

    @Test("a run that fails is recorded, and the others go on unless it is to stop")
    func failures() throws {
        try fake { runs in
            runs.failing = ["optimizer.lr=1,seed=2"]
            let session = try runs.session()
            let report = try runs.run(session)
            #expect(runs.trained.count == 6)
            #expect(report.failures.map(\.folder) == [runs.folder.file("out/optimizer.lr=1,seed=2")])
            let json = try JSONValue(parsing: try runs.folder.read("out/sweep.json"))
            #expect(json["runs"]?.arrayValue?[1]["state"] == "failed")
            #expect(json["runs"]?.arrayValue?[1]["error"] == "it burst")
            #expect(try session.results.text.contains("2  failed"))
            runs.trained = []
            #expect(throws: FakeRuns.Failure.self) { try runs.run(try runs.session(), keepsGoing: false) }
            #expect(runs.trained == ["optimizer.lr=1,seed=2"])
        }
    }

    @Test("runs that were made in another way are refused by the key that differs")
    func changed() throws {
        try fake { runs in
            try runs.run(try runs.session())
            func expectRefused(_ message: String, _ overrides: [String] = []) {
                #expect {
                    try runs.session(overrides)
                } throws: {
                    "\($0)".contains(message)
                }
            }
            expectRefused("was run with steps 3, but now it is 4; expected the same, another output, or", ["steps=4"])
            _ = try runs.session(["steps=4"], acceptsChanges: true)
            try runs.folder.write("steps: 3\noptimizer: {lr: 1, eps: 2}\nsave_folder: x\nseed: 1\n", "a.yaml")
            expectRefused("was run with optimizer.eps unset, but now it is 2")
            let stranger = runs.folder.file("out/optimizer.lr=7,seed=1")
            runs.states[stranger] = .begun(batch: 1)
            expectRefused("has checkpoints, but no sweep_run.json", ["parameters={optimizer.lr: {values: [7]}}"])
        }
    }

    @Test("a metric that is not logged stops the sweep after the first run, with the names that are")
    func metric() throws {
        try fake { runs in
            let message = "metric.name: is los, which \(runs.folder.file("out/optimizer.lr=1,seed=1")) has not logged"
            for _ in 0..<2 {
                #expect {
                    try runs.run(try runs.session(["metric.name=los"]))
                } throws: {
                    "\($0)".contains(message) && "\($0)".contains("; expected one of loss; did you mean loss?")
                }
                #expect(runs.trained.count == 1)
            }
        }
    }

    @Test("one process runs a sweep")
    func locked() throws {
        try fake { runs in
            try runs.run(try runs.session(), until: 0)
            let lock = try RunLock(folder: runs.folder.file("out"))
            #expect {
                try runs.run(try runs.session())
            } throws: {
                "\($0)".contains("is being written by another process")
            }
            withExtendedLifetime(lock) {}
        }
    }
}

@Suite("Queues of runs")
struct RunQueueTests {
    struct Run: QueuedRun {
        let outputFolder: String
        var dependencies: [String] = []
    }

    @Test("what depends on a run that failed is left out, and what is finished is passed over")
    func dependencies() throws {
        let runs = [
            Run(outputFolder: "a"), Run(outputFolder: "b", dependencies: ["a"]),
            Run(outputFolder: "c", dependencies: ["b"]), Run(outputFolder: "d"), Run(outputFolder: "e"),
        ]
        let entries = runs.map { RunQueue.Entry([$0], state: $0.outputFolder == "d" ? .finished(batch: 4) : .new) }
        var (said, trained): ([String], [String]) = ([], [])
        struct Failure: Error {}
        func train(_ entry: RunQueue<Run>.Entry) throws -> TrainingOutcome {
            trained.append(entry.runs[0].outputFolder)
            if trained.last == "a" { throw Failure() }
            return .finished
        }
        let report = try RunQueue(entries, keepsGoing: true)
            .run(shouldStop: { false }, say: { said.append($0) }, train: train)
        #expect(trained == ["a", "e"])
        #expect(report.failures.map(\.folder) == ["a", "b", "c"])
        #expect(
            said == [
                "error: a: Failure()", "b: left out, as a failed", "c: left out, as b failed",
                "d: already finished, at batch 4",
            ]
        )
        #expect(throws: Failure.self) {
            try RunQueue(entries, keepsGoing: false).run(shouldStop: { false }, say: { _ in }, train: train)
        }
    }
}
