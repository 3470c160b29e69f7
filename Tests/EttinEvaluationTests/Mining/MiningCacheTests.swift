import EttinInference
import EttinModel
import Foundation
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite struct MiningCacheTests {
    /// A model that counts what it is asked for, and fails when it was asked for too much.
    private final class CountingModel: TextVectors {
        let table = NegativeMinerTests.model
        var similarity: EmbeddingSimilarity { .cosine }
        var modelName: String { "counting" }
        private(set) var count = 0
        private let limit: Int

        struct Stopped: Error {}

        private static func number(_ text: String) -> Int {
            var number = 7
            for byte in text.utf8 { number = (number * 31 + Int(byte)) % 997 }
            return number
        }

        init(limit: Int = .max) { self.limit = limit }

        func vectors(
            of texts: [String],
            role: TextRole?,
            prompt: TextEmbeddingPipeline.Prompt,
            truncateDimension: Int?,
            normalize: Bool
        ) throws -> TextEmbeddings {
            guard count + texts.count <= limit else { throw Stopped() }
            count += texts.count
            let values = texts.flatMap { text in
                // Many texts with a vector each.
                table.vectors[text]
                    ?? (3..<6).map { factor in Float(Self.number(text) * factor % 89) - 44 }
            }
            return TextEmbeddings(values: values, dimensions: 3, isTruncated: texts.map { $0.hasSuffix("9") })
        }
    }

    private let pairs: MiningPairs

    init() throws {
        pairs = try MiningPairs(NegativeMinerTests.table, corpus: (0..<5000).map { "text \($0)" })
    }

    private func miner(_ folder: String, model: String = "m", crossEncoder: String? = nil) throws -> NegativeMiner {
        var options = MiningOptions()
        options.searchBlock = 2
        options.outputScores = true
        options.absoluteMargin = 0.01
        var miner = NegativeMiner(options)
        miner.cache = try MiningCache(folder: folder, model: model, crossEncoder: crossEncoder)
        return miner
    }

    @Test func aSecondRunComputesNothing() throws {
        try withTemporaryFolder { folder in
            let cache = "\(folder.path)/new/cache"
            let (first, second) = (CountingModel(), CountingModel())
            let mined = try miner(cache).mine(pairs, with: first)
            #expect(first.count == 5007 && mined.truncatedCount == 500)
            // As a run leaves it that is killed before it removes what is complete.
            let complete = try #require(
                FileManager.default.contentsOfDirectory(atPath: cache).first { $0.hasSuffix(".npy") }
            )
            try Data([1]).write(to: URL(filePath: "\(cache)/\(complete.dropLast(4)).part"))
            let again = try miner(cache).mine(pairs, with: second)
            #expect(second.count == 0 && rows(again) == rows(mined))
            let names = try FileManager.default.contentsOfDirectory(atPath: cache).sorted()
            #expect(names.map { $0.prefix { $0 != "_" } } == ["candidates", "corpus", "query"])
            #expect(names[1].hasPrefix("corpus_embeddings_") && names[1].hasSuffix(".npy"))
            // Another model, or other texts, find other files.
            let other = CountingModel()
            _ = try miner(cache, model: "n").mine(pairs, with: other)
            #expect(other.count == 5007)
            let fewer = CountingModel()
            _ = try miner(cache).mine(MiningPairs(NegativeMinerTests.table), with: fewer)
            #expect(fewer.count == 4)
        }
    }

    @Test func aKilledRunGoesOnWhereItWas() throws {
        try withTemporaryFolder { folder in
            let whole = try miner("\(folder.path)/whole").mine(pairs, with: CountingModel())
            let cache = "\(folder.path)/cache"
            #expect(throws: CountingModel.Stopped.self) {
                try miner(cache).mine(pairs, with: CountingModel(limit: 4500))
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: cache)
            #expect(names.count == 1 && names[0].hasSuffix(".part"))
            // What was being written when it was killed.
            let handle = try FileHandle(forWritingTo: URL(filePath: "\(cache)/\(names[0])"))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]))
            try handle.close()
            let rest = CountingModel()
            let resumed = try miner(cache).mine(pairs, with: rest)
            #expect(rest.count == 5007 - 4096 && rows(resumed) == rows(whole))
            #expect(resumed.truncatedCount == whole.truncatedCount)
        }
    }

    @Test func scoresOfACrossEncoderAreKept() throws {
        try withTemporaryFolder { folder in
            struct Stopped: Error {}
            var count = 0
            var limit = Int.max
            let scorer = ClosureScores { pairs in
                guard count < limit else { throw Stopped() }
                count += 1
                return pairs.map { Float($0.second.utf8.count % 7) + Float($0.second.utf8.last ?? 0) / 512 }
            }
            let whole = try miner("\(folder.path)/whole", crossEncoder: "c")
                .mine(pairs, with: CountingModel(), crossEncoder: scorer)
            let calls = count
            #expect(calls == 2)
            (count, limit) = (0, 1)
            let cache = "\(folder.path)/cache"
            #expect(throws: Stopped.self) {
                try miner(cache, crossEncoder: "c").mine(pairs, with: CountingModel(), crossEncoder: scorer)
            }
            (count, limit) = (0, .max)
            let resumed = try miner(cache, crossEncoder: "c")
                .mine(pairs, with: CountingModel(), crossEncoder: scorer)
            #expect(count == 1 && rows(resumed) == rows(whole))
            count = 0
            _ = try miner(cache, crossEncoder: "d").mine(pairs, with: CountingModel(), crossEncoder: scorer)
            #expect(count == 2)
        }
    }

    @Test func otherPositivesOfTheSameTextsHaveScoresOfTheirOwn() throws {
        try withTemporaryFolder { folder in
            let scorer = ClosureScores { pairs in
                pairs.map { Float($0.first.utf8.last ?? 0) + Float($0.second.utf8.last ?? 0) / 7 }
            }
            let corpus = ["d0", "d1", "d2", "d3", "d4"]
            for positives in [["d0", "d1"], ["d1", "d0"], ["d1", "d2"]] {
                let pairs = try MiningPairs(pairTable(Array(zip(["q0", "q1"], positives))), corpus: corpus)
                let model = CountingModel()
                let kept = try miner(folder.path, crossEncoder: "c").mine(pairs, with: model, crossEncoder: scorer)
                let fresh = try NegativeMiner(miner(folder.path).options)
                    .mine(pairs, with: CountingModel(), crossEncoder: scorer)
                #expect(kept.positiveScores == fresh.positiveScores && rows(kept) == rows(fresh))
            }
        }
    }

    @Test func aFileThatDoesNotFitIsNamed() throws {
        try withTemporaryFolder { folder in
            _ = try miner(folder.path).mine(pairs, with: CountingModel())
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            let path = "\(folder.path)/\(names[1])"
            try NumPyFile.write([1, 2], shape: [1, 2], to: path)
            #expect {
                try miner(folder.path).mine(pairs, with: CountingModel())
            } throws: {
                "\($0)".contains("\(names[1]): holds an array of shape [1, 2]; expected 5004 rows; remove the file")
            }
            let count = pairs.corpus.count
            try NumPyFile.write([Float](repeating: 1, count: count * 2), shape: [count, 2], to: path)
            #expect {
                try miner(folder.path).mine(pairs, with: CountingModel())
            } throws: {
                "\($0)".contains("have 2 dimensions, those of the anchors 3; expected as many; remove the .npy files")
            }
            var values = [Float](repeating: 1, count: count * 3)
            values[7] = .nan
            try NumPyFile.write(values, shape: [count, 3], to: path)
            #expect {
                try miner(folder.path).mine(pairs, with: CountingModel())
            } throws: {
                "\($0)".contains("\(names[1]): holds NaN or infinite numbers; expected finite ones; remove the file")
            }
        }
    }

    @Test func linkedFoldersBelongToAModel() throws {
        try withTemporaryFolder { folder in
            for name in ["model", "elsewhere"] {
                try FileManager.default.createDirectory(
                    atPath: folder.file(name),
                    withIntermediateDirectories: false
                )
            }
            try folder.write("1", "model/config.json")
            try folder.write("2", "elsewhere/model.safetensors")
            func link(_ name: String, to target: String) throws {
                try FileManager.default.createSymbolicLink(
                    atPath: folder.file("model/\(name)"),
                    withDestinationPath: target
                )
            }
            try link("2_Dense", to: "../elsewhere")
            let before = try MiningCache.fingerprint(ofFolder: folder.file("model"))
            #expect(try MiningCache.fingerprint(ofFolder: folder.file("model")) == before)
            try folder.write("3", "elsewhere/model.safetensors")
            #expect(try MiningCache.fingerprint(ofFolder: folder.file("model")) != before)
            try link("circle", to: ".")
            #expect {
                try MiningCache.fingerprint(ofFolder: folder.file("model"))
            } throws: {
                "\($0)".contains("is a folder below more than 4 links to folders")
            }
        }
    }

    @Test func arraysAreReadAsTheyWereWritten() throws {
        try withTemporaryFolder { folder in
            let path = "\(folder.path)/a.npy"
            try NumPyFile.write([1.5, -2, 3, 4, 5, 6], shape: [3, 2], to: path)
            let (values, shape) = try NumPyFile.readFloats(path)
            #expect(values == [1.5, -2, 3, 4, 5, 6] && shape == [3, 2])
            try NumPyFile.write([UInt8](repeating: 0, count: 6), isSigned: false, shape: [6], to: path)
            #expect { try NumPyFile.readFloats(path) } throws: { "\($0)".contains("expected little-endian float32") }
            for bytes in [[], [0x93], Array("\u{93}NUMPY".utf8) + [1, 0, 255, 255, 1, 2]] as [[UInt8]] {
                try Data(bytes).write(to: URL(filePath: path))
                #expect(throws: CheckpointError.self) { try NumPyFile.readFloats(path) }
            }
        }
    }
}
