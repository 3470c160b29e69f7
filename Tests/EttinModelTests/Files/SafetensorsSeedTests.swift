import Foundation
import TestSupport
import Testing

@testable import EttinModel

/// Replays `Fuzz/seeds/safetensors`.
@Suite struct SafetensorsSeedTests {
    static let folder = (0..<4).reduce(URL(filePath: #filePath)) { path, _ in path.deletingLastPathComponent() }
        .appending(path: "Fuzz/seeds/safetensors").path

    static func seeds(_ prefix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix(prefix) }.sorted()
            .map { "\(folder)/\($0)" }
    }

    @Test func everyFileThatTheFuzzerDamagedIsAnErrorThatNamesIt() throws {
        let paths = try Self.seeds("bad-")
        #expect(paths.count >= 30)
        for path in paths {
            let error = #expect(throws: CheckpointError.self, "\(path)") { try TensorStore.open(file: path) }
            #expect(error?.description.contains(path) == true, "\(path)")
        }
    }

    @Test func everyWholeFileIsReadAndSurvivesBeingRewritten() throws {
        let paths = try Self.seeds("good-")
        #expect(paths.count >= 4)
        let temporary = try TemporaryFolder()
        for path in paths {
            let store = try TensorStore.open(file: path)
            let copy = temporary.file("copy.safetensors")
            try SafetensorsWriter.write(store.names.map { try TensorToWrite(copying: $0, from: store) }, to: copy)
            let again = try TensorStore.open(file: copy)
            #expect(Set(again.names) == Set(store.names), "\(path)")
            for name in store.names {
                #expect(again.descriptor(name)?.shape == store.descriptor(name)?.shape, "\(path) \(name)")
                let equal = try store.withBytes(name) { one in
                    try again.withBytes(name) { other in one.elementsEqual(other) }
                }
                #expect(equal, "\(path) \(name)")
            }
        }
    }
}
