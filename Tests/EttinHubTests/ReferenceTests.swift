import TestSupport
import Testing

@testable import EttinHub

@Suite("References")
struct ReferenceTests {
    @Test("owner/name, owner/name@revision and a revision flag say the same")
    func spellings() throws {
        let plain = try HubReference("jhu-clsp/ettin-encoder-17m")
        #expect(plain.repository.id == "jhu-clsp/ettin-encoder-17m")
        #expect(plain.repository.owner == "jhu-clsp" && plain.repository.name == "ettin-encoder-17m")
        #expect(plain.revision == "main" && plain.description == "jhu-clsp/ettin-encoder-17m")
        let written = try HubReference("a/b@step599525")
        #expect(written.description == "a/b@step599525")
        #expect(try HubReference("a/b", revision: "step599525") == written)
        #expect(try HubReference("a/b@step599525", revision: "step599525") == written)
        #expect(try HubReference("a/b@refs/convert/parquet").revision == "refs/convert/parquet")
        #expect(throws: HubError.self) { try HubReference("a/b@step1", revision: "step2") }
    }

    @Test(
        "Names that the Hub does not allow are refused",
        arguments: [
            "", "/", "a/", "/b", "a/b/c", "a b/c", "a/..", "../b", "a/b--c", "-a/b", "a/b.", "a/b.git", "ä/b", "a/b@",
            "a/b@..", "a/b@x/../y", "a/b@/x", "a/b@x y", "a/b@x.lock", "a/b@-x", "a/b@x:y", "a/b@.x", "a/b@x\u{0}",
        ]
    )
    func refused(text: String) {
        #expect(throws: HubError.self) { try HubReference(text) }
    }

    @Test("A folder that exists is meant before a repository, and a path never is a repository")
    func folders() throws {
        let folder = try TemporaryFolder()
        #expect(try ModelReference(folder.path) == .folder(folder.path))
        #expect(try ModelReference("./absent") == .folder("./absent"))
        #expect(try ModelReference("a/b@step1") == .hub(HubReference("a/b@step1")))
        #expect(throws: HubError.self) { try ModelReference(folder.path, revision: "step1") }
        let error = #expect(throws: HubError.self) { try ModelReference("a/b/c") }
        #expect(error?.description.contains("there is no such folder") == true)
    }

    @Test("Cache folder names are read back")
    func cacheFolderNames() throws {
        for (id, kind) in [("a/b", RepositoryKind.model), ("a-x/b_y.z", .dataset), ("gpt2", .model), ("s/t", .space)] {
            let repository = try HubRepository(id, kind: kind)
            #expect(HubRepository(cacheFolderName: repository.cacheFolderName) == repository)
        }
        #expect(try HubRepository("a/b").cacheFolderName == "models--a--b")
        for name in ["models", "models--", "other--a--b", "models--a--b--c", ".locks"] {
            #expect(HubRepository(cacheFolderName: name) == nil)
        }
    }

    @Test(
        "File names that would leave their folder are refused",
        arguments: [
            "", "/etc/passwd", "../x", "a/../../x", "a/..", ".", "a//b", "a/", "a\\..\\b", "C:x", "a\u{0}b", "a\nb",
        ]
    )
    func unsafePaths(path: String) throws {
        let repository = try HubRepository("a/b")
        #expect(throws: HubError.unsafePath(path, repository)) { try RepositoryPath(path, in: repository) }
    }

    @Test(
        "Patterns match as Python's fnmatch does",
        arguments: [
            ("*.json", "a/config.json", true), ("*.json", "config.jsonl", false), ("*", "", true), ("", "", true),
            ("", "a", false), ("a?c", "abc", true), ("a?c", "ac", false), ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true), ("[]]", "]", true), ("[", "[", true), ("[a", "[a", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false), ("data/", "data/x/y", true), ("data/", "data2/x", false),
            ("*.SAFE", "x.safe", false),
            ("[a-]", "-", true), ("**/x", "a/b/x", true),
        ]
    )
    func patterns(pattern: String, path: String, expected: Bool) {
        #expect(GlobPattern(pattern).matches(path) == expected)
    }

    @Test("Intermediate checkpoints sort in training order")
    func checkpointOrder() {
        let names = ["decay100", "step599525", "ext1000", "step2999", "main", "decay20", "step", "stepx1", "ext9"]
        let sorted = names.compactMap(CheckpointTag.init).sorted().map(\.description)
        #expect(sorted == ["step2999", "step599525", "ext9", "ext1000", "decay20", "decay100"])
    }

    @Test("Percent encoding keeps unreserved characters and encodes bytes of the rest")
    func encoding() {
        #expect(percentEncoded("refs/convert/parquet") == "refs%2Fconvert%2Fparquet")
        #expect(percentEncoded("a b/ü~.txt", allowing: "/") == "a%20b/%C3%BC~.txt")
    }
}
