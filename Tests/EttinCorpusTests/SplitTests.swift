import EttinFiles
import EttinJSON
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Hold-out")
struct SplitTests {
    /// Chunks of documents: three samples for each id.
    private func chunks(_ folder: TemporaryFolder, _ name: String, documents: [Int]) throws -> String {
        let columns: [(name: String, encoding: MDSEncoding)] = [
            ("id", .string), ("input_ids", .array(element: .uint16, shape: nil)),
        ]
        let options = MDSWriter.Options(compression: .zstandard, sizeLimit: 3000)
        let writer = try MDSWriter(folder: folder.file(name), columns: columns, options: options)
        for document in documents {
            for chunk in 0..<3 {
                let ids = [Int32](repeating: Int32(document), count: 1 + (document + chunk) % 9)
                try writer.append([
                    "id": .string("doc \(document)"),
                    "input_ids": .array(try MDSArray(tokenIDs: ids, element: .uint16)),
                ])
            }
        }
        try writer.finish()
        return folder.file(name)
    }

    private func ids(_ path: String) throws -> [String] {
        let dataset = try MDSDataset(folder: path, decompression: .intoMemory)
        return try (0..<dataset.sampleCount).map { sample in
            guard case .string(let id)? = try dataset.values(at: sample)["id"] else { return "" }
            return id
        }
    }

    private func options(_ folder: TemporaryFolder, _ name: String, _ part: JobPart = .whole) -> StageOptions {
        StageOptions(output: folder.file(name), part: part, writing: MDSWriter.Options(sizeLimit: 2000))
    }

    @Test("Every document is on one side with all its chunks, about as many as asked for")
    func sides() throws {
        let folder = try TemporaryFolder()
        let input = try chunks(folder, "in", documents: Array(0..<2000))
        let stage = SplitStage(input: input, fraction: 0.1)
        let results = try stage.run(options(folder, "out"))
        let (train, validation) = (try ids(folder.file("out/train")), try ids(folder.file("out/validation")))
        #expect(Set(train).isDisjoint(with: validation))
        #expect((train + validation).sorted() == (try ids(input)).sorted())
        // Four standard deviations of a binomial distribution.
        #expect((146...254).contains(validation.count / 3))
        #expect(results["validation"]?["samples"]?.intValue == validation.count)
        #expect(results["train"]?["samples"]?.intValue == train.count)
        let tokens = results["train"]?["tokens"]?.intValue ?? 0
        #expect(try Inspection(MDSDataset(folder: folder.file("out/train"))).lengths.tokenCount == tokens)
        // Done once, it is not done again.
        #expect(try stage.run(options(folder, "out")) == results)
        // More is held out by adding to what was, another seed chooses others.
        try SplitStage(input: input, fraction: 0.2).run(options(folder, "more"))
        #expect(Set(try ids(folder.file("more/validation"))).isSuperset(of: validation))
        try SplitStage(input: input, fraction: 0.1, seed: 7).run(options(folder, "other"))
        let other = Set(try ids(folder.file("other/validation")))
        #expect(other.intersection(validation).count < other.count / 3)
    }

    @Test("Neither the order of the documents nor a division of the job changes the choice")
    func independence() throws {
        let folder = try TemporaryFolder()
        let input = try chunks(folder, "in", documents: Array(0..<300))
        let turned = try chunks(folder, "turned", documents: (0..<300).reversed())
        try SplitStage(input: input, fraction: 0.2).run(options(folder, "whole"))
        try SplitStage(input: turned, fraction: 0.2).run(options(folder, "turned-out"))
        let whole = try ids(folder.file("whole/validation"))
        #expect(try ids(folder.file("turned-out/validation")).sorted() == whole.sorted())
        var parts: [String] = []
        for index in 0..<4 {
            let part = try JobPart(index: index, count: 4)
            try SplitStage(input: input, fraction: 0.2).run(options(folder, "part\(index)", part))
            parts += try ids(folder.file("part\(index)/validation"))
        }
        #expect(parts == whole)
    }

    @Test("A stopped division goes on with the same bytes")
    func resuming() throws {
        struct Stop: Error {}
        let folder = try TemporaryFolder()
        let input = try chunks(folder, "in", documents: Array(0..<1000))
        let stage = SplitStage(input: input, fraction: 0.5)
        try stage.run(options(folder, "whole"))
        var stops = 0
        while true {
            var calls = 0
            var stopping = options(folder, "stopped")
            stopping.progress = { _ in
                calls += 1
                guard calls == 5, stops < 3 else { return }
                stops += 1
                throw Stop()
            }
            do {
                try stage.run(stopping)
                break
            } catch is Stop {}
        }
        #expect(stops == 3)
        for side in ["train", "validation"] {
            let names = try FilePath.names(inFolder: folder.file("whole/\(side)"))
            #expect(try FilePath.names(inFolder: folder.file("stopped/\(side)")) == names)
            for name in names {
                #expect(try folder.read("stopped/\(side)/\(name)") == folder.read("whole/\(side)/\(name)"))
            }
        }
    }

    @Test("Impossible fractions and inputs are refused, and nothing is written")
    func refusals() throws {
        let folder = try TemporaryFolder()
        let input = try chunks(folder, "in", documents: [1])
        for fraction in [0, 1, -0.1, .nan] {
            let stage = SplitStage(input: input, fraction: fraction)
            #expect(throws: CorpusError.self) { try stage.run(options(folder, "out")) }
        }
        #expect(throws: CorpusError.self) { try SplitStage(input: folder.file("none")).run(options(folder, "out")) }
        #expect(!FilePath.exists(folder.file("out")))
    }
}
