import EttinFiles
import EttinJSON
import HubTestSupport
import Synchronization
import TestSupport
import Testing

@testable import EttinHub

@Suite("Downloads", .timeLimit(.minutes(1)))
struct DownloadTests {
    static let commit = String(repeating: "c", count: 40)
    static let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    static var contentID: String {
        var hash = ContentHash.sha256
        content.withUnsafeBytes { hash.update($0) }
        return hash.finalized()
    }

    /// A large file that lies on another host, which answers as a closure says.
    static func server(
        _ store: @escaping @Sendable (ServedRequest, Int) -> ServedAnswer
    ) async throws -> LoopbackServer {
        let id = contentID
        return try await LoopbackServer { request in
            guard !request.path.hasPrefix("/store") else {
                let start = request.headers.first(name: "Range").flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
                return store(request, start)
            }
            let port = request.headers.first(name: "Host")?.split(separator: ":").last ?? ""
            return ServedAnswer(
                status: 302,
                headers: [
                    "X-Repo-Commit": commit, "X-Linked-Etag": "\"\(id)\"", "X-Linked-Size": "\(content.count)",
                    "Location": "http://localhost:\(port)/store?X-Signature=1",
                ]
            )
        }
    }

    static func part(from start: Int, cutAfter: Int? = nil) -> ServedAnswer {
        let headers: HeaderFields =
            start > 0 ? ["Content-Range": "bytes \(start)-\(content.count - 1)/\(content.count)"] : [:]
        return ServedAnswer(
            status: start > 0 ? 206 : 200,
            headers: headers,
            body: Array(content[start...]),
            cutAfter: cutAfter
        )
    }

    @Test("A cut transfer goes on where it stopped, and the token stays with the Hub")
    func resumes() async throws {
        let folder = try TemporaryFolder()
        let server = try await Self.server { _, start in
            Self.part(from: start, cutAfter: start < 150_000 ? 50_000 : nil)
        }
        let client = try server.client(cache: folder.path, token: "hf_secret")
        let path = try await client.file("model.bin", of: HubReference("a/b"))
        #expect(try OpenFile.contents(of: path) == Self.content)
        let store = server.requests.filter { $0.path.hasPrefix("/store") }
        #expect(store.count >= 3)
        #expect(store.allSatisfy { !$0.headers.contains(name: "Authorization") })
        let hub = server.requests.filter { !$0.path.hasPrefix("/store") }
        #expect(hub.allSatisfy { $0.headers.first(name: "Authorization") == "Bearer hf_secret" })
        #expect(try FilePath.names(inFolder: folder.path + "/hub/models--a--b/blobs") == [Self.contentID])
    }

    @Test("A content that differs from its checksum is not kept")
    func damaged() async throws {
        let folder = try TemporaryFolder()
        let server = try await Self.server { _, _ in
            ServedAnswer(body: [UInt8](repeating: 0, count: Self.content.count))
        }
        let client = try server.client(cache: folder.path)
        let error = await #expect(throws: HubError.self) {
            try await client.file("model.bin", of: HubReference("a/b"))
        }
        guard case .corruptDownload = error else { return #expect(Bool(false), "\(error as Any)") }
        #expect(try FilePath.names(inFolder: folder.path + "/hub/models--a--b/blobs") == [])
    }

    @Test("A store that sends more than was announced is refused")
    func tooMuch() async throws {
        let folder = try TemporaryFolder()
        let server = try await Self.server { _, _ in ServedAnswer(body: Self.content + [0]) }
        let client = try server.client(cache: folder.path)
        await #expect(throws: HubError.corruptDownload(path: "x", expected: "200000 bytes", found: "more")) {
            try await client.file("x", of: HubReference("a/b"))
        }
    }

    @Test("A range other than the one asked for is refused")
    func wrongRange() async throws {
        let folder = try TemporaryFolder()
        let server = try await Self.server { _, start in
            start == 0
                ? Self.part(from: 0, cutAfter: 1000)
                : ServedAnswer(status: 206, headers: ["Content-Range": "bytes 5-9/10"], body: [1])
        }
        let client = try server.client(cache: folder.path)
        let error = await #expect(throws: HubError.self) { try await client.file("x", of: HubReference("a/b")) }
        #expect(error?.description.contains("got \"bytes 5-9/10\"") == true)
    }

    @Test("A range of a content of another size is refused")
    func otherTotal() async throws {
        let folder = try TemporaryFolder()
        let server = try await Self.server { _, start in
            guard start > 0 else { return Self.part(from: 0, cutAfter: 1000) }
            var answer = Self.part(from: start)
            answer.headers.replaceOrAdd(name: "Content-Range", value: "bytes \(start)-199998/199999")
            return answer
        }
        let client = try server.client(cache: folder.path)
        let error = await #expect(throws: HubError.self) { try await client.file("x", of: HubReference("a/b")) }
        #expect(error?.description.contains("-199998/199999") == true, "\(error as Any)")
    }

    @Test("Bytes are streamed once and in order, over cut connections and servers without ranges")
    func streams() async throws {
        let folder = try TemporaryFolder()
        let server = try await Self.server { request, _ in
            // Always from the start.
            Self.part(from: 0, cutAfter: request.headers.contains(name: "Range") ? nil : 70_000)
        }
        let client = try server.client(cache: folder.path)
        let collected = Collector()
        try await client.read("x", of: HubReference("a/b")) { await collected.add($0) }
        #expect(await collected.bytes == Self.content)
        struct Enough: Error {}
        await #expect(throws: Enough.self) {
            try await client.read("x", of: HubReference("a/b")) { _ in throw Enough() }
        }
    }

    @Test("An address that refuses after a while is replaced by a fresh one")
    func expiredAddress() async throws {
        let folder = try TemporaryFolder()
        let resumptions = Mutex(0)
        let server = try await Self.server { _, start in
            guard start > 0 else { return Self.part(from: 0, cutAfter: 40_000) }
            let number = resumptions.withLock { count in
                count += 1
                return count
            }
            return number == 1 ? ServedAnswer(status: 403) : Self.part(from: start)
        }
        let client = try server.client(cache: folder.path)
        #expect(try OpenFile.contents(of: await client.file("x", of: HubReference("a/b"))) == Self.content)
    }

    @Test(
        "Answers that are not the protocol are errors that say what is wrong",
        arguments: [
            ([:], "the header X-Repo-Commit is missing"),
            (["X-Repo-Commit": commit], "its ETag is \"\""),
            (["X-Repo-Commit": commit, "ETag": "\"../evil\""], "its ETag is \"../evil\""),
            (["X-Repo-Commit": commit, "ETag": "\"abc\"", "X-Linked-Size": "-1"], "its size is \"-1\""),
            (["X-Repo-Commit": commit, "ETag": "\"abc\"", "X-Linked-Size": "9223372036854775807"], "its size is"),
            (["X-Repo-Commit": commit, "ETag": "\"abc\"", "X-Linked-Size": "1e9"], "its size is \"1e9\""),
            (["X-Repo-Commit": "../../x", "ETag": "\"abc\""], "the header X-Repo-Commit is missing"),
        ] as [(HeaderFields, String)]
    )
    func malformed(headers: HeaderFields, text: String) async throws {
        let folder = try TemporaryFolder()
        let server = try await LoopbackServer { _ in ServedAnswer(headers: headers) }
        let client = try server.client(cache: folder.path)
        let error = await #expect(throws: HubError.self) { try await client.file("x", of: HubReference("a/b")) }
        #expect(error?.description.contains(text) == true, "\(error as Any)")
    }

    @Test("A server that repeats the token does not make an error show it")
    func tokenInMessage() async throws {
        let folder = try TemporaryFolder()
        let server = try await LoopbackServer { request in
            ServedAnswer(
                status: 400,
                headers: ["X-Error-Message": "bad header \(request.headers.first(name: "Authorization") ?? "")"]
            )
        }
        let client = try server.client(cache: folder.path, token: "hf_secret")
        let error = await #expect(throws: HubError.self) { try await client.file("x", of: HubReference("a/b")) }
        #expect(error?.description.contains("bad header Bearer <token>") == true, "\(error as Any)")
        #expect(error?.description.contains("hf_secret") == false)
    }
}

private actor Collector {
    private(set) var bytes: [UInt8] = []

    func add(_ part: [UInt8]) { bytes += part }
}
