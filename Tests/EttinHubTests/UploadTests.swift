import EttinJSON
import Foundation
import HubTestSupport
import TestSupport
import Testing

@testable import EttinHub

@Suite("Uploads", .timeLimit(.minutes(1)))
struct UploadTests {
    static let commit = String(repeating: "c", count: 40)

    /// A Hub that takes everything; files that end in `.bin` are large.
    static func answer(_ request: ServedRequest, partSize: Int?) -> ServedAnswer {
        let port = request.headers.first(name: "Host")?.split(separator: ":").last ?? ""
        let store = "http://localhost:\(port)"
        let body = try? JSONValue(parsing: request.body)
        func json(_ value: JSONValue, _ status: Int = 200) -> ServedAnswer {
            ServedAnswer(status: status, body: value.serialized())
        }
        switch request.path {
        case "/api/repos/create": return json(["error": "exists"], 409)
        case "/api/models/a/b/preupload/main":
            let files = body?["files"]?.arrayValue ?? []
            return json([
                "files": .array(
                    files.map { file -> JSONValue in
                        let path = file["path"]?.stringValue ?? ""
                        return [
                            "path": .init(path), "uploadMode": path.hasSuffix(".bin") ? "lfs" : "regular",
                            "shouldIgnore": .init(path == "ignored.txt"),
                        ]
                    }
                )
            ])
        case "/a/b.git/info/lfs/objects/batch":
            let object = body?["objects"]?[0]
            let size = object?["size"]?.intValue ?? 0
            var upload: JSONObject = ["href": .init("\(store)/upload")]
            if let partSize {
                var header: JSONObject = ["chunk_size": .init("\(partSize)")]
                for number in 1...((size - 1) / partSize + 1) {
                    header["\(number)"] = .init("\(store)/part/\(number)")
                }
                upload = ["href": .init("http://127.0.0.1:\(port)/complete"), "header": .object(header)]
            }
            return json([
                "objects": [
                    [
                        "oid": object?["oid"] ?? .null, "size": .init(size),
                        "actions": [
                            "upload": .object(upload), "verify": ["href": .init("http://127.0.0.1:\(port)/verify")],
                        ],
                    ]
                ]
            ])
        case "/api/models/a/b/commit/main": return json(["commitOid": .init(commit), "commitUrl": "x"])
        case _ where request.path.hasPrefix("/part/"):
            return ServedAnswer(headers: ["ETag": "\"tag\(request.path.dropFirst(6))\""])
        default: return ServedAnswer()
        }
    }

    static func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write("text", "a.txt")
        try folder.write("", "empty.bin")
        try folder.write("not wanted", "ignored.txt")
        try folder.write([UInt8](repeating: 7, count: 2500), "large.bin")
        return folder
    }

    @Test(
        "A commit names every file once, after the large ones are stored",
        arguments: [nil, 1000, 2500, 9_223_372_036_854_775_807]
    )
    func commit(partSize: Int?) async throws {
        let cache = try TemporaryFolder()
        let folder = try Self.folder()
        let server = try await LoopbackServer { Self.answer($0, partSize: partSize) }
        let client = try server.client(cache: cache.path, token: "hf_secret")
        let result = try await client.upload(
            folder.path,
            to: HubRepository("a/b"),
            options: UploadOptions(title: "A title", excludes: ["*.none"])
        )
        #expect(!result.createdRepository && result.commit == Self.commit)
        #expect(result.files.map(\.mode) == [.regular, .regular, .ignored, .large])

        let requests = server.requests
        let commit = try #require(requests.last { $0.path.contains("/commit/") })
        #expect(commit.headers.first(name: "Content-Type") == "application/x-ndjson")
        let lines = try commit.text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
        #expect(lines.map { $0["key"]?.stringValue } == ["header", "file", "file", "lfsFile"])
        #expect(lines[0]["value"]?["summary"] == "A title")
        #expect(lines[1]["value"] == ["content": "dGV4dA==", "path": "a.txt", "encoding": "base64"])
        #expect(lines[2]["value"]?["content"] == "")
        #expect(lines[3]["value"]?["size"] == 2500)

        let stored = requests.filter { $0.method == "PUT" }
        #expect(stored.flatMap(\.body) == [UInt8](repeating: 7, count: 2500))
        #expect(stored.allSatisfy { !$0.headers.contains(name: "Authorization") })
        #expect(requests.contains { $0.path == "/verify" && $0.headers.contains(name: "Authorization") })
        if partSize != nil {
            let complete = try #require(requests.first { $0.path == "/complete" })
            let parts = try #require(try JSONValue(parsing: complete.body)["parts"])
            let count = partSize == 1000 ? 3 : 1
            #expect(parts[count - 1] == ["partNumber": .init(count), "etag": .init("\"tag\(count)\"")])
            #expect(parts.arrayValue?.count == count)
        }
    }

    @Test("A store with the wrong number of parts is refused, and nothing is committed")
    func wrongParts() async throws {
        let cache = try TemporaryFolder()
        let folder = try Self.folder()
        let server = try await LoopbackServer { request in
            guard request.path.hasSuffix("/objects/batch") else { return Self.answer(request, partSize: nil) }
            let oid = (try? JSONValue(parsing: request.body))?["objects"]?[0]?["oid"] ?? .null
            let upload: JSONValue = [
                "href": "http://localhost:1/x", "header": ["chunk_size": "10", "1": "http://localhost:1/y"],
            ]
            let answer: JSONValue = ["objects": [["oid": oid, "size": 2500, "actions": ["upload": upload]]]]
            return ServedAnswer(body: answer.serialized())
        }
        let client = try server.client(cache: cache.path, token: "hf_secret")
        let error = await #expect(throws: HubError.self) {
            try await client.upload(folder.path, to: HubRepository("a/b"))
        }
        #expect(error?.description.contains("1 addresses for 2500 bytes in parts of 10") == true, "\(error as Any)")
        #expect(!server.requests.contains { $0.path.contains("/commit/") })
    }

    @Test(
        "What a store asks to be sent along stays in its line, and takes no part in how the body travels",
        arguments: [
            (["X-Ok": "a", "Authorization": "Basic x", "Content-Length": "1", "Transfer-Encoding": "chunked"], nil),
            (["X-Bad": "a\r\nX-Evil: b"], "not a name and a value in one line"),
            (["X Bad": "a"], "not a name and a value in one line"),
        ] as [(JSONObject, String?)]
    )
    func storeHeaders(header: JSONObject, problem: String?) async throws {
        let cache = try TemporaryFolder()
        let folder = try Self.folder()
        let server = try await LoopbackServer { request in
            guard request.path.hasSuffix("/objects/batch") else { return Self.answer(request, partSize: nil) }
            let port = request.headers.first(name: "Host")?.split(separator: ":").last ?? ""
            let oid = (try? JSONValue(parsing: request.body))?["objects"]?[0]?["oid"] ?? .null
            let upload: JSONValue = ["href": .init("http://localhost:\(port)/x"), "header": .object(header)]
            let answer: JSONValue = ["objects": [["oid": oid, "size": 2500, "actions": ["upload": upload]]]]
            return ServedAnswer(body: answer.serialized())
        }
        let client = try server.client(cache: cache.path, token: "hf_secret")
        guard let problem else {
            _ = try await client.upload(folder.path, to: HubRepository("a/b"))
            let put = try #require(server.requests.first { $0.method == "PUT" })
            #expect(put.headers["Content-Length"] == ["2500"] && put.headers["X-Ok"] == ["a"])
            #expect(put.body.count == 2500 && !put.headers.contains(name: "Authorization"))
            return
        }
        let error = await #expect(throws: HubError.self) {
            try await client.upload(folder.path, to: HubRepository("a/b"))
        }
        #expect(error?.description.contains(problem) == true, "\(error as Any)")
        #expect(!server.requests.contains { $0.path.contains("/commit/") })
    }

    @Test("A card is uploaded where the folder has none, and the folder stays as it is")
    func card() async throws {
        let cache = try TemporaryFolder()
        let folder = try Self.folder()
        let server = try await LoopbackServer { Self.answer($0, partSize: nil) }
        let client = try server.client(cache: cache.path, token: "hf_secret")
        let options = UploadOptions(includes: ["*.md", "a.txt"], card: "# x\n")
        let result = try await client.upload(folder.path, to: HubRepository("a/b"), options: options)
        #expect(result.files.map(\.path) == ["README.md", "a.txt"])
        #expect(try folder.names == ["a.txt", "empty.bin", "ignored.txt", "large.bin"])
        let commit = try #require(server.requests.last { $0.path.contains("/commit/") })
        let card = try JSONValue(parsing: String(commit.text.split(separator: "\n")[1]))["value"]?["content"]?
            .stringValue
        #expect(card == Data("# x\n".utf8).base64EncodedString())
    }

    @Test("Without a token nothing is sent")
    func noToken() async throws {
        let cache = try TemporaryFolder()
        let folder = try Self.folder()
        let server = try await LoopbackServer { Self.answer($0, partSize: nil) }
        let client = try server.client(cache: cache.path)
        let error = await #expect(throws: HubError.self) {
            try await client.upload(folder.path, to: HubRepository("a/b"))
        }
        #expect(error?.description.contains("set HF_TOKEN to one with write access") == true)
        #expect(server.requests.isEmpty)
    }
}
