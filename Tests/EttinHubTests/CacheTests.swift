import EttinFiles
import Foundation
import TestSupport
import Testing

@testable import EttinHub

@Suite("The cache")
struct CacheTests {
    let repository: HubRepository
    let commit = String(repeating: "c", count: 40)

    init() throws {
        repository = try HubRepository("a/b")
    }

    @Test("A blob appears in a snapshot as a relative link, however deep", arguments: ["x.json", "sub/deep/x.json"])
    func links(path: String) throws {
        let folder = try TemporaryFolder()
        let cache = HubCache(folder: folder.path)
        try FilePath.makeFolder(cache.folder(of: repository) + "/blobs")
        try AtomicFile.write(Array("content".utf8), to: cache.blob("abc", of: repository))
        let file = try cache.place(
            "abc",
            as: RepositoryPath(path, in: repository),
            commit: commit,
            of: repository
        )
        #expect(file == "\(folder.path)/models--a--b/snapshots/\(commit)/\(path)")
        #expect(try OpenFile.contents(of: file) == Array("content".utf8))
        let climb = path == "x.json" ? "../../" : "../../../../"
        #expect(FilePath.target(ofLink: file) == climb + "blobs/abc")
    }

    @Test("Without links the snapshot holds the file itself")
    func withoutLinks() throws {
        let folder = try TemporaryFolder()
        let cache = HubCache(folder: folder.path, usesLinks: false)
        try FilePath.makeFolder(cache.folder(of: repository) + "/blobs")
        try AtomicFile.write([1, 2], to: cache.blob("abc", of: repository))
        let path = try RepositoryPath("x", in: repository)
        let file = try cache.place("abc", as: path, commit: commit, of: repository)
        #expect(FilePath.target(ofLink: file) == nil)
        #expect(try OpenFile.contents(of: file) == [1, 2])
        #expect(FilePath.kind(of: cache.blob("abc", of: repository)) == .absent)
    }

    @Test("Branches with slashes are remembered, and a damaged memory is an error")
    func references() throws {
        let folder = try TemporaryFolder()
        let cache = HubCache(folder: folder.path)
        let reference = try HubReference(repository, revision: "refs/convert/parquet")
        #expect(try cache.commit(of: reference) == nil)
        try cache.record(commit: commit, for: reference)
        #expect(try folder.read("models--a--b/refs/refs/convert/parquet") == Array(commit.utf8))
        #expect(try cache.commit(of: reference) == commit)
        try folder.write("nonsense", "models--a--b/refs/refs/convert/parquet")
        #expect(throws: HubError.self) { try cache.commit(of: reference) }
        let exact = try HubReference(repository, revision: commit)
        #expect(try cache.commit(of: exact) == commit)
    }

    @Test("Content ids are those of SHA-256 and of git blobs")
    func contentIDs() throws {
        func id(_ hash: ContentHash, _ text: String) -> String {
            var hash = hash
            Array(text.utf8).withUnsafeBytes { hash.update($0) }
            return hash.finalized()
        }
        #expect(id(.gitBlob(size: 0), "") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
        #expect(id(.gitBlob(size: 6), "hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a")
        #expect(id(.sha256, "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(ContentHash(matching: "store-has-its-own-ids", size: 3) == nil)
    }

    @Test("A lock is held by one at a time", .timeLimit(.minutes(1)))
    func locks() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("sub/x.lock")
        let first = try await FileLock.acquire(path)
        let second = Task {
            let lock = try await FileLock.acquire(path)
            lock.release()
            return ContinuousClock.now
        }
        try await Task.sleep(for: .milliseconds(200))
        let released = ContinuousClock.now
        first.release()
        #expect(try await second.value >= released)
    }

    @Test("The files of a model are its configuration, tokenizer and one form of weights")
    func modelFiles() throws {
        let both = ModelFiles(available: [
            "README.md", "config.json", "tokenizer.json", "model.safetensors", "pytorch_model.bin", "onnx/model.onnx",
            "1_Pooling/config.json", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin",
            "3_Dense/pytorch_model.bin",
        ])
        #expect(both.weights == .single("model.safetensors"))
        #expect(
            both.companions == [
                "config.json", "tokenizer.json", "1_Pooling/config.json", "2_Dense/model.safetensors",
                "3_Dense/pytorch_model.bin",
            ]
        )
        let sharded = ModelFiles(available: ["pytorch_model.bin", "model.safetensors.index.json"])
        #expect(sharded.weights == .sharded(index: "model.safetensors.index.json"))
        #expect(ModelFiles(available: ["pytorch_model.bin"]).weights == .single("pytorch_model.bin"))
        #expect(ModelFiles(available: ["tf_model.h5"]).weights == nil)
        let adapter = ["adapter_config.json", "adapter_model.bin"]
        #expect(ModelFiles(available: adapter).companions == adapter)
        #expect(ModelFiles(available: adapter + ["adapter_model.safetensors"]).companions.count == 2)
        // A Router has everything in folders of its routes.
        let routed = [
            "config_sentence_transformers.json", "document_0_Transformer/config.json",
            "document_0_Transformer/model.safetensors", "document_0_Transformer/tokenizer.json", "modules.json",
            "query_0_SparseStaticEmbedding/tokenizer.json", "router_config.json",
        ]
        let router = ModelFiles(available: routed + ["document_0_Transformer/README.md", "a_b/config.json"])
        #expect(router.companions == routed && router.weights == nil && router.isModel && router.hasWeights)
        #expect(!ModelFiles(available: ["modules.json", "1_Pooling/config.json"]).hasWeights)
        let folder = try TemporaryFolder()
        let index = try folder.write(#"{"weight_map": {"x": "b", "y": "a", "z": "b"}}"#, "index")
        #expect(try ModelFiles.shards(inIndexAt: index, of: repository) == ["a", "b"])
        let hostile = try folder.write(#"{"weight_map": {"x": "../b"}}"#, "hostile")
        #expect(throws: HubError.unsafePath("../b", repository)) {
            try ModelFiles.shards(inIndexAt: hostile, of: repository)
        }
    }

    @Test("Waits double up to the limit, and a server's wish comes first")
    func waits() throws {
        let policy = RetryPolicy()
        for (retry, seconds) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (9, 8.0)] {
            let delay = try #require(policy.delay(retry: retry, requested: nil))
            #expect(delay >= .seconds(seconds * 0.75) && delay <= .seconds(seconds * 1.25))
        }
        #expect(policy.delay(retry: 0, requested: .seconds(7)) == .seconds(7))
        #expect(policy.delay(retry: 0, requested: .seconds(301)) == nil)
        let now = Date(timeIntervalSince1970: 1_445_412_480)
        #expect(RetryPolicy.requestedDelay(["Retry-After": "3"]) == .seconds(3))
        #expect(RetryPolicy.requestedDelay(["Retry-After": "Wed, 21 Oct 2015 07:28:05 GMT"], now: now) == .seconds(5))
        #expect(RetryPolicy.requestedDelay(["Retry-After": "never"]) == nil)
        #expect(RetryPolicy.requestedDelay(["RateLimit": "\"api\";r=0;t=55"]) == .seconds(55))
        #expect(RetryPolicy.requestedDelay(["RateLimit": "\"api\";r=4;t=55"]) == nil)
    }
}
