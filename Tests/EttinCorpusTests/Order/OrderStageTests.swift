import EttinFiles
import EttinJSON
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Stages that write an order")
struct OrderStageTests {
    private struct Stop: Error {}

    /// What an order is written to.
    enum Form: String, CaseIterable, Sendable {
        case shards = "order"
        case lines = "order.jsonl"
    }

    enum Stage: String, CaseIterable, Sendable {
        case export
        case `import`
    }

    private func options(_ folder: TemporaryFolder, _ name: String, _ part: JobPart = .whole) -> StageOptions {
        let writing = MDSWriter.Options(compression: .zstandard, hashes: [.xxh64], sizeLimit: 2000)
        return StageOptions(output: folder.file(name), part: part, writing: writing)
    }

    /// Runs a stage on a data set of 500 samples, or on an order of all of them that lies beside it.
    @discardableResult
    private func run(_ stage: Stage, _ folder: TemporaryFolder, _ options: StageOptions) throws -> JSONValue {
        let data = folder.file("data")
        if !FilePath.exists(data) { _ = try makeDataset(folder, "data", sampleCount: 500) }
        switch stage {
        case .export:
            return try OrderExportStage(input: data, batchSize: 7, steps: 100, remainder: .kept).run(options)
        case .import:
            let inputs = ["first.jsonl", "second"].map { folder.file($0) }
            if !FilePath.exists(inputs[0]) {
                try OrderExportStage(input: data, batchSize: 7, steps: 40).run(StageOptions(output: inputs[0]))
                let rest = OrderExportStage(input: data, batchSize: 7, firstStep: 41, steps: 50)
                try rest.run(StageOptions(output: inputs[1]))
            }
            return try OrderImportStage(inputs: inputs, tokenizer: nil).run(options)
        }
    }

    /// Everything that a stage has left under a name.
    private func contents(_ folder: TemporaryFolder, _ name: String) throws -> [String: [UInt8]] {
        guard FilePath.kind(of: folder.file(name)) == .folder else {
            let manifest = name + ".manifest.json"
            return ["rows": try folder.read(name), "manifest": try folder.read(manifest)]
        }
        let names = try FilePath.names(inFolder: folder.file(name))
        return Dictionary(uniqueKeysWithValues: try names.map { ($0, try folder.read("\(name)/\($0)")) })
    }

    private func rows(_ paths: [String]) throws -> [OrderRow] {
        var order = try ExplicitOrder.opened(paths)
        var rows: [OrderRow] = []
        while let row = try order.nextRow() { rows.append(row) }
        return rows
    }

    @Test("A stopped run goes on with the same bytes", arguments: Stage.allCases, Form.allCases)
    func resuming(_ stage: Stage, _ form: Form) throws {
        let folder = try TemporaryFolder()
        let manifest = try run(stage, folder, options(folder, "whole/" + form.rawValue))
        let whole = try contents(folder, "whole/" + form.rawValue)
        for limit in 1...3 {
            let name = "stopped-\(limit)/" + form.rawValue
            var stops = 0
            while true {
                var reports = 0
                var options = options(folder, name)
                options.progress = { _ in
                    reports += 1
                    if reports == limit, stops < 3 { throw Stop() }
                }
                do {
                    #expect(try run(stage, folder, options) == manifest)
                    break
                } catch is Stop {
                    stops += 1
                    #expect(!FilePath.exists(folder.file(name) + (form == .lines ? "" : "/index.json")))
                }
            }
            #expect(stops > 0)
            #expect(try contents(folder, name) == whole)
            #expect(try FilePath.names(inFolder: folder.file("stopped-\(limit)")).allSatisfy { $0.first != "." })
            // Finished, it is left alone.
            #expect(try run(stage, folder, options(folder, name)) == manifest)
        }
    }

    @Test("The parts of a divided job hold in order what the whole holds", arguments: Stage.allCases, Form.allCases)
    func parts(_ stage: Stage, _ form: Form) throws {
        let folder = try TemporaryFolder()
        let ending = form == .lines ? ".jsonl" : ""
        let manifest = try run(stage, folder, options(folder, "whole" + ending))
        let whole = try rows([folder.file("whole" + ending)])
        #expect(whole.count == manifest["results"]?["samples"]?.intValue)
        // More parts than 10 have numbers that do not sort as names do.
        for count in [3, 11] {
            var steps = 0
            let names = (0..<count).map { "parts-\(count)/\($0)" + ending }
            for (index, name) in names.enumerated() {
                let part = try JobPart(index: index, count: count)
                let manifest = try run(stage, folder, options(folder, name, part))
                #expect(manifest["shard"] == .string("\(index)/\(count)"))
                steps += manifest["results"]?["steps"]?.intValue ?? 0
            }
            #expect(steps == manifest["results"]?["steps"]?.intValue)
            let paths = names.map { folder.file($0) }
            switch form {
            case .shards:
                try MDSIndex.merge(folder: folder.file("parts-\(count)"))
                #expect(try rows([folder.file("parts-\(count)")]) == whole)
            case .lines:
                #expect(try paths.flatMap { try rows([$0]) } == whole)
                try OrderImportStage(inputs: paths).run(options(folder, "joined-\(count).jsonl"))
                #expect(try folder.read("joined-\(count).jsonl") == folder.read("whole.jsonl"))
            }
        }
    }

    @Test("What kills leave at every place is cleared away", arguments: Stage.allCases)
    func debris(_ stage: Stage) throws {
        let folder = try TemporaryFolder()
        try run(stage, folder, options(folder, "whole.jsonl"))
        var stopping = options(folder, "x.jsonl")
        var reports = 0
        stopping.progress = { _ in
            reports += 1
            if reports == 3 { throw Stop() }
        }
        #expect(throws: Stop.self) { try run(stage, folder, stopping) }
        let journal = try folder.read(".x.jsonl.progress.jsonl")
        #expect(journal.split(separator: 0x0A).count > 3)
        // Rows and a line that were being written.
        try folder.write(folder.read(".x.jsonl.part") + Array("{\"input_ids\": [1, 2".utf8), ".x.jsonl.part")
        try folder.write(journal + Array("{\"bytes\": 99".utf8), ".x.jsonl.progress.jsonl")
        try run(stage, folder, options(folder, "x.jsonl"))
        #expect(try contents(folder, "x.jsonl") == contents(folder, "whole.jsonl"))

        // The file is in place, but not the manifest; then the manifest, but the journal has not gone.
        let manifest = try folder.read("x.jsonl.manifest.json")
        let header = try JSONValue(parsing: journal.split(separator: 0x0A).map { Array($0) }[0])
        let bytes = try folder.read("x.jsonl").count
        let counts = try JSONValue(parsing: manifest)["results"]
        let state: JSONValue = [
            "steps": counts?["steps"] ?? 0, "step_rows": 0, "rows": counts?["samples"] ?? 0,
            "tokens": counts?["tokens"] ?? 0,
        ]
        let last: JSONValue = ["bytes": JSONValue(bytes), "state": state]
        for keepsManifest in [false, true] {
            try folder.write(header.text() + "\n" + last.text() + "\n", ".x.jsonl.progress.jsonl")
            if !keepsManifest { try FilePath.remove(folder.file("x.jsonl.manifest.json")) }
            try run(stage, folder, options(folder, "x.jsonl"))
            #expect(try contents(folder, "x.jsonl") == contents(folder, "whole.jsonl"))
            #expect(!FilePath.exists(folder.file(".x.jsonl.progress.jsonl")))
        }
        // A manifest whose file has gone speaks of nothing.
        try FilePath.remove(folder.file("x.jsonl"))
        try run(stage, folder, options(folder, "x.jsonl"))
        #expect(try contents(folder, "x.jsonl") == contents(folder, "whole.jsonl"))
        try folder.write("{}\n", "x.jsonl")
        let short = #expect(throws: CorpusError.self) { try run(stage, folder, options(folder, "x.jsonl")) }
        #expect(short?.description.contains("has 3 bytes; expected the \(bytes) that") == true)
    }

    @Test("Another input, option or file in the place is refused", arguments: Form.allCases)
    func refusals(_ form: Form) throws {
        let folder = try TemporaryFolder()
        let name = form.rawValue
        func refused(_ text: String, _ body: () throws -> JSONValue) {
            let error = #expect(throws: CorpusError.self) { try body() }
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
        var stopping = options(folder, name)
        stopping.progress = { if $0.recordCount > 0 { throw Stop() } }
        #expect(throws: Stop.self) { try run(.export, folder, stopping) }
        let data = folder.file("data")
        let whole = OrderExportStage(input: data, batchSize: 7, steps: 100, remainder: .kept)
        refused("unfinished run whose \"parameters\" differ") {
            var stage = whole
            stage.seed = 22
            return try stage.run(options(folder, name))
        }
        refused("unfinished run whose \"shard\" differ") {
            try whole.run(options(folder, name, try JobPart(index: 0, count: 2)))
        }
        refused("unfinished run whose \"stage\" differ") { try run(.import, folder, options(folder, name)) }
        let index = try folder.read("data/index.json")
        try folder.write(index + [0x20], "data/index.json")
        refused("unfinished run whose \"inputs\" differ") { try whole.run(options(folder, name)) }
        try folder.write(index, "data/index.json")
        try whole.run(options(folder, name))
        refused("finished run whose \"parameters\" differ") {
            try OrderExportStage(input: data, batchSize: 6, steps: 100).run(options(folder, name))
        }
        // What no stage has written is not touched.
        let other = form == .lines ? "mine.jsonl" : "mine"
        if form == .lines {
            try folder.write("{}\n", other)
        } else {
            _ = try makeDataset(folder, other, sampleCount: 3)
        }
        let before = try form == .lines ? folder.read(other) : folder.read("mine/index.json")
        refused(form == .lines ? "already exists" : "holds a data set already") {
            try whole.run(options(folder, other))
        }
        #expect(try (form == .lines ? folder.read(other) : folder.read("mine/index.json")) == before)

        // Changed rows are another input, too.
        stopping = options(folder, "again-" + name)
        stopping.progress = { if $0.recordCount > 0 { throw Stop() } }
        #expect(throws: Stop.self) { try run(.import, folder, stopping) }
        try folder.write(Array(folder.read("first.jsonl").dropLast(3)) + Array("1}\n".utf8), "first.jsonl")
        refused("unfinished run whose \"inputs\" differ") { try run(.import, folder, options(folder, "again-" + name)) }
    }

    @Test("Impossible options and orders are refused before anything is written")
    func impossible() throws {
        let folder = try TemporaryFolder()
        let data = try makeDataset(folder, "data", sampleCount: 10)
        func refused(_ text: String, _ body: (StageOptions) throws -> JSONValue) {
            let error = #expect(throws: CorpusError.self) { try body(options(folder, "out/x.jsonl")) }
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
            #expect(!FilePath.exists(folder.file("out")))
        }
        refused("batch size: is 0") { try OrderExportStage(input: data, batchSize: 0).run($0) }
        refused("is 11, but an epoch has 10") { try OrderExportStage(input: data, batchSize: 11).run($0) }
        refused("first step: is 0") { try OrderExportStage(input: data, batchSize: 1, firstStep: 0).run($0) }
        refused("steps: is -1") { try OrderExportStage(input: data, batchSize: 1, steps: -1).run($0) }
        let empty = try makeDataset(folder, "empty", sampleCount: 0)
        refused("has no samples") { try OrderExportStage(input: empty, batchSize: 1).run($0) }
        func order(_ steps: [Int], _ name: String) throws -> String {
            let rows = steps.map { "{\"input_ids\": [1], \"step\": \($0)}\n" }
            return try folder.write(rows.joined(), name)
        }
        let inputs = [try order([2, 3], "a"), try order([4, 4, 7], "b"), try order([], "c")]
        refused("3 orders: step 1 is missing; the next one is 2") {
            try OrderImportStage(inputs: inputs, firstStep: 1).run($0)
        }
        refused("3 orders: step 8 is past the end") { try OrderImportStage(inputs: inputs, firstStep: 8).run($0) }
        refused("first step: is -1") { try OrderImportStage(inputs: inputs, firstStep: -1).run($0) }
        refused("steps: is 0") { try OrderImportStage(inputs: inputs, steps: 0).run($0) }
        refused("step 3 comes after step 4") { try OrderImportStage(inputs: [inputs[1], inputs[0]]).run($0) }
        let huge = try order([1, 1 << 60], "huge")
        refused("step \(1 << 60) is not a step number") { try OrderImportStage(inputs: [huge]).run($0) }
        refused("a:b.jsonl: is not a valid output file name") { _ in
            try OrderExportStage(input: data, batchSize: 1).run(StageOptions(output: folder.file("a:b.jsonl")))
        }
    }

    @Test("More parts than there are steps leave some without rows", arguments: Form.allCases)
    func emptyParts(_ form: Form) throws {
        let folder = try TemporaryFolder()
        let stage = OrderExportStage(input: try makeDataset(folder, "data", sampleCount: 10), batchSize: 3, steps: 2)
        try stage.run(options(folder, form.rawValue))
        let parts = try (0..<5).map { index in
            let name = "\(index)/" + form.rawValue
            try stage.run(options(folder, name, try JobPart(index: index, count: 5)))
            return try rows([folder.file(name)])
        }
        #expect(parts.map { Set($0.map(\.step)) } == [[], [], [1], [], [2]])
        #expect(try parts.flatMap { $0 } == rows([folder.file(form.rawValue)]))
    }

    @Test("Steps are taken by their numbers, also those that are left out")
    func ranges() throws {
        let folder = try TemporaryFolder()
        let text = [2, 3, 6, 6, 9].map { "{\"input_ids\": [\($0)], \"step\": \($0)}\n" }.joined()
        let input = try folder.write(text, "in")
        for (first, steps, expected) in [
            (nil, nil, [2, 3, 6, 6, 9]), (nil, 2, [2, 3]), (nil, 5, [2, 3, 6, 6]), (3, nil, [3, 6, 6, 9]),
            (3, 4, [3, 6, 6]), (9, 100, [9]), (6, Int.max, [6, 6, 9]),
        ] as [(Int?, Int?, [Int])] {
            for count in 1...3 {
                let found = try (0..<count).flatMap { index in
                    let name = "\(first ?? 0)-\(steps ?? 0)/\(index)-\(count).jsonl"
                    try OrderImportStage(inputs: [input], firstStep: first, steps: steps)
                        .run(options(folder, name, try JobPart(index: index, count: count)))
                    return try rows([folder.file(name)]).map(\.step)
                }
                #expect(found == expected, "\(first ?? 0), \(steps ?? 0) in \(count) parts")
            }
        }
        // Steps that fall behind the last one are found by the part that ends there.
        let falling = try folder.write(text + "{\"input_ids\": [5], \"step\": 5}\n", "falling")
        let error = #expect(throws: CorpusError.self) {
            try OrderImportStage(inputs: [falling]).run(options(folder, "f", try JobPart(index: 1, count: 2)))
        }
        #expect(error?.description.contains("step 5 comes after step 9") == true)
    }
}
