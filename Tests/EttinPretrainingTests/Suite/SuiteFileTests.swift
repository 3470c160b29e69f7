import EttinJSON
import EttinModel
import EttinTraining
import TestSupport
import Testing

@testable import EttinPretraining

@Suite("Suite files")
struct SuiteFileTests {
    private static let text = """
        name: my
        recipes: recipes
        output: runs
        sizes: [17m, 32m]
        kinds: [encoder, decoder]
        phases: [pretrain, extension, decay]
        cross: true
        tokenizer: my tokenizer
        data: {pretrain: "it's data", cross: d}
        set: [seed=5]
        """

    private func suite(_ text: String = text, _ overrides: [String] = []) throws -> SuiteFile {
        try withTemporaryFolder { folder in
            try SuiteFile(path: try folder.write(text, "suite.yaml"), overrides: overrides)
        }
    }

    @Test("every run comes after those it depends on, with the folders of the published names")
    func runs() throws {
        let runs = try suite().runs
        #expect(runs.count == 2 * (3 * 2 + 2))
        var done: Set<String> = []
        for run in runs {
            #expect(done.isSuperset(of: run.dependencies))
            #expect(done.insert(run.outputFolder).inserted)
        }
        let first = runs.prefix(8).map(\.outputFolder)
        #expect(
            first == [
                "runs/my-encoder-17m/step", "runs/my-decoder-17m/step", "runs/my-encoder-17m/ext",
                "runs/my-decoder-17m/ext",
                "runs/my-encoder-17m/decay", "runs/my-decoder-17m/decay", "runs/my-enc-from-dec-17m/step",
                "runs/my-dec-from-enc-17m/step",
            ]
        )
        #expect(runs[2].dependencies == ["runs/my-encoder-17m/step"])
        #expect(runs[6].dependencies == ["runs/my-decoder-17m/decay"])
        #expect(runs[6].kind == .encoder)
        #expect(runs[6].recipePath.hasSuffix("/recipes/17m/encoder-from-decoder.yaml"))
        #expect(runs[0].overrides.contains("data_local='it''s data'"))
        #expect(runs[6].overrides.contains("load_path='runs/my-decoder-17m/decay/latest'"))
        #expect(runs[0].overrides.last == "seed=5")
    }

    @Test("a part of the phases goes on from runs that must be there")
    func part() throws {
        let runs = try suite(
            Self.text,
            ["phases=[decay]", "cross=false", "sizes=[17m]", "output=\"it's\"", "name=\"m'y\""]
        ).runs
        #expect(runs.map(\.dependencies) == [[], []])
        #expect(runs[0].overrides.contains("load_path='it''s/m''y-encoder-17m/ext/latest'"))
        #expect(runs[0].overrides.contains("run_name='m''y-encoder-17m-decay'"))
    }

    @Test("our suites expand into recipes that can be run", arguments: [("suite", 48), ("nano-suite", 8)])
    func ours(name: String, count: Int) throws {
        let suite = try SuiteFile(path: "\(RecipeFiles.folder)/\(name).yaml")
        #expect(suite.runs.count == count)
        try suite.check()
        for run in suite.runs {
            let recipe = try run.recipe()
            #expect(recipe.kind == run.kind)
            #expect(recipe.checkpoints.saveFolder == run.outputFolder)
            #expect(recipe.checkpoints.phase == run.phase.tag)
            #expect(recipe.runName == "\(run.model)-\(run.phase.tag.rawValue)")
            // What the recipe says by itself is what the suite makes of it.
            let alone = try PretrainingRecipe(path: run.recipePath)
            #expect(recipe.resolved == alone.resolved)
        }
    }

    @Test(
        "a suite that cannot be is refused by the key's name",
        arguments: [
            ("name=", "name: is empty; expected a name"), ("name=a/b", "name: is \"a/b\"; expected a name for folders"),
            ("output=", "output: is empty; expected the folder"),
            ("sizes=[]", "sizes: is an empty list; expected at least one"),
            ("sizes=17m", "sizes: is \"17m\"; expected a list"),
            ("sizes=[a, a]", "sizes: has a twice; expected each once"),
            ("sizes=[..]", "sizes: has \"..\"; expected names of folders"),
            ("kinds=[encoder, other]", "kinds: has \"other\"; expected encoder and decoder"),
            ("kinds=[encoder]", "cross: is true, but kinds has one kind"),
            ("phases=[decay, pretrain]", "phases: are in another order; expected pretrain, extension, decay"),
            ("phases=[step]", "phases: has \"step\"; expected pretrain, extension, decay"),
            (
                "data={pretrian: x}",
                "data.pretrian: is not a key of data; expected a known key; did you mean data.pretrain?"
            ),
            ("size=[a]", "size: is not a key of a suite; expected a known key; did you mean sizes?"),
            ("set={a: 1}", "set: is a mapping; expected a list"),
        ]
    )
    func badInput(override: String, message: String) {
        #expect {
            try suite(Self.text, [override])
        } throws: {
            "\($0)".contains(message)
        }
    }

    @Test("a recipe that is not there is named before anything runs")
    func missingRecipe() throws {
        let suite = try suite()
        #expect {
            try suite.check()
        } throws: {
            "\($0)".contains("recipes/17m/encoder-pretrain.yaml")
        }
    }
}
