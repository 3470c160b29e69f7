import EttinFiles
import EttinJSON
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Mixture recipes")
struct RecipeTests {
    private func recipe(_ text: String) throws -> MixtureRecipe {
        try MixtureRecipeParser(name: "r.yaml").recipe(Array(text.utf8))
    }

    @Test(
        "The suite's recipes have the tokens of the paper's table",
        arguments: [
            (PublishedRecipe.pretraining, 13, 1_704_700_000_000), (.extension, 10, 249_300_000_000),
            (.decay, 9, 76_300_000_000),
        ]
    )
    func published(recipe: PublishedRecipe, count: Int, total: Int) throws {
        let found = try recipe.recipe()
        #expect(found.sources.count == count && !found.description.isEmpty && found.totalTokens == nil)
        let tokens = found.sources.compactMap { source -> Int? in
            if case .tokens(let count) = source.share { count } else { nil }
        }
        #expect(tokens.count == count && tokens.reduce(0, +) == total)
        #expect(tokens.sorted(by: >) == tokens)
        // Copies of the published decay data: two of the books and textbooks, three of Stack Exchange.
        let repeated = found.sources.filter { $0.repeatLimit != 1 }.map { "\($0.name) \($0.repeatLimit ?? 0)" }
        #expect(repeated == (recipe == .decay ? ["books 2", "stackexchange_dolmino 3", "textbooks 2"] : []))
    }

    @Test("Every key is read, and paths start at the folder that is given")
    func keys() throws {
        let found = try recipe(
            """
            description: Code and prose
            total_tokens: 1_000
            repeat_limit: none
            sources:
              - name: code
                path: /chunks/code
                percent: 80
                repeat_limit: 2
              - {name: prose, percent: 2e1}
            """
        )
        #expect(found.description == "Code and prose" && found.totalTokens == 1000)
        let mixture = found.mixture(ofDataIn: "data")
        #expect(
            mixture.sources == [
                .init(name: "code", input: "/chunks/code", share: .proportion(80), repeatLimit: 2),
                .init(name: "prose", input: "data/prose", share: .proportion(20), repeatLimit: nil),
            ]
        )
        #expect(mixture.totalTokens == 1000)
        let plain = try recipe("sources: [{name: a, tokens: 1.5k}, {name: b}]")
        #expect(
            plain.mixture().sources == [
                .init(name: "a", input: "a", share: .tokens(1500)), .init(name: "b", input: "b", share: .all),
            ]
        )
    }

    @Test("A scaled recipe keeps every source's share")
    func scaling() throws {
        let folder = try TemporaryFolder()
        for name in ["a", "b"] { _ = try makeDataset(folder, name, sampleCount: 300) }
        let text = "sources: [{name: a, tokens: 3b}, {name: b, tokens: 1b, repeat_limit: 3}]"
        let path = try folder.write(text, "r.yaml")
        let stage = try MixtureRecipe(path: path).scaled(toTokens: 4000).mixture(ofDataIn: folder.path)
        let sources = try stage.run(StageOptions(output: folder.file("out")))["sources"]?.arrayValue ?? []
        #expect(sources.compactMap { $0["target_tokens"]?.intValue } == [3000, 1000])
        let whole = try recipe("sources: [{name: a, tokens: 3b}, {name: all}]")
        let error = #expect(throws: CorpusError.self) { try whole.scaled(toTokens: 5) }
        #expect(error?.description.contains("source \"all\" is taken whole; expected a share") == true)
    }

    @Test("Each source keeps to its own repeat limit")
    func repeatLimits() throws {
        let folder = try TemporaryFolder()
        let input = try makeDataset(folder, "in", sampleCount: 50)
        let all = (1...50).reduce(0, +)
        let text = """
            repeat_limit: 2
            sources:
              - {name: once, path: in, tokens: 10k, repeat_limit: 1}
              - {name: twice, path: in, tokens: 10k}
              - {name: enough, path: in, tokens: 10k, repeat_limit: none}
            """
        let summary = try recipe(text).mixture(ofDataIn: folder.path).run(StageOptions(output: folder.file("out")))
        let sources = summary["sources"]?.arrayValue ?? []
        #expect(sources.compactMap { $0["tokens"]?.intValue }.prefix(2) == [all, 2 * all])
        #expect(sources.compactMap { $0["missing_tokens"]?.intValue } == [10_000 - all, 10_000 - 2 * all, 0])
        #expect(sources.first?["input"]?.stringValue == input)
    }

    @Test(
        "A mistake is named with file, line, key, what was found and what was expected",
        arguments: [
            ("", "r.yaml: is not YAML: there is no document; expected a mapping with the key \"sources\""),
            ("a: [", "r.yaml: line "),
            ("3", "r.yaml: line 1, the recipe is \"3\"; expected a mapping"),
            ("description: x", "r.yaml: \"sources\" is not there; expected a list"),
            ("sources: []", "r.yaml: line 1, sources is an empty list; expected a list of at least one source"),
            ("sources: {}", "r.yaml: line 1, sources is a mapping; expected a list"),
            ("sources:\n  - a", "r.yaml: line 2, sources[0] is \"a\"; expected a mapping"),
            ("sources:\n  - tokens: 5", "r.yaml: line 2, sources[0].name is not there; expected the name"),
            ("sources:\n  - name:", "r.yaml: line 2, sources[0].name is empty; expected a text"),
            (
                "sources:\n  - name: a\n    token: 5",
                "line 3, sources[0] has the key \"token\"; expected one of name, path"
            ),
            ("weights: 1", "r.yaml: line 1, the recipe has the key \"weights\"; expected one of description, total"),
            (
                "sources:\n  - name: a\n    tokens: many",
                "line 3, sources[0].tokens is \"many\"; expected a number of tokens"
            ),
            ("sources: [{name: a, tokens: -5}]", "line 1, sources[0].tokens is \"-5\"; expected a number of tokens"),
            ("sources: [{name: a, tokens: [5]}]", "line 1, sources[0].tokens is a list; expected a number of tokens"),
            (
                "sources: [{name: a, tokens: 5, percent: 5}]",
                "sources[0].percent is \"5\"; expected tokens or percent, not"
            ),
            ("sources: [{name: a, percent: 0}]", "sources[0].percent is \"0\"; expected a positive number"),
            ("sources: [{name: a, percent: .inf}]", "sources[0].percent is \".inf\"; expected a positive number"),
            ("sources: [{name: a, repeat_limit: 0}]", "sources[0].repeat_limit is \"0\"; expected 1 or more, or none"),
            ("repeat_limit: []\nsources: [{name: a}]", "line 1, repeat_limit is an empty list; expected 1 or more"),
            ("sources:\n- name: a\n- name: a", "r.yaml: line 3, sources[1].name is \"a\"; expected another name"),
            ("sources: [{name: a, percent: 5}]", "r.yaml: \"total_tokens\" is not there; expected the tokens of which"),
            ("total_tokens: 5\nsources: [{name: a}]", "line 1, total_tokens is \"5\"; expected it only beside sources"),
            (
                "total_tokens: 5\nsources:\n- {name: a, percent: 5}\n- name: b",
                "r.yaml: line 4, sources[1] has no percent, but sources[0] has; expected percent for every source"
            ),
            ("sources:\n- {name: a, name: b}", "r.yaml: line 2 is not YAML: \"name\" occurs twice"),
            ("sources: [{name: &a [*a]}]", "r.yaml: line 1"),
        ]
    )
    func mistakes(text: String, message: String) {
        let error = #expect(throws: CorpusError.self) { try recipe(text) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test("Files that are not there, not UTF-8 or nested without end are refused")
    func files() throws {
        let folder = try TemporaryFolder()
        #expect(throws: CorpusError.self) { try MixtureRecipe(path: folder.file("none.yaml")) }
        let path = try folder.write([0x61, 0xFF], "bytes.yaml")
        let error = #expect(throws: CorpusError.self) { try MixtureRecipe(path: path) }
        #expect(error?.description == "\(path): is not UTF-8; expected YAML")
        for text in [String(repeating: "[", count: 100_000), String(repeating: "- ", count: 100_000)] {
            let error = #expect(throws: CorpusError.self) { try recipe("sources:\n" + text) }
            let expected = "expected a mapping with the key \"sources\""
            #expect(error?.description == "r.yaml: line 2 is nested too deep; \(expected)")
        }
    }

    @Test("Numbers of tokens are read as people write them")
    func tokenCounts() {
        for (text, count) in [("0", 0), ("12", 12), ("1.5k", 1500), ("7M", 7_000_000), ("837.2b", 837_200_000_000)] {
            #expect(TokenCount.parsed(text) == count)
        }
        #expect(TokenCount.parsed("1.7t") == 1_700_000_000_000)
        for text in ["", "k", "-1", "1.5", "x", "nank", "infb", "9999999t", "1000000000000000000", "1 k"] {
            #expect(TokenCount.parsed(text) == nil, "\(text)")
        }
    }
}
