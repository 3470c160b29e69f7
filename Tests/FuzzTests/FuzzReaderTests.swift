import EttinFiles
import Foundation
import Testing

@testable import FuzzReaders

/// A few runs of what `make fuzz` does for hours, and everything that it found.
@Suite("Fuzz", .serialized)
struct FuzzReaderTests {
    private static let root = (0..<3).reduce(URL(filePath: #filePath)) { path, _ in path.deletingLastPathComponent() }

    /// In how many ways inputs of readers that refuse little are refused at least.
    private static let ways = ["text": 0, "hub-cache": 1]
    private static let names = FuzzReader.all.map(\.name)

    private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let base = FilePath.kind(of: "/dev/shm") == .folder ? "/dev/shm" : NSTemporaryDirectory()
        let folder = FilePath.joined(base, "ettin-fuzz-test-\(FilePath.randomName())")
        defer { try? FilePath.removeTree(folder) }
        return try body(folder)
    }

    @Test("inputs that are nearly right are read or refused by a message", arguments: names)
    func runs(name: String) throws {
        let reader = try #require(FuzzReader.named(name))
        try withFolder { folder in
            // Those that write files take longer.
            let count = reader.usesFiles ? 150 : 600
            let tally = try FuzzSession(reader, seed: 1, folder: folder).run(0..<count)
            #expect(tally.runs == count)
            #expect(tally.broken.map(\.reason) == [])
            // Inputs that are all refused at the first byte, or all accepted, would test nothing.
            #expect(tally.accepted >= count / 20, "\(tally.accepted) accepted")
            #expect(tally.refused.count >= (Self.ways[name] ?? 4), "\(tally.refused)")
        }
    }

    @Test("what was found once is read or refused", arguments: names)
    func seeds(name: String) throws {
        let reader = try #require(FuzzReader.named(name))
        let folder = Self.root.appending(path: "Fuzz/seeds/found/\(name)").path
        #expect(FilePath.kind(of: Self.root.appending(path: "Fuzz/seeds/found").path) == .folder)
        guard FilePath.kind(of: folder) == .folder else { return }
        for seed in try FilePath.names(inFolder: folder).sorted() {
            let input = try #require(FuzzInput(serialized: try OpenFile.contents(of: "\(folder)/\(seed)")), "\(seed)")
            try withFolder { scratch in
                if case .broken(let reason) = try reader.outcome(of: input, in: scratch) {
                    Issue.record("\(name)/\(seed): \(reason)")
                }
            }
        }
    }

    @Test("an input that is written as a seed is the same when it is read")
    func serialized() throws {
        for reader in FuzzReader.all {
            let input = try reader.input(seed: 3, run: 5)
            let again = try #require(FuzzInput(serialized: input.serialized))
            #expect(again.serialized == input.serialized)
            #expect(try reader.input(seed: 3, run: 5).serialized == input.serialized, "\(reader.name)")
        }
        #expect(FuzzInput(serialized: Array("9 a\nx".utf8)) == nil)
    }
}
