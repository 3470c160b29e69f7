import EttinHub
import EttinInference
import EttinModel
import Foundation
import HubTestSupport
import Synchronization
import TestSupport
import Testing

@testable import Ettin

/// Models by name: folders, short names and repositories, with what is told of their download.
@Suite(.timeLimit(.minutes(1))) struct ModelDownloadTests {
    static let commit = String(repeating: "c", count: 40)
    static let weights = [UInt8](repeating: 7, count: 3_000_000)

    /// A Hub on which every model has a configuration and weights.
    private static func server() async throws -> LoopbackServer {
        try await LoopbackServer { request in
            if request.path.hasPrefix("/api/") {
                let files = #"[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]"#
                return ServedAnswer(body: Array(#"{"sha":"\#(commit)","siblings":\#(files)}"#.utf8))
            }
            let isWeights = request.path.hasSuffix("/model.safetensors")
            return ServedAnswer(
                headers: ["X-Repo-Commit": commit, "ETag": "\"id-\(isWeights ? "weights" : "config")\""],
                body: isWeights ? weights : Array("{}".utf8)
            )
        }
    }

    /// What callbacks are told.
    private final class Told: Sendable {
        let progress = Mutex<[DownloadProgress]>([])
        let events = Mutex<[HubEvent]>([])
    }

    private static func folder(
        _ name: String,
        revision: String? = nil,
        _ server: LoopbackServer,
        cache: String,
        told: Told = Told()
    ) async throws -> String {
        try await ModelDownload.folder(
            name,
            revision: revision,
            progress: { progress in told.progress.withLock { $0.append(progress) } },
            onEvent: { event in told.events.withLock { $0.append(event) } },
            environment: ["HF_ENDPOINT": server.endpoint, "HF_HOME": cache]
        ).path(percentEncoded: false)
    }

    @Test func aShortNameIsDownloadedWithProgressUpToItsEnd() async throws {
        let (server, cache, told) = (try await Self.server(), try TemporaryFolder(), Told())
        let path = try await Self.folder("ettin-encoder-17m", server, cache: cache.path, told: told)
        #expect(path.contains("models--jhu-clsp--ettin-encoder-17m/snapshots/\(Self.commit)"))
        #expect(try Data(contentsOf: URL(filePath: path + "/model.safetensors")).count == Self.weights.count)
        #expect(server.requests.contains { $0.path == "/api/models/jhu-clsp/ettin-encoder-17m/revision/main" })
        let progress = told.progress.withLock { $0 }
        let last = try #require(progress.last)
        #expect(last.fraction == 1 && last.completedBytes == Self.weights.count + 2)
        let bytes = progress.map(\.completedBytes)
        #expect(bytes == bytes.sorted())
        #expect(told.events.withLock { $0.contains(.finished(path: "model.safetensors")) })
    }

    @Test(arguments: [("a/b@v1", nil), ("a/b", "v1"), ("ettin-encoder-17m@v1", nil)] as [(String, String?)])
    func aRevisionIsAskedFor(name: String, revision: String?) async throws {
        let (server, cache) = (try await Self.server(), try TemporaryFolder())
        _ = try await Self.folder(name, revision: revision, server, cache: cache.path)
        #expect(server.requests.contains { $0.path.hasPrefix("/api/models/") && $0.path.hasSuffix("/revision/v1") })
    }

    @Test func aFolderComesFirstAndHasNoRevision() async throws {
        let (server, cache, folder) = (try await Self.server(), try TemporaryFolder(), try TemporaryFolder())
        let path = try await Self.folder(folder.path, server, cache: cache.path)
        #expect(path == folder.path + "/" && server.requests.isEmpty)
        await #expect {
            try await Self.folder(folder.path, revision: "v1", server, cache: cache.path)
        } throws: {
            "\($0)".contains("is a local folder, which has no revisions")
        }
        // A folder that bears a short name is that folder.
        let reference = try ModelReference(folder.path, revision: nil) { _ in "owner/name" }
        #expect(reference == .folder(folder.path))
        await #expect(throws: CheckpointError.self) { try await TextEncoder(folder.path) }
        await #expect(throws: CheckpointError.self) { try await FillMask("./no such folder") }
    }

    @Test func aCachedCopyIsSaidToBeUsed() async throws {
        let (server, cache, told) = (try await Self.server(), try TemporaryFolder(), Told())
        let first = try await Self.folder("a/b", server, cache: cache.path)
        // Nothing listens there.
        let environment = ["HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": cache.path]
        let again = try await ModelDownload.folder(
            "a/b",
            revision: nil,
            progress: nil,
            onEvent: { event in told.events.withLock { $0.append(event) } },
            environment: environment
        )
        #expect(again.path(percentEncoded: false) == first)
        let events = told.events.withLock { $0 }
        #expect(events.contains { if case .usingCache = $0 { true } else { false } })
    }
}
