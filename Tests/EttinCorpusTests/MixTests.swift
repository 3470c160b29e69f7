import EttinFiles
import EttinJSON
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Sampling and mixing")
struct MixTests {
    private func options(_ folder: TemporaryFolder, _ name: String, part: JobPart = .whole) -> StageOptions {
        StageOptions(output: folder.file(name), part: part, writing: MDSWriter.Options(sizeLimit: 2000))
    }

    private func source(_ folder: TemporaryFolder, _ name: String, sampleCount: Int = 120) throws -> String {
        try makeDataset(
            folder,
            name,
            sampleCount: sampleCount,
            options: MDSWriter.Options(compression: .zstandard, sizeLimit: 1500)
        )
    }

    private func ids(_ path: String) throws -> [String] {
        let dataset = try MDSDataset(folder: path, decompression: .intoMemory)
        return try (0..<dataset.sampleCount).map { sample in
            guard case .string(let id)? = try dataset.values(at: sample)["id"] else { return "" }
            return id
        }
    }

    @Test(
        "Every order takes every sample once",
        arguments: [SampleStage.Order.given, .shards(seed: 3), .permutation(seed: 42)]
    )
    func orders(order: SampleStage.Order) throws {
        let folder = try TemporaryFolder()
        let input = try source(folder, "in")
        try SampleStage(input: input, order: order).run(options(folder, "out"))
        let found = try ids(folder.file("out"))
        let given = try ids(input)
        #expect(found.sorted() == given.sorted())
        #expect((found == given) == (order == .given))
        if case .permutation(let seed) = order {
            var generator = NumPyGenerator(seed: seed, variant: .dxsm)
            #expect(found == generator.permutation(120).map { (position: Int) in given[position] })
        }
    }

    @Test("A target is reached by the first samples, or by repetition up to the limit")
    func targets() throws {
        let folder = try TemporaryFolder()
        let input = try source(folder, "in")
        let all = (0..<120).reduce(0) { $0 + $1 % 50 + 1 }
        let less = try SampleStage(input: input, targetTokens: 700).run(options(folder, "less"))["results"]
        #expect((700..<750).contains(less?["tokens"]?.intValue ?? 0))
        let more = try SampleStage(input: input, targetTokens: all * 2 + 9, repeatLimit: nil)
            .run(options(folder, "more"))["results"]
        #expect((all * 2 + 9..<all * 2 + 60).contains(more?["tokens"]?.intValue ?? 0))
        let twice = try ids(folder.file("more"))
        #expect(twice[..<120] == twice[120..<240])
        let capped = try SampleStage(input: input, targetTokens: all * 3, repeatLimit: 2)
            .run(options(folder, "capped"))["results"]
        #expect(capped?["tokens"]?.intValue == all * 2)
        #expect(capped?["missing_tokens"]?.intValue == all)
        let none = try SampleStage(input: input, targetTokens: 0).run(options(folder, "none"))["results"]
        #expect(none?["samples"]?.intValue == 0)
    }

    @Test("Columns are selected and ids change their type, unless one does not fit")
    func columns() throws {
        let folder = try TemporaryFolder()
        let input = try source(folder, "in", sampleCount: 5)
        let stage = SampleStage(input: input, order: .given, columns: ["input_ids", "id"], tokenElement: .uint32)
        try stage.run(options(folder, "wide"))
        let wide = try MDSDataset(folder: folder.file("wide"))
        #expect(wide.index.shards[0].schema.columns.map(\.name) == ["id", "input_ids"])
        #expect(wide.index.shards[0].schema.columns[1].encoding == .array(element: .uint32, shape: nil))
        #expect(try wide.tokenIDs(at: 4) == [4, 5, 6, 7, 8])
        let writer = try MDSWriter(
            folder: folder.file("large"),
            columns: [("input_ids", .array(element: .uint32, shape: nil))]
        )
        try writer.append(["input_ids": .array(try MDSArray(tokenIDs: [70_000], element: .uint32))])
        try writer.finish()
        let narrow = SampleStage(input: folder.file("large"), tokenElement: .uint16)
        #expect(throws: CorpusError.self) { try narrow.run(options(folder, "narrow")) }
        let missing = SampleStage(input: input, columns: ["text"])
        #expect(throws: CorpusError.self) { try missing.run(options(folder, "missing")) }
    }

    @Test("A mixture has the tokens of its recipe and one index for all sources")
    func mixing() throws {
        let folder = try TemporaryFolder()
        let web = try source(folder, "web")
        let code = try source(folder, "code", sampleCount: 40)
        let stage = MixStage(
            sources: [
                .init(name: "web", input: web, share: .proportion(3)),
                .init(name: "code", input: code, share: .proportion(1), repeatLimit: nil),
                .init(name: "books", input: code, share: .tokens(100)), .init(name: "all", input: code, share: .all),
            ],
            totalTokens: 2000
        )
        let summary = try stage.run(options(folder, "mixed"))
        let sources = summary["sources"]?.arrayValue ?? []
        #expect(sources.compactMap { $0["target_tokens"]?.intValue } == [1500, 500, 100])
        for (source, target) in zip(sources, [1500, 500, 100, 820]) {
            #expect((target..<target + 50).contains(source["tokens"]?.intValue ?? 0))
        }
        let dataset = try MDSDataset(folder: folder.file("mixed"), decompression: .intoMemory)
        let inspection = try Inspection(dataset)
        #expect(inspection.sources.map(\.name) == ["web", "code", "books", "all"])
        #expect(inspection.lengths.tokenCount == summary["total_tokens"]?.intValue)
        #expect(inspection.sources.map(\.lengths.tokenCount) == sources.compactMap { $0["tokens"]?.intValue })
        #expect(inspection.lengths.sequenceCount == dataset.sampleCount)
        // A second run finds everything done.
        #expect(try stage.run(options(folder, "mixed")) == summary)
    }

    @Test("Impossible recipes are refused before anything is written")
    func refusals() throws {
        let folder = try TemporaryFolder()
        let input = try source(folder, "in", sampleCount: 5)
        let good = MixStage.Source(name: "a", input: input, share: .all)
        for stage in [
            MixStage(sources: []), MixStage(sources: [good, good]), MixStage(sources: [good], totalTokens: 5),
            MixStage(sources: [.init(name: "a", input: input, share: .proportion(1))]),
            MixStage(sources: [.init(name: "a", input: input, share: .proportion(-1))], totalTokens: 5),
            MixStage(sources: [.init(name: "../a", input: input, share: .all)]),
        ] {
            let error = #expect(throws: CorpusError.self) { try stage.run(options(folder, "out")) }
            #expect(error?.kind == .invalidOption)
        }
        #expect(!FilePath.exists(folder.file("out")))
        let empty = try source(folder, "empty", sampleCount: 0)
        let starving = SampleStage(input: empty, targetTokens: 5, repeatLimit: nil)
        #expect(throws: CorpusError.self) { try starving.run(options(folder, "starving")) }
    }

    @Test("A stopped sampling goes on with the same bytes, also within a repetition")
    func resuming() throws {
        struct Stop: Error {}
        let folder = try TemporaryFolder()
        let input = try source(folder, "in", sampleCount: 400)
        let stage = SampleStage(input: input, targetTokens: 30_000, repeatLimit: nil, order: .shards(seed: 5))
        try stage.run(options(folder, "whole"))
        var stops = 0
        while true {
            var stopping = options(folder, "stopped")
            stopping.progress = { _ in
                guard stops < 4 else { return }
                stops += 1
                throw Stop()
            }
            do {
                try stage.run(stopping)
                break
            } catch is Stop {}
        }
        #expect(stops == 4)
        let names = try FilePath.names(inFolder: folder.file("whole"))
        #expect(try FilePath.names(inFolder: folder.file("stopped")) == names)
        for name in names { #expect(try folder.read("stopped/\(name)") == folder.read("whole/\(name)")) }
    }
}
