import EttinFiles
import EttinJSON
import HubTestSupport
import Synchronization
import TestSupport
import Testing

@testable import EttinHub

@Suite("The network", .timeLimit(.minutes(1)))
struct NetworkTests {
    static let commit = String(repeating: "c", count: 40)
    /// More than waits for a slow reader.
    static let size = 4_000_000

    /// A server of one file without a checksum, whose content is answered as a closure says.
    static func server(_ content: @escaping @Sendable (ServedRequest) -> ServedAnswer) async throws -> LoopbackServer {
        try await LoopbackServer { request in
            guard request.method == "HEAD" else { return content(request) }
            return ServedAnswer(headers: ["X-Repo-Commit": commit, "ETag": "\"abc\"", "X-Linked-Size": "\(size)"])
        }
    }

    @Test("A cancelled task waits for nothing", arguments: [nil, 0, 100])
    func cancellation(stallAfter: Int?) async throws {
        let cache = try TemporaryFolder()
        let arrived = Mutex(false)
        let server = try await Self.server { _ in
            arrived.withLock { $0 = true }
            return ServedAnswer(body: [UInt8](repeating: 1, count: Self.size), stallAfter: stallAfter)
        }
        let client = try server.client(cache: cache.path, variables: ["HF_HUB_DOWNLOAD_TIMEOUT": "600"])
        let task = Task {
            // Without a stall it is the reader that stands still.
            try await client.read("x", of: HubReference("a/b")) { _ in
                if stallAfter == nil { try await Task.sleep(for: .seconds(600)) }
            }
        }
        while !arrived.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
        let start = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test("A standstill is cut off and the rest fetched; a slow reader is no standstill")
    func standstill() async throws {
        let cache = try TemporaryFolder()
        let content = (0..<Self.size).map { UInt8(truncatingIfNeeded: $0 >> 7) }
        let server = try await Self.server { request in
            guard let range = request.headers.first(name: "Range"), let start = Int(range.dropFirst(6).dropLast())
            else { return ServedAnswer(body: content, stallAfter: 70_000) }
            return ServedAnswer(
                status: 206,
                headers: ["Content-Range": "bytes \(start)-\(content.count - 1)/\(content.count)"],
                body: Array(content[start...])
            )
        }
        let client = try server.client(cache: cache.path, variables: ["HF_HUB_DOWNLOAD_TIMEOUT": "1"])
        let collected = Mutex<[UInt8]>([])
        let hasSlept = Mutex(false)
        try await client.read("x", of: HubReference("a/b")) { bytes in
            collected.withLock { $0 += bytes }
            let isFirstAfterStandstill = collected.withLock { $0.count } > 70_000 && !hasSlept.withLock { $0 }
            guard isFirstAfterStandstill else { return }
            hasSlept.withLock { $0 = true }
            try await Task.sleep(for: .milliseconds(1500))
        }
        #expect(collected.withLock { $0 } == content)
        #expect(server.requests.filter { $0.method == "GET" }.count == 2)
    }

    @Test("A connection serves one request after another")
    func reuse() async throws {
        let cache = try TemporaryFolder()
        let server = try await LoopbackServer { _ in ServedAnswer(body: Array("[]".utf8)) }
        let client = try server.client(cache: cache.path)
        for _ in 0..<5 { _ = try await client.files(of: HubReference("a/b")) }
        #expect(server.requests.count == 5 && server.connectionCount == 1)
    }

    @Test(
        "Answers that are not HTTP are errors",
        arguments: [
            "", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n[]",
            "HTTP/1.1 99999999999 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
            "HTTP/1.1 200 OK\r\n" + String(repeating: "X-Y: 0123456789abcdef\r\n", count: 60_000) + "\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[]", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ]
    )
    func notHTTP(text: String) async throws {
        let cache = try TemporaryFolder()
        let server = try await LoopbackServer { _ in ServedAnswer(raw: Array(text.utf8)) }
        let client = try server.client(cache: cache.path)
        let error = await #expect(throws: HubError.self) { try await client.files(of: HubReference("a/b")) }
        #expect(error?.description.contains("No error") == false)
    }

    @Test("A commit whose answer is lost on a connection in use is not sent a second time")
    func lostCommit() async throws {
        let cache = try TemporaryFolder()
        let folder = try TemporaryFolder()
        try folder.write("text", "a.txt")
        let id = Self.commit
        var hash = ContentHash.gitBlob(size: 4)
        Array("text".utf8).withUnsafeBytes { hash.update($0) }
        let listed = hash.finalized()
        let server = try await LoopbackServer { request in
            switch request.path {
            case "/api/models/a/b/preupload/main":
                ServedAnswer(body: Array(#"{"files":[{"path":"a.txt","uploadMode":"regular"}]}"#.utf8))
            case "/api/models/a/b/commit/main": ServedAnswer(raw: [])
            case "/api/models/a/b/revision/main":
                ServedAnswer(body: Array(#"{"sha":"\#(id)","siblings":[]}"#.utf8))
            case _ where request.path.hasPrefix("/api/models/a/b/tree/main"):
                ServedAnswer(body: Array(#"[{"type":"file","path":"a.txt","size":4,"oid":"\#(listed)"}]"#.utf8))
            default: ServedAnswer(status: 409)
            }
        }
        let client = try server.client(cache: cache.path, token: "hf_secret")
        let result = try await client.upload(folder.path, to: HubRepository("a/b"))
        #expect(result.commit == id)
        #expect(server.requests.filter { $0.path.contains("/commit/") }.count == 1)
    }

    @Test(
        "An address is taken apart as it is connected to",
        arguments: [
            ("http://a.example", "a.example", 80), ("https://A.example:8443/x?y=z", "A.example", 8443),
            ("https://user:pw@b.example/x", "b.example", 443), ("http://[::1]:8080/x", "[::1]", 8080),
            ("http://a.example@b.example/", "b.example", 80), ("http://a.example#@b.example/", "a.example", 80),
            ("http://a.example?@b.example/", "a.example", 80),
        ] as [(String, String, Int)]
    )
    func addresses(text: String, host: String, port: Int) throws {
        let address = try #require(WebAddress(text))
        #expect(address.host == host && address.port == port && address.text == text)
    }

    @Test(
        "What is no web address is refused",
        arguments: [
            "", "a.example", "ftp://a.example/", "http://", "http://a.example:99999/", "http://a b/",
            "http://ä.example/",
            "http://a.example\r\nX: y", "http://a.example\\@b.example/",
        ]
    )
    func noAddresses(text: String) {
        #expect(WebAddress(text) == nil)
    }

    @Test(
        "Redirections lead where they say",
        arguments: [
            ("/y?z", "https://a.example/y?z"), ("y", "https://a.example/x/y"), ("//b.example/y", "https://b.example/y"),
            ("https://b.example/A%2fb?X-Signature=a%2Fb%3d", "https://b.example/A%2fb?X-Signature=a%2Fb%3d"),
            // Not out of TLS.
            ("http://b.example/y", nil),
            ("/a b", "https://a.example/a%20b"), ("file:///etc/passwd", nil),
        ] as [(String, String?)]
    )
    func redirections(location: String, target: String?) throws {
        let base = try #require(WebAddress("https://a.example/x/z?q"))
        #expect(base.following(location)?.text == target)
    }

    @Test("The fields of a header are found without regard to case, and none can begin another")
    func headers() {
        var headers: HeaderFields = ["ETag": "a", "Link": "b", "link": "c"]
        #expect(headers.first(name: "etag") == "a" && headers["LINK"] == ["b", "c"] && headers.first(name: "x") == nil)
        headers.replaceOrAdd(name: "LINK", value: "d")
        #expect(headers["link"] == ["d"])
        #expect(HeaderFields.isValid(name: "X-A", value: "b c\tä"))
        for (name, value) in [("X", "a\r\nB: c"), ("X", "a\n"), ("X", "\0"), ("X A", "b"), ("", "b"), ("X:", "b")] {
            #expect(!HeaderFields.isValid(name: name, value: value))
        }
    }
}
