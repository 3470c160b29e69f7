import EttinJSON
import HubTestSupport
import TestSupport
import Testing

@testable import EttinHub

@Suite("Lists", .timeLimit(.minutes(1)))
struct ListingTests {
    @Test("The pages of a list are read to the last")
    func paging() async throws {
        let cache = try TemporaryFolder()
        let server = try await LoopbackServer { request in
            let page = request.path.contains("cursor=2") ? 2 : request.path.contains("cursor=1") ? 1 : 0
            let file: JSONValue = ["type": "file", "path": .init("f\(page)"), "size": 3, "oid": "x"]
            let port = request.headers.first(name: "Host")?.split(separator: ":").last ?? ""
            let address = "http://127.0.0.1:\(port)/api/models/a/b/tree/main?cursor=\(page + 1)"
            let next: HeaderFields = page < 2 ? ["Link": "<\(address)>; rel=\"next\""] : [:]
            let body: JSONValue = [["type": "directory", "path": "d", "oid": "y", "size": 0], file]
            return ServedAnswer(headers: next, body: body.serialized())
        }
        let client = try server.client(cache: cache.path)
        let files = try await client.files(of: HubReference("a/b"))
        #expect(files.map(\.path) == ["f0", "f1", "f2"])
        #expect(server.requests.count == 3)
    }

    @Test(
        "Lists that are not the protocol are refused",
        arguments: [
            "", "[", "{}", "[{\"type\":\"file\"}]", "[{\"type\":\"file\",\"path\":\"../x\",\"size\":1,\"oid\":\"a\"}]",
        ]
    )
    func malformed(text: String) async throws {
        let cache = try TemporaryFolder()
        let server = try await LoopbackServer { _ in ServedAnswer(body: Array(text.utf8)) }
        let client = try server.client(cache: cache.path)
        await #expect(throws: HubError.self) { try await client.info(of: HubReference("a/b")) }
        await #expect(throws: HubError.self) { try await client.revisions(of: HubRepository("a/b")) }
        if text != "{}" {
            await #expect(throws: HubError.self) { try await client.files(of: HubReference("a/b")) }
        }
    }

    @Test(
        "Sizes that no file has are refused, one by one and in all",
        arguments: ["9223372036854775807", "-1", "1e30", "281474976710657", "1.5", "\"3\""]
    )
    func hostileSizes(size: String) async throws {
        let cache = try TemporaryFolder()
        let entry = #"{"type":"file","path":"f","size":\#(size),"oid":"x"}"#
        let server = try await LoopbackServer { _ in ServedAnswer(body: Array("[\(entry)]".utf8)) }
        let client = try server.client(cache: cache.path)
        let error = await #expect(throws: HubError.self) { try await client.files(of: HubReference("a/b")) }
        #expect(error?.description.contains("the size of \"f\" is") == true, "\(error as Any)")
    }

    @Test("A list that adds up to more than a number holds is refused")
    func hostileTotal() async throws {
        let cache = try TemporaryFolder()
        let entry = #"{"type":"file","path":"f","size":281474976710656,"oid":"x"}"#
        let list = "[" + Array(repeating: entry, count: 5000).joined(separator: ",") + "]"
        let server = try await LoopbackServer { _ in ServedAnswer(body: Array(list.utf8)) }
        let client = try server.client(cache: cache.path)
        await #expect(throws: HubError.self) { try await client.files(of: HubReference("a/b")) }
    }

    @Test("The names of files tell configuration and split")
    func layout() throws {
        func splits(_ paths: [String], isConverted: Bool = false) throws -> [String] {
            let reference = try HubReference("a/b", kind: .dataset)
            let files = paths.map { RepositoryFile(path: $0, sizeBytes: 1, contentID: "") }
            let found =
                isConverted
                ? DatasetLayout.converted(files, in: reference) : DatasetLayout.original(files, in: reference)
            return found.map { "\($0.configuration)/\($0.split)\($0.isPartial ? "*" : "") \($0.files.count)" }
        }
        #expect(
            try splits(
                ["x/train/0000.parquet", "x/train/0001.parquet", "x/partial-test/0000.parquet"],
                isConverted: true
            )
                == ["x/test* 1", "x/train 2"]
        )
        #expect(
            try splits(["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/dev-0.parquet"])
                == ["default/train 2", "default/validation 1"]
        )
        #expect(
            try splits(["en/train.jsonl.gz", "de/train.csv", "de/test.csv"]) == [
                "de/test 1", "de/train 1", "en/train 1",
            ]
        )
        #expect(try splits(["corpus.jsonl", "README.md", "dataset_infos.json"]) == ["default/train 1"])
        #expect(try splits(["trainer/x.json"]) == ["trainer/train 1"])
    }
}
